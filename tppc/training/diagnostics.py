"""What tells a training that learns from one that only lowers its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from tppc.training.objectives import GlobalPairs


@dataclass(frozen=True)
class Geometry:
    """The batch's embeddings at a glance.

    cos_pos, cos_neg: mean cosine of translations and of the other admitted combinations. p_at_1: of the sources that
    have another admitted target, the share whose own is nearest (0 where none has). masked_share: of all N (N - 1)
    combinations, those left out as possible translations. negatives: combinations left over, and texts of a second
    stream that may be used. noise: what the mean of N cosines of any texts differs by, by chance (standard error).
    """

    cos_pos: float
    cos_neg: float
    p_at_1: float
    masked_share: float
    size: int
    negatives: int
    noise: float = 0.0


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
        noise=float(cosine[~pairs.masked].std(unbiased=False)) / math.sqrt(count),
    )


def alarms(now: Geometry, numbers: Mapping[str, float], loss: float, warmed_up: bool) -> list[str]:
    """Short names of the alarms of a logged step; but for the first, none before the warm-up is over.

    no negatives: every combination is masked, so the batch teaches nothing but to put all texts into one place.
    collapse: translations lie no nearer than other texts (gap of the mean cosines below 0.02, or below what chance
        makes of it in a batch of this size) and are found no better
        than by chance (p_at_1 at most three standard deviations, of N draws, above 1/N).
    saturated: fewer than one logit in a hundred has a gradient to speak of while the loss is above ln 2,
        what a coin costs.

    `in_words` says each with its remedy.
    """
    if now.negatives == 0:
        return ["no negatives"]
    if not warmed_up:
        return []
    found, chance = [], 1 / now.size
    if now.cos_pos - now.cos_neg < max(0.02, 3 * now.noise) and now.p_at_1 < chance + 3 * math.sqrt(chance / now.size):
        found.append("collapse")
    if numbers.get("live", 1.0) < 0.01 and loss > math.log(2):
        found.append("saturated")
    return found


_WORDS = {
    "no negatives": (
        "every combination of the batch may be a translation and is masked, so there is nothing to tell translations "
        "from; raise batch_size, or look for texts that repeat (`tppc corpora stats`)"
    ),
    "collapse": (
        "translations lie no nearer to each other than to other texts (mean cosine {cos_pos:.3f} against "
        "{cos_neg:.3f}) and P@1 in the batch, {batch_p_at_1:.2f}, is at chance level: all texts lie in one place, or "
        "nothing is learned yet. Lower the learning rate, use the default objective rather than a raw dot product, and "
        "look at the corpus; a control on shuffled pairs rightly does this"
    ),
    "saturated": (
        "at a loss of {loss:.2f} fewer than 1 logit in 100 has a gradient to speak of, so hardly anything is learned. "
        "Lower the learning rate, start with a smaller scale, or let the bias be set from data"
    ),
    "forgetting": (
        "held-out retrieval is below that of the start: the training undoes more than it adds. Lower the learning "
        "rate, freeze the lower layers (freeze_layers), pull to the start (l2_start), or stop here"
    ),
}


def in_words(alarm: str, line: Mapping[str, Any]) -> str:
    """An alarm with its numbers, from the line of metrics, and its remedy; one it does not know as it is."""
    words = _WORDS.get(alarm)
    if words is None:
        return alarm
    shown = {k: math.nan if line.get(k) is None else line[k] for k in ("cos_pos", "cos_neg", "batch_p_at_1", "loss")}
    return f"{alarm}: {words.format(**shown)}"
