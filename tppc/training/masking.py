"""Texts with tokens to guess, for `mlm` and `tlm`.

Which tokens are taken out follows from (seed, step, place in the global batch, place in the text) alone, so it does not
depend on the number of ranks or on how a batch is cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from tppc.encoders.flat import FlatTexts, flat_texts
from tppc.errors import UsageError
from tppc.training.objectives import MaskedSettings
from tppc.training.pieces import cut

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

# Scripts that set no space between words, where all pieces of a sentence would be one word: Thai, Lao, Tibetan,
# Burmese; Khmer; Han with its radicals and punctuation, Hiragana, Katakana.
_UNSPACED = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_REPLACED, _EXCHANGED = 0.8, 0.9  # below the first: [MASK]; below the second: any token; else the token itself


@dataclass(frozen=True)
class Vocabulary:
    """What masking must know of V tokens: the mask's id, which ones are special, which ones continue a word."""

    mask: int
    special: np.ndarray
    continues: np.ndarray


@dataclass(frozen=True)
class MaskedTexts:
    """One rank's texts with tokens to guess, in pieces: where they are, int64 [m] a piece, and what they were, [m]."""

    pieces: list[FlatTexts]
    places: list[Tensor]
    labels: list[Tensor]

    @property
    def guesses(self) -> int:
        """Tokens to guess."""
        return sum(len(one) for one in self.labels)

    def to(self, device: torch.device) -> MaskedTexts:
        """The same on a device."""
        return replace(
            self,
            pieces=[one.to(device) for one in self.pieces],
            places=[one.to(device) for one in self.places],
            labels=[one.to(device) for one in self.labels],
        )


def vocabulary_of(encoder: Encoder) -> Vocabulary:
    """Read a tokeniser's vocabulary. Raises `UsageError` for one without a mask token.

    Pieces that continue a word are known by the mark of their kind: `##` before them (WordPiece), or no `▁`
    (SentencePiece) or `Ġ` (byte-level BPE) before them. In scripts without spaces each piece is a word.
    """
    tokenizer = encoder.tokenizer
    if tokenizer.mask_token_id is None:
        raise UsageError(f"{encoder.name}: its tokeniser has no mask token, so mlm and tlm cannot be trained with it")
    embeddings: Any = encoder.model.get_input_embeddings()
    size = int(embeddings.num_embeddings)
    known = min(size, len(tokenizer))
    tokens = tokenizer.convert_ids_to_tokens(list(range(known)))
    special = np.ones(size, dtype=bool)
    special[:known] = False
    special[[i for i in tokenizer.all_special_ids if i < size]] = True
    continues = np.zeros(size, dtype=bool)
    # A vocabulary may hold stray pieces that look like another kind's (XLM-R's has a `##`): the commonest mark says.
    often = {mark: sum(token.startswith(mark) for token in tokens) for mark in ("##", "▁", "Ġ")}
    kind = max(often, key=lambda mark: often[mark])
    if often[kind] > known // 50:
        # Bytes of byte-level BPE are letters of another script until they are decoded.
        written = [tokenizer.convert_tokens_to_string([t]) for t in tokens] if kind == "Ġ" else tokens
        continues[:known] = [
            token.startswith(kind) == (kind == "##") and _UNSPACED.search(text) is None
            for token, text in zip(tokens, written, strict=True)
        ]
    return Vocabulary(int(tokenizer.mask_token_id), special, continues)


def mask_texts(
    ids: Sequence[Sequence[int]],
    rows: np.ndarray,
    total: int,
    *,
    width: int,
    settings: MaskedSettings,
    vocabulary: Vocabulary,
    draw: int,
    micro_tokens: int | None,
) -> MaskedTexts:
    """Take tokens out of this rank's texts.

    Args:
        ids: token ids of the rank's n texts, of at most `width` tokens each. rows: int64 [n], which of the `total`
            texts of the global batch they are. draw: seed of this step and objective.
    """
    random = np.random.default_rng(draw)
    choose, kind = random.random((total, width), dtype=np.float32), random.random((total, width), dtype=np.float32)
    other = random.integers(0, int((~vocabulary.special).sum()), (total, width))
    ordinary = np.flatnonzero(~vocabulary.special)
    pieces, places, labels = [], [], []
    for members in cut([len(i) for i in ids], micro_tokens):
        texts = flat_texts([ids[i] for i in members])
        flat = texts.ids.numpy().copy()
        lengths = np.asarray(texts.lengths)
        text = np.repeat(np.arange(len(members)), lengths)
        column = np.arange(len(flat)) - np.repeat(lengths.cumsum() - lengths, lengths)
        row = rows[members][text]
        chosen = _chosen(flat, text, choose[row, column], settings=settings, vocabulary=vocabulary)
        labels.append(torch.from_numpy(flat[chosen]))
        how = kind[row[chosen], column[chosen]]
        exchanged = ordinary[other[row[chosen], column[chosen]]]
        flat[chosen] = np.where(how < _REPLACED, vocabulary.mask, np.where(how < _EXCHANGED, exchanged, flat[chosen]))
        pieces.append(FlatTexts(torch.from_numpy(flat), texts.lengths))
        places.append(torch.from_numpy(chosen))
    return MaskedTexts(pieces, places, labels)


def _chosen(
    flat: np.ndarray, text: np.ndarray, draws: np.ndarray, *, settings: MaskedSettings, vocabulary: Vocabulary
) -> np.ndarray:
    """Places of the tokens to guess: of each text the share `rate` with the smallest draws, at least one."""
    content = ~vocabulary.special[flat]
    places = np.flatnonzero(content)
    if len(places) == 0:
        return places
    owner, draw = text[places], draws[places]
    if settings.whole_words:
        # A word goes by the draw of its first piece; a piece that continues nothing (a text's first) begins one.
        begins = ~vocabulary.continues[flat[places]]
        begins[0] = True
        begins |= np.diff(owner, prepend=-1) != 0
        begins |= np.diff(places, prepend=-2) != 1
        draw = draw[np.flatnonzero(begins)[begins.cumsum() - 1]]
        word = begins.cumsum()
    else:
        word = np.arange(len(places))
    order = np.lexsort((places, word, draw, owner))
    sizes = np.bincount(owner, minlength=int(text[-1]) + 1)
    first = sizes.cumsum() - sizes
    rank = np.empty(len(places), dtype=np.int64)
    rank[order] = np.arange(len(places)) - first[owner[order]]
    wanted = np.maximum(1, np.round(settings.rate * sizes)).astype(np.int64)
    if settings.whole_words:  # a word is in where its first piece still was
        first_rank = np.full(int(word.max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(first_rank, word, rank)
        rank = first_rank[word]
    found: np.ndarray = places[rank < wanted[owner]]
    return found
