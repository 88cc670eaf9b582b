"""Parts of speech: share of words with the right universal tag, over all words of the file.

Not XTREME's `udpos`, which is a chunk F1 over runs of equal tags and several points lower for the same predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tppc.errors import UsageError
from tppc.evaluation.readers.conllu import read_conllu
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.tasks.task import Labels, ReadOptions, Task, majority


def read(path: Path, options: ReadOptions) -> Reading[TaggedSentence]:
    """Read CoNLL-U. Raises `UsageError` for a label map: universal tags need none."""
    if options.labels:
        raise UsageError("the tags of CoNLL-U are universal already: leave --labels out")
    return read_conllu(path)


def score(gold: Labels, predicted: Labels) -> Mapping[str, float]:
    """`accuracy` over words."""
    assert [len(g) for g in gold] == [len(p) for p in predicted], "every gold token must be scored"
    pairs = [(g, p) for right, found in zip(gold, predicted, strict=True) for g, p in zip(right, found, strict=True)]
    return {"accuracy": sum(g == p for g, p in pairs) / len(pairs)}


TASK = Task("pos", "token", ("accuracy",), ("conllu",), read, score, majority)
