"""Mean and variance: the clouds of token states of two languages get one centre and one spread.

    L = mean over layers l and language pairs (a, b) of
            mean_weight * || mu_a^l - mu_b^l ||^2  +  variance_weight * || var_a^l - var_b^l ||^2

mu and var are taken per dimension over all tokens of a language in the global batch (special tokens left out), after
the embeddings and after every layer. This is MLMA's "Mv" (mean 0.1, variance 0.01 are its weights; its code matches
standard deviations where its text says variances, and this follows the text). It needs no pairs. Moments are summed
over ranks with their gradients, so the loss does not depend on how many there are. Relations: `average-linkage` looks
at distances between tokens and not at two moments alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from tppc.training.distribution import Ranks, sum_over_ranks, total_over_ranks
from tppc.training.objectives import ObjectiveSettings, Outcome, StateObjective, TokenTexts


class Settings(ObjectiveSettings):
    """The weights of the two terms."""

    mean_weight: float = Field(default=0.1, ge=0)
    variance_weight: float = Field(default=0.01, ge=0)


@dataclass(frozen=True)
class Plan:
    """`members`, one tensor [G, total] a piece: 1 where a token is of a language. `counts`: tokens of each of the G
    languages over all ranks. `ranks`: this process's place.
    """

    members: Sequence[Tensor]
    counts: Sequence[float]
    ranks: Ranks


class MeanVariance(StateObjective):
    """Features of a piece: sums of states and of their squares by language and layer, [G, L + 1, 2, H]."""

    additive = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def prepare(self, texts: TokenTexts, groups: int, ranks: Ranks, draw: int) -> Plan:
        """Who is of which language, and how many there are over all ranks."""
        members = []
        for languages, content in zip(texts.languages, texts.content, strict=True):
            codes = torch.arange(groups, device=languages.device)[:, None]
            members.append(((languages[None, :] == codes) & content[None, :]).float())
        local = torch.stack([m.sum(1) for m in members]).sum(0).tolist()
        return Plan(members, sum_over_ranks(ranks, local), ranks)

    def features(self, layers: Sequence[Tensor], piece: int, plan: Plan) -> Tensor:
        """Sums over the piece's tokens."""
        members = plan.members[piece]
        return torch.stack([torch.stack([members @ x, members @ x.square()], 1) for x in layers], 1)

    def forward(self, features: Tensor, plan: Plan) -> Outcome:
        """This rank's share: 1 / W of a loss that all ranks compute alike."""
        total = total_over_ranks(plan.ranks, features)
        present = [g for g, n in enumerate(plan.counts) if n > 0]
        loss, gap = features.new_zeros(()), features.new_zeros(())
        moments = {}
        for g in present:
            mean, square = (total[g] / plan.counts[g]).unbind(1)
            moments[g] = (mean, square - mean.square())
        couples = [(a, b) for a in present for b in present if a < b]
        for a, b in couples:
            means = (moments[a][0] - moments[b][0]).square().sum(-1).mean()
            variances = (moments[a][1] - moments[b][1]).square().sum(-1).mean()
            gap = gap + means.detach() / len(couples)
            loss = loss + (self.settings.mean_weight * means + self.settings.variance_weight * variances) / len(couples)
        if not couples:
            loss = 0.0 * total.sum()
        return Outcome(loss / plan.ranks.world, {"mean_gap": gap})


def build(settings: Settings, hidden_size: int) -> MeanVariance:
    """The objective; `hidden_size` decides nothing here."""
    return MeanVariance(settings)
