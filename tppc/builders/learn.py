"""Step `learn`, only where a recipe says `target_per_source = "learned"`: how long translations are in this very data.

One more pass over the source before `clean`. Each partition gives, for each pair, a histogram of ln(target characters /
source characters) over the rows that pass every filter that does not compare lengths and whose source has at least
10 characters; histograms add up, and the median of their sum is what the filters take. So the value depends on the
whole snapshot and not on partitions or workers. It is told in the manifest's `source_counts`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from tppc.builders.cleaning import Cleaning
from tppc.builders.engine import Task
from tppc.builders.filters import all_filters, reason
from tppc.builders.filters.agreement import Expected
from tppc.builders.normalise import normaliser
from tppc.builders.progress import note
from tppc.builders.sources import plugin_digest, source_named
from tppc.builders.sources.base import Partition
from tppc.builders.workspace import Workspace
from tppc.corpora.files import canonical_json

#: The name of the learned value among a corpus's counts.
COUNT = "target characters for 1,000 of source, learned"
_BIN = 0.005
_MIN_CHARS = 10
_MIN_ROWS = 200


def with_learned(
    cleaning: Cleaning,
    partitions: Sequence[Partition],
    pairs: Sequence[str],
    run: Callable[[Sequence[Task]], list[Path]],
    work: Workspace,
) -> Cleaning:
    """The settings with what the data of each pair says; `run` runs tasks and returns their folders."""
    what = cleaning.identity
    tasks = [
        Task(
            "learn",
            learn,
            {"partition": p, "cleaning": cleaning},
            {"partition": p.identity, "cleaning": what, "plugin": plugin_digest(p.source)},
        )
        for p in partitions
    ]
    folders = run(tasks)
    work.bring(folders)
    values = {pair: learned(folders, pair) for pair in pairs}
    for pair, value in values.items():
        told = (
            f"learned {value} characters of target for one of source" if value else "too few rows to learn lengths from"
        )
        note(f"{pair}: {told}")
    return replace(cleaning, learned=values)


def learn(folder: Path, partition: Partition, cleaning: Cleaning) -> None:
    """Write `<pair>.json`: rows by bin of the log ratio."""
    counts: dict[str, dict[int, int]] = {name: {} for name in partition.pairs}
    settings = cleaning.settings(learned=1.0)
    others = [f for f in all_filters(cleaning.plugins) if not isinstance(settings[f.name], Expected)]
    run = normaliser(cleaning.normalisation)
    for batch in source_named(partition.source).read(partition):
        texts = batch.rows.with_columns(
            pl.Series(name, [run(t) for t in batch.rows[name].to_list()], pl.String)
            for name in ("src_text", "tgt_text")
        )
        good = texts.with_columns(reason(settings, batch.pair, others)).filter(pl.col("reason").is_null())
        mine = counts[str(batch.pair)]
        for place, count in log_ratios(good).value_counts().iter_rows():
            mine[place] = mine.get(place, 0) + count
    for name, found in counts.items():
        (folder / f"{name}.json").write_bytes(canonical_json({str(k): v for k, v in sorted(found.items())}))


def log_ratios(rows: pl.DataFrame) -> pl.Series:
    """Bins of ln(target characters / source characters) of the rows long enough to tell, int32."""
    src, tgt = (pl.col(name).str.len_chars() for name in ("src_text", "tgt_text"))
    long_enough = rows.filter((src >= _MIN_CHARS) & (tgt > 0))
    return long_enough.select(((tgt / src).log() / _BIN).round().cast(pl.Int32)).to_series()


def learned(folders: Iterable[Path], pair: str) -> float | None:
    """Characters of target for one of source, to three digits; None where fewer than 200 rows tell."""
    total: dict[int, int] = {}
    for folder in folders:
        if (path := folder / f"{pair}.json").is_file():
            for place, count in json.loads(path.read_bytes()).items():
                total[int(place)] = total.get(int(place), 0) + count
    return median_ratio(total)


def median_ratio(counts: dict[int, int]) -> float | None:
    """The median of a histogram of `log_ratios`, as a ratio; None where fewer than 200 rows tell."""
    rows, seen = sum(counts.values()), 0
    if rows < _MIN_ROWS:
        return None
    for place, count in sorted(counts.items()):
        seen += count
        if 2 * seen >= rows:
            return round(math.exp(place * _BIN), 3)
    raise AssertionError("half of the rows are reached before the end")
