"""The measures are those of their papers, and say what they should of spaces made for the purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew

from tppc.evaluation.diagnostics.measures import (
    cka,
    language_means_off,
    language_probe,
    occurrences,
    own_language_nearest,
    skewness,
)

Generator = np.random.Generator


@pytest.fixture
def random() -> Generator:
    return np.random.default_rng(0)


def by_gram_matrices(left: np.ndarray, right: np.ndarray) -> float:
    """CKA as Kornblith et al. 2019 define it: HSIC of centred Gram matrices, normalised."""
    n = len(left)
    centre = np.eye(n) - np.ones((n, n)) / n

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.trace(centre @ a @ a.T @ centre @ b @ b.T) / (n - 1) ** 2)

    return hsic(left, right) / np.sqrt(hsic(left, left) * hsic(right, right))


@given(st.integers(2, 20), st.integers(1, 6), st.integers(1, 6))
def test_cka_is_that_of_gram_matrices(n: int, g: int, h: int) -> None:
    random = np.random.default_rng(n + 100 * g + 10_000 * h)
    left, right = random.normal(size=(n, g)) + 3, random.normal(size=(n, h))
    assert cka(left, right) == pytest.approx(by_gram_matrices(left, right))


def test_cka_does_not_see_rotation_scale_or_shift_and_sees_shuffling(random: Generator) -> None:
    left = random.normal(size=(200, 8))
    turned = left @ np.linalg.qr(random.normal(size=(8, 8)))[0] * 7 + 5
    assert cka(left, turned) == pytest.approx(1.0)
    assert cka(left, turned[random.permutation(200)]) < 0.1
    assert cka(left, np.ones((200, 8))) == 0.0


def test_skewness_is_that_of_scipy_and_a_hub_has_it(random: Generator) -> None:
    values = random.poisson(3, size=50)
    assert skewness(values) == pytest.approx(skew(values))
    assert skewness(np.ones(5)) == 0.0
    spread = random.normal(size=(200, 20))
    hub = np.concatenate([spread, spread.mean(0, keepdims=True) + 1e-3])
    away = spread + 3  # one direction that all share: what lies along it is near to all
    assert skewness(occurrences(away, np.concatenate([spread, np.ones((1, 20))]))) > 3
    assert occurrences(spread, hub, k=5).sum() == 200 * 5


def test_the_probe_finds_a_language_that_is_there_and_none_where_there_is_none(random: Generator) -> None:
    src, tgt = random.normal(size=(150, 10)) + 4, random.normal(size=(150, 10)) + 4
    groups = np.arange(150)
    assert 0.35 < language_probe(src, tgt, groups) < 0.65
    tgt[:, 0] += 8
    assert language_probe(src, tgt, groups) > 0.97


def test_the_probe_never_learns_from_a_copy_of_what_it_is_tested_on(random: Generator) -> None:
    # Every pair stands five times: a probe that saw a copy would know the random vectors by heart.
    src, tgt = (np.repeat(random.normal(size=(40, 60)), 5, axis=0) for _ in range(2))
    assert language_probe(src, tgt, np.repeat(np.arange(40), 5)) < 0.7
    assert language_probe(src, tgt, np.arange(200)) > 0.9


def test_taking_language_means_off_joins_what_they_keep_apart(random: Generator) -> None:
    src = random.normal(size=(100, 12))
    tgt = src + random.normal(size=(100, 12)) / 10
    src, tgt = src + 5 * np.eye(12)[0], tgt + 5 * np.eye(12)[1]
    assert own_language_nearest(src, tgt) == 1.0
    keys = np.arange(100)
    left, right = language_means_off(src, tgt, keys, keys + 100)
    assert own_language_nearest(left, right) < 0.2
