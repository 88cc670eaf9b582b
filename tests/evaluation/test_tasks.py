"""Metrics against hand-computed values, trivial baselines, retrieval with duplicates and ties."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tppc.errors import TppcError
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.tasks import retrieval

# --- retrieval


def keys(*names: str) -> np.ndarray:
    """Keys that are equal where names are; not in the order of the names."""
    return np.array([ord(n) * 7_919 % 101 for n in names], dtype=np.int64)


def angles(*degrees: float) -> np.ndarray:
    return np.array([[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees], dtype=np.float32)


def test_ranks_by_hand() -> None:
    # Query 0 is nearest to its own candidate, query 1 to another (10 degrees off against 20), query 2 to both others.
    found = retrieval.ranks(angles(0, 30, 40), angles(20, 50, 180), keys("a", "b", "c"), keys("x", "y", "z"))
    assert found.tolist() == [1, 2, 3]


def test_length_of_vectors_does_not_matter() -> None:
    src, tgt = angles(0, 30, 40), angles(20, 50, 180)
    scaled = tgt * np.array([[1e3], [1.0], [1e-3]], dtype=np.float32)
    a = retrieval.ranks(src, tgt, keys("a", "b", "c"), keys("x", "y", "z"))
    assert a.tolist() == retrieval.ranks(src * 7, scaled, keys("a", "b", "c"), keys("x", "y", "z")).tolist()


def test_a_text_with_an_equal_key_is_a_hit() -> None:
    # Rows 0 and 1 have the same target text; its vectors differ a little, as those of "Yes." and "yes." would.
    src, tgt = angles(0, 90, 45), angles(2, 1, 46)
    assert retrieval.ranks(src, tgt, keys("a", "b", "c"), keys("x", "x", "z")).tolist() == [1, 2, 1]


def test_another_reference_of_the_same_query_is_a_hit() -> None:
    # "a" has the translations x and y: finding either is right, for both of its rows.
    src, tgt = angles(0, 0, 90), angles(1, 60, 89)
    assert retrieval.ranks(src, tgt, keys("a", "a", "c"), keys("x", "y", "z")).tolist() == [1, 1, 1]
    # Without knowing that, the second row would be found second at best.
    assert retrieval.ranks(src, tgt, keys("a", "b", "c"), keys("x", "y", "z")).tolist() == [1, 2, 1]


def test_duplicate_candidates_take_one_place_only() -> None:
    # Three rows share the wrong answer x, which is nearer to query 3 than its own.
    src, tgt = angles(0, 0, 0, 10), angles(0, 0, 0, 30)
    assert retrieval.ranks(src, tgt, keys("a", "b", "c", "d"), keys("x", "x", "x", "y"))[3] == 2


def test_ties_count_against_the_encoder() -> None:
    collapsed = np.ones((5, 4), dtype=np.float32)
    assert retrieval.ranks(collapsed, collapsed, keys(*"abcde"), keys(*"vwxyz")).tolist() == [5] * 5


def test_ranks_do_not_depend_on_the_size_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    src, tgt = random.normal(size=(50, 8)), random.normal(size=(50, 8))
    left, right = random.integers(0, 30, 50), random.integers(0, 30, 50)
    whole = retrieval.ranks(src, tgt, left, right)
    monkeypatch.setattr("tppc.encoders.ranking._ROWS", 7)
    assert retrieval.ranks(src, tgt, left, right).tolist() == whole.tolist()
    expected = []
    for i in range(50):  # the definition, spelt out
        cosine = {int(k): src[i] @ tgt[j] / np.linalg.norm(tgt[j]) for j, k in reversed(list(enumerate(right)))}
        good = {int(k) for q, k in zip(left, right, strict=True) if q == left[i]}
        best = max(cosine[k] for k in good)
        expected.append(1 + sum(v >= best for k, v in cosine.items() if k not in good))
    assert whole.tolist() == expected


def test_vectors_that_are_no_numbers_are_refused() -> None:
    bad = np.full((2, 2), np.nan, dtype=np.float32)
    with pytest.raises(TppcError, match="not finite"):
        retrieval.ranks(bad, bad, keys("a", "b"), keys("x", "y"))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6))
def test_chance_is_the_mean_over_all_orders(rows: list[tuple[int, int]]) -> None:
    left, right = (np.array(side, dtype=np.int64) for side in zip(*rows, strict=True))
    candidates = sorted(set(right.tolist()))
    first, reciprocal = [], []
    for order in permutations(candidates):
        for query in left.tolist():
            good = {t for s, t in rows if s == query}
            rank = next(i for i, c in enumerate(order, start=1) if c in good)
            first.append(rank == 1)
            reciprocal.append(1 / rank)
    assert retrieval.chance(left, right) == (pytest.approx(np.mean(first)), pytest.approx(np.mean(reciprocal)))


def test_both_directions_and_their_mean() -> None:
    pairs = Pairs("c:test", "0", "en", "hi", ["a"] * 4, ["b"] * 4, np.arange(4), np.arange(4))
    found = retrieval.Ranks(np.array([1, 1, 2, 4]), np.array([1, 2, 2, 2]))
    assert retrieval.score(found, pairs) == {
        "p@1": 0.375,
        "mrr": pytest.approx((2.75 / 4 + 2.5 / 4) / 2),
        "p@1 en>hi": 0.5,
        "p@1 hi>en": 0.25,
        "mrr en>hi": 2.75 / 4,
        "mrr hi>en": 2.5 / 4,
    }
