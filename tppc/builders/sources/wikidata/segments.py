"""A segment: what is needed of the entities of one stretch of a dump, as files.

`segment-00000.parquet` holds the items that have all that some pair needs; `segment-00000.json` how many of the others
lack what, those of them that people may want to see, and where the dump is read on behind it. The JSON is written last:
with it the segment is finished. Which refused items are kept follows from a hash of their id alone, so the union of all
segments holds those that `rejects` shows, wherever the dump was cut.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import xxhash

from tppc.builders.decompress import Position
from tppc.builders.rejects import LIMIT
from tppc.builders.sources.base import RAW_BYTES, Refused, unreadable
from tppc.builders.sources.wikidata.wanted import ANY_LANGUAGE, Wanted, first_lacks
from tppc.corpora.files import complete_or_absent, write_bytes

T = TypeVar("T", bound=tuple[Any, ...])
_TALLY = 1 << 16
_DIGITS, _BYTES = bytes.maketrans(b"\0\1", b"01"), bytes.maketrans(b"01", b"\0\1")  # a signature in JSON


@dataclass(frozen=True)
class Place:
    """Where a pass stands: `rest` are bytes that it took and has to be given again; `line` and `records` do not count
    what they hold. `open`: the array of entities is not closed yet. `end` says that nothing is left to read.
    """

    position: Position | None
    rest: bytes
    line: int
    records: int
    triples: bool
    open: bool
    end: bool

    def to_json(self) -> dict[str, Any]:
        """The place as JSON values."""
        position = self.position.to_json() if self.position else None
        return {**self.__dict__, "position": position, "rest": base64.b64encode(self.rest).decode()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Place:
        """What `to_json` gave."""
        position = Position.from_json(value["position"]) if value["position"] else None
        return cls(**{**value, "position": position, "rest": base64.b64decode(value["rest"])})


def schema(wanted: Wanted) -> dict[str, Any]:
    """Columns of a segment's items."""
    columns: dict[str, Any] = {"id": pl.String, "classes": pl.String}
    columns |= {f"label:{code}": pl.String for code in (*wanted.codes, ANY_LANGUAGE)}
    columns |= {f"description:{code}": pl.String for code in wanted.codes}
    return columns | ({f"alias:{code}": pl.List(pl.String) for code in wanted.codes} if wanted.aliases else {})


@dataclass
class Segment:
    """Collects the entities of a stretch."""

    wanted: Wanted
    ids: list[str] = field(default_factory=list)  # items not counted yet, with their signatures
    signatures: list[bytes] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    refused: dict[str, Counter[str]] = field(default_factory=dict)  # by pair and reason
    lacking: list[tuple[str, str]] = field(default_factory=list)  # ids and signatures of items
    others: list[tuple[str, str]] = field(default_factory=list)  # ids and types
    unread: list[tuple[str, str, str]] = field(default_factory=list)  # line, what is wrong, bytes in base64

    def add_item(self, identifier: str, signature: bytes) -> None:
        """Count an item."""
        self.ids.append(identifier)
        self.signatures.append(signature)
        if len(self.ids) >= _TALLY:
            self._tally()

    def add_other(self, identifier: str, kind: str) -> None:
        """Count an entity that is no item."""
        self.counts["not an item"] += 1
        self.others.append((identifier or "?", kind))
        if len(self.others) >= 2 * _TALLY:
            self.others = _lowest(self.others)

    def add_unreadable(self, line: int, why: str, raw: bytes) -> None:
        """Count a line that is no entity."""
        self.counts["unreadable"] += 1
        self.unread.append((f"line:{line}", why, base64.b64encode(raw[:RAW_BYTES]).decode()))
        if len(self.unread) >= 2 * LIMIT:
            self.unread = _lowest(self.unread)

    def _tally(self) -> None:
        """Count what the items lack, and choose those to show."""
        if not self.ids:
            return
        has = self.wanted.has(b"".join(self.signatures))
        self.counts["items"] += len(self.ids)
        columns = {lack.words: lack.column for pair in self.wanted.pairs for lack in self.wanted.lacks(pair)}
        for words, column in columns.items():
            self.counts[f"items with {words}"] += int(len(has) - has[:, column].sum())
        hashes = np.array([_hash(i) for i in self.ids], np.uint64)
        shown: set[int] = set()
        for pair in self.wanted.pairs:
            lacks = self.wanted.lacks(pair)
            first = first_lacks(has, lacks)
            for number, lack in enumerate(lacks):
                at = np.flatnonzero(first == number)
                if not len(at):
                    continue
                self.refused.setdefault(str(pair), Counter())[lack.reason] += len(at)
                if len(at) > LIMIT:
                    at = at[np.argpartition(hashes[at], LIMIT)[:LIMIT]]
                shown.update(at.tolist())
        self.lacking += [(self.ids[i], self.signatures[i].translate(_DIGITS).decode()) for i in sorted(shown)]
        self.ids, self.signatures = [], []

    def write(self, folder: Path, number: int, place: Place) -> None:
        """Write the two files."""
        self._tally()
        with complete_or_absent(folder / f"segment-{number:05d}.parquet") as path:
            items = pl.DataFrame(self.rows, schema(self.wanted), orient="row")
            items.write_parquet(path, compression_level=1)
        value = {
            "place": place.to_json(),
            "counts": self.counts,
            "refused": self.refused,
            "lacking": self.lacking,
            "others": _lowest(self.others),
            "unread": _lowest(self.unread),
        }
        write_bytes(folder / f"segment-{number:05d}.json", json.dumps(value, separators=(",", ":")).encode())


