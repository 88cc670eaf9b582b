"""Files that hold pairs one after another: a record a pair, gathered into raw batches.

Sources that read such files (OPUS, the user's own bitext) share the readers beside this one: `moses` (line-aligned
files), `tabular` (TSV, CSV, JSON lines), `columnar` (Parquet), `tmx`. Each yields a `Record` for a pair, or what is
refused, in file order, and holds no more than one record at a time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator

from tppc.builders.sources.base import RawBatch, Refused, frame
from tppc.corpora.languages import Pair

_BATCH = 65_536
_LARGEST_SCORE = 3.4e38

_LICENCE_ID = r"(?:[A-Za-z0-9.-]+\+?|DocumentRef-[A-Za-z0-9.-]+:LicenseRef-[A-Za-z0-9.-]+)"
_LICENCE = re.compile(rf"\(*{_LICENCE_ID}\)*(?: (?:AND|OR|WITH) \(*{_LICENCE_ID}\)*)*")


def _spdx(text: str) -> str:
    if not _LICENCE.fullmatch(text) or text.count("(") != text.count(")"):
        raise ValueError("not an SPDX licence expression: write CC-BY-4.0, MIT OR Apache-2.0, LicenseRef-MyTerms, ...")
    return text


#: A setting that holds an SPDX licence expression (SPDX 2.3, annex D); the list of known licences is not asked.
Licence = Annotated[str, AfterValidator(_spdx)]


class Record(NamedTuple):
    """One pair as its file has it; `source_id` is its line, row or unit, from 1, or the file's own id."""

    source_id: str
    src: str
    tgt: str
    score: float | None = None


def score_of(value: str | float | None) -> float | None:
    """A score as a file has it: nothing, an empty text and NaN are no score.

    Raises `ValueError` for a text that is no number, and a number that float32 cannot hold.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError("the score is not a number") from None
    if math.isnan(found):
        return None
    if abs(found) > _LARGEST_SCORE:
        raise ValueError("the score is not a number that a float32 holds")
    return found


def batches(
    pair: Pair,
    records: Iterable[Record | Refused],
    *,
    licence: str,
    attribution: str | None = None,
    limit: int | None = None,
) -> Iterator[RawBatch]:
    """Gather the first `limit` records (all without one) into batches of at most 65,536."""
    waiting = iter(records if limit is None else islice(records, limit))
    while True:
        rows: list[Record] = []
        refused: list[Refused] = []
        for record in islice(waiting, _BATCH):
            if isinstance(record, Refused):
                refused.append(record)
            else:
                rows.append(record)
        columns: dict[str, list[Any]] = {
            "src_text": [r.src for r in rows],
            "tgt_text": [r.tgt for r in rows],
            "source_id": [r.source_id for r in rows],
            "score": [r.score for r in rows],
            "licence": [licence] * len(rows),
            "attribution": [attribution] * len(rows),
        }
        yield RawBatch(pair, frame(columns), refused)
        if len(rows) + len(refused) < _BATCH:
            return
