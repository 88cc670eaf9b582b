"""Rejects: for each reason, the rows with the lowest order keys, for people to read. Bounded whatever the corpus's
size.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import xxhash

from tppc.builders.sources.base import Refused
from tppc.corpora.files import write_bytes

LIMIT = 1_000
TEXT = 4_000  # characters of a text: a thousand glued pages must not fill the memory
NAME = "rejects.jsonl.gz"


class Rejects:
    """Collects at most `LIMIT` rows a reason, those with the lowest order keys; the order of adding does not matter."""

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[int, str, str]]] = {}  # (order key, source id, line): a total order
        self._highest: dict[str, int] = {}  # order key of the last one that has a place, once all are taken

    def _add(self, reason: str, order: int, source_id: str, line: str) -> None:
        kept = self._kept.setdefault(reason, [])
        kept.append((order, source_id, line))
        if len(kept) >= 2 * LIMIT:
            self._trim(reason)

    def _trim(self, reason: str) -> None:
        kept = self._kept[reason]
        kept.sort()
        del kept[LIMIT:]
        if len(kept) == LIMIT:
            self._highest[reason] = kept[-1][0]

    def add_rows(self, rows: pl.DataFrame) -> None:
        """Add rows with the columns `reason`, `order_key`, `source_id`, `src_text`, `tgt_text`, `score` and, where
        there is something to say about a single row, `detail`."""
        for (reason,), group in rows.group_by("reason"):
            if (highest := self._highest.get(str(reason))) is not None:
                group = group.filter(pl.col("order_key") <= pl.lit(highest, pl.UInt64))  # noqa: PLW2901
            for row in group.sort("order_key", "source_id").head(LIMIT).iter_rows(named=True):
                names = ("source_id", "src_text", "tgt_text", "score", "detail")
                entry = {name: row[name] for name in names if row.get(name) is not None}
                entry |= {n: str(entry[n])[:TEXT] for n in ("src_text", "tgt_text") if n in entry}
                self._add(str(reason), row["order_key"], row["source_id"], _line(str(reason), entry))

    def add_refused(self, refused: Iterable[Refused]) -> None:
        """Add source records that never became rows."""
        for record in refused:
            entry: dict[str, Any] = {"source_id": record.source_id}
            if record.detail is not None:
                entry["detail"] = record.detail
            if record.raw is not None:
                entry["raw"] = base64.b64encode(record.raw).decode()
            line = _line(record.reason, entry)
            # By the id alone, so that a source can choose from millions before it has made a record of each.
            order = xxhash.xxh3_64_intdigest(record.source_id.encode("utf-8", "surrogatepass"))
            self._add(record.reason, order, record.source_id, line)

    def _entries(self) -> Iterator[tuple[int, str, str]]:
        for reason in sorted(self._kept):
            self._trim(reason)
            yield from self._kept[reason]

    def save(self, path: Path) -> None:
        """Write to a task's folder, with order keys."""
        write_bytes(path, "".join(f"{order}\t{line}\n" for order, _, line in self._entries()).encode())

    def load(self, path: Path) -> None:
        """Add what a task saved."""
        for saved in path.read_bytes().decode().split("\n")[:-1]:
            order, line = saved.split("\t", 1)
            entry = json.loads(line)
            self._add(entry["reason"], int(order), entry["source_id"], line)

    def publish(self, folder: Path) -> None:
        """Write `rejects.jsonl.gz` of a corpus: one JSON object a line, by reason, then by order key."""
        data = "".join(f"{line}\n" for *_, line in self._entries()).encode()
        write_bytes(folder / NAME, gzip.compress(data, 9, mtime=0))

    def sample(self, reason: str, count: int) -> list[dict[str, Any]]:
        """The first rows of a reason."""
        kept = self._kept.get(reason, [])
        if kept:
            self._trim(reason)
        return [json.loads(line) for *_, line in kept[:count]]


def _line(reason: str, entry: dict[str, Any]) -> str:
    # ASCII escapes: a lone surrogate or a control character in a reject must not break the file that shows it.
    return json.dumps({"reason": reason, **entry}, ensure_ascii=True, sort_keys=True)
