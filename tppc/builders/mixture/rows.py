"""`corpora mix`: rows of several corpora -> those that a mixture keeps, in corpus order.

Shards are sorted by the order key, so the corpora are read side by side, piece by piece, and nothing is held but the
pieces and the keys of the held-out rows. Of equal pairs the corpus that was named first keeps its row. Held-out rows of
the corpora stay held out: dev and test of the mixture are those of the corpora, and train drops every row that shares a
text with one of them. What is left is counted, a limit is found for each corpus (`shares.Lottery`), and the rows
below it are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from tppc.builders.mixture.shares import Lottery, MixSettings, lots, shares
from tppc.corpora.corpus import Corpus
from tppc.corpora.keys import order_keys
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Funnel
from tppc.corpora.merging import windows
from tppc.corpora.schema import schema_of

_BATCH_ROWS = 65_536
_KEYS = ["src_key", "tgt_key", "source"]


_FIRST = pl.struct("src_key", "tgt_key").is_first_distinct()


@dataclass
class Taken:
    """What became of the rows of one corpus: rows by (source, split, reason), of which split or reason is None."""

    fates: Counter[tuple[str, str | None, str | None]] = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        """Rows that the mixture keeps of the corpus."""
        return sum(count for (_, split, _), count in self.fates.items() if split is not None)

    def funnels(self) -> dict[str, Funnel]:
        """The corpus's part in the funnel of the mixture, by source."""
        found: dict[str, Funnel] = {}
        for (source, split, reason), count in self.fates.items():
            if split is not None:
                part = Funnel(read=count, kept={split: count})
            elif reason == "duplicate":
                part = Funnel(read=count, deduplicated=count)
            else:
                part = Funnel(read=count, dropped={str(reason): count})
            found[source] = found.get(source, Funnel()) + part
        return found


