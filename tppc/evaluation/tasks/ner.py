"""Named entities: micro-F1 over entities, by seqeval.

`f1` is seqeval's default, which follows conlleval and is what published tables hold: a predicted `I-PER` that
continues nothing begins an entity. `f1_strict` is seqeval's strict mode for IOB2, where it does not. Both count an
entity as right only with exact borders and type.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tppc.evaluation.readers.conll import read_conll
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.labels import map_tags
from tppc.evaluation.tasks.task import Labels, ReadOptions, Task


def read(path: Path, options: ReadOptions) -> Reading[TaggedSentence]:
    """Read CoNLL columns, then apply the label map if there is one."""
    reading = read_conll(path, options.columns)
    return map_tags(reading, options.labels) if options.labels else reading


def score(gold: Labels, predicted: Labels) -> Mapping[str, float]:
    """`f1` and `f1_strict`, 0 where nothing is predicted or nothing is there."""
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    right, found = [list(g) for g in gold], [list(p) for p in predicted]
    assert [len(g) for g in right] == [len(p) for p in found], "every gold token must be scored"
    return {
        "f1": float(f1_score(right, found, zero_division=0)),
        "f1_strict": float(f1_score(right, found, mode="strict", scheme=IOB2, zero_division=0)),
    }


def all_o(train: Labels, test: Labels) -> tuple[str, Labels]:
    """Trivial baseline: no entities at all."""
    return "all-O", [["O"] * len(one) for one in test]


TASK = Task("ner", "token", ("f1", "f1_strict"), ("conll", "bio", "iob2", "tsv", "txt"), read, score, all_o)
