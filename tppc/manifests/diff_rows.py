"""Compare the rows of two corpora by key, in constant memory.

Both corpora are sorted by order key within each split, so a merge of all splits of both sides, a window of keys at a
time, meets every pair exactly once on each side, also where it went from one split to another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from tppc.corpora.keys import order_keys
from tppc.corpora.manifest import Shard
from tppc.corpora.merging import windows
from tppc.errors import TppcError
from tppc.manifests.places import Place

EXAMPLES = 5
_GROUPS_AT_ONCE = 4
_KEYS = ["src_key", "tgt_key"]
_SHOWN = ["src_text", "tgt_text", "source", "source_id"]


@dataclass
class RowDiff:
    """What became of the rows of one pair: each row of either corpus is counted once.

    A row is known by its two keys. `changed`: the same keys in the same split, another value in some other column
    (`changed_columns`: in how many rows each); `moved`: the same keys in another split (`train -> test`).
    """

    same: int = 0
    added: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    changed_columns: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def differs(self) -> bool:
        """Whether any row is not the same."""
        return any((self.added, self.removed, self.changed, self.moved))

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    def _keep(self, kind: str, rows: pl.DataFrame, columns: Sequence[str]) -> None:
        kept = self.examples.setdefault(kind, [])
        kept += rows.head(EXAMPLES - len(kept)).select(columns).to_dicts()

    def _count(self, kind: str, rows: pl.DataFrame, splits: str, columns: Sequence[str]) -> None:
        if rows.height:
            getattr(self, kind).update(dict(rows[splits].value_counts().iter_rows()))
            self._keep(kind, rows, columns)


@dataclass(frozen=True)
class Side:
    """One of the two corpora: where it lies, and its shards of one pair."""

    place: Place
    shards: Sequence[Shard]


def diff_rows(
    before: Side, after: Side, columns: Sequence[str], advance: Callable[[int], None] = lambda rows: None
) -> RowDiff:
    """Compare all rows of one pair.

    Args:
        columns: those that both corpora have. advance: is told how many rows of either side were read.

    Raises `TppcError` for a shard that cannot be read, is not the manifest's or is not in order.
    """
    found = RowDiff()
    # A shard that both have in the same split cancels out: its rows are the same, whatever the rest holds.
    common = _common(before, after)
    found.same += sum(shard.rows for shard in common.values())
    with ExitStack() as stack:
        streams = [
            stack.enter_context(closing(_read(side.place, split, shards, columns, advance)))
            for side in (before, after)
            for split, shards in _by_split(side, common)
        ]
        of_before = sum(1 for _ in _by_split(before, common))
        for window in windows(streams):
            _compare(_together(window[:of_before]), _together(window[of_before:]), columns, found)
    return found


def _common(before: Side, after: Side) -> dict[tuple[str, str], Shard]:
    known = {(s.split, s.sha256): s for s in before.shards}
    return {key: known[key] for s in after.shards if (key := (s.split, s.sha256)) in known}


def _by_split(side: Side, without: dict[tuple[str, str], Shard]) -> Iterator[tuple[str, list[Shard]]]:
    for split in dict.fromkeys(s.split for s in side.shards):
        yield split, [s for s in side.shards if s.split == split and (split, s.sha256) not in without]


def _together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of the splits of one side, without what only the merging needs."""
    rows = [part.drop("order_key") for part in parts if part.height]
    return pl.concat(rows) if rows else pl.DataFrame()


def _read(
    place: Place, split: str, shards: Sequence[Shard], columns: Sequence[str], advance: Callable[[int], None]
) -> Generator[pl.DataFrame, None, None]:
    """Rows of one split of one side, with their order key and `split`."""
    last = 0
    for shard in shards:
        with place.copy(shard.path) as (path, digest):
            if digest != shard.sha256:
                raise TppcError(
                    f"{place.shown(shard.path)}: its SHA-256 differs from the manifest's; verify the corpus and "
                    "fetch or build it again"
                )
            with pq.ParquetFile(path) as file:
                for start in range(0, file.num_row_groups, _GROUPS_AT_ONCE):
                    groups = range(start, min(start + _GROUPS_AT_ONCE, file.num_row_groups))
                    table = file.read_row_groups(list(groups), columns=list(columns), use_threads=False)
                    rows = pl.from_arrow(table)
                    assert isinstance(rows, pl.DataFrame), "a table becomes a frame"
                    keys = order_keys(*(rows[name].to_numpy() for name in _KEYS))
                    if len(keys) and (int(keys[0]) < last or bool(np.any(keys[1:] < keys[:-1]))):
                        raise TppcError(
                            f"{place.shown(shard.path)}: rows are not in the order of their keys, so they cannot "
                            "be compared; `tppc manifests verify` says what else is wrong"
                        )
                    last = int(keys[-1]) if len(keys) else last
                    yield rows.with_columns(split=pl.lit(split), order_key=pl.Series(keys, dtype=pl.UInt64))
                    advance(len(keys))


def _compare(before: pl.DataFrame, after: pl.DataFrame, columns: Sequence[str], found: RowDiff) -> None:
    """Count what became of the rows of one window."""
    if before.height and after.height and before.equals(after):
        found.same += before.height
        return
    shown = ["split", *_SHOWN]
    if not before.height or not after.height:
        found._count("removed", before, "split", shown)
        found._count("added", after, "split", shown)
        return
    before, after = _numbered(before), _numbered(after)
    on = [*_KEYS, "number"]
    found._count("removed", before.join(after, on=on, how="anti", maintain_order="left"), "split", shown)
    found._count("added", after.join(before, on=on, how="anti", maintain_order="left"), "split", shown)
    both = before.join(after, on=on, how="inner", suffix=" after", maintain_order="left")
    stayed = pl.col("split") == pl.col("split after")
    moved = both.filter(~stayed).with_columns(way=pl.format("{} -> {}", "split", "split after"))
    found._count("moved", moved, "way", ["way", *_SHOWN])
    others = [name for name in columns if name not in _KEYS]
    unlike = {name: pl.col(name).ne_missing(pl.col(f"{name} after")) for name in others}
    changed = both.filter(stayed & pl.any_horizontal(*unlike.values()))
    found.same += both.filter(stayed).height - changed.height
    if changed.height:
        found.changed.update(dict(changed["split"].value_counts().iter_rows()))
        counts = changed.select(unlike[name].sum().alias(name) for name in others).row(0, named=True)
        found.changed_columns.update({name: count for name, count in counts.items() if count})
        kept = found.examples.setdefault("changed", [])
        for row in changed.head(EXAMPLES - len(kept)).iter_rows(named=True):
            pairs = {name: [row[name], row[f"{name} after"]] for name in others}
            kept.append(
                {
                    **{name: row[name] for name in shown},
                    "columns": {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
                }
            )


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with a number among those of the same keys: a mixture may hold a pair several times."""
    if rows.select(_KEYS).is_unique().all():
        return rows.with_columns(number=pl.lit(0, pl.UInt32))
    return rows.with_columns(number=pl.int_range(pl.len(), dtype=pl.UInt32).over(_KEYS))
