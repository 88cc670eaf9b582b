"""Step 2, `clean`: one partition of a source -> normalised, keyed rows that pass the cheap filters, spread over
buckets.

A bucket is a range of the order key, so equal pairs from any partition meet in one bucket, and buckets in order are the
corpus in order. Their number follows from the size of the snapshot, never from the workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tppc.builders.filters import reason
from tppc.builders.normalise import normalise
from tppc.builders.recipe import Recipe
from tppc.builders.rejects import Rejects
from tppc.builders.sources import SOURCES
from tppc.builders.sources.base import Partition, RawBatch
from tppc.corpora.files import canonical_json, write_bytes
from tppc.corpora.keys import order_keys, side_keys
from tppc.corpora.manifest import Funnel

_BYTES_PER_BUCKET = 32 << 20


def bucket_bits(snapshot_bytes: int) -> int:
    """log2 of the number of buckets: about 32 MiB of (compressed) snapshot each, at most 1,024 buckets."""
    return min(10, max(0, (snapshot_bytes // _BYTES_PER_BUCKET).bit_length()))


def clean(folder: Path, partition: Partition, recipe: Recipe, bits: int) -> None:
    """Read a partition and write `<pair>/bucket-0000.parquet`, `<pair>/funnel.json`, `<pair>/rejects.tsv`."""
    outputs = {name: _PairOutput(folder / name, bits) for name in partition.pairs}
    settings = recipe.filters.by_name()
    for batch in SOURCES[partition.source].read(partition):
        output = outputs[str(batch.pair)]
        output.refuse(batch)
        rows = batch.rows.with_columns(
            pl.Series(name, [normalise(t) for t in batch.rows[name].to_list()], pl.String)
            for name in ("src_text", "tgt_text")
        )
        rows = with_keys(rows.with_columns(reason(settings, batch.pair)))
        output.reject(rows.filter(pl.col("reason").is_not_null()))
        output.keep(rows.filter(pl.col("reason").is_null()).drop("reason"))
    for output in outputs.values():
        output.finish()


def with_keys(rows: pl.DataFrame) -> pl.DataFrame:
    """Add `src_key`, `tgt_key` and `order_key`."""
    src, tgt = (side_keys(rows[name].to_list()) for name in ("src_text", "tgt_text"))
    return rows.with_columns(src_key=pl.Series(src), tgt_key=pl.Series(tgt), order_key=pl.Series(order_keys(src, tgt)))


class _PairOutput:
    """What `clean` writes for one pair."""

    def __init__(self, folder: Path, bits: int) -> None:
        self.folder, self.bits = folder, bits
        self.folder.mkdir(parents=True)
        self.rejects = Rejects()
        self.rejected: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.kept = 0
        self.writers: dict[int, pq.ParquetWriter] = {}

    def refuse(self, batch: RawBatch) -> None:
        """Count and keep records that never became rows."""
        self.rejects.add_refused(batch.refused)
        for record in batch.refused:
            self.rejected[record.reason] = self.rejected.get(record.reason, 0) + 1
        for name, value in batch.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value

    def reject(self, rows: pl.DataFrame) -> None:
        """Count and keep rows that a filter refused."""
        self.rejects.add_rows(rows)
        for name, count in rows.group_by("reason").len().iter_rows():
            self.rejected[name] = self.rejected.get(name, 0) + count

    def keep(self, rows: pl.DataFrame) -> None:
        """Append rows to their buckets."""
        self.kept += rows.height
        bucket = pl.col("order_key") // (1 << (64 - self.bits)) if self.bits else pl.lit(0, pl.UInt64)
        for (number,), group in rows.group_by(bucket.alias("bucket"), maintain_order=True):
            table: pa.Table = group.drop("bucket", strict=False).to_arrow()
            if number not in self.writers:
                path = self.folder / bucket_name(int(str(number)))
                self.writers[int(str(number))] = pq.ParquetWriter(
                    path, table.schema, compression="zstd", compression_level=1
                )
            self.writers[int(str(number))].write_table(table)

    def finish(self) -> None:
        """Close the buckets and write funnel and rejects."""
        for writer in self.writers.values():
            writer.close()
        read = self.kept + sum(self.rejected.values())
        write_funnel(self.folder, Funnel(read=read, rejected=self.rejected, kept={"train": self.kept}), self.counts)
        self.rejects.save(self.folder / "rejects.tsv")


def bucket_name(number: int) -> str:
    """File name of a bucket."""
    return f"bucket-{number:04d}.parquet"


def write_funnel(folder: Path, funnel: Funnel, counts: dict[str, int] | None = None) -> None:
    """Write a task's funnel; `kept` counts under `train` until the hold-out is drawn."""
    value: dict[str, Any] = {"funnel": funnel.model_dump(), "counts": counts or {}}
    write_bytes(folder / "funnel.json", canonical_json(value))


def clean_task(folder: Path, partition: Partition, recipe: dict[str, Any], bits: int) -> None:
    """`clean` with a recipe as plain values, as the engine passes it."""
    clean(folder, partition, Recipe.model_validate(recipe), bits)
