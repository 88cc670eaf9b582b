"""What a task is: how its files are read, what is trained, how its predictions are scored.

A new task is one file with a `TASK` and an entry in `tasks/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tppc.evaluation.readers.forms import LabelledText, Reading, TaggedSentence

Labels = Sequence[Sequence[str]]
"""Labels by item: one for each token of a sentence, or a single one for a text."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read a task's files: a label map by name, the columns of CoNLL, and what becomes of neutral texts."""

    labels: str | None = None
    columns: tuple[int, int] | None = None
    neutral: Literal["keep", "drop"] = "keep"

    def describe(self) -> str:
        """What of this changes the data, as it stands in a result's dataset."""
        parts = [f"labels={self.labels}"] if self.labels else []
        parts += ["neutral dropped"] if self.neutral == "drop" else []
        return "; ".join(parts)


@dataclass(frozen=True)
class Task:
    """A task that is fine-tuned on one language and tested on others.

    Attributes:
        name: as on the command line. unit: what is labelled.
        metrics: the names that `score` gives, the first is the one for tables.
        endings: file endings of its data, without compression.
        read: a file and options to items.
        score: gold and predicted labels to a fraction for each metric.
        trivial: name and labels of a baseline that sees training labels and the test items' sizes alone.
    """

    name: str
    unit: Literal["token", "text"]
    metrics: tuple[str, ...]
    endings: tuple[str, ...]
    read: Callable[[Path, ReadOptions], Reading[Any]]
    score: Callable[[Labels, Labels], Mapping[str, float]]
    trivial: Callable[[Labels, Labels], tuple[str, Labels]]


def labels_of(items: Sequence[TaggedSentence | LabelledText]) -> list[tuple[str, ...]]:
    """The gold labels of items, one sequence each."""
    return [i.tags if isinstance(i, TaggedSentence) else (i.label,) for i in items]


def majority(train: Labels, test: Labels) -> tuple[str, Labels]:
    """Trivial baseline: the commonest training label everywhere (the first in the alphabet of equals)."""
    counts: dict[str, int] = {}
    for one in train:
        for label in one:
            counts[label] = counts.get(label, 0) + 1
    best = min(counts, key=lambda label: (-counts[label], label))
    return f"majority ({best})", [[best] * len(one) for one in test]
