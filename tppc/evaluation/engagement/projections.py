"""Projections of users and of frozen text vectors into one space, learnt from who engaged with what.

What TwHIN-BERT's benchmark does, as far as its paper says: the encoder stays frozen; users and texts are projected
linearly into one space, where the dot product scores a pair; the loss is word2vec's negative sampling (Mikolov et al.
2013, equation 4), -log s(u, t) - sum over negatives of log s(-(u, t')), with negatives drawn in proportion to
frequency^0.75. There, users have TransE vectors of Twitter's own graph, which nobody else has. Here they have vectors
that are given, or one vector each that is learnt (a projection of the user's number).

What is our own: negatives of both kinds, other texts for the user and other users for the text; pairs that training
knows as engagements are never negatives; text vectors are centred and scaled by the training texts' mean and
deviation, since encoders whose vectors share one direction could not be told apart otherwise; AdamW, a number of epochs
that is fixed before, nothing selected.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from tppc.errors import TppcError

if TYPE_CHECKING:
    from tppc.evaluation.engagement.data import EngagementData

_RANKED_TOGETHER = 256  # test engagements: 256 x 1,000 candidates x 128 numbers are 131 MB


class ProjectionTraining(BaseModel):
    """Settings of the projections' training."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    dimensions: int = Field(default=128, ge=1, description="of the space that users and texts are projected into")
    epochs: int = Field(default=10, ge=1)
    least_steps: int = Field(default=500, ge=0, description="more epochs where these would have fewer steps")
    lr: float = Field(default=1e-3, gt=0)
    batch_size: int = Field(default=256, ge=1, description="engagements a step")
    negatives: int = Field(
        default=10, ge=1, description="weight of other texts, and of other users: the sum of so many"
    )
    drawn: int = Field(default=128, ge=1, description="other texts, and other users, drawn for a whole batch")
    power: float = Field(default=0.75, ge=0, description="of the frequency that negatives are drawn by")
    weight_decay: float = Field(default=0.01, ge=0)

    def describe(self) -> str:
        """The settings as they stand in a result's protocol."""
        return (
            f"frozen encoder; user and text projections to {self.dimensions}; {self.negatives} negatives each by "
            f"frequency^{self.power:g}; AdamW lr={self.lr:g} epochs={self.epochs} (at least {self.least_steps} steps) "
            f"batch={self.batch_size} decay={self.weight_decay:g} fp32"
        )


class Projections(nn.Module):
    """Scores of users and texts: the dot product of their projections.

    Attributes:
        users: [U, D_u] given vectors, or None where each of `user_count` users has a vector that is learnt.
    """

    def __init__(self, hidden_size: int, users: Tensor | None, user_count: int, dimensions: int) -> None:
        super().__init__()
        self.text = nn.Linear(hidden_size, dimensions)
        self.user: nn.Module
        if users is None:
            self.user = nn.Embedding(user_count, dimensions)
            nn.init.normal_(self.user.weight, std=1 / math.sqrt(dimensions))
        else:
            given = nn.Embedding(users.shape[0], users.shape[1], _weight=users)
            self.user = nn.Sequential(given.requires_grad_(False), nn.Linear(users.shape[1], dimensions))

    def forward(self, user: Tensor, texts: Tensor) -> Tensor:
        """Scores [...] of user numbers [...] and text vectors [..., H]; shapes broadcast."""
        scores: Tensor = (self.user(user) * self.text(texts)).sum(-1)
        return scores


