"""Would the gain show again, with other sentences, other fine-tuning seeds, other pretraining runs? By resampling.

Both tests work on counts that add up over sentences (right words; right, predicted and gold entities), so the measure
of a resample, an F1 too, is computed from summed counts and not averaged over sentences.

The paired bootstrap draws sentences, seeds and runs together: the sentences with replacement, the same for both
encoders and all of their seeds, since all answered the same sentences; of S seeds S - 1 with replacement, the same for
both encoders, and of M runs M - 1 (drawing all S would make the spread too small by (S - 1) / S, a third with three
seeds; Rao and Wu 1988). Approximate randomisation (Noreen 1989) exchanges the two encoders' answers sentence by
sentence, with the same exchanges in all seeds; it speaks of the sentences alone, for these very models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped]

from tppc.evaluation.predictions import Predictions
from tppc.evaluation.tasks import bitext, engagement, retrieval, task_named
from tppc.evaluation.tasks.task import Task

Stratum = tuple[int, int | None]
"""Pretraining run and fine-tuning seed."""

RESAMPLES = 2_000
_TOGETHER = 250  # resamples drawn at once: 250 x 10,000 sentences are 20 MB


@dataclass(frozen=True)
class Counted:
    """One model's counts on one test set.

    Attributes:
        table: sparse [sentences, k]; sums of its rows are what `measure` takes.
        measure: summed counts [..., k] to the measure [...].
    """

    table: Any
    measure: Callable[[NDArray[Any]], NDArray[np.float64]]

    def value(self) -> float:
        """The measure on the whole test set."""
        return float(self.measure(np.asarray(self.table.sum(0)).reshape(-1)))


def counted(answers: Sequence[Predictions]) -> list[Counted]:
    """Counts of the main metric of the task (`tppc.evaluation.tasks.PRIMARY`), for answers to one test set.

    All are counted over the same classes, so that answers can change sides. Raises `UsageError` for an unknown task.
    """
    if answers[0].task == retrieval.NAME:
        return [_hits(one) for one in answers]
    if answers[0].task == engagement.NAME:
        return [_engagement_hits(one) for one in answers]
    if answers[0].task == bitext.NAME:
        return [_mined(one) for one in answers]
    task = task_named(answers[0].task)
    labels = sorted({label for one in answers for side in (one.gold, one.predicted) for item in side for label in item})
    every = [[label] for label in labels]  # counted at the end of each, so that none lacks a class, and cut off
    found = []
    for one in answers:
        counts = np.asarray(task.counts([*one.gold, *every], [*one.predicted, *every]))[: len(one.gold)]
        flat = sparse.csr_matrix(counts.reshape(len(counts), -1).astype(np.float64))
        found.append(Counted(flat, _measure(task, counts.shape[1:])))
    return found


def _engagement_hits(one: Predictions) -> Counted:
    """Texts that are among the ten best, and one for each engagement."""
    hits, _ = engagement.expected(one.values)
    return Counted(sparse.csr_matrix(np.stack([hits, np.ones_like(hits)], axis=1)), lambda c: c[..., 0] / c[..., 1])


def _mined(one: Predictions) -> Counted:
    """Of each source text the pairs that are right, given out and gold."""
    table = bitext.counts(one.gold, one.predicted or [[]] * len(one.gold)).astype(np.float64)
    return Counted(sparse.csr_matrix(table), bitext.f1_of)


def _measure(task: Task, shape: tuple[int, ...]) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    return lambda sums: task.measure(sums.reshape(*sums.shape[:-1], *shape))


def _hits(one: Predictions) -> Counted:
    """Right first candidates, both ways, and one for each pair."""
    hits = np.array(one.values)[:, :2] == 1
    columns = np.concatenate([hits, np.ones((len(hits), 1), dtype=bool)], axis=1).astype(np.float64)
    return Counted(sparse.csr_matrix(columns), lambda c: (c[..., 0] + c[..., 1]) / (2 * c[..., 2]))


@dataclass(frozen=True)
class Difference:
    """A difference of measures, `after` minus `before`, as a fraction.

    Attributes:
        sentences, seeds, runs: how many of each both encoders share.
        value: the mean over shared seeds and runs. low, high: its 95% interval by the bootstrap.
        p_bootstrap, p_randomised: two-sided p-values; never 0.
    """

    sentences: int
    seeds: int
    runs: int
    value: float
    low: float
    high: float
    p_bootstrap: float
    p_randomised: float


def difference(
    before: Mapping[Stratum, Counted], after: Mapping[Stratum, Counted], resamples: int = RESAMPLES, seed: int = 0
) -> Difference | None:
    """Compare two encoders on one test set; None where they share no seed and run.

    Args:
        before, after: counts by (run, seed). An encoder with one run is compared with every run of the other.
        seed: of the draws. All must have counts of the same sentences.
    """
    strata = _shared(before, after)
    if not strata:
        return None
    runs, seeds = sorted({r for r, _ in strata}), list(dict.fromkeys(s for _, s in strata))
    left, right = [[_of(some, stratum) for stratum in strata] for some in (before, after)]
    count = left[0].table.shape[0]
    assert {one.table.shape[0] for one in left + right} == {count}, "both must have answered the same sentences"
    observed = float(np.mean([b.value() - a.value() for a, b in zip(left, right, strict=True)]))

    random = np.random.default_rng(seed)
    drawn, exchanged = [], []
    for size in _chunks(resamples):
        sentences = random.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        gains = _measures(right, sentences) - _measures(left, sentences)
        weight = _drawn(random, size, len(runs))[:, :, None] * _drawn(random, size, len(seeds))[:, None, :]
        drawn.append((gains.T * weight.reshape(size, -1)).sum(1))
        flips = random.integers(0, 2, size=(size, count)).astype(np.float64)
        gains = _exchanged(left, right, flips)
        exchanged.append(gains.mean(0))
    means, chance = np.concatenate(drawn), np.concatenate(exchanged)
    low, high = np.percentile(means, [2.5, 97.5])
    side = min((means <= 0).sum(), (means >= 0).sum())
    beyond = (np.abs(chance) >= abs(observed) - 1e-12).sum()
    return Difference(
        count, len(seeds), len(runs), observed, float(low), float(high),
        min(1.0, 2 * (int(side) + 1) / (resamples + 1)), (int(beyond) + 1) / (resamples + 1),
    )  # fmt: skip


def _shared(before: Mapping[Stratum, Counted], after: Mapping[Stratum, Counted]) -> list[Stratum]:
    """Runs and seeds that both have, every run with every seed; a side with one run has it for every run."""
    sides = [{run for run, _ in some} for some in (before, after)]
    alone = [side == {0} for side in sides]
    runs = sides[1] if alone[0] else sides[0] if alone[1] else sides[0] & sides[1]
    per_run = [
        {s for r, s in some if r == (0 if only else run)}
        for run in runs
        for some, only in zip((before, after), alone, strict=True)
    ]
    seeds = set.intersection(*per_run) if per_run else set()
    return [(run, seed) for run in sorted(runs) for seed in sorted(seeds, key=lambda s: (s is None, s))]


def _of(some: Mapping[Stratum, Counted], stratum: Stratum) -> Counted:
    run, seed = stratum
    return some[run, seed] if (run, seed) in some else some[0, seed]


def _chunks(total: int) -> Iterator[int]:
    while total > 0:
        yield min(total, _TOGETHER)
        total -= _TOGETHER


def _measures(models: list[Counted], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The measure of every model [models] for each row of sentence weights [B, sentences]: [models, B]."""
    return np.stack([one.measure((one.table.T @ weights.T).T) for one in models])


