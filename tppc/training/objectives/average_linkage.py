"""Average linkage: the clouds of token states of two languages become one cloud.

    L = mean over layers and language pairs (a, b) of   2 E||x - y|| - E||x - x'|| - E||y - y'||

with x, x' states of tokens of a and y, y' of b. The first term alone is the average-linkage distance of MLMA ("Avl");
alone it is least when all states are one point, so its two terms within a language are taken along by default, which
makes it the energy distance (Szekely and Rizzo 2013): nought if and only if the two clouds are alike.
`within = false` leaves them out.

All distances of 4,096 tokens a language over 13 layers would be 10^8, so a sample of tokens is drawn on each rank; the
loss is the mean of the ranks' estimates and is NOT the same for other numbers of ranks. Distances come from products
of matrices in float32, with a floor under the root: the gradient of ||x|| at 0 is not a number. It needs no pairs.
Relations: `mean-variance` matches two moments of the same clouds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from tppc.training.distribution import Ranks
from tppc.training.objectives import ObjectiveSettings, Outcome, StateObjective, TokenTexts

_FLOOR = 1e-6  # under the squared distance, against values of some hundreds


class Settings(ObjectiveSettings):
    """`tokens`: sample of each language on each rank. `within`: whether distances within a language count against."""

    tokens: int = Field(default=256, ge=2, le=16_384)
    within: bool = True


@dataclass(frozen=True)
class Plan:
    """For each piece the places of its drawn tokens; the languages of all drawn tokens, in that order."""

    places: Sequence[Tensor]
    languages: Tensor
    world: int


class AverageLinkage(StateObjective):
    """Features of a piece: the states of its drawn tokens, [k, L + 1, H]."""

    additive = False

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def prepare(self, texts: TokenTexts, groups: int, ranks: Ranks, draw: int) -> Plan:
        """Draw up to `tokens` tokens of each language from this rank's texts."""
        languages = torch.cat(list(texts.languages)).cpu()
        content = torch.cat(list(texts.content)).cpu()
        random = torch.rand(len(languages), generator=torch.Generator().manual_seed((draw + ranks.rank) % 2**63))
        drawn = torch.zeros(len(languages), dtype=torch.bool)
        for group in range(groups):
            mine = ((languages == group) & content).nonzero().squeeze(1)
            drawn[mine[random[mine].argsort()[: self.settings.tokens]]] = True
        device = texts.ids[0].device
        sizes = [len(ids) for ids in texts.ids]
        places = [part.nonzero().squeeze(1).to(device) for part in torch.split(drawn, sizes)]
        return Plan(places, languages[drawn].to(device), ranks.world)

    def features(self, layers: Sequence[Tensor], piece: int, plan: Plan) -> Tensor:
        """The drawn tokens' states."""
        return torch.stack([x[plan.places[piece]] for x in layers], 1)

    def forward(self, features: Tensor, plan: Plan) -> Outcome:
        """This rank's share: 1 / W of its own estimate."""
        clouds = []
        for language in torch.unique(plan.languages):
            cloud = features[plan.languages == language].transpose(0, 1)
            if cloud.shape[1] > 1:
                clouds.append(cloud)
        couples = [(i, j) for i in range(len(clouds)) for j in range(i + 1, len(clouds))]
        if not couples:
            return Outcome(0.0 * features.sum())
        within = [_mean_within(cloud) for cloud in clouds] if self.settings.within else []
        between = features.new_zeros(())
        loss = features.new_zeros(())
        for i, j in couples:
            linkage = _distances(clouds[i], clouds[j]).mean()
            between = between + linkage.detach() / len(couples)
            loss = loss + (2 * linkage - within[i] - within[j] if within else linkage) / len(couples)
        return Outcome(loss / plan.world, {"linkage": between})


def _distances(left: Tensor, right: Tensor) -> Tensor:
    """Euclidean distances: [L, a, H] and [L, b, H] to [L, a, b]."""
    squares = left.square().sum(-1)[:, :, None] + right.square().sum(-1)[:, None, :] - 2 * left @ right.transpose(1, 2)
    return (squares.clamp(min=0) + _FLOOR).sqrt()


def _mean_within(cloud: Tensor) -> Tensor:
    """Mean distance of two different tokens of one cloud [L, a, H]."""
    count = cloud.shape[1]
    others = 1 - torch.eye(count, device=cloud.device)
    return (_distances(cloud, cloud) * others).sum() / (cloud.shape[0] * count * (count - 1))


def build(settings: Settings, hidden_size: int) -> AverageLinkage:
    """The objective; `hidden_size` decides nothing here."""
    return AverageLinkage(settings)
