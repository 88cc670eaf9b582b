"""Cosine with a margin: translations to cosine 1, other texts below the margin.

    L = mean over positives of [ 1 - cos(f(s), f(t)) ] and over negatives of [ max(0, cos(f(s), f(t')) - margin) ]

PyTorch's `CosineEmbeddingLoss`; the released notebooks of Mishra and Haghighi (2021) tried it with margins 0, 0.5, -0.5
and -1 and reported none. With `negatives = "all"` positives and negatives are meaned each for itself and the two means
are averaged, since N^2 - N negatives would drown N positives; with one negative a pair that is their plain mean, the
released code's. Relations: no scale and no bias, so nothing saturates, but a negative below the margin teaches nothing.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from tppc.training.negatives import Negatives, one_negative
from tppc.training.objectives import GlobalPairs, ObjectiveSettings, Outcome, PairObjective


class Settings(ObjectiveSettings):
    """`margin`: the cosine at which a negative is far enough. `negatives` as for `tpp`."""

    margin: float = Field(default=0.3, ge=-1, lt=1)
    negatives: Negatives = "all"


class Cosine(PairObjective):
    """Inputs: `GlobalPairs`. Returns this rank's share of the loss and `active`, the share of its negatives above the
    margin.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.needs_other = settings.negatives == "corpus"

    def logits(self, src: Tensor, tgt: Tensor) -> Tensor:
        """Cosines of all combinations: [a, H] and [b, H] to [a, b]."""
        return F.normalize(src, dim=-1) @ F.normalize(tgt, dim=-1).T

    def forward(self, pairs: GlobalPairs) -> Outcome:
        """This rank's share of the loss over its rows."""
        near = 1 - F.cosine_similarity(pairs.src[pairs.rows], pairs.tgt[pairs.rows])
        if self.settings.negatives == "all":
            targets, masked = pairs.candidates()
            too_near = (self.logits(pairs.src[pairs.rows], targets) - self.settings.margin).clamp(min=0)
            admitted = ~masked & ~F.one_hot(pairs.rows, len(targets)).bool()
            too_near, negatives = too_near * admitted, pairs.admitted()
        else:
            left, right, usable = one_negative(pairs)
            admitted = usable[pairs.rows]
            too_near = (F.cosine_similarity(left, right) - self.settings.margin).clamp(min=0) * admitted
            negatives = usable.sum()
        loss = 0.5 * (near.sum() / len(pairs.src) + too_near.sum() / negatives.clamp(min=1))
        with torch.no_grad():
            active = (too_near > 0).sum() / admitted.sum().clamp(min=1)
        return Outcome(loss, {"active": active})


def build(settings: Settings, hidden_size: int) -> Cosine:
    """The objective; `hidden_size` decides nothing here."""
    return Cosine(settings)