def _read(corpus: Corpus, split: str, pair: Pair, number: int, columns: list[str] | None) -> Iterator[pl.DataFrame]:
    """Rows of a split in corpus order, with `order_key` and the corpus's number (its priority) as `corpus`."""
    if not any(s.split == split and s.pair == str(pair) for s in corpus.manifest.shards):
        return
    for shard in corpus.shards(split, pair):
        with pq.ParquetFile(corpus.path / shard.path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                rows = pl.DataFrame(batch)
                keys = order_keys(rows["src_key"].to_numpy(), rows["tgt_key"].to_numpy())
                yield rows.with_columns(order_key=pl.Series(keys, dtype=pl.UInt64), corpus=pl.lit(number, pl.UInt16))


def side_by_side(streams: Sequence[Iterator[pl.DataFrame]]) -> Iterator[pl.DataFrame]:
    """Merge streams that are sorted by `order_key`: pieces of rows, sorted, each key whole within one piece.

    Rows of equal keys come in the order of the streams.
    """
    for window in windows(streams):
        parts = [part for part in window if part.height]
        yield pl.concat(parts, how="diagonal").sort("order_key", maintain_order=True)


class Mixing:
    """The rows of a mixture of `corpora`, highest priority first. `plan` first, then `rows` of each pair.

    `taken` says what became of the rows of each corpus, once the rows of all pairs went by.
    """

    def __init__(self, corpora: Sequence[Corpus], settings: MixSettings) -> None:
        self.corpora = list(corpora)
        self.pairs: list[Pair] = list(dict.fromkeys(pair for c in corpora for pair in c.pairs))
        self.extra = sorted({(name, kind) for corpus in corpora for name, kind in corpus.manifest.extra_columns})
        self.taken = [Taken() for _ in corpora]
        self._every_column = pl.DataFrame(schema_of(self.extra).empty_table())
        self._settings = settings
        self._held: dict[Pair, pl.DataFrame] = {}
        self._held_keys = pl.Series([], dtype=pl.Int64)
        self._limits: list[np.uint64 | None] = []
        self._counts: list[int] = []
        self._counted: set[Pair] = set()

    def plan(self) -> list[int]:
        """Gather the held-out rows and decide how many train rows each corpus gives; returns these numbers."""
        for pair in self.pairs:
            self._hold(pair)
        sides = [rows[name] for rows in self._held.values() for name in ("src_key", "tgt_key")]
        self._held_keys = pl.concat([self._held_keys, *sides]).unique()
        lotteries = [Lottery() for _ in self.corpora]
        for number, drawn in self._lots():
            lotteries[number].count(drawn)
        self._counts = shares([lottery.rows for lottery in lotteries], self._settings)
        open_ones = {n for n, lottery in enumerate(lotteries) if lottery.aim(self._counts[n])}
        if open_ones:
            for number, drawn in self._lots():
                if number in open_ones:
                    lotteries[number].collect(drawn)
        self._limits = [lottery.limit() for lottery in lotteries]
        return self._counts

    def _hold(self, pair: Pair) -> None:
        """Held-out rows of one pair: a text of either side stands in one of them only, test before dev. `split` is
        null for those that are too many."""
        parts = [
            rows.with_columns(split=pl.lit(split))
            for split in ("test", "dev")
            for number, corpus in enumerate(self.corpora)
            for rows in _read(corpus, split, pair, number, None)
        ]
        if parts:
            rows = pl.concat(parts, how="diagonal")
            first = pl.col("src_key").is_first_distinct() & pl.col("tgt_key").is_first_distinct()
            held = rows.with_columns(split=pl.when(first).then("split"), reason=pl.when(~first).then(pl.lit("holdout")))
            self._held[pair] = held.sort("order_key", "corpus", maintain_order=True)

    def _lots(self) -> Iterator[tuple[int, np.ndarray]]:
        """Lots of all train rows that may be taken: (number of the corpus, uint64 of shape (n,))."""
        for pair in self.pairs:
            for rows in self._train(pair, _KEYS):
                free = rows.filter(pl.col("reason").is_null())
                for (number,), part in free.group_by("corpus"):
                    yield int(str(number)), lots(part["order_key"].to_numpy(), self._settings.seed)

    def _train(self, pair: Pair, columns: list[str] | None) -> Iterator[pl.DataFrame]:
        """Train rows of one pair, in corpus order; `reason` is null for those that are free to be taken: they share no
        text with a held-out row, and no earlier corpus has the pair."""
        held = self._held_keys.implode()
        shared = pl.col("src_key").is_in(held) | pl.col("tgt_key").is_in(held)
        reason = pl.when(shared).then(pl.lit("holdout")).when(~_FIRST).then(pl.lit("duplicate"))
        for rows in side_by_side([_read(c, "train", pair, n, columns) for n, c in enumerate(self.corpora)]):
            yield rows.with_columns(reason=reason)

    def rows(self, pair: Pair) -> Iterator[pl.DataFrame]:
        """All rows of one pair, held-out ones first, each part in corpus order, with the columns of the schema.

        `split` is null for those that stay out, which have a `reason` then: `holdout`, `duplicate` or `sampled`.
        """
        count = pair not in self._counted
        self._counted.add(pair)
        for rows in self._all(pair):
            if count:
                self._count(rows)
            yield pl.concat([rows, self._every_column], how="diagonal")  # a corpus may lack some

    def _all(self, pair: Pair) -> Iterator[pl.DataFrame]:
        if pair in self._held:
            yield self._held[pair]
        for rows in self._train(pair, None):
            drawn = lots(rows["order_key"].to_numpy(), self._settings.seed)
            corpus = rows["corpus"].to_numpy()
            won = np.zeros(len(drawn), dtype=bool)
            for number, (limit, wanted) in enumerate(zip(self._limits, self._counts, strict=True)):
                won |= (corpus == number) & ((drawn <= limit) if limit is not None else (wanted > 0))
            lost = pl.when(pl.Series(won).not_()).then(pl.lit("sampled"))
            decided = rows.with_columns(reason=pl.coalesce("reason", lost))
            yield decided.with_columns(split=pl.when(pl.col("reason").is_null()).then(pl.lit("train")))

    def _count(self, rows: pl.DataFrame) -> None:
        for number, source, split, reason, count in (
            rows.group_by("corpus", "source", "split", "reason").len().iter_rows()
        ):
            self.taken[number].fates[source, split, reason] += count