def _hash(identifier: str) -> int:
    return xxhash.xxh3_64_intdigest(identifier.encode("utf-8", "surrogatepass"))


def _lowest(entries: Sequence[T]) -> list[T]:
    """Those that `rejects` would keep, in a fixed order."""
    return sorted(entries, key=lambda entry: (_hash(entry[0]), entry))[:LIMIT]


@dataclass(frozen=True)
class Finished:
    """A segment that was written."""

    items: Path
    notes: Path

    def read(self) -> dict[str, Any]:
        """The notes."""
        found: dict[str, Any] = json.loads(self.notes.read_bytes())
        return found

    @property
    def place(self) -> Place:
        """Where the dump is read on behind it."""
        return Place.from_json(self.read()["place"])


def finished(folder: Path) -> list[Finished]:
    """The finished segments of a folder from the first on, as far as they follow each other."""
    found: list[Finished] = []
    while (notes := folder / f"segment-{len(found):05d}.json").is_file():
        found.append(Finished(notes.with_suffix(".parquet"), notes))
    return found


def refusals(wanted: Wanted, notes: Sequence[dict[str, Any]], pair: str) -> tuple[list[Refused], dict[str, int]]:
    """What some segments refused for a pair: at most `LIMIT` records a reason, and the number of the others."""
    total: Counter[str] = Counter()
    for note in notes:
        total.update(note["refused"].get(pair, {}))
        total["not_an_item"] += note["counts"].get("not an item", 0)
        total["unreadable"] += note["counts"].get("unreadable", 0)
    others = _lowest([tuple(entry) for note in notes for entry in note["others"]])
    unread = _lowest([tuple(entry) for note in notes for entry in note["unread"]])
    listed = [Refused("not_an_item", identifier, kind) for identifier, kind in others]
    listed += [unreadable(line, why, base64.b64decode(raw)) for line, why, raw in unread]
    listed += _lacking(wanted, [tuple(entry) for note in notes for entry in note["lacking"]], pair)
    total.subtract(Counter(record.reason for record in listed))
    return listed, {reason: count for reason, count in total.items() if count}


def _lacking(wanted: Wanted, entries: list[tuple[str, str]], pair: str) -> list[Refused]:
    if not entries:
        return []
    lacks = wanted.lacks(next(p for p in wanted.pairs if str(p) == pair))
    has = wanted.has("".join(signature for _, signature in entries).encode().translate(_BYTES))
    first = first_lacks(has, lacks)
    found = []
    for number, lack in enumerate(lacks):
        chosen = {entries[i][0]: i for i in np.flatnonzero(first == number).tolist()}
        for (identifier,) in _lowest([(name,) for name in chosen]):
            row = has[chosen[identifier]]
            detail = "; ".join(each.words for each in lacks if not row[each.column])
            found.append(Refused(lack.reason, identifier, detail))
    return found
