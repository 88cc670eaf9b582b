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
_DRAWS = 16


@dataclass(frozen=True)
class TokenBatch:
    """One rank's n pairs of a global batch of N.

    The K n texts are n sources, n targets and, for K = 3, n texts of a second stream. `pieces` hold them sorted by
    length, as `input_ids` and `attention_mask` of [m, T] each; `order`, [K n], is where text i stands among them.
    `src_key`, `tgt_key` are those of all N pairs; in a control, `own_tgt_key` are those of the targets that the sources
    had and `own_src_key` those of the sources that the targets had (None otherwise). `tokens` counts this rank's tokens
    without padding, `slots` with.
    """

    step: int
    pieces: list[tuple[Tensor, Tensor]]
    order: Tensor
    sides: int
    total: int
    src_key: Tensor
    tgt_key: Tensor
    own_src_key: Tensor | None
    own_tgt_key: Tensor | None
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
            own_src_key=None if self.own_src_key is None else moved(self.own_src_key),
            own_tgt_key=None if self.own_tgt_key is None else moved(self.own_tgt_key),
            other_usable=None if self.other_usable is None else moved(self.other_usable),
        )


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on `parts` alone."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8], "little") >> 1


def draw_partners(batch: PairBatch, seed: int) -> np.ndarray:
    """Whose target each source gets in the control: a derangement, int64 [N], drawn from (seed, step).

    Pairs are put in random order within their languages and the targets moved on by one place, so no pair keeps its
    own target and, but for one pair at the end of each language pair, the languages stay as they were. Where pairs
    share texts, up to `_DRAWS` orders are tried for one in which no source gets a translation of its own after all.
    """
    random = np.random.default_rng(seed_of("derangement", seed, batch.step))
    best, fewest = np.arange(len(batch)), len(batch) + 1
    for _ in range(_DRAWS):
        drawn = random.permutation(len(batch))
        order = np.asarray(sorted(drawn, key=lambda i: (batch.src_lang[i], batch.tgt_lang[i])), dtype=np.int64)
        partner = np.empty(len(batch), dtype=np.int64)
        partner[order] = np.roll(order, 1)
        found = int(_related(batch.src_key, batch.tgt_key, batch.src_key[partner], batch.tgt_key[partner]).sum())
        if found < fewest:
            best, fewest = partner, found
        if fewest == 0:
            break
    return best


def _related(src: np.ndarray, tgt: np.ndarray, other_src: np.ndarray, other_tgt: np.ndarray) -> np.ndarray:
    """Bool [N]: whether pair i, with keys `src` and `tgt`, and other pair i have a text in common, on either side."""
    related: np.ndarray = (src == other_src) | (tgt == other_tgt) | (src == other_tgt) | (tgt == other_src)
    return related


def exchange_targets(batch: PairBatch, partner: np.ndarray) -> PairBatch:
    """The control: source i gets the target of pair `partner[i]`."""
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
        truth = everything = self.stream.batch(step)
        own_src_key = own_tgt_key = None
        if self.shuffled_pairs:
            partner = draw_partners(truth, self.seed)
            everything = exchange_targets(truth, partner)
            own_src_key, own_tgt_key = truth.src_key[partner], truth.tgt_key
        own = everything.slice_of_rank(self.ranks.rank, self.ranks.world)
        texts = own.src_text + own.tgt_text
        usable = None
        if self.other is not None:
            second = self.other.batch(step)
            texts = texts + _either_side(second, self.seed)[self.ranks.rank :: self.ranks.world]
            related = _related(everything.src_key, everything.tgt_key, second.src_key, second.tgt_key)
            if own_src_key is not None and own_tgt_key is not None:
                related |= _related(own_src_key, own_tgt_key, second.src_key, second.tgt_key)
            usable = torch.from_numpy(~related)
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
            own_src_key=None if own_src_key is None else torch.from_numpy(np.array(own_src_key)),
            own_tgt_key=None if own_tgt_key is None else torch.from_numpy(np.array(own_tgt_key)),
            other_usable=usable,
            ids=everything.ids,
            draw=seed_of("objective", self.seed, step),
            tokens=sum(len(i) for i in ids),
        )

    def _pieces(self, texts: int) -> int:
        """Pieces to cut a batch into: at most four, none so small that starting it costs more than padding does."""
        smallest = 512 if self.ranks.device.type == "cuda" else 32
        return max(1, min(4, texts // smallest))


def _either_side(batch: PairBatch, seed: int) -> list[str]:
    """One text of each pair, source or target by a coin."""
    coins = np.random.default_rng(seed_of("either side", seed, batch.step)).random(len(batch)) < 0.5
    return [s if coin else t for coin, s, t in zip(coins, batch.src_text, batch.tgt_text, strict=True)]


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
