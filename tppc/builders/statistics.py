"""Statistics of the kept rows, gathered bucket by bucket as counts of values, so memory does not follow the rows."""

from __future__ import annotations

from collections import Counter

import polars as pl

from tppc.builders.repeated import RepeatedTexts
from tppc.builders.scripts import count_scripts
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Histogram, Measure, SplitStatistics

_BINS = 24
_SRC, _TGT = pl.col("src_text"), pl.col("tgt_text")


def _words(text: pl.Expr) -> pl.Expr:
    """Words of a normalised text: single spaces stand between them, and nowhere else."""
    return (
        pl.when(text.str.len_bytes() > 0)
        .then(text.str.count_matches(" ", literal=True) + 1)
        .otherwise(0)
        .cast(pl.Float64)
    )


_MEASURES = {
    "src_chars": _SRC.str.len_chars().cast(pl.Float64),
    "tgt_chars": _TGT.str.len_chars().cast(pl.Float64),
    "src_words": _words(_SRC),
    "tgt_words": _words(_TGT),
    "ratio": (_TGT.str.len_chars() / _SRC.str.len_chars()).round(2),
    "score": pl.col("score").cast(pl.Float64).round(3),
    "similarity": pl.col("similarity").cast(pl.Float64).round(3),
}


class Statistics:
    """Counts of one split of one pair: lengths in characters and words, target/source length ratios, scores, scripts,
    language-ID labels, licences, repeated texts. `add` all rows, then `recount` all rows.
    """

    def __init__(self, pair: Pair) -> None:
        self.rows = 0
        self.licences: Counter[str] = Counter()
        self._languages = dict(zip(("src", "tgt"), pair.languages, strict=True))
        self._values: dict[str, Counter[float]] = {name: Counter() for name in _MEASURES}
        self._labels: dict[str, Counter[str]] = {"src_lid": Counter(), "tgt_lid": Counter()}
        self._scripts: dict[str, Counter[str]] = {"src": Counter(), "tgt": Counter()}
        self._repeated = {side: RepeatedTexts(side) for side in ("src", "tgt")}

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows, which have the columns of a corpus."""
        self.rows += rows.height
        measured = rows.select(**_MEASURES)
        for name, counter in self._values.items():
            column = measured[name].drop_nulls()
            column = column.filter(column.is_finite())  # a recipe without `empty` lets a length of 0 through
            counter.update(dict(column.value_counts().iter_rows()))
        for name, labels in self._labels.items():
            labels.update(dict(rows[name].fill_null("not asked").value_counts().iter_rows()))
        for side, language in self._languages.items():
            self._scripts[side].update(count_scripts(rows[f"{side}_text"], language))
            self._repeated[side].add(rows)
        self.licences.update(dict(rows["licence"].value_counts().iter_rows()))

    def recount(self, rows: pl.DataFrame) -> None:
        """Count rows for the second time, for the repeated texts."""
        for texts in self._repeated.values():
            texts.recount(rows)

    def result(self) -> SplitStatistics:
        """What goes into the manifest."""
        measures = {name: _summary(counts) for name, counts in self._values.items() if counts}
        labels = {name: dict(sorted(counts.items())) for name, counts in self._labels.items()}
        scripts = {f"{side}_scripts": dict(sorted(counts.items())) for side, counts in self._scripts.items()}
        repeated = {f"{side}_repeated": texts.result() for side, texts in self._repeated.items()}
        return SplitStatistics.model_validate({"rows": self.rows, **measures, **labels, **scripts, **repeated})


def _summary(counts: Counter[float]) -> Measure:
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
        bins[min(_BINS - 1, int((value - low) / width))] += count  # the last bin also holds what lies above its edge
    return Measure(
        mean=round(sum(v * c for v, c in ordered) / total, 4),
        median=quantile(0.5),
        p95=quantile(0.95),
        max=ordered[-1][0],
        histogram=Histogram(edges=[round(low + i * width, 4) for i in range(_BINS + 1)], counts=bins),
    )
