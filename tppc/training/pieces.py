"""Texts of a batch in pieces: sorted by length and cut where a forward pass would hold too many tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tppc.encoders.flat import FlatTexts, flat_texts
from tppc.training.objectives import TokenTexts


@dataclass(frozen=True)
class Texts:
    """One rank's texts as they run through the encoder.

    `pieces` hold them sorted by length; `order`, [texts], is where text i stands among them. `tokens` says of which
    language each token is, where a state objective wants to know.
    """

    pieces: list[FlatTexts]
    order: Tensor
    tokens: TokenTexts | None = None

    def to(self, device: torch.device) -> Texts:
        """The same on a device."""
        tokens = self.tokens
        if tokens is not None:
            tokens = TokenTexts(
                *([one.to(device) for one in part] for part in (tokens.ids, tokens.languages, tokens.content))
            )
        return replace(self, pieces=[p.to(device) for p in self.pieces], order=self.order.to(device), tokens=tokens)


def cut(lengths: Sequence[int], micro_tokens: int | None) -> list[np.ndarray]:
    """Numbers of texts by length, the shortest first, in pieces of at most `micro_tokens` tokens (or one text each);
    all in one piece where it is None.
    """
    order = np.argsort(np.asarray(lengths), kind="stable")
    if micro_tokens is None or not len(order):
        return [order] if len(order) else []
    pieces, start, held = [], 0, 0
    for at, text in enumerate(order):
        if at > start and held + lengths[text] > micro_tokens:
            pieces.append(order[start:at])
            start, held = at, 0
        held += lengths[text]
    return [*pieces, order[start:]]


def texts_in_pieces(
    ids: Sequence[Sequence[int]],
    micro_tokens: int | None,
    languages: Sequence[int] | None = None,
    special: np.ndarray | None = None,
) -> Texts:
    """Put texts of token ids into pieces.

    Args:
        languages: the number of each text's language, -1 for texts that take no part, where state objectives look at
            tokens; then `special`, bool [V], says which tokens belong to none.
    """
    members = cut([len(i) for i in ids], micro_tokens)
    pieces = [flat_texts([ids[i] for i in piece]) for piece in members]
    order = torch.from_numpy(np.argsort(np.concatenate(members), kind="stable"))
    if languages is None:
        return Texts(pieces, order)
    assert special is not None, "languages of tokens come with the special ones"
    codes = np.asarray(languages)
    owners = [np.repeat(codes[m], p.lengths) for m, p in zip(members, pieces, strict=True)]
    tokens = TokenTexts(
        [piece.ids for piece in pieces],
        [torch.from_numpy(owner) for owner in owners],
        [
            torch.from_numpy(~special[piece.ids.numpy()] & (owner >= 0))
            for piece, owner in zip(pieces, owners, strict=True)
        ],
    )
    return Texts(pieces, order, tokens)