def scaled(vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Vectors [n, H] with the mean and standard deviation of some rows taken out, dimension by dimension.

    A dimension that is the same in all those rows is left at nought.
    """
    some = vectors[np.unique(rows)].astype(np.float64)
    mean, deviation = some.mean(0), some.std(0)
    deviation[deviation < 1e-9 * np.abs(mean).clip(1e-9)] = np.inf
    result: NDArray[np.float32] = ((vectors - mean) / deviation).astype(np.float32)
    return result


def noise(numbers: NDArray[np.int64], count: int, power: float) -> NDArray[np.float64]:
    """Cumulative probabilities [count] of 0 to count - 1, in proportion to how often `numbers` has each, to `power`."""
    frequency = np.bincount(numbers, minlength=count).astype(np.float64)
    weight = np.where(frequency > 0, frequency**power, 0.0)
    total = np.cumsum(weight)
    result: NDArray[np.float64] = total / total[-1]
    return result


def learn(
    data: EngagementData,
    vectors: NDArray[np.float32],
    config: ProjectionTraining,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    what: str = "engagement",
) -> Projections:
    """Learn projections from the training engagements.

    Args:
        vectors: of the texts, [items, H], scaled. seed: of the weights, the order and the negatives; the global random
            state is left as it was. what: names the training in messages.

    Raises `TppcError` where the loss is no longer a finite number.
    """
    random = np.random.default_rng(seed)
    devices = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        given = None if data.users is None else torch.from_numpy(scaled(data.users, data.train[:, 0]))
        model = Projections(vectors.shape[1], given, data.user_count, config.dimensions).to(device)
    texts = torch.from_numpy(vectors).to(device)
    items = len(vectors)
    engaged = np.unique(data.train[:, 0] * items + data.train[:, 1])
    noise_of_users = noise(data.train[:, 0], data.user_count, config.power)
    noise_of_items = noise(data.train[:, 1], items, config.power)

    def put(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=config.lr, weight_decay=config.weight_decay
    )
    epochs = max(config.epochs, math.ceil(config.least_steps / math.ceil(len(data.train) / config.batch_size)))
    for epoch in range(epochs):
        order = random.permutation(len(data.train))
        for start in range(0, len(order), config.batch_size):
            batch = data.train[order[start : start + config.batch_size]]
            user, item = batch[:, 0], batch[:, 1]
            other_users = np.searchsorted(noise_of_users, random.random(config.drawn), side="right")
            other_items = np.searchsorted(noise_of_items, random.random(config.drawn), side="right")
            own, others = model.user(put(user)), model.user(put(other_users))
            text, other_texts = model.text(texts[put(item)]), model.text(texts[put(other_items)])
            loss = functional.softplus(-(own * text).sum(-1)).mean()
            for scores, pairs in (
                (own @ other_texts.T, user[:, None] * items + other_items),
                (text @ others.T, other_users * items + item[:, None]),
            ):
                # A drawn pair that is an engagement is no negative.
                nearest = engaged[np.searchsorted(engaged, pairs).clip(max=len(engaged) - 1)]
                counts = put((nearest != pairs).astype(np.float32))
                loss = loss + config.negatives * (functional.softplus(scores) * counts).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if not math.isfinite(float(loss.detach())):
                raise TppcError(
                    f"{what}: the projections diverged in epoch {epoch + 1} of {epochs}; "
                    f"lower --lr (it is {config.lr:g}), or look whether the encoder's vectors are finite"
                )
            optimizer.step()
    return model.eval()


@torch.inference_mode()
def ranks(model: Projections, data: EngagementData, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rank (from 1) of each test engagement's text among its candidates, int64 [n, 2]: the rank twice.

    Ties count against the encoder. A user who is not known gets the last rank. Raises `TppcError` for scores that are
    not finite numbers.
    """
    device = next(model.parameters()).device
    texts = model.text(torch.from_numpy(vectors).to(device))
    users = model.user(torch.arange(data.user_count, device=device))
    if not bool(texts.isfinite().all() and users.isfinite().all()):
        raise TppcError("engagement: scores are not finite numbers; lower --lr, or look whether the encoder is damaged")
    found = np.empty(len(data.test), dtype=np.int64)
    for start in range(0, len(data.test), _RANKED_TOGETHER):
        test, others = (torch.from_numpy(a[start : start + _RANKED_TOGETHER]) for a in (data.test, data.candidates))
        asked = torch.cat([test[:, 1:], others], dim=1).to(device)
        # No matrix product: its rounding may depend on the column, and equal texts must tie.
        scores = (users[test[:, :1].to(device)] * texts[asked.clamp(min=0)]).sum(-1)
        beaten = (scores[:, 1:] >= scores[:, :1]) & (asked[:, 1:] >= 0)
        found[start : start + len(test)] = 1 + beaten.sum(1).cpu().numpy()
    last = 1 + (data.candidates >= 0).sum(1)
    found = np.where(data.known()[data.test[:, 0]], found, last)
    return np.stack([found, found], axis=1)
