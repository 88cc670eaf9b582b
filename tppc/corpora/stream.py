"""Pairs in one global order, for training.

The order is fixed by (corpora, weights, seed) and nothing else, so step k takes the same pairs whatever the number of
ranks, workers or earlier interruptions. Everything is arithmetic on the global position p of a pair in the stream:

1. *Corpus.* Position p belongs to a corpus by an exact apportionment of the weights (`_apportion`). Without weights
   every corpus weighs as many as it has rows, and each run of N positions (N = all rows) is one epoch that holds every
   row once. A mixture of several language pairs has a part for each, whose weights are their rows: so every window
   holds its language pairs as the whole does, though its shards hold them one after the other.
2. *Row.* A part's own n-th row lies in epoch n // rows; within an epoch the row groups come in an order drawn from
   (seed, epoch). Rows inside a shard are in the order of their keys, which is random already.
3. *Window.* Pairs are gathered in windows of `window` batches, shuffled, sorted by length, cut into batches, and
   the batches shuffled, so that a batch holds texts of like length (about half the padding) and the order of lengths is
   random. Windows never cross the end of an unweighted epoch, so an epoch loses and doubles nothing; the last
   batch of an epoch is filled with the first pairs of the next.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tppc.corpora.corpus import Corpus, RowGroup
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

_COLUMNS = ["src_lang", "tgt_lang", "src_text", "tgt_text", "src_key", "tgt_key", "source", "source_id"]
# In all parts together, but for each at least the one it stands in and the next.
_GROUPS_IN_MEMORY, _GROUPS_OF_A_PART = 8, 2


def _generator(*parts: object) -> np.random.Generator:
    """A random generator that depends on `parts` alone."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@dataclass(frozen=True)
class PairBatch:
    """One global batch of B pairs. Texts are lists of B strings, keys int64 of shape (B,); `ids` name rows for
    people.
    """

    step: int
    src_lang: list[str]
    tgt_lang: list[str]
    src_text: list[str]
    tgt_text: list[str]
    src_key: np.ndarray
    tgt_key: np.ndarray
    ids: list[str]

    def __len__(self) -> int:
        return len(self.src_text)

    def slice_of_rank(self, rank: int, world: int) -> PairBatch:
        """Every `world`-th pair from `rank` on; slices of a batch may differ by one pair."""
        pick = slice(rank, None, world)
        return PairBatch(
            self.step, self.src_lang[pick], self.tgt_lang[pick], self.src_text[pick], self.tgt_text[pick],
            self.src_key[pick], self.tgt_key[pick], self.ids[pick],
        )  # fmt: skip


class _Rows:
    """The endless sequence of one part's rows: epoch after epoch, row groups in a drawn order. `pair` is that of a part
    of a mixture, None for a corpus that is one part.
    """

    def __init__(self, corpus: Corpus, pair: Pair | None, split: str, seed: int) -> None:
        self.corpus = corpus
        self.groups: list[RowGroup] = corpus.row_groups(split, pair)
        self.rows = sum(g.rows for g in self.groups)
        self.seed = seed
        self.identity = (corpus.digest,) if pair is None else (corpus.digest, str(pair))
        self.groups_in_memory = _GROUPS_IN_MEMORY
        self._cache: OrderedDict[int, pa.Table] = OrderedDict()

    def _group(self, index: int) -> pa.Table:
        if index in self._cache:
            self._cache.move_to_end(index)
        else:
            self._cache[index] = self.groups[index].read(_COLUMNS)
            if len(self._cache) > self.groups_in_memory:
                self._cache.popitem(last=False)
        return self._cache[index]

    def take(self, start: int, stop: int) -> list[pa.Table]:
        """Rows start..stop of the endless sequence, as slices of row groups."""
        pieces = []
        while start < stop:
            epoch, offset = divmod(start, self.rows)
            order = _generator("groups", *self.identity, self.seed, epoch).permutation(len(self.groups))
            for index in order:
                size = self.groups[index].rows
                if offset < size and start < stop:
                    count = min(size - offset, stop - start)
                    pieces.append(self._group(int(index)).slice(offset, count))
                    start, offset = start + count, 0
                else:
                    offset = max(0, offset - size)
                if start >= stop:
                    break
        return pieces


def _parts(corpus: Corpus, split: str, seed: int) -> list[_Rows]:
    """The parts of a corpus. Raises `TppcError` where its split has no rows."""
    pairs: list[Pair | None] = [None]
    if len(corpus.pairs) > 1 and corpus.rows(split):
        pairs = [pair for pair in corpus.pairs if corpus.manifest.rows(split, str(pair))]
    parts = [_Rows(corpus, pair, split, seed) for pair in pairs]
    if not all(part.rows for part in parts):
        raise TppcError(f"{corpus.path}: its {split} split is empty")
    return parts


def _apportion(position: int, weights: Sequence[Fraction]) -> list[int]:
    """Shares of `position` by weight: floors down a chain of two-way splits.

    Each entry never falls as `position` grows, and the entries sum to `position`.
    """
    shares, left = [], sum(weights, Fraction(0))
    rest = position
    for weight in weights:
        share = rest if weight == left else rest * weight // left
        shares.append(int(share))
        rest, left = rest - int(share), left - weight
    return shares


