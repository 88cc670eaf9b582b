"""Rows of a corpus -> shards, attribution and statistics: what building and mixing share.

The rows of a pair come as a function that yields frames in corpus order, each with the columns of the schema and
`split` (`train`, `dev`, `test`; null for a row that stays out). It is called twice, so that no corpus is ever held in
memory; the held-out splits alone are, which hold as many rows as were asked for.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tppc.builders.statistics import Statistics
from tppc.corpora.files import complete_or_absent
from tppc.corpora.languages import Pair
from tppc.corpora.licences import needs_attribution
from tppc.corpora.manifest import Shard, SplitStatistics
from tppc.corpora.schema import SPLITS, schema_of
from tppc.corpora.shards import write_shards
from tppc.manifests.rules import ATTRIBUTION

Rows = Callable[[], Iterator[pl.DataFrame]]
SAMPLES = 12


@dataclass(frozen=True)
class Packed:
    """What was written, and what the manifest says about it. `samples` are a few kept rows, for the card."""

    shards: list[Shard]
    kept: dict[str, int]
    statistics: dict[str, dict[str, SplitStatistics]]
    licences: dict[str, int]
    samples: list[dict[str, Any]]

    def fields(self) -> dict[str, Any]:
        """The manifest's fields that follow from the rows alone."""
        return {"shards": self.shards, "licences": self.licences, "statistics": self.statistics}


def pack(
    folder: Path,
    parts: Mapping[Pair, Rows],
    extra: Sequence[tuple[str, str]],
    *,
    attribution: bool,
    refuse: Callable[[pl.DataFrame], None] = lambda rows: None,
) -> Packed:
    """Write the shards of all pairs, and `ATTRIBUTION.tsv.gz` where it is asked for, into `folder`.

    Args:
        parts: the rows of each pair; a pair without rows gets no shard. extra: columns after the common ones.
        refuse: is handed the rows that stay out, once.
    """
    shards: list[Shard] = []
    statistics: dict[str, dict[str, SplitStatistics]] = {}
    kept, licences = Counter[str](), Counter[str]()
    samples = pl.DataFrame()
    share = -(-SAMPLES // max(1, len(parts)))
    with attribution_file(folder, attribution) as credit:
        for pair, rows in parts.items():
            found = _first_pass(pair, rows, credit if attribution else None, refuse, share)
            samples = pl.concat([samples, found.samples], how="diagonal")
            for split, count in found.rows.items():
                again = iter(found.aside[split]) if split in found.aside else _train(rows)
                tables = _tables(again, found.gathered[split], schema_of(extra))
                shards += write_shards(tables, schema_of(extra), folder, str(pair), split, count)
                kept[split] += count
            statistics[str(pair)] = {split: found.gathered[split].result() for split in found.rows}
            licences.update(sum((gathered.licences for gathered in found.gathered.values()), Counter[str]()))
    ordered = {split: kept[split] for split in SPLITS if kept[split]}
    return Packed(shards, ordered, statistics, dict(sorted(licences.items())), samples.head(SAMPLES).to_dicts())


@dataclass(frozen=True)
class _Found:
    """What the first pass over a pair's rows found; `aside` are the rows of the held-out splits."""

    gathered: dict[str, Statistics]
    aside: dict[str, list[pl.DataFrame]]
    samples: pl.DataFrame

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each split that has some."""
        return {split: gathered.rows for split, gathered in self.gathered.items() if gathered.rows}


def _first_pass(
    pair: Pair,
    rows: Rows,
    credit: Callable[[bytes], object] | None,
    refuse: Callable[[pl.DataFrame], None],
    wanted: int,
) -> _Found:
    gathered = {split: Statistics(pair) for split in SPLITS}
    aside: dict[str, list[pl.DataFrame]] = {split: [] for split in SPLITS if split != "train"}
    samples = pl.DataFrame()
    for frame in rows():
        for split, part in _by_split(frame).items():
            gathered[split].add(part)
            if split in aside:
                aside[split].append(part)
            elif samples.height < wanted:
                samples = pl.concat([samples, part.head(wanted - samples.height)], how="diagonal")
        refuse(frame.filter(pl.col("split").is_null()))
        if credit is not None:
            credit(credit_lines(frame.filter(pl.col("split").is_not_null())))
    return _Found(gathered, aside, samples)


def _train(rows: Rows) -> Iterator[pl.DataFrame]:
    """The rows of train, which come by for the second time."""
    return (frame.filter(pl.col("split") == "train") for frame in rows())


def _tables(frames: Iterable[pl.DataFrame], gathered: Statistics, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of a split as they are written, counted for the second time on the way."""
    for frame in frames:
        gathered.recount(frame)
        yield _table(frame, schema)


def _by_split(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows of each split that has some."""
    parts = {split: rows.filter(pl.col("split") == split) for split in SPLITS}
    return {split: part for split, part in parts.items() if part.height}


def _table(rows: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    return rows.select(schema.names).to_arrow().cast(schema)


@contextmanager
def attribution_file(folder: Path, wanted: bool) -> Iterator[Callable[[bytes], object]]:
    """Yield what writes lines (`credit_lines`) of kept rows, in corpus order, to `ATTRIBUTION.tsv.gz`; where it is not
    wanted, what writes nothing."""
    if not wanted:
        yield lambda lines: None
        return
    with (
        complete_or_absent(folder / ATTRIBUTION) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as file,
    ):
        file.write(b"source\tsource_id\tlicence\tauthors\n")

        yield file.write


def credit_lines(rows: pl.DataFrame) -> bytes:
    """The lines of `ATTRIBUTION.tsv` for rows whose licence asks for credit: source, source id, licence, authors."""
    asking = [name for name in rows["licence"].unique() if needs_attribution(name)]
    authors = pl.col("attribution").fill_null("")
    columns = pl.concat_str("source", "source_id", "licence", authors, separator="\t")
    lines = rows.filter(pl.col("licence").is_in(asking)).select(columns).to_series()
    return "".join(f"{line}\n" for line in lines).encode()
