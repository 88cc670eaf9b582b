"""Sentiment of texts: `classification` with the names of UMSAB's numbers.

Published tables keep neutral texts or drop them; `tppc evaluate sentiment --neutral both` does both in turn.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tppc.evaluation.readers.choose import read_labelled
from tppc.evaluation.readers.forms import LabelledText, Reading
from tppc.evaluation.readers.labels import UMSAB, map_labels
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.readers.texts import labels_beside
from tppc.evaluation.tasks import classification


def read(path: Path, options: ReadOptions) -> Reading[LabelledText]:
    """Read labelled texts in any format of `readers`, map the labels, drop neutral texts if so asked.

    The two-file form is UMSAB's, whose labels 0, 1, 2 get their names without being asked. Raises what
    `classification.drop_neutral` does.
    """
    reading = read_labelled(path, options)
    if options.labels is None and labels_beside(path) and {item.label for item in reading.items} <= set(UMSAB.to):
        reading = map_labels(reading, UMSAB.name)
    return classification.drop_neutral(path, reading) if options.neutral == "drop" else reading


TASK = replace(classification.TASK, name="sentiment", read=read, ranked=1)
