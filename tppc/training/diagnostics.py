"""What tells a training that learns from one that only lowers its loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tppc.training.objectives import GlobalPairs


@dataclass(frozen=True)
class Geometry:
    """The batch's embeddings at a glance.

    cos_pos, cos_neg: mean cosine of translations and of the other admitted combinations. p_at_1: of the sources that
    have another admitted target, the share whose own is nearest (0 where none has). masked_share: of all N (N - 1)
    combinations, those left out as possible translations. negatives: combinations left over, and texts of a second
    stream that may be used.
    """

    cos_pos: float
    cos_neg: float
    p_at_1: float
    masked_share: float
    size: int
    negatives: int


@torch.no_grad()
def geometry(pairs: GlobalPairs) -> Geometry:
    """Geometry of a global batch of N pairs; costs one N x N product."""
    src, tgt = F.normalize(pairs.src, dim=-1), F.normalize(pairs.tgt, dim=-1)
    cosine = (src @ tgt.T).masked_fill(pairs.masked, math.nan)
    count = len(src)
    positive = cosine.diagonal()
    negatives = count * count - count - int(pairs.masked.sum())
    rest = cosine.nansum() - positive.sum()
    # A tie is no success: in a collapsed space everything ties, and argmax would find the diagonal's first column.
    rivals = cosine.nan_to_num(-2.0).fill_diagonal_(-2.0).amax(1)
    rivalled = count - 1 - pairs.masked.sum(1) > 0
    won = int(((positive > rivals) & rivalled).sum())
    others = 0 if pairs.other_usable is None else int(pairs.other_usable.sum())
    return Geometry(
        cos_pos=float(positive.mean()),
        cos_neg=float(rest / negatives) if negatives else 0.0,
        p_at_1=won / max(1, int(rivalled.sum())),
        masked_share=float(pairs.masked.sum()) / (count * count - count),
        size=count,
        negatives=negatives + others,
    )


def alarms(now: Geometry, numbers: dict[str, float], loss: float, warmed_up: bool) -> list[str]:
    """Alarms for a logged step; but for the first, none before the warm-up is over.

    no negatives: every combination is masked, so the batch teaches nothing but to put all texts into one place.
    collapse: translations lie no nearer than other texts (gap of the mean cosines below 0.02) and are found no better
        than at chance level (p_at_1 below 2/N + 0.02).
    saturated: fewer than one logit in a hundred has a gradient to speak of while the loss is above ln 2,
        what a coin costs.
    """
    if now.negatives == 0:
        return ["no negatives"]
    if not warmed_up:
        return []
    found = []
    if now.cos_pos - now.cos_neg < 0.02 and now.p_at_1 < 2 / now.size + 0.02:
        found.append("collapse")
    if numbers.get("live", 1.0) < 0.01 and loss > math.log(2):
        found.append("saturated")
    return found
