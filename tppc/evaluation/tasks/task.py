"""What a task is: how its files are read, what is trained, how its predictions are scored.

A new task is one file with a `TASK` and an entry in `tasks/__init__.py`. Its functions are pure: they take labels and
give numbers, so that stored predictions are scored again without a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tppc.evaluation.readers.forms import LabelledText, Reading, TaggedSentence
from tppc.evaluation.readers.options import ReadOptions

Labels = Sequence[Sequence[str]]
"""Labels by item: one for each token of a sentence, or a single one for a text.

Predictions for texts may hold several, best first: the first is the answer, the rest count for `top5_accuracy` alone.
"""


@dataclass(frozen=True)
class Task:
    """A task that is learnt on one language and tested on others.

    Attributes:
        name: as on the command line. unit: what is labelled.
        metrics: the main names that `score` gives; the first is the one for tables.
        endings: file endings of its data, without compression.
        read: a file and options to items.
        score: gold and predicted labels to a fraction for each metric: `metrics` first, then those of single labels
            (`f1:PER`, `accuracy:NOUN`), which depend on the labels that occur.
        counts: gold and predicted labels to counts of each item, [items, ...], that add up over items.
        measure: summed counts [..., *counts of an item] to the first metric [...]: what a bootstrap draws again.
        trivials: names and labels of baselines that see training labels and the test items' sizes alone.
        learner: `fine-tuning` trains a copy of the encoder; `probe` a logistic regression on its frozen vectors.
        ranked: how many labels a prediction for a text holds, best first.
        sample: the folder of its data in the package's sample, where it is not its name.
    """

    name: str
    unit: Literal["token", "text"]
    metrics: tuple[str, ...]
    endings: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Reading[Any]]
    score: Callable[[Labels, Labels], Mapping[str, float]]
    counts: Callable[[Labels, Labels], NDArray[np.int64]]
    measure: Callable[[NDArray[Any]], NDArray[np.float64]]
    trivials: Callable[[Labels, Labels], Mapping[str, Labels]]
    learner: Literal["fine-tuning", "probe"] = "fine-tuning"
    ranked: int = 1
    sample: str = ""


def labels_of(items: Sequence[TaggedSentence | LabelledText]) -> list[tuple[str, ...]]:
    """The gold labels of items, one sequence each."""
    return [i.tags if isinstance(i, TaggedSentence) else (i.label,) for i in items]


def majority(train: Labels, test: Labels) -> dict[str, Labels]:
    """Trivial baseline: the commonest training label everywhere (the first in the alphabet of equals)."""
    counts = _counted(train)
    best = min(counts, key=lambda label: (-counts[label], label))
    return {f"majority ({best})": [[best] * len(one) for one in test]}


def random_labels(train: Labels, test: Labels) -> dict[str, Labels]:
    """Trivial baseline: labels drawn as often as training has them, one draw with seed 0 (no exact expectation).

    Entities are drawn tag by tag, which gives hardly any that is right.
    """
    counts = _counted(train)
    labels = sorted(counts)
    share = np.array([counts[label] for label in labels], dtype=np.float64)
    sizes = [len(one) for one in test]
    drawn = np.random.default_rng(0).choice(len(labels), size=sum(sizes), p=share / share.sum()).tolist()
    ends = np.cumsum(sizes).tolist()
    guesses = [[labels[i] for i in drawn[end - size : end]] for size, end in zip(sizes, ends, strict=True)]
    return {"random (training frequencies, seed 0)": guesses}


def _counted(train: Labels) -> dict[str, int]:
    counts: dict[str, int] = {}
    for one in train:
        for label in one:
            counts[label] = counts.get(label, 0) + 1
    return counts
