"""Any classification of whole texts with one label each: topics, hashtags, emoji; two classes or hundreds.

`macro_f1` is the plain mean of the F1 of every class that occurs in the gold labels or in the predictions
(scikit-learn's definition), so a class that the test set lacks costs a model only if the model predicts it.
`average_recall` is the plain mean of the recall of every class in the gold labels (scikit-learn's balanced accuracy,
SemEval's AvgRec). `micro_f1` equals `accuracy` wherever a text has one label; both names are there because tables use
both. `top5_accuracy` is the share of texts whose label is among the five likeliest; it says something where there are
many classes. `f1:LABEL` is a class's own, up to 50 classes.

Texts labelled `neutral` are kept, or dropped from training, development and test data alike: dropping them from
training alone makes a perfect model look bad.

Hashtag and emoji prediction (TwHIN-BERT; SemEval-2018 task 2) take the label out of the text first. A
text that still holds its label gives the answer away, so reading counts those.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.choose import TEXT_ENDINGS, read_labelled
from tppc.evaluation.readers.forms import LabelledText, Reading
from tppc.evaluation.readers.labels import UMSAB
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.tasks import measures
from tppc.evaluation.tasks.task import Labels, Task, majority, random_labels

RANKED = 5
NEUTRAL = "neutral"


def read(path: Path, options: ReadOptions) -> Reading[LabelledText]:
    """Read labelled texts in any format of `readers`, map the labels, drop neutral texts if so asked.

    A note says how many texts hold their own label. Raises what `drop_neutral` does.
    """
    reading = read_labelled(path, options)
    if given_away := sum(gives_away(item) for item in reading.items):
        note = (
            f"{path.name}: {given_away:,} of {len(reading.items):,} texts hold their own label (a hashtag or an "
            "emoji), which gives the answer away; take it out of the texts"
        )
        reading = Reading(reading.items, (*reading.notes, note))
    return drop_neutral(path, reading) if options.neutral == "drop" else reading


def gives_away(item: LabelledText) -> bool:
    """Whether a text holds its label: `#label` as a whole hashtag, or a label that is a symbol such as an emoji."""
    if any(unicodedata.category(c) == "So" for c in item.label):
        return item.label in item.text
    hashtag = rf"[#\uff03]{re.escape(item.label.lstrip('#').casefold())}(?!\w)"  # with the full-width sign
    return re.search(hashtag, item.text.casefold()) is not None


def drop_neutral(path: Path, reading: Reading[LabelledText]) -> Reading[LabelledText]:
    """Take out the texts labelled `neutral`, and note how many.

    Raises `UsageError` where labels are numbers, so that nobody knows which is neutral, `TppcError` where nothing else
    is left.
    """
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
    """The metrics of the module's docstring. A prediction may hold several labels, best first.

    `top5_accuracy` is there only where predictions hold several, and there are more classes than five to rank.
    """
    classes, by_text = measures.class_counts(gold, first(predicted))
    total = by_text.sum(0)
    scores = {
        "macro_f1": float(measures.macro_f1(total)),
        "accuracy": float(measures.accuracy(total)),
        "average_recall": float(measures.average_recall(total)),
        "micro_f1": float(measures.micro_f1(total)),
    }
    ranked = {label for found in predicted for label in found} if any(len(found) > 1 for found in predicted) else set()
    if len(ranked.union(classes)) > RANKED and ranked:
        hits = [right[0] in found[:RANKED] for right, found in zip(gold, predicted, strict=True)]
        scores["top5_accuracy"] = sum(hits) / len(hits)
    return scores | dict(measures.by_class("f1", classes, measures.f1(total), total))


def first(predicted: Labels) -> Labels:
    """The answer of each prediction: its first label."""
    return [found[:1] for found in predicted]


def counts(gold: Labels, predicted: Labels) -> NDArray[np.int64]:
    """Right, predicted and gold labels of each class for each text, int64 [texts, 3, classes]."""
    return measures.class_counts(gold, first(predicted))[1]


def measure(counts: NDArray[Any]) -> NDArray[np.float64]:
    """`macro_f1` [...] of summed counts [..., 3, classes]."""
    return measures.macro_f1(counts)


def trivials(train: Labels, test: Labels) -> dict[str, Labels]:
    """The commonest class, and classes drawn at random."""
    return majority(train, test) | random_labels(train, test)


TASK = Task(
    name="classification",
    unit="text",
    metrics=("macro_f1", "accuracy", "average_recall", "micro_f1"),
    endings=TEXT_ENDINGS,
    read=read,
    score=score,
    counts=counts,
    measure=measure,
    trivials=trivials,
    ranked=RANKED,
)
