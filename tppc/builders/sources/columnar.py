"""Parquet files of the user's, read row group by row group, only the columns that are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tppc.builders.sources.base import Refused, unreadable
from tppc.builders.sources.records import Record, score_of
from tppc.builders.sources.tabular import Columns, no_columns
from tppc.errors import TppcError, UsageError

_BATCH = 16_384


def parquet_records(path: Path, columns: Columns) -> Iterator[Record | Refused]:
    """Records of a Parquet file; the id is the number of the row, from 1. A dot in a name leads into a struct.

    Null texts give `no_src` or `no_tgt`. Raises `UsageError` for columns that are not there or hold no text,
    `TppcError` for a file that is damaged.
    """
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            wanted = _resolve(path, columns, schema)
            names = [name for name in (wanted.src, wanted.tgt, wanted.score, wanted.identifier) if name is not None]
            for batch in file.iter_batches(_BATCH, columns=names, use_threads=False):
                texts = [_column(batch, n).cast(pa.string()).cast(pa.binary()) for n in (wanted.src, wanted.tgt)]
                others = [None if n is None else _column(batch, n) for n in (wanted.score, wanted.identifier)]
                values = [c.to_pylist() if c is not None else [None] * batch.num_rows for c in (*texts, *others)]
                for row in zip(*values, strict=True):
                    number += 1
                    yield _record(number, *row)
    except (pa.ArrowException, OSError) as error:
        raise TppcError(
            f"{path}: not a sound Parquet file after row {number} ({error}); fetch or export it again"
        ) from error


def _record(number: int, src: bytes | None, tgt: bytes | None, score: Any, identifier: Any) -> Record | Refused:
    if src is None or tgt is None:
        return Refused("no_src" if src is None else "no_tgt", str(number), "null")
    try:
        name = "" if identifier is None else str(identifier).strip()
        return Record(name or str(number), src.decode(), tgt.decode(), score_of(score))
    except UnicodeDecodeError as error:
        return unreadable(str(number), f"not UTF-8: {error.reason} at byte {error.start} of a field", error.object)
    except ValueError as error:
        return unreadable(str(number), str(error), src + b"\t" + tgt)


def _resolve(path: Path, columns: Columns, schema: pa.Schema) -> Columns:
    """The columns by name, those by number looked up."""
    if twice := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise UsageError(f"{path}: several columns are called {', '.join(twice)}; export it with names of their own")
    there = [name for field in schema for name in _names(field)]
    missing = []

    def find(column: str) -> str:
        if column in there:
            return column
        if column.isdecimal() and 0 < int(column) <= len(schema):
            return str(schema.names[int(column) - 1])
        missing.append(column)
        return column

    found = Columns(
        find(columns.src),
        find(columns.tgt),
        None if columns.score is None else find(columns.score),
        None if columns.identifier is None else find(columns.identifier),
    )
    if missing:
        raise no_columns(path, missing, there)
    for name in (found.src, found.tgt):
        if not _is_text(_type(schema, name)):
            raise UsageError(f"{path}: column {name} holds {_type(schema, name)}, not text; name another one")
    if found.score is not None and not _is_number(_type(schema, found.score)):
        raise UsageError(
            f"{path}: column {found.score} holds {_type(schema, found.score)}, no number; name another one"
        )
    return found


def _names(field: pa.Field, before: str = "") -> Iterator[str]:
    if pa.types.is_struct(field.type):
        for inner in field.type:
            yield from _names(inner, f"{before}{field.name}.")
    else:
        yield before + str(field.name)


def _type(schema: pa.Schema, name: str) -> pa.DataType:
    if name in schema.names:
        return schema.field(name).type
    top, *rest = name.split(".")
    kind = schema.field(top).type
    for inner in rest:
        kind = kind.field(inner).type
    return kind


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name in batch.schema.names:
        return batch.column(name)
    top, *rest = name.split(".")
    return pc.struct_field(batch.column(top), rest)
