"""Margins and mining are those of the paper (Artetxe and Schwenk 2019), spelt out text by text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.margin import MARGINS, RETRIEVALS, Margin, Retrieval, centred, mine
from tppc.encoders.neighbours import unit


def reference(
    src: np.ndarray, tgt: np.ndarray, k: int, margin: Margin, retrieval: Retrieval
) -> dict[tuple[int, int], float]:
    """Candidates and their margins by the formulas of the paper, one pair after another."""
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (src, tgt))
    cos = x @ y.T
    near_x = [sorted(range(len(y)), key=lambda j, i=i: -cos[i, j])[:k] for i in range(len(x))]
    near_y = [sorted(range(len(x)), key=lambda i, j=j: -cos[i, j])[:k] for j in range(len(y))]

    def score(i: int, j: int) -> float:
        around = sum(cos[i, z] / (2 * len(near_x[i])) for z in near_x[i])
        around += sum(cos[z, j] / (2 * len(near_y[j])) for z in near_y[j])
        return float({"ratio": cos[i, j] / around, "distance": cos[i, j] - around, "absolute": cos[i, j]}[margin])

    forward = {(i, max(near_x[i], key=lambda j, i=i: score(i, j))) for i in range(len(x))}
    backward = {(max(near_y[j], key=lambda i, j=j: score(i, j)), j) for j in range(len(y))}
    if retrieval == "intersection":
        return {pair: score(*pair) for pair in forward & backward}
    if retrieval != "max":
        return {pair: score(*pair) for pair in (forward if retrieval == "forward" else backward)}
    found: dict[tuple[int, int], float] = {}
    for i, j in sorted(forward | backward, key=lambda pair: -score(*pair)):
        if all(i != a and j != b for a, b in found):
            found[i, j] = score(i, j)
    return found


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.sampled_from(MARGINS), st.sampled_from(RETRIEVALS))
@settings(max_examples=80, deadline=None)
def test_mining_is_that_of_the_definition(n: int, m: int, k: int, margin: Margin, retrieval: Retrieval) -> None:
    random = np.random.default_rng(n * 100 + m * 10 + k)
    # Away from nought, as encoders' vectors are: no denominator near it.
    src, tgt = random.normal(size=(n, 6)) + 1.5, random.normal(size=(m, 6)) + 1.5
    found = mine(src, tgt, k=k, margin=margin, retrieval=retrieval)
    pairs = dict(zip(zip(found.src.tolist(), found.tgt.tolist(), strict=True), found.score.tolist(), strict=True))
    expected = reference(src, tgt, k, margin, retrieval)
    assert pairs.keys() == expected.keys()
    assert [pairs[pair] for pair in expected] == pytest.approx(list(expected.values()), abs=1e-5)
    assert found.score.tolist() == sorted(found.score.tolist(), reverse=True)
    if retrieval == "max":
        assert len(set(found.src.tolist())) == len(set(found.tgt.tolist())) == len(found.src)


@pytest.mark.parametrize("margin", MARGINS)
def test_mining_is_that_of_neighbours_by_faiss(margin: Margin) -> None:
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    random = np.random.default_rng(0)
    src = random.normal(size=(300, 16)).astype(np.float32) + 1
    tgt = (src[random.permutation(300)] + random.normal(size=(300, 16)) / 2).astype(np.float32)
    x, y = unit(src), unit(tgt)
    sides = []
    for queries, keys in ((x, y), (y, x)):
        index = faiss.IndexFlatIP(16)
        index.add(keys)
        sides.append(index.search(queries, 4))
    (forth, there), (back, _) = sides
    around = (forth.mean(1)[:, None] + back.mean(1)[there]) / 2
    scores = {"ratio": forth / around, "distance": forth - around, "absolute": forth}[margin]
    found = mine(src, tgt, margin=margin, retrieval="forward")
    order = np.argsort(found.src)
    assert found.tgt[order].tolist() == there[np.arange(300), scores.argmax(1)].tolist()
    assert found.score[order] == pytest.approx(scores.max(1), abs=1e-5)


def test_neighbours_that_are_unlike_on_average_do_not_divide_by_nought() -> None:
    src = np.array([[1.0, 0.0], [-1.0, 0.0]])
    found = mine(src, src, k=2)
    assert np.isfinite(found.score).all()


def test_centred_vectors_have_no_common_part() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 8)) + 5
    assert np.abs(unit(vectors).mean(0)).max() > 0.2
    assert np.abs(centred(vectors).mean(0)).max() < 0.15
    assert np.linalg.norm(centred(vectors), axis=1) == pytest.approx(np.ones(40), abs=1e-5)
