"""From pairs to tensors: what one rank needs for one step, prepared one step ahead in a thread.

Both sides of the pairs are tokenised together, sorted by length and cut into a few pieces that are padded each for
itself: sides and languages differ in length, and padded as one about half of a batch of several languages is padding.
The tokeniser is Rust and releases the GIL: while the model computes, the thread prepares the next batches.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from tppc.corpora.stream import PairBatch, PairStream
from tppc.encoders.embed import padded, tokenise
from tppc.encoders.load import Encoder
from tppc.training.distribution import Ranks

_AHEAD = 4


@dataclass(frozen=True)
class TokenBatch:
    """One rank's n pairs of a global batch of N.

    The K n texts are n sources, n targets and, for K = 3, n texts of a second stream. `pieces` hold them sorted by
    length, as `input_ids` and `attention_mask` of [m, T] each; `order`, [K n], is where text i stands among them.
    `src_key`, `tgt_key` are those of all N pairs. `tokens` counts this rank's tokens without padding, `slots` with.
    """

    step: int
    pieces: list[tuple[Tensor, Tensor]]
    order: Tensor
    sides: int
    total: int
    src_key: Tensor
    tgt_key: Tensor
    other_usable: Tensor | None
    ids: list[str]
    draw: int
    tokens: int

    @property
    def slots(self) -> int:
        """Tokens with padding: what the model computes on."""
        return sum(input_ids.numel() for input_ids, _ in self.pieces)

    def to(self, device: torch.device) -> TokenBatch:
        """The same batch with its tensors on `device`."""
        if device.type == "cpu":
            return self

        def moved(tensor: Tensor) -> Tensor:
            return tensor.pin_memory().to(device, non_blocking=True)

        return replace(
            self,
            pieces=[(moved(input_ids), moved(mask)) for input_ids, mask in self.pieces],
            order=moved(self.order),
            src_key=moved(self.src_key),
            tgt_key=moved(self.tgt_key),
            other_usable=None if self.other_usable is None else moved(self.other_usable),
        )


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on `parts` alone."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8], "little") >> 1


def exchange_targets(batch: PairBatch, seed: int) -> PairBatch:
    """The control: each source gets the target of another pair, by a derangement drawn from (seed, step).

    Pairs are put in random order within their languages and the targets moved on by one place, so no pair keeps its
    own target and, but for one pair at the end of each language pair, the languages stay as they were.
    """
    count = len(batch)
    drawn = np.random.default_rng(seed_of("derangement", seed, batch.step)).permutation(count)
    order = np.asarray(sorted(drawn, key=lambda i: (batch.src_lang[i], batch.tgt_lang[i])), dtype=np.int64)
    partner = np.empty(count, dtype=np.int64)
    partner[order] = np.roll(order, 1)
    return replace(
        batch,
        tgt_lang=[batch.tgt_lang[i] for i in partner],
        tgt_text=[batch.tgt_text[i] for i in partner],
        tgt_key=batch.tgt_key[partner],
    )


@dataclass(frozen=True)
class Batches:
    """The sequence of one rank's batches. `other` is the second stream, for objectives that need one."""

    stream: PairStream
    other: PairStream | None
    encoder: Encoder
    ranks: Ranks
    seed: int
    shuffled_pairs: bool = False

    def batch(self, step: int) -> TokenBatch:
        """This rank's part of the global batch of `step` (from 0)."""
        everything = self.stream.batch(step)
        if self.shuffled_pairs:
            everything = exchange_targets(everything, self.seed)
        own = everything.slice_of_rank(self.ranks.rank, self.ranks.world)
        texts = own.src_text + own.tgt_text
        usable = None
        if self.other is not None:
            others, keys = _either_side(self.other.batch(step), self.seed)
            texts = texts + others[self.ranks.rank :: self.ranks.world]
            usable = torch.from_numpy((keys != everything.src_key) & (keys != everything.tgt_key))
        pad = int(self.encoder.tokenizer.pad_token_id or 0)
        ids = tokenise(self.encoder, texts)
        by_length = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
        size = -(-len(ids) // self._pieces(len(ids)))
        cut = [by_length[i : i + size] for i in range(0, len(ids), size)]
        return TokenBatch(
            step=step,
            pieces=[padded([ids[i] for i in piece], pad) for piece in cut],
            order=torch.argsort(torch.tensor(by_length)),
            sides=2 if self.other is None else 3,
            total=len(everything),
            src_key=torch.from_numpy(np.array(everything.src_key)),
            tgt_key=torch.from_numpy(np.array(everything.tgt_key)),
            other_usable=usable,
            ids=everything.ids,
            draw=seed_of("objective", self.seed, step),
            tokens=sum(len(i) for i in ids),
        )

    def _pieces(self, texts: int) -> int:
        """Pieces to cut a batch into: at most four, none so small that starting it costs more than padding does."""
        smallest = 512 if self.ranks.device.type == "cuda" else 32
        return max(1, min(4, texts // smallest))


def _either_side(batch: PairBatch, seed: int) -> tuple[list[str], np.ndarray]:
    """One text of each pair, source or target by a coin, and its key."""
    coins = np.random.default_rng(seed_of("either side", seed, batch.step)).random(len(batch)) < 0.5
    texts = [s if coin else t for coin, s, t in zip(coins, batch.src_text, batch.tgt_text, strict=True)]
    return texts, np.where(coins, batch.src_key, batch.tgt_key)


def prefetched(batches: Batches, start: int, stop: int) -> Iterator[TokenBatch]:
    """The batches of steps start..stop, prepared up to four ahead by a thread; its errors are raised here."""
    ready: queue.Queue[TokenBatch | BaseException] = queue.Queue(maxsize=_AHEAD)
    leave = threading.Event()

    def put(item: TokenBatch | BaseException) -> None:
        while not leave.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for step in range(start, stop):
                put(batches.batch(step))
                if leave.is_set():
                    return
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="tppc-batches", daemon=True)
    thread.start()
    try:
        for _ in range(start, stop):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        leave.set()
        thread.join()
