"""From labels to numbers: counts of each item, and measures that are functions of summed counts.

Every measure here is computed from counts that add up over items, so a bootstrap can draw items and sum again without
looking at a label: `class_counts` [items, 3, C] summed over any multiset of items, then `macro_f1` and the like on
[..., 3, C]. The definitions are scikit-learn's; tests hold them against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
RIGHT, PREDICTED, GOLD = 0, 1, 2
_MOST_CLASSES = 50


def class_counts(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], Counts]:
    """The classes that occur, sorted, and counts [items, 3, C]: right, predicted and gold labels of each class.

    An item is a sentence with a label for each token, or a text with one; gold and prediction have equal lengths.
    """
    lengths = [len(one) for one in gold]
    assert lengths == [len(one) for one in predicted], "every gold label must be scored"
    classes = tuple(sorted({label for side in (gold, predicted) for one in side for label in one}))
    number = {label: index for index, label in enumerate(classes)}
    item = np.repeat(np.arange(len(lengths)), lengths)
    right = np.array([number[label] for one in gold for label in one], dtype=np.int64)
    found = np.array([number[label] for one in predicted for label in one], dtype=np.int64)
    hit = right == found
    width = len(classes)
    places = [(item[hit], RIGHT, right[hit]), (item, PREDICTED, found), (item, GOLD, right)]
    flat = np.concatenate([(row * 3 + kind) * width + column for row, kind, column in places])
    counts = np.bincount(flat, minlength=len(lengths) * 3 * width).reshape(len(lengths), 3, width)
    return classes, counts


def ratio(part: Any, whole: Any) -> NDArray[np.float64]:
    """part / whole, 0 where whole is 0; any shape."""
    whole = np.asarray(whole, dtype=np.float64)
    result: NDArray[np.float64] = np.zeros_like(whole)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """F1 of each class, [..., C] from [..., 3, C]: 2 right / (predicted + gold), 0 for a class that is nowhere."""
    return ratio(2 * counts[..., RIGHT, :], counts[..., PREDICTED, :] + counts[..., GOLD, :])


def accuracy(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Share of right labels, [...] from [..., 3, C]."""
    return ratio(counts[..., RIGHT, :].sum(-1), counts[..., GOLD, :].sum(-1))


def micro_f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """F1 over all classes together, [...] from [..., 3, C]. Equal to `accuracy` where every item has one label."""
    return f1(counts.sum(-1, keepdims=True))[..., 0]


def macro_f1(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Plain mean of the F1 of every class that is in the gold labels or in the predictions, [...] from [..., 3, C]."""
    there = counts[..., PREDICTED, :] + counts[..., GOLD, :] > 0
    return ratio((f1(counts) * there).sum(-1), there.sum(-1))


def recall(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Recall of each class, [..., C] from [..., 3, C]; 0 for a class that is not in the gold labels."""
    return ratio(counts[..., RIGHT, :], counts[..., GOLD, :])


def average_recall(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Plain mean of the recall of every class in the gold labels, [...] from [..., 3, C].

    SemEval-2017 task 4's AvgRec, and scikit-learn's balanced accuracy.
    """
    there = counts[..., GOLD, :] > 0
    return ratio((recall(counts) * there).sum(-1), there.sum(-1))


def by_class(name: str, classes: Sequence[str], values: NDArray[np.float64], counts: Counts) -> Mapping[str, float]:
    """`{name}:{class}` for each class of the gold labels, in order; none where these are more than 50 (hashtags).

    Args:
        values: one for each class. counts: of all items, [3, C].
    """
    gold = [i for i in range(len(classes)) if counts[GOLD, i] > 0]
    return {f"{name}:{classes[i]}": float(values[i]) for i in gold} if len(gold) <= _MOST_CLASSES else {}
