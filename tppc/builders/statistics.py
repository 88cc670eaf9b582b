"""Statistics of the kept rows, gathered bucket by bucket as exact counts of values, so memory does not follow the
rows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl

_BINS = 24
_MEASURES = ("src_chars", "tgt_chars", "ratio", "score")


class Statistics:
    """Counts of lengths (characters), of target/source length ratios, of scores and of language-ID labels of one
    split.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.values: dict[str, Counter[float]] = {name: Counter() for name in _MEASURES}
        self.labels: dict[str, Counter[str]] = {"src_lid": Counter(), "tgt_lid": Counter()}
        self.licences: Counter[str] = Counter()

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows."""
        self.rows += rows.height
        measured = rows.select(
            pl.col("src_text").str.len_chars().cast(pl.Float64).alias("src_chars"),
            pl.col("tgt_text").str.len_chars().cast(pl.Float64).alias("tgt_chars"),
            (pl.col("tgt_text").str.len_chars() / pl.col("src_text").str.len_chars()).round(2).alias("ratio"),
            pl.col("score").cast(pl.Float64).round(3).alias("score"),
        )
        for name, counter in self.values.items():
            column = measured[name].drop_nulls()
            column = column.filter(column.is_finite())  # a recipe without `empty` lets a length of 0 through
            counter.update(dict(column.value_counts().iter_rows()))
        for name, labels in self.labels.items():
            labels.update(dict(rows[name].fill_null("not asked").value_counts().iter_rows()))
        self.licences.update(dict(rows["licence"].value_counts().iter_rows()))

    def result(self) -> dict[str, Any]:
        """What goes into the manifest."""
        found: dict[str, Any] = {"rows": self.rows}
        found.update({name: _summary(c) for name, c in self.values.items() if c})
        found.update({name: dict(sorted(c.items())) for name, c in self.labels.items()})
        return found


def _summary(counts: Counter[float]) -> dict[str, Any]:
    ordered = sorted(counts.items())
    total = sum(counts.values())

    def quantile(share: float) -> float:
        seen = 0
        for value, count in ordered:
            seen += count
            if seen >= share * total:
                return value
        return ordered[-1][0]

    low, high = ordered[0][0], quantile(0.995)
    width = (high - low) / _BINS or 1.0
    bins = [0] * _BINS
    for value, count in ordered:
        bins[min(_BINS - 1, int((value - low) / width))] += (
            count  # what lies above the last edge counts in the last bin
        )
    return {
        "mean": round(sum(v * c for v, c in ordered) / total, 4),
        "median": quantile(0.5),
        "p95": quantile(0.95),
        "max": ordered[-1][0],
        "histogram": {"edges": [round(low + i * width, 4) for i in range(_BINS + 1)], "counts": bins},
    }
