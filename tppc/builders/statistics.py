"""Statistics of the kept rows, gathered bucket by bucket as counts of values, so memory does not follow the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from tppc.builders.repeated import RepeatedTexts
from tppc.builders.scripts import count_scripts
from tppc.corpora.languages import Language, Pair
from tppc.corpora.manifest import Histogram, Measure, Repeated, SplitStatistics

_BINS = 24
_OPTIONAL = ("similarity", "src_lid", "tgt_lid")
_SRC, _TGT = pl.col("src_text"), pl.col("tgt_text")


def _words(text: pl.Expr) -> pl.Expr:
    """Words of a normalised text: single spaces stand between them, and nowhere else."""
    return pl.when(text.str.len_bytes() > 0).then(text.str.count_matches(" ") + 1).otherwise(0).cast(pl.Float64)


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
    language-ID labels, licences, repeated texts. `add` all rows, then `recount` all rows. Counts that several tasks
    make of some rows each (`count`, `tally`) add up (`absorb`).
    """

    def __init__(self, pair: Pair) -> None:
        self.rows = 0
        self.licences: Counter[str] = Counter()
        self._languages = dict(zip(("src", "tgt"), pair.languages, strict=True))
        self._values: dict[str, Counter[float]] = {name: Counter() for name in _MEASURES}
        self._labels: dict[str, Counter[str]] = {"src_lid": Counter(), "tgt_lid": Counter()}
        self._scripts: dict[str, Counter[str]] = {"src": Counter(), "tgt": Counter()}
        self.repeated = {side: RepeatedTexts(side) for side in ("src", "tgt")}

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows, which have the columns of a corpus."""
        self.count(rows)
        for texts in self.repeated.values():
            texts.add(rows)

    def count(self, rows: pl.DataFrame) -> None:
        """Count rows, but for the repeated texts. Columns that are all null may be missing; `src_plain` and
        `tgt_plain`, where there are such, say which texts are `quick.plain`."""
        self.rows += rows.height
        rows = rows.with_columns(pl.lit(None).alias(name) for name in _OPTIONAL if name not in rows.columns)
        measured = rows.select(**_MEASURES)
        for name, counter in self._values.items():
            column = measured[name].drop_nulls()
            column = column.filter(column.is_finite())  # a recipe without `empty` lets a length of 0 through
            counter.update(dict(column.value_counts().iter_rows()))
        for name, labels in self._labels.items():
            labels.update(dict(rows[name].cast(pl.String).fill_null("not asked").value_counts().iter_rows()))
        for side, language in self._languages.items():
            self._scripts[side].update(_scripts(rows, side, language))
        self.licences.update(dict(rows["licence"].value_counts().iter_rows()))

    def recount(self, rows: pl.DataFrame) -> None:
        """Count rows for the second time, for the repeated texts."""
        for texts in self.repeated.values():
            texts.recount(rows)

    def tally(self) -> dict[str, Any]:
        """What was counted so far, but for the repeated texts, as a JSON value."""
        counts = {name: [[key, n] for key, n in sorted(counter.items())] for name, counter in self._counters().items()}
        return {"rows": self.rows, "counts": counts}

    def absorb(self, tally: dict[str, Any]) -> None:
        """Add what another counted: its `tally`."""
        self.rows += tally["rows"]
        for name, counter in self._counters().items():
            counter.update(dict(tally["counts"][name]))

    def _counters(self) -> dict[str, Counter[Any]]:
        scripts = {f"{side}_scripts": counter for side, counter in self._scripts.items()}
        return {**self._values, **self._labels, **scripts, "licences": self.licences}

    def result(self, repeated: Mapping[str, Repeated] | None = None) -> SplitStatistics:
        """What goes into the manifest; `repeated` are each side's repeated texts where others counted them."""
        measures = {name: _summary(counts) for name, counts in self._values.items() if counts}
        labels = {name: dict(sorted(counts.items())) for name, counts in self._labels.items()}
        scripts = {f"{side}_scripts": dict(sorted(counts.items())) for side, counts in self._scripts.items()}
        often = repeated or {side: texts.result() for side, texts in self.repeated.items()}
        texts = {f"{side}_repeated": found for side, found in often.items()}
        return SplitStatistics.model_validate({"rows": self.rows, **measures, **labels, **scripts, **texts})


def _scripts(rows: pl.DataFrame, side: str, language: Language) -> Counter[str]:
    texts, flag = rows[f"{side}_text"], f"{side}_plain"
    if flag not in rows.columns or len(language.scripts) != 1:
        return count_scripts(texts, language)
    plain = rows[flag]  # their letters are all in that script
    return Counter({language.scripts[0]: int(plain.sum())}) + count_scripts(texts.filter(~plain), language)


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
