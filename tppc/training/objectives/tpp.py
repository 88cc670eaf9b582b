"""Translation Pair Prediction: tell pairs that translate each other from pairs that do not.

The paper's equation, over pairs (s, t) with y = 1 for a translation and y = 0 for a negative:

    L = - sum [ y log sigma(z) + (1 - y) log(1 - sigma(z)) ],    z = f(s)^T f(t)

With f as it leaves an encoder, that starts saturated: encoders end in a LayerNorm, so every dot product is large and
positive (756 for a random BERT-base), positives give no gradient and negatives push everything down until all texts are
one point. The default is the same cross-entropy, meaned over ALL combinations of the batch (less those that may be
translations after all), with a logit that starts where there is a gradient:

    z = exp(a) cos(f(s), f(t)) + b,    b = -(mean logit of the first global batch),    a and b are learned

`balanced` weighs positives and negatives alike however many there are; it learns slower, since the few negatives that
are hard then count 1/N of what a positive counts (numbers: docs/training.md).

Relations: SigLIP (Zhai et al. 2023) is the same loss, times N, from another start; InfoNCE puts a softmax over the row
instead of a sigmoid on each entry.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tppc.training.negatives import Negatives, one_negative
from tppc.training.objectives import GlobalPairs, ObjectiveSettings, Outcome, PairObjective


class Settings(ObjectiveSettings):
    """How negatives are drawn and how two vectors become a logit.

    negatives: `all` other combinations of the batch; `one` a pair, source or target replaced by another pair's of the
        batch (the paper); `corpus`, one a pair, a side replaced by either side of a pair from a second stream over the
        same corpora (the released code).
    balanced: with `all`, whether positives and negatives weigh the same in sum. similarity: `cosine` or `dot` product.
    scale: the initial exp(a). bias: the initial b, or `data` for minus the mean logit of the first global batch.
    """

    negatives: Negatives = "all"
    balanced: bool = False
    similarity: Literal["cosine", "dot"] = "cosine"
    scale: float = Field(default=20.0, gt=0)
    learn_scale: bool = True
    bias: float | Literal["data"] = "data"
    learn_bias: bool = True


class Tpp(PairObjective):
    """Inputs: `GlobalPairs`. Returns this rank's share of the loss and numbers to look at.

    These are `scale`, `bias`, `logit_mean`, `logit_std`, and `live`: the share of this rank's logits with sigma in
    (0.05, 0.95), where there is a gradient to speak of.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.needs_other = settings.negatives == "corpus"
        bias = 0.0 if settings.bias == "data" else settings.bias
        self.log_scale = nn.Parameter(torch.tensor(settings.scale).log(), requires_grad=settings.learn_scale)
        self.bias = nn.Parameter(torch.tensor(float(bias)), requires_grad=settings.learn_bias)

    def logits(self, src: Tensor, tgt: Tensor) -> Tensor:
        """z for all combinations: [a, H] and [b, H] to [a, b]."""
        return self.log_scale.exp() * (self._vectors(src) @ self._vectors(tgt).T) + self.bias

    def _vectors(self, raw: Tensor) -> Tensor:
        return F.normalize(raw, dim=-1) if self.settings.similarity == "cosine" else raw

    def _rowwise(self, left: Tensor, right: Tensor) -> Tensor:
        return self.log_scale.exp() * (self._vectors(left) * self._vectors(right)).sum(-1) + self.bias

    @torch.no_grad()
    def initialise(self, pairs: GlobalPairs) -> None:
        """b = -(mean logit over all combinations of the first global batch), if `bias` is `data`."""
        if self.settings.bias == "data":
            src, tgt = self._vectors(pairs.src).double(), self._vectors(pairs.tgt).double()
            mean = (src.mean(0) @ tgt.mean(0)) * self.log_scale.double().exp()
            self.bias.copy_((-mean).to(self.bias.dtype))

    def forward(self, pairs: GlobalPairs) -> Outcome:
        """This rank's share of the loss over its rows."""
        if self.settings.negatives == "all":
            loss, logits = self._all(pairs)
        else:
            loss, logits = self._one(pairs)
        with torch.no_grad():
            probability = logits.sigmoid()
            numbers = {
                "scale": self.log_scale.exp(),
                "bias": self.bias.clone(),
                "logit_mean": logits.mean(),
                "logit_std": logits.std(unbiased=False),
                "live": ((probability > 0.05) & (probability < 0.95)).float().mean(),
            }
        return Outcome(loss, numbers)

    def _all(self, pairs: GlobalPairs) -> tuple[Tensor, Tensor]:
        count = len(pairs.src)
        targets, masked = pairs.candidates()
        logits = self.logits(pairs.src[pairs.rows], targets)
        own = F.one_hot(pairs.rows, len(targets)).bool()
        negative = ~own & ~masked
        negatives = pairs.admitted()
        positive_loss = F.softplus(-logits[own]).sum()
        negative_loss = (F.softplus(logits) * negative).sum()
        if self.settings.balanced:
            loss = 0.5 * (positive_loss / count + negative_loss / negatives.clamp(min=1))
        else:
            loss = (positive_loss + negative_loss) / (count + negatives)
        return loss, logits.detach()

    def _one(self, pairs: GlobalPairs) -> tuple[Tensor, Tensor]:
        """One negative a pair; the mean runs over positives and negatives together (2N, less pairs that have none)."""
        left, right, usable = one_negative(pairs)
        positive = self._rowwise(pairs.src[pairs.rows], pairs.tgt[pairs.rows])
        negative = self._rowwise(left, right)
        total = len(pairs.src) + usable.sum()
        loss = (F.softplus(-positive).sum() + (F.softplus(negative) * usable[pairs.rows]).sum()) / total
        return loss, torch.cat([positive, negative]).detach()


def build(settings: Settings, hidden_size: int) -> Tpp:
    """The objective; `hidden_size` decides nothing here."""
    return Tpp(settings)
