"""Symmetric InfoNCE: pick the translation of each text out of the batch, in both directions.

    L = 1/2 mean over i of [ -log softmax_j(z_ij)_i - log softmax_j(z_ji)_i ],    z_ij = cos(f(s_i), f(t_j)) / tau

(van den Oord et al. 2018; symmetric as in CLIP, Radford et al. 2021). tau is learned through its logarithm. Entries
that may be translations after all are left out of the softmax. Relations: `tpp` judges each entry alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tppc.training.objectives import GlobalPairs, Objective, ObjectiveSettings, Outcome

_COLDEST = 100.0  # the largest 1 / tau, as in CLIP: beyond it float noise decides


class Settings(ObjectiveSettings):
    """`temperature` is the initial tau; sentence-transformers' scale of 20 is tau = 0.05."""

    temperature: float = Field(default=0.05, gt=0)
    learn_temperature: bool = True


class InfoNce(Objective):
    """Inputs: `GlobalPairs`. Returns this rank's share of the loss and `scale` (1 / tau), `logit_mean`, `logit_std`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        start = torch.tensor(1.0 / settings.temperature).log()
        self.log_scale = nn.Parameter(start, requires_grad=settings.learn_temperature)

    def logits(self, src: Tensor, tgt: Tensor) -> Tensor:
        """z for all combinations: [a, H] and [b, H] to [a, b]."""
        return self.log_scale.exp().clamp(max=_COLDEST) * (F.normalize(src, dim=-1) @ F.normalize(tgt, dim=-1).T)

    def forward(self, pairs: GlobalPairs) -> Outcome:
        """This rank's share: both directions of its own rows."""
        count = len(pairs.src)
        hidden = pairs.masked[pairs.rows]
        there = self.logits(pairs.src[pairs.rows], pairs.tgt).masked_fill(hidden, -torch.inf)
        back = self.logits(pairs.tgt[pairs.rows], pairs.src).masked_fill(pairs.masked.T[pairs.rows], -torch.inf)
        loss = F.cross_entropy(torch.cat([there, back]), pairs.rows.repeat(2), reduction="sum") / (2 * count)
        with torch.no_grad():
            seen = there[~hidden]
            numbers = {
                "scale": self.log_scale.exp().clamp(max=_COLDEST),
                "logit_mean": seen.mean(),
                "logit_std": seen.std(unbiased=False),
            }
        return Outcome(loss, numbers)


def build(settings: Settings, hidden_size: int) -> InfoNce:
    """The objective; `hidden_size` decides nothing here."""
    return InfoNce(settings)
