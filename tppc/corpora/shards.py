"""Parquet shards: one writer, whose bytes depend on the rows and the library versions alone, and a reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tppc.corpora.files import complete_or_absent, sha256_of_file
from tppc.corpora.keys import order_keys
from tppc.corpora.manifest import Shard
from tppc.corpora.schema import dictionary_columns
from tppc.errors import TppcError

# 32 whole row groups, about 25 MB of short pairs: a million rows make several shards, which are written side by side.
ROWS_PER_SHARD = 262_144
# 8,192 short pairs are about 1 MB: small enough that a trainer's window touches few groups, large enough that zstd
# and the dictionaries pay.
ROWS_PER_GROUP = 8_192
#: Of zstd: 9 takes five times as long for 6% less.
LEVEL = 3


def _regroup(tables: Iterable[pa.Table], schema: pa.Schema, size: int) -> Iterator[pa.Table]:
    """Cut a stream of tables into tables of exactly `size` rows (the last may be shorter)."""
    waiting: list[pa.Table] = []
    rows = 0
    for table in tables:
        waiting.append(table if table.schema.equals(schema) else table.select(schema.names).cast(schema))
        rows += table.num_rows
        while rows >= size:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, size)
            waiting, rows = [joined.slice(size)], rows - size
    if rows:
        yield pa.concat_tables(waiting)


def _end_keys(group: pa.Table) -> list[str]:
    """Order keys of the first and the last row, in hexadecimal."""
    src, tgt = ([column[0].as_py(), column[-1].as_py()] for column in (group["src_key"], group["tgt_key"]))
    return [f"{int(key):016x}" for key in order_keys(src, tgt)]


def write_shards(
    tables: Iterable[pa.Table], schema: pa.Schema, folder: Path, pair: str, split: str, rows: int
) -> list[Shard]:
    """Write rows, in the order they come, as `<folder>/data/<pair>/<split>-00000-of-0000N.parquet`.

    Args:
        tables: a stream of tables that have at least the columns of `schema`; `rows` in all.
        folder: the corpus folder. pair: such as `en-hi`. split: `train`, `dev`, `test`.

    Returns the shards in order. Nothing is written for `rows` = 0.
    """
    groups = _regroup(tables, schema, ROWS_PER_GROUP)
    waiting: list[pa.Table] = []

    def one_shard() -> Iterator[pa.Table]:
        room = ROWS_PER_SHARD
        while room and (group := waiting.pop() if waiting else next(groups, None)) is not None:
            if group.num_rows > room:
                group, rest = group.slice(0, room), group.slice(room)
                waiting.append(rest)
            room -= group.num_rows
            yield group

    paths = shard_paths(pair, split, rows)
    shards = [write_shard(one_shard(), schema, folder, path, pair, split) for path in paths]
    assert sum(s.rows for s in shards) == rows, "the announced number of rows must be the number written"
    return shards


def shard_paths(pair: str, split: str, rows: int) -> list[str]:
    """The files that hold so many rows of a split, inside the corpus folder."""
    count = -(-rows // ROWS_PER_SHARD)
    return [f"data/{pair}/{split}-{number:05d}-of-{count:05d}.parquet" for number in range(count)]


def write_shard(tables: Iterable[pa.Table], schema: pa.Schema, folder: Path, path: str, pair: str, split: str) -> Shard:
    """Write one shard, `<folder>/<path>`, of all rows of `tables`, of which there is one at least. Its bytes follow
    from the rows, not from how they are cut into tables."""
    written, groups_written, ends = 0, 0, list[str]()
    with (
        complete_or_absent(folder / path) as temporary,
        pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=dictionary_columns(schema),
            write_statistics=True,
            store_schema=False,
        ) as writer,
    ):
        for group in _regroup(tables, schema, ROWS_PER_GROUP):
            writer.write_table(group.combine_chunks(), row_group_size=ROWS_PER_GROUP)
            written += group.num_rows
            groups_written += 1
            ends = [*ends[:1], *_end_keys(group)]
    file = folder / path
    return Shard(
        path=path,
        pair=pair,
        split=split,
        rows=written,
        bytes=file.stat().st_size,
        sha256=sha256_of_file(file),
        row_groups=groups_written,
        key_range=(ends[0], ends[-1]),
    )


class ShardReader:
    """A shard that stays open: its footer is read once. `shown` is what an error calls it.

    Raises `TppcError` for a file that is no Parquet, or has other rows than its manifest says.
    """

    def __init__(self, path: Path, shard: Shard, shown: str) -> None:
        self._shown = shown
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise TppcError(f"{shown}: not readable as Parquet ({error}); fetch or build the corpus again") from error
        metadata = self._file.metadata
        #: Rows of each row group.
        self.sizes: list[int] = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        if sum(self.sizes) != shard.rows:
            self.close()
            raise TppcError(
                f"{shown}: {sum(self.sizes):,} rows, but the manifest says {shard.rows:,}; "
                "fetch or build the corpus again"
            )

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """The rows of a row group, `columns` only. Raises `TppcError` where they cannot be read."""
        try:
            return self._file.read_row_group(group, columns=list(columns), use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise TppcError(
                f"{self._shown}: row group {group} cannot be read ({error}); fetch or build the corpus again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()
