"""Social engagement: who engages with which text, ranked among a thousand (TwHIN-BERT's social task).

A test engagement is a user and a text; the user's other candidates are texts that this user never engaged with.
`hits@10` is the share of engagements whose text is among the ten best, `mrr` the mean of 1 / rank. The rank is 1 + the
number of other candidates that score at least as high, so a tie counts against the encoder. Each engagement keeps the
best and the worst rank that it can have, equal for an encoder; a baseline that knows only part of an order (popularity,
with its many ties) or none (random) gets the exact expectation over the ranks between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAME = "engagement"
METRICS = ("hits@10", "mrr")
_TOP = 10


def score(ranks: Sequence[Sequence[float]] | NDArray[Any]) -> Mapping[str, float]:
    """Both metrics of n engagements, given the best and the worst rank (from 1) of each, [n, 2]."""
    hits, reciprocal = expected(ranks)
    return {"hits@10": float(hits.mean()), "mrr": float(reciprocal.mean())}


def expected(ranks: Sequence[Sequence[float]] | NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probability of a rank up to ten and expectation of 1 / rank of each engagement, (n,) each.

    All ranks from the best to the worst are equally likely.
    """
    bounds = np.asarray(ranks, dtype=np.int64).reshape(-1, 2)
    best, worst = bounds[:, 0], bounds[:, 1]
    assert ((best >= 1) & (best <= worst)).all(), "ranks count from 1, the best before the worst"
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, worst.max(initial=1) + 1))])
    width = worst - best + 1
    hits = np.clip(np.minimum(worst, _TOP) - best + 1, 0, None) / width
    # A single rank is taken as it is: a difference of two sums would lose digits.
    reciprocal = np.where(width == 1, 1 / best, (harmonic[worst] - harmonic[best - 1]) / width)
    return hits, reciprocal
