"""Sentiment of texts: macro-F1 and accuracy.

Macro-F1 is the plain mean of the F1 of every class that occurs in the gold labels or in the predictions
(scikit-learn's definition), so a class that the test set lacks costs a model only if the model predicts it. Neutral
texts are kept, or dropped from training, development and test data alike: dropping them from training alone makes a
perfect model look bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import LabelledText, Reading
from tppc.evaluation.readers.labels import UMSAB, map_labels
from tppc.evaluation.readers.texts import labels_beside, read_texts
from tppc.evaluation.tasks.task import Labels, ReadOptions, Task, majority

NEUTRAL = "neutral"


def read(path: Path, options: ReadOptions) -> Reading[LabelledText]:
    """Read TSV or the two-file form, map the labels, drop neutral texts if so asked.

    The two-file form is UMSAB's, whose labels 0, 1, 2 get their names without being asked.

    Raises `UsageError` where neutral texts should go but labels are numbers, `TppcError` where nothing else is left.
    """
    reading = read_texts(path)
    name = options.labels
    if name is None and labels_beside(path) and {item.label for item in reading.items} <= set(UMSAB.to):
        name = UMSAB.name
    if name:
        reading = map_labels(reading, name)
    if options.neutral == "keep":
        return reading
    if all(item.label.isdecimal() for item in reading.items):
        raise UsageError(
            f"{path}: labels are numbers, so which is neutral is not known; name them with --labels {UMSAB.name}"
        )
    left = [item for item in reading.items if item.label != NEUTRAL]
    if not left:
        raise TppcError(f"{path}: every text is {NEUTRAL}; nothing is left without them")
    note = f"{path.name}: {len(reading.items) - len(left)} of {len(reading.items)} texts are {NEUTRAL} and dropped"
    return Reading(left, (*reading.notes, note))


def score(gold: Labels, predicted: Labels) -> Mapping[str, float]:
    """`macro_f1` and `accuracy`."""
    from sklearn.metrics import accuracy_score, f1_score

    right, found = [one[0] for one in gold], [one[0] for one in predicted]
    return {
        "macro_f1": float(f1_score(right, found, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(right, found)),
    }


TASK = Task("sentiment", "text", ("macro_f1", "accuracy"), ("tsv",), read, score, majority)
