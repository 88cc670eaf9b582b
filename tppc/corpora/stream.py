"""Pairs in one global order, for training.

The order is fixed by (corpora, sampling, seed) and nothing else, so step k takes the same pairs whatever the number of
ranks, workers or earlier interruptions. Everything is arithmetic on the global position p of a pair in the stream:

1. *Corpus.* Position p belongs to a corpus by an exact apportionment of the shares (`_apportion`). Proportional shares
   give each run of N positions (N = all rows) every row once: an epoch. A mixture of several language pairs has a part
   for each: so every window holds its language pairs as the whole does, though its shards hold them one after the
   other. Other shares (`sampling`) repeat the small parts sooner.
2. *Row.* A part's own n-th row lies in epoch n // rows; within an epoch the shards come in an order drawn from (seed,
   epoch), and the row groups of a shard in one drawn from (seed, epoch, shard), so that a corpus elsewhere is fetched
   shard by shard, the next ones in advance. Rows inside a shard are in the order of their keys, which is random
   already.
3. *Window.* Pairs are gathered in windows of `window` batches, shuffled, sorted by length, cut into batches, and
   the batches shuffled, so that a batch holds texts of like length (about half the padding) and the order of lengths is
   random. Windows never cross the end of a proportional epoch, so an epoch loses and doubles nothing; the last
   batch of an epoch is filled with the first pairs of the next.

Memory holds three windows and a few row groups of each part, however large the corpora are.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair
from tppc.corpora.sampling import PROPORTIONAL, Sampling, parse_sampling, shares
from tppc.corpora.shards import ShardReader
from tppc.errors import TppcError, UsageError

_COLUMNS = ("src_lang", "tgt_lang", "src_text", "tgt_text", "src_key", "tgt_key", "source", "source_id")
# In all parts together, but for each at least the one it stands in and the next.
_GROUPS_IN_MEMORY, _GROUPS_OF_A_PART = 8, 2
_SHARDS_AHEAD = 2
# Threads that make batches ahead stand in two neighbouring ones, and a batch may begin in the one before.
_WINDOWS_IN_MEMORY = 3


def _generator(*parts: object) -> np.random.Generator:
    """A random generator that depends on `parts` alone."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


@dataclass(frozen=True)
class PairBatch:
    """One global batch of B pairs. Texts are lists of B strings, keys int64 of shape (B,); `names` are the columns
    `source` and `source_id`.
    """

    step: int
    src_lang: list[str]
    tgt_lang: list[str]
    src_text: list[str]
    tgt_text: list[str]
    src_key: np.ndarray
    tgt_key: np.ndarray
    names: pa.Table

    def __len__(self) -> int:
        return len(self.src_text)

    @cached_property
    def ids(self) -> list[str]:
        """What names the rows for people: `tatoeba:440811_443072`. Made when it is asked for."""
        return [f"{s}:{i}" for s, i in zip(*(self.names[c].to_pylist() for c in ("source", "source_id")), strict=True)]

    def slice_of_rank(self, rank: int, world: int) -> PairBatch:
        """Every `world`-th pair from `rank` on; slices of a batch may differ by one pair."""
        pick = slice(rank, None, world)
        return PairBatch(
            self.step, self.src_lang[pick], self.tgt_lang[pick], self.src_text[pick], self.tgt_text[pick],
            self.src_key[pick], self.tgt_key[pick], self.names.take(pa.array(range(len(self))[pick], pa.int64())),
        )  # fmt: skip


class _OpenShard:
    """A shard of a part that stays open, with the order of its row groups in one epoch."""

    def __init__(self, reader: ShardReader, release: ExitStack, random: np.random.Generator) -> None:
        self.reader, self.release = reader, release
        sizes = np.asarray(reader.sizes, dtype=np.int64)
        self.order = random.permutation(len(sizes))
        self.ends = np.cumsum(sizes[self.order])


