"""NT-Xent over a projection, as TwHIN-BERT pre-trains on pairs of tweets.

    L = mean over 2N texts x of -log [ e(x, x+) / sum over y != x of e(x, y) ],  e(x, y) = exp(cos(g(x), g(y)) / tau)

x+ is the other text of x's pair and y runs over all 2N texts but x itself, those of x's own language included (Chen et
al. 2020, SimCLR; Zhang et al. 2023, TwHIN-BERT, section 4.2). g is a two-layer MLP on the encoder's vector that is
thrown away after the training. TwHIN-BERT's equation 3 prints exp(sim) / tau, in which tau would cancel, and counts
2B - 1 unpaired texts; it must be exp(sim / tau) and 2B - 2. Texts that may be translations of x after all are left out.
Relations: `infonce` contrasts with the other language alone and keeps the encoder's own vectors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tppc.training.objectives import GlobalPairs, ObjectiveSettings, Outcome, PairObjective


class Settings(ObjectiveSettings):
    """`temperature` is tau, 0.1 in TwHIN-BERT. `widths` of the MLP's two layers; 0 is the encoder's own size."""

    temperature: float = Field(default=0.1, gt=0)
    learn_temperature: bool = False
    widths: tuple[int, int] = (0, 0)


class NtXent(PairObjective):
    """Inputs: `GlobalPairs`. Returns this rank's share of the loss and `scale` (1 / tau)."""

    def __init__(self, settings: Settings, hidden_size: int) -> None:
        super().__init__()
        inner, outer = (width or hidden_size for width in settings.widths)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same head on every rank and in every run
            self.head = nn.Sequential(nn.Linear(hidden_size, inner), nn.ReLU(), nn.Linear(inner, outer))
        start = torch.tensor(1.0 / settings.temperature).log()
        self.log_scale = nn.Parameter(start, requires_grad=settings.learn_temperature)

    def logits(self, src: Tensor, tgt: Tensor) -> Tensor:
        """cos(g(.), g(.)) / tau for all combinations: [a, H] and [b, H] to [a, b]."""
        left, right = F.normalize(self.head(src), dim=-1), F.normalize(self.head(tgt), dim=-1)
        return self.log_scale.exp() * (left @ right.T)

    def forward(self, pairs: GlobalPairs) -> Outcome:
        """This rank's share: both texts of its rows against all texts of the batch."""
        count, rows = len(pairs.src), pairs.rows
        related = pairs.masked | pairs.masked.T
        itself = related | torch.eye(count, dtype=torch.bool, device=related.device)
        texts = torch.cat([pairs.src, pairs.tgt])
        loss = texts.new_zeros(())
        for own, hidden, other in (
            (pairs.src, torch.cat([itself, pairs.masked], 1), rows + count),
            (pairs.tgt, torch.cat([pairs.masked.T, itself], 1), rows),
        ):
            logits = self.logits(own[rows], texts).masked_fill(hidden[rows], -torch.inf)
            loss = loss + F.cross_entropy(logits, other, reduction="sum")
        return Outcome(loss / (2 * count), {"scale": self.log_scale.exp().detach()})


def build(settings: Settings, hidden_size: int) -> NtXent:
    """The objective with its head for vectors of length `hidden_size`."""
    return NtXent(settings, hidden_size)
