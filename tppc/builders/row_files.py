"""Rows between two steps of a build: Arrow files, not compressed, that are mapped into memory and never decoded.

A row passes through two to five such files on its way, so writing and reading decide much of a build's time: of short
pairs 0.25 microseconds a row here, against 1.1 with Parquet in zstd at its lowest level. The price is room in the work
folder, about four times as much; it is given back at the end.

`clean` leaves its rows as runs in one file, sorted by the order key within each, and beside it where in each run every
bucket begins, so that `merge` takes its part of every run by position and looks at no other row.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

#: log2 of the largest number of buckets: runs are indexed by so many ranges of the order key.
MOST_BITS = 12
RUNS, STARTS = "runs.arrow", "starts"
_EDGES = (1 << MOST_BITS) + 1  # where the buckets begin, and where the last one ends
_NUMBER = np.dtype("<i4")


def write_rows(rows: pl.DataFrame, path: Path) -> None:
    """Write rows to a file; it is no complete file before this returns, so only a task's own folder may hold it."""
    table = rows.to_arrow()
    with pa.ipc.new_file(str(path), table.schema) as file:
        file.write_table(table)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a file, or some of its columns, as they lie there; what is not looked at is not read from disk."""
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
        table = file.read_all()
    return table if columns is None else table.select(list(columns))


def read_rows(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows of a file, or some of its columns."""
    return frame_of(read_table(path, columns))


def frame_of(table: pa.Table) -> pl.DataFrame:
    """A table as polars sees it, without a copy of its texts."""
    rows = pl.from_arrow(table)
    assert isinstance(rows, pl.DataFrame), "a table has columns"
    return rows


class RunWriter:
    """Writes runs of rows to `folder`: `add` each, then `close`. Without a run there is no file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: pa.RecordBatchFileWriter | None = None
        self._starts: list[np.ndarray] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Write a run: rows with the uint64 column `order_key`, in any order."""
        ordered = rows.sort("order_key")
        edges = np.arange(1 << MOST_BITS, dtype=np.uint64) << np.uint64(64 - MOST_BITS)
        self._starts.append(np.append(np.searchsorted(ordered["order_key"].to_numpy(), edges), ordered.height))
        table = ordered.to_arrow().combine_chunks()
        if self._file is None:
            self._file = pa.ipc.new_file(str(self._folder / RUNS), table.schema)
        self._file.write_table(table)  # one record batch, so that its number is that of the run

    def close(self) -> None:
        """Finish the file, and write where the buckets begin."""
        if self._file is not None:
            self._file.close()
            # All runs of an edge stand together: a bucket asks for two.
            np.array(self._starts).T.astype(_NUMBER).tofile(self._folder / STARTS)


def bucket_of_runs(folders: Sequence[Path], bucket: int, bits: int) -> pl.DataFrame | None:
    """The rows of one of `1 << bits` buckets out of the runs of some folders, in their order; None if there is no
    run."""
    first, last = (edge << (MOST_BITS - bits) for edge in (bucket, bucket + 1))
    found: pa.RecordBatchStreamWriter | None = None
    with pa.BufferOutputStream() as copied:
        for folder in folders:
            if not (folder / STARTS).is_file():
                continue
            begins, ends = _starts(folder / STARTS, (first, last))
            with (folder / RUNS).open("rb") as raw:
                mapped = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
            file = pa.ipc.open_file(pa.py_buffer(mapped))
            if found is None:
                found = pa.ipc.new_stream(copied, file.schema)
            for run, (begin, end) in enumerate(zip(begins, ends, strict=True)):
                found.write_batch(file.get_batch(run).slice(begin, end - begin))
                # Some rows out of every run: pages and their neighbours would add up to many times the bucket.
                mapped.madvise(mmap.MADV_DONTNEED)
        if found is None:
            return None
        found.close()
        return frame_of(pa.ipc.open_stream(copied.getvalue()).read_all())


def _starts(path: Path, edges: Sequence[int]) -> list[list[int]]:
    """For each edge its place in every run."""
    with path.open("rb") as file:
        width = os.fstat(file.fileno()).st_size // _EDGES
        return [np.frombuffer(os.pread(file.fileno(), width, edge * width), _NUMBER).tolist() for edge in edges]