class _Rows:
    """The endless sequence of one part's rows: epoch after epoch, shards and their row groups in drawn orders.

    `pair` is that of a part of a mixture, None for a corpus that is one part.
    """

    def __init__(self, corpus: Corpus, pair: Pair | None, split: str, seed: int) -> None:
        self.corpus = corpus
        self.shards = corpus.shards(split, pair)
        self.rows = sum(s.rows for s in self.shards)
        self.seed = seed
        self.identity = (corpus.digest,) if pair is None else (corpus.digest, str(pair))
        self.groups_in_memory = _GROUPS_IN_MEMORY
        self._epochs: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._open: OrderedDict[tuple[int, int], _OpenShard] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()

    def _epoch(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of the shards in an epoch, and where in it the rows of each end."""
        if epoch not in self._epochs:
            order = _generator("shards", *self.identity, self.seed, epoch).permutation(len(self.shards))
            sizes = np.asarray([s.rows for s in self.shards], dtype=np.int64)
            self._epochs[epoch] = (order, np.cumsum(sizes[order]))
            if len(self._epochs) > 2:
                self._epochs.popitem(last=False)
        return self._epochs[epoch]

    def _shard(self, epoch: int, place: int) -> _OpenShard:
        """The shard that comes `place`-th in an epoch, open; of a corpus elsewhere those after it are fetched."""
        index = int(self._epoch(epoch)[0][place])
        if (epoch, index) not in self._open:
            if len(self._open) >= 2:
                self._open.popitem(last=False)[1].release.close()
            following = [
                divmod(epoch * len(self.shards) + place + i, len(self.shards)) for i in range(1, _SHARDS_AHEAD + 1)
            ]
            then = [self.shards[self._epoch(e)[0][p]] for e, p in following]
            release = ExitStack()
            reader = release.enter_context(self.corpus.reading(self.shards[index], then))
            random = _generator("groups", *self.identity, self.seed, epoch, index)
            self._open[epoch, index] = _OpenShard(reader, release, random)
        return self._open[epoch, index]

    def _group(self, shard: int, group: int, reader: ShardReader) -> pa.Table:
        """A row group of a shard."""
        if (shard, group) in self._groups:
            self._groups.move_to_end((shard, group))
        else:
            self._groups[shard, group] = reader.read(group, _COLUMNS)
            if len(self._groups) > self.groups_in_memory:
                self._groups.popitem(last=False)
        return self._groups[shard, group]

    def take(self, start: int, stop: int) -> list[pa.Table]:
        """Rows start..stop of the endless sequence, as slices of row groups."""
        pieces = []
        while start < stop:
            epoch, offset = divmod(start, self.rows)
            order, ends = self._epoch(epoch)
            place = int(np.searchsorted(ends, offset, side="right"))
            shard = self._shard(epoch, place)
            offset -= int(ends[place]) - self.shards[order[place]].rows
            at = int(np.searchsorted(shard.ends, offset, side="right"))
            group = int(shard.order[at])
            left = int(shard.ends[at]) - offset
            count = min(left, stop - start)
            table = self._group(int(order[place]), group, shard.reader)
            pieces.append(table.slice(table.num_rows - left, count))
            start += count
        return pieces


def _parts(corpus: Corpus, split: str, seed: int) -> list[_Rows]:
    """The parts of a corpus. Raises `TppcError` where its split has no rows."""
    parts = [_Rows(corpus, pair, split, seed) for pair in corpus.parts(split)]
    if not all(part.rows for part in parts):
        raise TppcError(f"{corpus.address}: its {split} split is empty")
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
        corpora: the corpora. batch_size: pairs in a global batch. seed: of every shuffle.
        sampling: how often each corpus comes; as many times as it has rows, where nothing is said. weights: short for a
        sampling by these positive numbers, one a corpus.
        window: batches that are bucketed by length together. split: which split to read.

    Several threads may ask for batches. Raises `UsageError` for weights that do not fit, `TppcError` for a corpus
    without rows.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        *,
        batch_size: int,
        seed: int,
        sampling: Sampling | None = None,
        weights: Sequence[float] | None = None,
        window: int = 32,
        split: str = "train",
    ) -> None:
        if not corpora:
            raise UsageError("no corpus to read: give at least one with --corpus")
        if batch_size < 1 or window < 1:
            raise UsageError(f"batch size and window must be at least 1 (they are {batch_size} and {window})")
        self.batch_size, self.seed = batch_size, seed
        self._corpora = [_parts(corpus, split, seed) for corpus in corpora]
        self._parts = [part for parts in self._corpora for part in parts]
        for part in self._parts:
            part.groups_in_memory = max(_GROUPS_OF_A_PART, _GROUPS_IN_MEMORY // len(self._parts))
        self.rows = sum(p.rows for p in self._parts)
        self._shares_of = shares(_one_sampling(sampling, weights), [[p.rows for p in parts] for parts in self._corpora])
        #: Pairs in an epoch that holds each exactly once; None where the sampling repeats some corpora sooner.
        self.epoch_pairs: int | None = self._shares_of.epoch if self._shares_of.exact else None
        #: Pairs that count as one epoch, see `Shares.epoch`.
        self.pairs_an_epoch = self._shares_of.epoch
        self._window_pairs = window * batch_size
        weighed = zip(self._corpora, self._shares_of.of_corpora, self._shares_of.of_parts, strict=True)
        self._identity = (
            seed,
            batch_size,
            window,
            split,
            [
                (*part.identity, str(of_corpus), str(of_part))
                for parts, of_corpus, of_parts in weighed
                for part, of_part in zip(parts, of_parts, strict=True)
            ],
        )
        self._windows: OrderedDict[int, pa.Table] = OrderedDict()
        self._asking = threading.Lock()

    def _shares(self, position: int) -> list[int]:
        """How many of the first `position` pairs come from each part."""
        of_corpora = _apportion(position, self._shares_of.of_corpora)
        return [
            share
            for of_parts, of_corpus in zip(self._shares_of.of_parts, of_corpora, strict=True)
            for share in _apportion(of_corpus, of_parts)
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
        """The first position of the window that holds `position`, and the window in its final order."""
        start, stop = self._window_of(position)
        if start not in self._windows:
            pieces = []
            for part, first, last in zip(self._parts, self._shares(start), self._shares(stop), strict=True):
                pieces += part.take(first, last)
            table = pa.concat_tables(pieces).combine_chunks()
            assert table.num_rows == stop - start, "the shares of a window must fill it"
            self._windows[start] = table.take(pa.array(self._order(table, start)))
            if len(self._windows) > _WINDOWS_IN_MEMORY:
                self._windows.popitem(last=False)
        return start, self._windows[start]

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
        with self._asking:
            while position < end:
                start, table = self._window(position)
                count = min(end, start + table.num_rows) - position
                pieces.append(table.slice(position - start, count))
                position += count
        table = pa.concat_tables(pieces)
        return PairBatch(
            step=step,
            src_lang=table["src_lang"].to_pylist(),
            tgt_lang=table["tgt_lang"].to_pylist(),
            src_text=table["src_text"].to_pylist(),
            tgt_text=table["tgt_text"].to_pylist(),
            src_key=table["src_key"].to_numpy(),
            tgt_key=table["tgt_key"].to_numpy(),
            names=table.select(["source", "source_id"]),
        )


def _one_sampling(sampling: Sampling | None, weights: Sequence[float] | None) -> Sampling:
    """The sampling that the arguments of a stream ask for. Raises `UsageError` for both or bad weights."""
    if weights is None:
        return sampling or PROPORTIONAL
    if sampling is not None:
        raise UsageError(f"give weights or the sampling {sampling}, not both")
    return parse_sampling(f"weights={','.join(map(str, weights))}")
