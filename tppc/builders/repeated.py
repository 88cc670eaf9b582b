"""The texts that most rows share, counted in memory that does not follow the rows.

Misra and Gries's counter ("Finding repeated elements", 1982) in its mergeable form (Agarwal et al., "Mergeable
summaries", 2012): a table of keys and counts; when it holds more than `PLACES` keys, the count of the first key without
a place is taken off all, and keys at zero leave. Each such cut takes at least `PLACES` + 1 rows' worth of counts, so
over n rows no count falls short by more than n / (`PLACES` + 1): a text with more rows than was taken off in all is
certainly in the table. A second pass over the rows then counts exactly those that can be among the most frequent.
Nothing here depends on anything but the rows and their order.
"""

from __future__ import annotations

import polars as pl

from tppc.corpora.manifest import Repeated

#: Texts that are counted at once, a side: some megabytes. Corpora with fewer different texts are counted exactly.
PLACES = 100_000
_LISTED = 20
_DESCENDING = [True, False]


class RepeatedTexts:
    """Counts the texts of one side (`src` or `tgt`) of one split: `add` all rows, then `recount` all rows, then ask for
    the `result`.
    """

    def __init__(self, side: str) -> None:
        self._key, self._text = f"{side}_key", f"{side}_text"
        self._table = pl.DataFrame(schema={"key": pl.Int64, "count": pl.Int64})
        self._taken_off = 0
        self._exact: pl.DataFrame | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """First pass: count rows."""
        seen = rows.group_by(pl.col(self._key).alias("key")).agg(pl.len().cast(pl.Int64).alias("count"))
        table = pl.concat([self._table, seen]).group_by("key").agg(pl.col("count").sum())
        if table.height > PLACES:
            first_out = int(table["count"].top_k(PLACES + 1).min())  # type: ignore[arg-type]
            self._taken_off += first_out
            table = table.select("key", pl.col("count") - first_out).filter(pl.col("count") > 0)
        self._table = table

    def _candidates(self) -> pl.Series:
        """Keys of the texts that can be among the most frequent."""
        ordered = self._table.sort("count", "key", descending=_DESCENDING)
        if self._taken_off == 0:
            return ordered.filter(pl.col("count") > 1).head(_LISTED)["key"]
        surely = int(ordered["count"][_LISTED - 1]) if ordered.height >= _LISTED else 0
        return ordered.filter(pl.col("count") + self._taken_off >= max(2, surely))["key"]

    def recount(self, rows: pl.DataFrame) -> None:
        """Second pass: count the texts that the first one found, exactly."""
        if self._exact is None:
            empty = {"count": pl.lit(0, pl.Int64), "text": pl.lit(None, pl.String)}
            self._exact = pl.DataFrame({"key": self._candidates()}).with_columns(**empty)
        wanted = rows.filter(pl.col(self._key).is_in(self._exact["key"].implode()))
        seen = wanted.select(key=self._key, count=pl.lit(1, pl.Int64), text=self._text)
        self._exact = pl.concat([self._exact, seen]).group_by("key").agg(pl.col("count").sum(), pl.col("text").min())

    def result(self) -> Repeated:
        """The most frequent texts. Of a text that is written in several ways the first in code point order is shown."""
        if self._exact is None:
            return Repeated(texts=[])
        top = self._exact.filter(pl.col("count") > 1).sort("count", "key", descending=_DESCENDING).head(_LISTED)
        return Repeated(texts=list(top.select("text", "count").iter_rows()), missed_at_most=self._taken_off)
