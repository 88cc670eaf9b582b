"""From pairs to tensors: what one rank needs for one step, prepared ahead in threads.

Texts are sorted by length and put one after another without padding, in pieces of at most `micro_tokens` tokens. The
tokeniser is Rust and releases the GIL: while the model computes, threads prepare the next batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tppc.corpora.stream import PairBatch
from tppc.corpora.texts import TextStream
from tppc.encoders.embed import tokenise
from tppc.encoders.flat import FlatTexts
from tppc.encoders.load import Encoder
from tppc.training.curriculum import Pairs
from tppc.training.distribution import Ranks
from tppc.training.masking import MaskedTexts, Vocabulary, mask_texts
from tppc.training.objectives import MaskedSettings
from tppc.training.pieces import Texts, texts_in_pieces

_DRAWS = 16


@dataclass(frozen=True)
class Wanted:
    """What the objectives of a run look at.

    Attributes:
        vectors: whether any looks at the vectors of pairs. states: whether any looks at states of tokens.
        masked: those that guess tokens, with their settings; those in `of_pairs` take both texts of a pair as one.
        languages: numbers of the languages that states are told apart by.
        vocabulary: of the tokeniser, where states or masked texts are wanted.
    """

    vectors: bool
    states: bool = False
    masked: Mapping[str, MaskedSettings] = field(default_factory=dict)
    of_pairs: frozenset[str] = frozenset()
    languages: Mapping[str, int] = field(default_factory=dict)
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True)
class HardTargets:
    """Mined targets for the pairs of one global batch, in the order of its pairs: texts, and the keys of the pair each
    was taken from. `usable` is false where none was found.
    """

    text: list[str]
    src_key: np.ndarray
    tgt_key: np.ndarray
    usable: np.ndarray


@dataclass(frozen=True)
class TokenBatch:
    """One rank's n pairs of a global batch of N, and its unpaired texts.

    `texts` holds K n texts: n sources, n targets and, where `sides` says so, n texts of a second stream and n mined
    targets. `unpaired` holds texts of monolingual files, `masked` texts with tokens to guess by objective.
    `src_key`, `tgt_key` are those of all N pairs; in a control, `own_tgt_key` are those of the targets that the sources
    had and `own_src_key` those of the sources that the targets had (None otherwise). `tokens` counts what this rank
    computes on.
    """

    step: int
    total: int
    draw: int
    tokens: int
    texts: Texts | None = None
    unpaired: Texts | None = None
    masked: Mapping[str, MaskedTexts] = field(default_factory=dict)
    sides: tuple[str, ...] = ("src", "tgt")
    src_key: Tensor | None = None
    tgt_key: Tensor | None = None
    own_src_key: Tensor | None = None
    own_tgt_key: Tensor | None = None
    other_usable: Tensor | None = None
    hard_src_key: Tensor | None = None
    hard_tgt_key: Tensor | None = None
    hard_usable: Tensor | None = None
    rows: PairBatch | None = None

    def pieces(self) -> list[FlatTexts]:
        """Everything that runs through the encoder."""
        texts = [piece for t in (self.texts, self.unpaired) if t is not None for piece in t.pieces]
        return texts + [piece for one in self.masked.values() for piece in one.pieces]

    @property
    def ids(self) -> list[str]:
        """Names of the global batch's pairs, for people."""
        return [] if self.rows is None else self.rows.ids

    def to(self, device: torch.device) -> TokenBatch:
        """The same batch with its tensors on `device`."""
        if device.type == "cpu":
            return self
        moved: dict[str, Any] = {
            name: value.pin_memory().to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(
            self,
            texts=None if self.texts is None else self.texts.to(device),
            unpaired=None if self.unpaired is None else self.unpaired.to(device),
            masked={name: one.to(device) for name, one in self.masked.items()},
            **moved,
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
    """The sequence of one rank's batches.

    `stream` gives pairs (None where only unpaired texts are read), `other` is the second stream of objectives that need
    one, `unpaired` gives texts of monolingual files.
    """

    stream: Pairs | None
    other: Pairs | None
    unpaired: TextStream | None
    encoder: Encoder
    ranks: Ranks
    seed: int
    wanted: Wanted
    micro_tokens: int | None = None
    shuffled_pairs: bool = False

    def batch(self, step: int, hard: HardTargets | None = None) -> TokenBatch:
        """This rank's part of the global batch of `step` (from 0), with mined targets where there are some."""
        batch = TokenBatch(step=step, total=0, draw=seed_of("objective", self.seed, step), tokens=0)
        if self.stream is not None:
            batch = self._with_pairs(batch, self.stream.batch(step), hard)
        if self.unpaired is not None:
            batch = self._with_unpaired(batch, self.unpaired)
        return replace(batch, tokens=sum(len(piece.ids) for piece in batch.pieces()))

    def _with_pairs(self, batch: TokenBatch, truth: PairBatch, hard: HardTargets | None) -> TokenBatch:
        everything, own_keys = truth, (truth.src_key, truth.tgt_key)
        if self.shuffled_pairs:
            partner = draw_partners(truth, self.seed)
            everything, own_keys = exchange_targets(truth, partner), (truth.src_key[partner], truth.tgt_key)
            batch = replace(batch, own_src_key=_tensor(own_keys[0]), own_tgt_key=_tensor(own_keys[1]))
        rank, world = self.ranks.rank, self.ranks.world
        own = everything.slice_of_rank(rank, world)
        # The mined texts and the second stream's are further sides: one more text for each of this rank's pairs.
        texts, sides = list(own.src_text) + list(own.tgt_text), ["src", "tgt"]
        batch = replace(
            batch, total=len(everything), rows=everything, src_key=_tensor(everything.src_key),
            tgt_key=_tensor(everything.tgt_key),
        )  # fmt: skip
        if self.other is not None:
            second = self.other.batch(batch.step)
            texts, sides = texts + _either_side(second, self.seed)[rank::world], [*sides, "other"]
            related = _related(everything.src_key, everything.tgt_key, second.src_key, second.tgt_key)
            related |= _related(*own_keys, second.src_key, second.tgt_key)
            batch = replace(batch, other_usable=torch.from_numpy(~related))
        if hard is not None:
            texts, sides = texts + hard.text[rank::world], [*sides, "hard"]
            batch = replace(
                batch, hard_src_key=_tensor(hard.src_key), hard_tgt_key=_tensor(hard.tgt_key),
                hard_usable=_tensor(hard.usable),
            )  # fmt: skip
        ids = tokenise(self.encoder, texts)
        wanted, count = self.wanted, len(own)
        if wanted.vectors or (wanted.states and self.unpaired is None):
            languages = None
            if wanted.states and self.unpaired is None:
                further = [-1] * (len(texts) - 2 * count)  # texts of no pair take no part in alignment
                languages = [wanted.languages[code] for code in [*own.src_lang, *own.tgt_lang]] + further
            batch = replace(batch, sides=tuple(sides), texts=self._pieces(ids, languages))
        rows = np.arange(rank, len(everything), world)
        for name, settings in wanted.masked.items():
            if name in wanted.of_pairs:
                joined = tokenise_together(self.encoder, own.src_text, own.tgt_text)
                batch = self._with_masked(batch, name, settings, joined, rows, len(everything))
            elif self.unpaired is None:
                both = np.concatenate([rows, rows + len(everything)])
                batch = self._with_masked(batch, name, settings, ids[: 2 * count], both, 2 * len(everything))
        return batch

    def _with_unpaired(self, batch: TokenBatch, stream: TextStream) -> TokenBatch:
        everything = stream.batch(batch.step)
        rows = np.arange(self.ranks.rank, len(everything.text), self.ranks.world)
        ids = tokenise(self.encoder, [everything.text[i] for i in rows])
        if self.wanted.states:
            languages = [self.wanted.languages[everything.lang[i]] for i in rows]
            batch = replace(batch, unpaired=self._pieces(ids, languages))
        for name, settings in self.wanted.masked.items():
            if name not in self.wanted.of_pairs:
                batch = self._with_masked(batch, name, settings, ids, rows, len(everything.text))
        return batch

    def _pieces(self, ids: Sequence[Sequence[int]], languages: Sequence[int] | None) -> Texts:
        vocabulary = self.wanted.vocabulary
        return texts_in_pieces(ids, self.micro_tokens, languages, None if vocabulary is None else vocabulary.special)

    def _with_masked(
        self, batch: TokenBatch, name: str, settings: MaskedSettings, ids: Sequence[Sequence[int]], rows: np.ndarray,
        total: int,
    ) -> TokenBatch:  # fmt: skip
        assert self.wanted.vocabulary is not None, "masked texts need the vocabulary"
        width = _longest_of_two(self.encoder) if name in self.wanted.of_pairs else self.encoder.max_length
        masked = mask_texts(
            ids, rows, total, width=width, settings=settings, vocabulary=self.wanted.vocabulary,
            draw=seed_of("mask", name, self.seed, batch.step), micro_tokens=self.micro_tokens,
        )  # fmt: skip
        return replace(batch, masked={**batch.masked, name: masked})


def _longest_of_two(encoder: Encoder) -> int:
    """Most tokens of two texts as one input."""
    return min(2 * encoder.max_length, encoder.limit or encoder.max_length)


def tokenise_together(encoder: Encoder, src: Sequence[str], tgt: Sequence[str]) -> list[list[int]]:
    """Token ids of pairs as one input each, cut at twice the encoder's length or where it cannot read on; no prefix."""
    if not src:
        return []
    encoded = encoder.tokenizer(
        list(src), list(tgt), truncation="longest_first", max_length=_longest_of_two(encoder), padding=False,
        return_attention_mask=False, return_token_type_ids=False,
    )  # fmt: skip
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(values))


def _either_side(batch: PairBatch, seed: int) -> list[str]:
    """One text of each pair, source or target by a coin."""
    coins = np.random.default_rng(seed_of("either side", seed, batch.step)).random(len(batch)) < 0.5
    return [s if coin else t for coin, s, t in zip(coins, batch.src_text, batch.tgt_text, strict=True)]
