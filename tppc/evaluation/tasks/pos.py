"""Parts of speech: share of words with the right universal tag, over all words of the file.

Not XTREME's `udpos`, which is a chunk F1 over runs of equal tags and several points lower for the same predictions.
`macro_f1` is the plain mean of the F1 of every tag in the gold labels or the predictions, so that rare tags count as
much as nouns; `average_recall` that of `accuracy:NOUN` and the like, the share of a tag's words that got it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tppc.evaluation.readers.choose import UPOS_ENDINGS, read_tagged
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.tasks import measures
from tppc.evaluation.tasks.task import Labels, Task, majority, random_labels


def read(path: Path, options: ReadOptions) -> Reading[TaggedSentence]:
    """Read CoNLL-U, or tokens and universal tags in another format of `readers`; then apply the label map if any."""
    return read_tagged(path, options, "upos")


def score(gold: Labels, predicted: Labels) -> Mapping[str, float]:
    """The metrics of the module's docstring, over words."""
    tags, by_sentence = measures.class_counts(gold, predicted)
    total = by_sentence.sum(0)
    return {
        "accuracy": float(measures.accuracy(total)),
        "macro_f1": float(measures.macro_f1(total)),
        "average_recall": float(measures.average_recall(total)),
        **measures.by_class("accuracy", tags, measures.recall(total), total),
        **measures.by_class("f1", tags, measures.f1(total), total),
    }


def counts(gold: Labels, predicted: Labels) -> NDArray[np.int64]:
    """Right words and words of each sentence, int64 [sentences, 2]."""
    right = [sum(g == p for g, p in zip(one, found, strict=True)) for one, found in zip(gold, predicted, strict=True)]
    return np.array([right, [len(one) for one in gold]], dtype=np.int64).T


def measure(counts: NDArray[Any]) -> NDArray[np.float64]:
    """`accuracy` [...] of summed counts [..., 2]."""
    return measures.ratio(counts[..., 0], counts[..., 1])


def trivials(train: Labels, test: Labels) -> dict[str, Labels]:
    """The commonest tag, and tags drawn at random."""
    return majority(train, test) | random_labels(train, test)


TASK = Task(
    name="pos",
    unit="token",
    metrics=("accuracy", "macro_f1", "average_recall"),
    endings=UPOS_ENDINGS,
    read=read,
    score=score,
    counts=counts,
    measure=measure,
    trivials=trivials,
)
