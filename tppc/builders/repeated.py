"""The texts that most rows share, counted in memory that does not follow the rows.

Misra and Gries's counter ("Finding repeated elements", 1982) in its mergeable form (Agarwal et al., "Mergeable
summaries", 2012): a table of keys and counts; when it holds more than `PLACES` keys, the count of the first key without
a place is taken off all, and keys at zero leave. Each such cut takes at least `PLACES` + 1 rows' worth of counts, so
over n rows no count falls short by more than n / (`PLACES` + 1): a text with more rows than was taken off in all is
certainly in the table. A second pass over the rows then counts exactly those that can be among the most frequent.
Nothing here depends on anything but the rows and their order.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tppc.corpora.manifest import Repeated

#: Texts that are counted at once, a side: some megabytes. Corpora with fewer different texts are counted exactly.
PLACES = 100_000
_LISTED = 20
_WAITING = 4
_DESCENDING = [True, False]


def recounted(rows: pl.DataFrame, side: str, keys: pl.Series) -> pl.DataFrame:
    """Of the rows with these keys: `key`, `count` and the first `text` in code point order."""
    wanted = rows.filter(pl.col(f"{side}_key").is_in(keys.implode()))
    one = wanted.select(key=f"{side}_key", count=pl.lit(1, pl.Int64), text=f"{side}_text")
    return one.group_by("key").agg(pl.col("count").sum(), pl.col("text").min())


class RepeatedTexts:
    """Counts the texts of one side (`src` or `tgt`) of one split: `add` all rows, then `recount` all rows, then ask for
    the `result`. Where tasks look at some rows each: `take` all keys, and ask for `candidates`;
    `recounted` counts these, and `most_frequent` adds up.
    """

    def __init__(self, side: str) -> None:
        self._side = side
        self._table = pl.DataFrame(schema={"key": pl.Int64, "count": pl.Int64})
        self._waiting: list[pl.DataFrame] = []
        self._taken_off = 0
        self._exact: pl.DataFrame | None = None

    def add(self, rows: pl.DataFrame) -> None:
        """First pass: count rows."""
        self.take(rows.select(key=f"{self._side}_key", count=pl.lit(1, pl.Int64)))

    def take(self, found: pl.DataFrame) -> None:
        """First pass: add counts: `key`, `count`; a key may stand there several times."""
        self._waiting.append(found)
        if sum(part.height for part in self._waiting) >= _WAITING * PLACES:  # each settling groups the whole table anew
            self._settle()

    def _settle(self) -> None:
        table = pl.concat([self._table, *self._waiting]).group_by("key").agg(pl.col("count").sum())
        self._waiting = []
        if table.height > PLACES:
            first_out = int(table["count"].top_k(PLACES + 1).min())  # type: ignore[arg-type]
            self._taken_off += first_out
            table = table.select("key", pl.col("count") - first_out).filter(pl.col("count") > 0)
        self._table = table

    def candidates(self) -> pl.Series:
        """Keys of the texts that can be among the most frequent, once all rows were added."""
        self._settle()
        ordered = self._table.sort("count", "key", descending=_DESCENDING)
        if self._taken_off == 0:
            return ordered.filter(pl.col("count") > 1).head(_LISTED)["key"]
        surely = int(ordered["count"][_LISTED - 1]) if ordered.height >= _LISTED else 0
        return ordered.filter(pl.col("count") + self._taken_off >= max(2, surely))["key"]

    def recount(self, rows: pl.DataFrame) -> None:
        """Second pass: count the texts that the first one found, exactly."""
        if self._exact is None:
            empty = {"count": pl.lit(0, pl.Int64), "text": pl.lit(None, pl.String)}
            self._exact = pl.DataFrame({"key": self.candidates()}).with_columns(**empty)
        found = pl.concat([self._exact, recounted(rows, self._side, self._exact["key"])])
        self._exact = found.group_by("key").agg(pl.col("count").sum(), pl.col("text").min())

    @property
    def missed_at_most(self) -> int:
        """By how much a count may fall short."""
        return self._taken_off

    def result(self) -> Repeated:
        """The most frequent texts."""
        return Repeated(texts=[]) if self._exact is None else most_frequent([self._exact], self._taken_off)


def most_frequent(parts: Sequence[pl.DataFrame], missed_at_most: int) -> Repeated:
    """The most frequent texts out of what `recounted` found of the candidates. Of one that is written in several ways
    the first in code point order is shown."""
    exact = pl.concat(parts).group_by("key").agg(pl.col("count").sum(), pl.col("text").min())
    top = exact.filter(pl.col("count") > 1).sort("count", "key", descending=_DESCENDING).head(_LISTED)
    return Repeated(texts=list(top.select("text", "count").iter_rows()), missed_at_most=missed_at_most)