def _exchanged(left: list[Counted], right: list[Counted], flips: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences [models, B] after the answers to the flipped sentences (1 in [B, sentences]) have changed sides."""
    gains = []
    for a, b in zip(left, right, strict=True):
        assert a.table.shape[1] == b.table.shape[1], "both need counts of the same kind"
        kept_a, kept_b = (a.table.T @ (1 - flips).T).T, (b.table.T @ (1 - flips).T).T
        gone_a, gone_b = (a.table.T @ flips.T).T, (b.table.T @ flips.T).T
        gains.append(b.measure(kept_b + gone_a) - a.measure(kept_a + gone_b))
    return np.stack(gains)


def _drawn(random: np.random.Generator, size: int, among: int) -> NDArray[np.float64]:
    """Weights [B, among] of one less than all of them, drawn with replacement; of one, that one."""
    if among == 1:
        return np.ones((size, 1))
    return random.multinomial(among - 1, np.full(among, 1 / among), size=size) / (among - 1)


def holm(p_values: Mapping[Any, float]) -> dict[Any, float]:
    """Holm's (1979) adjusted p-values, which hold for all comparisons of a table together; by the same keys."""
    adjusted: dict[Any, float] = {}
    worst = 0.0
    for rank, key in enumerate(sorted(p_values, key=lambda k: p_values[k])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[key]))
        adjusted[key] = worst
    return {key: adjusted[key] for key in p_values}
