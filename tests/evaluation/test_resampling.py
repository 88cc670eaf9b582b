"""The tests of differences against scipy, against exact answers, and against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from tppc.evaluation.predictions import Predictions, results_of
from tppc.evaluation.resampling import Counted, counted, difference, holm
from tppc.evaluation.tasks import TASKS


def words(right: np.ndarray) -> Counted:
    """A model that got these of its words right, one word a sentence: its measure is a mean."""
    table = sparse.csr_matrix(np.stack([right.astype(float), np.ones(len(right))], axis=1))
    return Counted(table, lambda sums: sums[..., 0] / sums[..., 1])


def test_the_bootstrap_of_a_mean_is_scipys() -> None:
    random = np.random.default_rng(3)
    before, after = random.random(200) < 0.5, random.random(200) < 0.65
    found = difference({(0, 0): words(before)}, {(0, 0): words(after)}, resamples=20_000)
    assert found is not None
    gains = after.astype(float) - before
    theirs = stats.bootstrap((gains,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert found.value == pytest.approx(gains.mean())
    assert (found.low, found.high) == (pytest.approx(theirs.low, abs=0.006), pytest.approx(theirs.high, abs=0.006))


def test_randomisation_agrees_with_the_exact_permutation_test() -> None:
    before = np.array([0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0])
    after = np.array([1, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1, 1])
    found = difference({(0, 0): words(before)}, {(0, 0): words(after)}, resamples=20_000)
    exact = stats.permutation_test(
        (after, before), lambda a, b: a.mean() - b.mean(), permutation_type="samples", n_resamples=np.inf
    )
    # Seven sentences differ, six of them for the better: the sign test says the same.
    assert exact.pvalue == pytest.approx(stats.binomtest(6, 7).pvalue)
    assert found is not None
    assert found.p_randomised == pytest.approx(exact.pvalue, abs=0.01)


def test_with_seeds_the_spread_is_that_of_sentences_and_of_seeds() -> None:
    # Sentences that no seed disagrees about: all spread comes from the seeds, whose mean has variance s^2 / S.
    gains = [0.10, 0.20, 0.30, 0.26]
    count = 30
    before = {(0, seed): words(np.zeros(count)) for seed in range(4)}
    after = {(0, seed): words(np.full(count, gain)) for seed, gain in enumerate(gains)}
    found = difference(before, after, resamples=10_000)
    assert found is not None
    error = np.std(gains, ddof=1) / 2
    drawn = np.random.default_rng(0).choice(gains, (100_000, 3)).mean(1)
    assert drawn.std() == pytest.approx(error, rel=0.02)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.01)
    assert (found.seeds, found.runs, found.sentences) == (4, 1, count)


def test_equal_models_differ_by_nothing() -> None:
    same = {(0, seed): words(np.arange(50) % 2) for seed in range(3)}
    found = difference(same, same)
    assert found is not None
    assert (found.value, found.p_bootstrap, found.p_randomised) == (0.0, 1.0, 1.0)
    assert difference({(0, 0): words(np.ones(5))}, {(0, 1): words(np.ones(5))}) is None


def test_an_encoder_of_one_run_is_compared_with_every_run() -> None:
    base = {(0, seed): words(np.full(40, 0.5)) for seed in (0, 1)}
    trained = {(run, seed): words(np.full(40, 0.6 + run / 10)) for run in (0, 1, 2) for seed in (0, 1)}
    found = difference(base, trained)
    assert found is not None
    assert (found.runs, found.seeds, found.value) == (3, 2, pytest.approx(0.2))
    both = difference({**base, (1, 0): words(np.full(40, 0.5))}, trained)
    assert both is not None
    assert (both.runs, both.seeds) == (2, 1)  # runs 0 and 1, and the seed that all of them have


labels = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC"])
sentences = st.lists(st.lists(st.tuples(labels, labels), min_size=1, max_size=5), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(items=sentences, name=st.sampled_from(sorted(TASKS)))
def test_counts_give_the_main_metric(items: list[list[tuple[str, str]]], name: str) -> None:
    task = TASKS[name]
    items = items if task.unit == "token" else [item[:1] for item in items]
    gold, found = ([[pair[side] for pair in item] for item in items] for side in (0, 1))
    one = Predictions(name, "hi", "d", "0", "en", "trained", "e", 0, 0, "p", gold, found, ())
    other = Predictions(name, "hi", "d", "0", "en", "trained", "e", 0, 1, "p", gold, gold, ())
    first, _ = counted([one, other])
    assert first.value() == pytest.approx(results_of(one)[0].value)


def test_retrieval_is_counted_both_ways() -> None:
    one = Predictions("retrieval", "hi", "d", "0", "en", "trained", "e", 0, None, "p", (), (), [(1, 2), (3, 1), (1, 1)])
    assert counted([one])[0].value() == pytest.approx(results_of(one)[0].value)


def test_holm_by_hand() -> None:
    # Sorted: 0.01 x 4, 0.013 x 3 (below the one before, so raised to it), 0.02 x 2, 0.9.
    adjusted = holm({"a": 0.02, "b": 0.01, "c": 0.9, "d": 0.013})
    assert adjusted == pytest.approx({"a": 0.04, "b": 0.04, "c": 0.9, "d": 0.04})
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_anything_surer(values: list[float]) -> None:
    adjusted = holm(dict(enumerate(values)))
    assert all(adjusted[i] >= p for i, p in enumerate(values))
    assert max(adjusted.values(), default=0) <= 1
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[i] for i in order] == sorted(adjusted.values())
