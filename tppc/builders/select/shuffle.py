"""The shuffle: rows that a rule must see together meet through files, never in memory.

`spread` (a task for each bucket) writes what a rule needs of every row, sorted by a 64-bit key; `meet` (a task for each
range of that key) reads its range out of all of those files, whose row groups tell which keys they hold, and writes
the pairs to drop, sorted by their order key. A bucket's drops are read back the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl

from tppc.builders.clean import bucket_name, bucket_range
from tppc.builders.row_files import read_rows

ENTRIES = "entries.parquet"
DROPS = "drops.parquet"
PAIR = ("src_key", "tgt_key")
DROP_SCHEMA = {
    "order_key": pl.UInt64,
    "src_key": pl.Int64,
    "tgt_key": pl.Int64,
    "reason": pl.String,
    "detail": pl.String,
}
_ENTRIES_A_RANGE = 500_000
_ROW_GROUP = 4_096


def range_bits(entries: int) -> int:
    """log2 of the number of ranges that entries are met in: up to 500,000 each."""
    return min(12, max(0, ((entries - 1) // _ENTRIES_A_RANGE).bit_length()))


def write_sorted(rows: pl.DataFrame, by: str, path: Path) -> None:
    """Write rows sorted by their uint64 column `by`, then by pair, so that a range of it can be read alone."""
    ordered = rows.sort(by, *PAIR, maintain_order=True)
    ordered.write_parquet(path, compression="lz4", row_group_size=_ROW_GROUP, statistics=True)


def read_range(paths: Iterable[Path], by: str, number: int, bits: int) -> pl.DataFrame | None:
    """The rows of range `number` of `1 << bits` of column `by`, in the order of the files; None if there is no file."""
    there = [path for path in paths if path.is_file()]
    if not there:
        return None
    low, high = (pl.lit(key, pl.UInt64) for key in bucket_range(number, bits))
    return pl.scan_parquet(there).filter(pl.col(by).is_between(low, high)).collect()


def drops_of(folders: Sequence[str], bucket: int, bits: int) -> pl.DataFrame:
    """The pairs of a bucket that the rules so far drop, each once: the first rule that drops it is its reason."""
    found = read_range([Path(folder) / DROPS for folder in folders], "order_key", bucket, bits)
    if found is None:
        return pl.DataFrame(schema=DROP_SCHEMA)
    return found.unique(PAIR, keep="first", maintain_order=True)


def left_rows(
    part: str, bucket: int, bits: int, drops: Sequence[str], columns: Sequence[str] | None = None
) -> pl.DataFrame | None:
    """The rows of a bucket that no rule has dropped so far; None for a bucket without a row."""
    path = Path(part) / bucket_name(bucket)
    if not path.is_file():
        return None
    rows = read_rows(path, columns)
    return rows.join(drops_of(drops, bucket, bits), on=PAIR, how="anti", maintain_order="left")


def write_drops(folder: Path, drops: pl.DataFrame) -> None:
    """Write pairs to drop: `src_key`, `tgt_key`, `order_key`, `reason`, `detail`."""
    write_sorted(
        drops.select(pl.col(name).cast(kind) for name, kind in DROP_SCHEMA.items()), "order_key", folder / DROPS
    )
