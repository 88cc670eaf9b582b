"""Is a difference more than chance? Two paired answers, for two kinds of chance.

`paired_by_seed` asks about the seeds: would other fine-tuning seeds show the gain? It says nothing about other test
sentences. `paired_bootstrap` asks about the test items: would another test set of this kind show it? It says nothing
about other seeds. Neither corrects for looking at many cells of a table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np


@dataclass(frozen=True)
class Paired:
    """Mean of n paired differences, its standard error (None for one pair), a two-sided p-value where there is one.

    `before` and `after` are the means over the same n seeds, so that `difference` is the one minus the other.
    """

    n: int
    difference: float
    standard_error: float | None
    p_value: float | None
    before: float
    after: float


def paired_by_seed(before: Mapping[int, float], after: Mapping[int, float]) -> Paired | None:
    """`after` minus `before` over the seeds that both have; None where they share none.

    The standard error is that of the mean of the differences, the p-value Student's paired t-test (n - 1 degrees of
    freedom; it takes the differences to be normal, which few seeds cannot show). Where all differences are equal
    there is no spread to test by, and no p-value.
    """
    seeds = sorted(before.keys() & after.keys())
    if not seeds:
        return None
    differences = [after[s] - before[s] for s in seeds]
    mean = fmean(differences)
    means = fmean(before[s] for s in seeds), fmean(after[s] for s in seeds)
    if len(seeds) == 1:
        return Paired(1, mean, None, None, *means)
    error = stdev(differences) / math.sqrt(len(seeds))
    if error <= 1e-12:
        return Paired(len(seeds), mean, error, None, *means)
    from scipy import stats  # type: ignore[import-untyped]  # scikit-learn brings it

    p_value = 2 * float(stats.t.sf(abs(mean / error), len(seeds) - 1))
    return Paired(len(seeds), mean, error, p_value, *means)


@dataclass(frozen=True)
class Bootstrap:
    """Mean difference of n paired items, its 95% interval, and a two-sided p-value."""

    n: int
    difference: float
    low: float
    high: float
    p_value: float


def paired_bootstrap(before: np.ndarray, after: np.ndarray, resamples: int = 2_000, seed: int = 0) -> Bootstrap:
    """Paired bootstrap of a mean over items (Efron and Tibshirani 1993; Koehn 2004): the same items, drawn for both.

    Args:
        before, after: scores of the same n items, shape (n,): hits of queries, correct words' share of sentences. For
            measures that are means over items alone: not for an F1.

    The interval is the percentile one; the p-value is twice the smaller share of resamples on either side of nought,
    counted with one more on each side so that it is never nought.
    """
    differences = np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)
    count = len(differences)
    random = np.random.default_rng(seed)
    means = np.array([differences[random.integers(0, count, count)].mean() for _ in range(resamples)])
    low, high = np.percentile(means, [2.5, 97.5])
    side = min((means <= 0).sum(), (means >= 0).sum())
    p_value = min(1.0, 2 * (int(side) + 1) / (resamples + 1))
    return Bootstrap(count, float(differences.mean()), float(low), float(high), p_value)
