"""Symmetric InfoNCE: pick the translation of each text out of the batch, in both directions.

    L = 1/2 mean over i of [ -log softmax_j(z_ij)_i - log softmax_j(z_ji)_i ]
    z_ij = (cos(f(s_i), f(t_j)) - m [i = j]) / tau

(van den Oord et al. 2018; symmetric as in CLIP, Radford et al. 2021; the additive margin m, which makes a translation
prove itself by that much, is LaBSE's, Feng et al. 2022, equation 3). tau is learned through its logarithm. Entries that
may be translations after all are left out of the softmax; mined targets are further columns of the first direction.
Relations: `tpp` judges each entry alone; `ntxent` also pushes texts of one language apart.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from tppc.training.objectives import GlobalPairs, ObjectiveSettings, Outcome, PairObjective

_COLDEST = 100.0  # the largest 1 / tau, as in CLIP: beyond it float noise decides


class Settings(ObjectiveSettings):
    """`temperature` is the initial tau; sentence-transformers' scale of 20 is 0.05. `margin` is m, 0.3 in LaBSE."""

    temperature: float = Field(default=0.05, gt=0)
    learn_temperature: bool = True
    margin: float = Field(default=0.0, ge=0, lt=2)


class InfoNce(PairObjective):
    """Inputs: `GlobalPairs`. Returns this rank's share of the loss and `scale` (1 / tau), `logit_mean`, `logit_std`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        start = torch.tensor(1.0 / settings.temperature).log()
        self.log_scale = nn.Parameter(start, requires_grad=settings.learn_temperature)
        self.margin = settings.margin

    def logits(self, src: Tensor, tgt: Tensor) -> Tensor:
        """z for all combinations: [a, H] and [b, H] to [a, b]."""
        return self.log_scale.exp().clamp(max=_COLDEST) * (F.normalize(src, dim=-1) @ F.normalize(tgt, dim=-1).T)

    def forward(self, pairs: GlobalPairs) -> Outcome:
        """This rank's share: both directions of its own rows."""
        targets, hidden = pairs.candidates()
        there = self._told_apart(pairs.src[pairs.rows], targets, pairs.rows).masked_fill(hidden, -torch.inf)
        back = self._told_apart(pairs.tgt[pairs.rows], pairs.src, pairs.rows)
        back = back.masked_fill(pairs.masked.T[pairs.rows], -torch.inf)
        loss = F.cross_entropy(there, pairs.rows, reduction="sum") + F.cross_entropy(back, pairs.rows, reduction="sum")
        with torch.no_grad():
            seen = there[~hidden]
            numbers = {
                "scale": self.log_scale.exp().clamp(max=_COLDEST),
                "logit_mean": seen.mean(),
                "logit_std": seen.std(unbiased=False),
            }
        return Outcome(loss / (2 * len(pairs.src)), numbers)

    def _told_apart(self, queries: Tensor, keys: Tensor, own: Tensor) -> Tensor:
        """z with the margin taken off each query's own key."""
        logits = self.logits(queries, keys)
        if not self.margin:
            return logits
        scale = self.log_scale.exp().clamp(max=_COLDEST)
        return logits - self.margin * scale * F.one_hot(own, len(keys))


def build(settings: Settings, hidden_size: int) -> InfoNce:
    """The objective; `hidden_size` decides nothing here."""
    return InfoNce(settings)
