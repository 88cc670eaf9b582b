"""Rejects: for each reason, the rows with the lowest order keys, for people to read. Bounded whatever the corpus's
size. They stay columns until a corpus is published: a step refuses far more rows than are shown in the end.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import xxhash

from tppc.builders.row_files import frame_of, read_rows, write_rows
from tppc.builders.sources.base import Refused
from tppc.corpora.files import write_bytes

LIMIT = 1_000
TEXT = 4_000  # characters of a text: a thousand glued pages must not fill the memory
NAME = "rejects.jsonl.gz"
#: What a task leaves of them.
SAVED = "rejects.arrow"
_TEXTS = ("src_text", "tgt_text")
_SHOWN = ("source_id", *_TEXTS, "score", "detail")
# `line` is the whole entry of a record that never became a row, which may hold what is no text.
_COLUMNS = {
    "reason": pl.String,
    "order_key": pl.UInt64,
    "source_id": pl.String,
    "src_text": pl.String,
    "tgt_text": pl.String,
    "score": pl.Float32,
    "detail": pl.String,
    "line": pl.String,
}
_SETTLED_AT = 8 * LIMIT


class Rejects:
    """Collects at most `LIMIT` rows a reason, those with the lowest order keys; the order of adding does not matter."""

    def __init__(self) -> None:
        # Arrow tables hold copies of their texts; a polars frame would keep all texts of the batch it was cut from.
        self._parts: list[pa.Table] = []
        self._rows = 0
        self._highest: dict[str, int] = {}  # order key of the last one that has a place, once all are taken

    def _add(self, rows: pl.DataFrame) -> None:
        if self._highest:
            highest = pl.col("reason").replace_strict(self._highest, default=(1 << 64) - 1, return_dtype=pl.UInt64)
            rows = rows.filter(pl.col("order_key") <= highest)
        if rows.height:
            self._parts.append(rows.to_arrow())
            self._rows += rows.height
            if self._rows >= _SETTLED_AT:
                self._settle()

    def _settle(self) -> pl.DataFrame:
        """What is kept of all that was added, by reason, then by order key."""
        if not self._parts:
            return pl.DataFrame(schema=_COLUMNS)
        rows = frame_of(pa.concat_tables(self._parts))
        names = [name for name in _COLUMNS if name not in ("reason", "order_key")]
        rows = rows.sort("reason", "order_key", *names).filter(pl.int_range(pl.len()).over("reason") < LIMIT)
        full = rows.group_by("reason").agg(pl.len(), pl.col("order_key").max()).filter(pl.col("len") == LIMIT)
        self._highest = dict(full.select("reason", "order_key").iter_rows())
        self._parts, self._rows = [rows.to_arrow()], 0  # counts what came since
        return rows

    def add_rows(self, rows: pl.DataFrame) -> None:
        """Add rows with the columns `reason`, `order_key`, `source_id`, `src_text`, `tgt_text`, `score` and, where
        there is something to say about a single row, `detail`."""
        if rows.height:
            there = {name: pl.col(name) for name in _COLUMNS if name in rows.columns}
            there |= {name: pl.col(name).str.slice(0, TEXT) for name in _TEXTS}
            cast = [there.get(name, pl.lit(None)).cast(kind).alias(name) for name, kind in _COLUMNS.items()]
            self._add(rows.select(cast))

    def add_refused(self, refused: Iterable[Refused]) -> None:
        """Add source records that never became rows."""
        found: list[dict[str, Any]] = []
        for record in refused:
            entry: dict[str, Any] = {"source_id": record.source_id}
            if record.detail is not None:
                entry["detail"] = record.detail
            if record.raw is not None:
                entry["raw"] = base64.b64encode(record.raw).decode()
            # By the id alone, so that a source can choose from millions before it has made a record of each.
            order = xxhash.xxh3_64_intdigest(record.source_id.encode("utf-8", "surrogatepass"))
            found.append({"reason": record.reason, "order_key": order, "line": _line(record.reason, entry)})
        if found:
            self._add(pl.DataFrame(found, schema=_COLUMNS))

    def save(self, folder: Path) -> None:
        """Write to a task's folder, where there are any."""
        if (rows := self._settle()).height:
            write_rows(rows, folder / SAVED)

    def load(self, folder: Path) -> None:
        """Add what a task saved."""
        if (folder / SAVED).is_file():
            self._add(read_rows(folder / SAVED))

    def publish(self, folder: Path) -> None:
        """Write `rejects.jsonl.gz` of a corpus: one JSON object a line, by reason, then by order key."""
        data = "".join(f"{_entry(row)}\n" for row in self._settle().iter_rows(named=True)).encode()
        write_bytes(folder / NAME, gzip.compress(data, 9, mtime=0))

    def sample(self, reason: str, count: int) -> list[dict[str, Any]]:
        """The first rows of a reason."""
        rows = self._settle().filter(pl.col("reason") == reason).head(count)
        return [json.loads(_entry(row)) for row in rows.iter_rows(named=True)]


def _entry(row: dict[str, Any]) -> str:
    if row["line"] is not None:
        return str(row["line"])
    return _line(row["reason"], {name: row[name] for name in _SHOWN if row[name] is not None})


def _line(reason: str, entry: dict[str, Any]) -> str:
    # ASCII escapes: a lone surrogate or a control character in a reject must not break the file that shows it.
    return json.dumps({"reason": reason, **entry}, ensure_ascii=True, sort_keys=True)
