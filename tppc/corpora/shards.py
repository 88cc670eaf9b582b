"""Parquet shards: one writer, whose bytes depend on the rows and the library versions alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tppc.corpora.files import complete_or_absent, sha256_of_file
from tppc.corpora.keys import order_keys
from tppc.corpora.manifest import Shard
from tppc.corpora.schema import dictionary_columns

ROWS_PER_SHARD = 1_000_000
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
        waiting.append(table.select(schema.names).cast(schema))
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
    count = -(-rows // ROWS_PER_SHARD)
    groups = _regroup(tables, schema, ROWS_PER_GROUP)
    shards: list[Shard] = []
    waiting: pa.Table | None = None
    for number in range(count):
        path = f"data/{pair}/{split}-{number:05d}-of-{count:05d}.parquet"
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
            while written < ROWS_PER_SHARD:
                group = waiting if waiting is not None else next(groups, None)
                waiting = None
                if group is None:
                    break
                room = ROWS_PER_SHARD - written
                if group.num_rows > room:
                    group, waiting = group.slice(0, room), group.slice(room)
                writer.write_table(group, row_group_size=ROWS_PER_GROUP)
                written += group.num_rows
                groups_written += 1
                ends = [*ends[:1], *_end_keys(group)]
        file = folder / path
        shards.append(
            Shard(
                path=path,
                pair=pair,
                split=split,
                rows=written,
                bytes=file.stat().st_size,
                sha256=sha256_of_file(file),
                row_groups=groups_written,
                key_range=(ends[0], ends[-1]),
            )
        )
    assert sum(s.rows for s in shards) == rows, "the announced number of rows must be the number written"
    return shards
