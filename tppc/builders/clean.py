"""Step 2, `clean`: one partition of a source -> normalised, keyed rows that pass the cheap filters, in sorted runs.

A bucket is a range of the order key, so equal pairs from any partition meet in one bucket, and buckets in order are the
corpus in order. Their number follows from the rows that `clean` kept of a pair, never from the workers or from other
pairs. Rows leave as runs of about `_RUN_ROWS` rows sorted by the order key, of which `merge` reads the part of its
bucket (`row_files`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from tppc.builders.cleaning import Cleaning
from tppc.builders.rejects import Rejects
from tppc.builders.row_files import MOST_BITS, RunWriter
from tppc.builders.sources import source_named
from tppc.builders.sources.base import RAW_BYTES, Partition, RawBatch, unreadable
from tppc.corpora.files import canonical_json
from tppc.corpora.keys import forms_of_plain, keys_of_forms, order_keys, side_keys
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Funnel

_ROWS_PER_BUCKET = 50_000
_RUN_ROWS = 100_000
#: Bytes of the longest text that is looked at.
LONGEST = 1 << 20
_JUDGED_BYTES = 8 << 20  # filters hold many times as much while they look at them


def bucket_bits(rows: int) -> int:
    """log2 of the number of buckets for the rows that `clean` kept: up to 50,000 rows each, at most 4,096 buckets."""
    return min(MOST_BITS, max(0, ((rows - 1) // _ROWS_PER_BUCKET).bit_length()))


def bucket_range(bucket: int, bits: int) -> tuple[int, int]:
    """The lowest and the highest order key of a bucket."""
    width = 1 << (64 - bits)
    return bucket * width, (bucket + 1) * width - 1


def clean(folder: Path, partition: Partition, cleaning: Cleaning) -> None:
    """Read a partition and write `<pair>/runs.arrow`, `<pair>/funnel.json` and its rejects."""
    outputs = {name: _PairOutput(folder / name, cleaning) for name in partition.pairs}
    for batch in map(_without_giants, source_named(partition.source).read(partition)):
        outputs[str(batch.pair)].take(batch)
    for output in outputs.values():
        output.finish()


def _without_giants(batch: RawBatch) -> RawBatch:
    """Refuse rows with a text of more than `LONGEST` bytes: no sentence, but a line that was never ended or an archive
    made to explode; the filters need some 50 times its size.
    """
    if all((batch.rows[name].str.len_bytes().max() or 0) <= LONGEST for name in ("src_text", "tgt_text")):  # type: ignore[operator]
        return batch
    size = pl.max_horizontal(pl.col("src_text").str.len_bytes(), pl.col("tgt_text").str.len_bytes()).fill_null(0)
    rows = batch.rows.with_columns(size=size)
    giants = rows.filter(pl.col("size") > LONGEST)
    refused = []
    for row in giants.iter_rows(named=True):
        text = max(row["src_text"] or "", row["tgt_text"] or "", key=len)[:RAW_BYTES].encode()
        refused.append(unreadable(row["source_id"], f"a text of {row['size']:,} bytes, more than 1 MiB", text))
    return replace(batch, rows=rows.filter(pl.col("size") <= LONGEST).drop("size"), refused=[*batch.refused, *refused])


def with_keys(rows: pl.DataFrame, pair: Pair | None = None) -> pl.DataFrame:
    """Add `src_key`, `tgt_key` and `order_key`. With `pair`, the rows say which texts are plain in its scripts."""
    if pair is None:
        src, tgt = (side_keys(rows[name]) for name in ("src_text", "tgt_text"))
    else:
        src, tgt = (
            keys_of_forms(forms_of_plain(rows[f"{side}_text"], rows[f"{side}_plain"], own.scripts))
            for side, own in zip(("src", "tgt"), pair.languages, strict=True)
        )
    return rows.with_columns(src_key=pl.Series(src), tgt_key=pl.Series(tgt), order_key=pl.Series(order_keys(src, tgt)))


class _PairOutput:
    """What `clean` writes for one pair."""

    def __init__(self, folder: Path, cleaning: Cleaning) -> None:
        self.folder, self.cleaning = folder, cleaning
        self.folder.mkdir(parents=True)
        self.rejects = Rejects()
        self.rejected: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.kept = 0
        self.raw: list[RawBatch] = []
        self.waiting: list[pl.DataFrame] = []
        self.runs = RunWriter(folder)

    @property
    def read(self) -> int:
        """Records read so far."""
        return self.kept + sum(self.rejected.values())

    def take(self, batch: RawBatch) -> None:
        """Take in a batch; its rows are judged with those of others, since each call of a filter costs something."""
        self.refuse(batch)
        self.raw.append(batch)
        if sum(b.rows.estimated_size() for b in self.raw) >= _JUDGED_BYTES:
            self._judge()

    def _judge(self) -> None:
        if self.raw:
            rows = pl.concat([b.rows for b in self.raw], rechunk=True)
            pair = self.raw[0].pair
            self.raw = []
            rows = with_keys(self.cleaning.apply(rows, pair), pair)
            self.reject(rows.filter(pl.col("reason").is_not_null()))
            self.keep(rows.filter(pl.col("reason").is_null()).drop("reason"))

    def refuse(self, batch: RawBatch) -> None:
        """Count and keep records that never became rows."""
        self.rejects.add_refused(batch.refused)
        for record in batch.refused:
            self.rejected[record.reason] = self.rejected.get(record.reason, 0) + 1
        for name, value in batch.unlisted.items():
            self.rejected[name] = self.rejected.get(name, 0) + value
        for name, value in batch.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value

    def reject(self, rows: pl.DataFrame) -> None:
        """Count and keep rows that a filter refused."""
        self.rejects.add_rows(rows)
        for name, count in rows.group_by("reason").len().iter_rows():
            self.rejected[name] = self.rejected.get(name, 0) + count

    def keep(self, rows: pl.DataFrame) -> None:
        """Add rows to the run under way."""
        self.kept += rows.height
        self.waiting.append(rows)
        if sum(f.height for f in self.waiting) >= _RUN_ROWS:
            self._write_run()

    def _write_run(self) -> None:
        if any(rows.height for rows in self.waiting):
            self.runs.add(pl.concat(self.waiting))
        self.waiting = []

    def finish(self) -> None:
        """Write the last run, funnel and rejects."""
        self._judge()
        self._write_run()
        self.runs.close()
        write_funnel(
            self.folder, Funnel(read=self.read, rejected=self.rejected, kept={"train": self.kept}), self.counts
        )
        self.rejects.save(self.folder)


def bucket_name(number: int) -> str:
    """File name of a bucket."""
    return f"bucket-{number:04d}.arrow"


def write_funnel(folder: Path, funnel: Funnel, counts: dict[str, int] | None = None) -> None:
    """Write a task's funnel; `kept` counts under `train` until the hold-out is drawn."""
    value: dict[str, Any] = {"funnel": funnel.model_dump(), "counts": counts or {}}
    (folder / "funnel.json").write_bytes(canonical_json(value))