class PairStream:
    """The global sequence of batches over one or several corpora.

    Args:
        corpora: the corpora. weights: positive numbers, one a corpus; None gives each as many as it has rows
        (every pair once an epoch).
        batch_size: pairs in a global batch. seed: of every shuffle. window: batches that are bucketed by length
        together.
        split: which split to read.

    Raises `UsageError` for weights that do not fit, `TppcError` for a corpus without rows.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        *,
        batch_size: int,
        seed: int,
        weights: Sequence[float] | None = None,
        window: int = 32,
        split: str = "train",
    ) -> None:
        if not corpora:
            raise UsageError("no corpus to read: give at least one with --corpus")
        if batch_size < 1 or window < 1:
            raise UsageError(f"batch size and window must be at least 1 (they are {batch_size} and {window})")
        if weights is not None and (len(weights) != len(corpora) or any(w <= 0 for w in weights)):
            raise UsageError(f"{len(corpora)} corpora need as many positive weights; these are {list(weights)}")
        self.batch_size, self.seed = batch_size, seed
        self._corpora = [_parts(corpus, split, seed) for corpus in corpora]
        self._parts = [part for parts in self._corpora for part in parts]
        for part in self._parts:
            part.groups_in_memory = max(_GROUPS_OF_A_PART, _GROUPS_IN_MEMORY // len(self._parts))
        self.rows = sum(p.rows for p in self._parts)
        #: Pairs in an epoch, None where weights repeat some corpora and cut others.
        self.epoch_pairs: int | None = self.rows if weights is None else None
        rows = [sum(p.rows for p in parts) for parts in self._corpora]
        self._weights = [Fraction(n) for n in rows] if weights is None else [Fraction(w) for w in weights]
        self._window_pairs = window * batch_size
        self._identity = (
            seed,
            batch_size,
            window,
            split,
            [(*p.identity, str(w)) for ps, w in zip(self._corpora, self._weights, strict=True) for p in ps],
        )
        self._windows: OrderedDict[int, tuple[int, pa.Table]] = OrderedDict()

    def _shares(self, position: int) -> list[int]:
        """How many of the first `position` pairs come from each part."""
        of_corpora = _apportion(position, self._weights)
        return [
            share
            for parts, of_corpus in zip(self._corpora, of_corpora, strict=True)
            for share in _apportion(of_corpus, [Fraction(p.rows) for p in parts])
        ]

    def _window_of(self, position: int) -> tuple[int, int]:
        """First and last-plus-one position of the window that holds `position`."""
        size = self._window_pairs
        if self.epoch_pairs is None:
            start = position // size * size
            return start, start + size
        epoch, inside = divmod(position, self.epoch_pairs)
        start = epoch * self.epoch_pairs + inside // size * size
        return start, min(start + size, (epoch + 1) * self.epoch_pairs)

    def _window(self, position: int) -> tuple[int, pa.Table]:
        """The window that holds `position`, in its final order, and its first position."""
        start, stop = self._window_of(position)
        if start in self._windows:
            return self._windows[start]
        pieces = []
        for part, first, last in zip(self._parts, self._shares(start), self._shares(stop), strict=True):
            pieces += part.take(first, last)
        table = pa.concat_tables(pieces).combine_chunks()
        assert table.num_rows == stop - start, "the shares of a window must fill it"
        table = table.take(pa.array(self._order(table, start)))
        self._windows[start] = (start, table)
        if len(self._windows) > 2:
            self._windows.popitem(last=False)
        return start, table

    def _order(self, table: pa.Table, start: int) -> np.ndarray:
        """Order of a window's rows: shuffled, sorted by length, cut where global batches begin, batches shuffled.

        Batches that the window holds whole are exchanged among themselves; the pieces of a batch at its two ends stay.
        """
        random = _generator("window", self._identity, start)
        count = table.num_rows
        lengths = sum(np.asarray(pc.binary_length(table[c])) for c in ("src_text", "tgt_text"))
        shuffled = random.permutation(count)
        by_length = shuffled[np.argsort(np.asarray(lengths)[shuffled], kind="stable")]
        head = min(count, -start % self.batch_size)
        whole = (count - head) // self.batch_size
        # The incomplete pieces take random rows, not the shortest or longest ones.
        loose = np.zeros(count, dtype=bool)
        loose[random.permutation(count)[: count - whole * self.batch_size]] = True
        ends, middle = by_length[loose], by_length[~loose]
        ends = random.permutation(ends)
        batches = middle.reshape(whole, self.batch_size)[random.permutation(whole)]
        return np.concatenate([ends[:head], batches.reshape(-1), ends[head:]])

    def batch(self, step: int) -> PairBatch:
        """The global batch of step `step` (from 0)."""
        position, end = step * self.batch_size, (step + 1) * self.batch_size
        pieces = []
        while position < end:
            start, table = self._window(position)
            count = min(end, start + table.num_rows) - position
            pieces.append(table.slice(position - start, count))
            position += count
        table = pa.concat_tables(pieces)
        columns = {name: table[name].to_pylist() for name in _COLUMNS if not name.endswith("_key")}
        return PairBatch(
            step=step,
            src_lang=columns["src_lang"],
            tgt_lang=columns["tgt_lang"],
            src_text=columns["src_text"],
            tgt_text=columns["tgt_text"],
            src_key=table["src_key"].to_numpy(),
            tgt_key=table["tgt_key"].to_numpy(),
            ids=[f"{s}:{i}" for s, i in zip(columns["source"], columns["source_id"], strict=True)],
        )
