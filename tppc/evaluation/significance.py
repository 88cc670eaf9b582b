"""Is a difference more than chance? Paired answers from numbers alone, for two kinds of chance.

`paired_by_seed` asks about the seeds: would other fine-tuning seeds show the gain? It says nothing about other test
sentences. `paired_bootstrap` asks about the test items: would another test set of this kind show it? It says nothing
about other seeds. `resampling`, which needs predictions, asks about both. None of them corrects for looking at many
cells of a table: `resampling.holm` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Paired:
    """Mean of n paired differences, its standard error (None for one pair), a two-sided p-value where there is one.

    `before` and `after` are the means over the same n seeds, so that `difference` is the one minus the other. With
    several pretraining runs `unit` is `run`, and n counts runs, each with the mean over its seeds.
    """

    n: int
    difference: float
    standard_error: float | None
    p_value: float | None
    before: float
    after: float
    unit: Literal["seed", "run"] = "seed"


def paired(
    before: Mapping[tuple[int, int | None], float], after: Mapping[tuple[int, int | None], float]
) -> Paired | None:
    """`after` minus `before` over the runs and seeds that both have, keyed by (run, seed); None where they share none.

    Seeds of one run share their pretraining, so with several runs their means are what is paired: `paired_by_seed` over
    runs. An encoder with run 0 alone is paired with every run of the other.
    """
    sides = [{run for run, _ in side} for side in (before, after)]
    alone = [side == {0} for side in sides]
    runs = sides[1] if alone[0] else sides[0] if alone[1] else sides[0] & sides[1]
    means: list[dict[int, float]] = [{}, {}]
    for run in sorted(runs):
        own = [
            {(-1 if seed is None else seed): v for (r, seed), v in side.items() if r == (0 if only else run)}
            for side, only in zip((before, after), alone, strict=True)
        ]
        shared = sorted(own[0].keys() & own[1].keys())
        if len(runs) == 1:
            return paired_by_seed(*own)
        if shared:
            for side, values in zip(means, own, strict=True):
                side[run] = fmean(values[seed] for seed in shared)
    found = paired_by_seed(*means)
    return found and replace(found, unit="run")


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
