"""Similarity: AUC is scikit-learn's, no translation is ever a negative, and language alone scores what it must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tppc.encoders.load import Translation
from tppc.errors import TppcError
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.tasks import similarity


def pairs(rows: list[tuple[int, int]]) -> Pairs:
    """Pairs of numbered texts; the number is the key."""
    src, tgt = (np.array(side, dtype=np.int64) for side in zip(*rows, strict=True))
    return Pairs("made", "0", "en", "hi", [str(i) for i in src], [str(i) for i in tgt], src, tgt + 1_000)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=20), st.lists(st.integers(0, 6), min_size=1, max_size=20))
def test_auc_is_that_of_scikit_learn(near: list[int], far: list[int]) -> None:
    labels = [1] * len(near) + [0] * len(far)
    expected = roc_auc_score(labels, near + far)
    assert similarity.auc(np.array(near, float), np.array(far, float)) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15), st.integers(0, 3))
@settings(deadline=None)
def test_no_translation_is_taken_for_another_pair(rows: list[tuple[int, int]], seed: int) -> None:
    data = pairs(rows)
    count = len(rows)
    joined = set(zip(data.src_key.tolist(), data.tgt_key.tolist(), strict=True))
    keys = np.concatenate([data.src_key, data.tgt_key]).tolist()
    random = np.random.default_rng(seed)
    src, tgt = random.normal(size=(count, 4)), random.normal(size=(count, 4))
    for found in (similarity.random_others(data, seed), similarity.hard_others(data, src, tgt)):
        for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True):
            assert left < count <= right
            assert (keys[left], keys[right]) not in joined
    for left, right in zip(*vars(similarity.others_of_2021(data, seed)).values(), strict=True):
        assert (keys[left], keys[right]) not in joined | {(b, a) for a, b in joined}
        assert keys[left] != keys[right]


def test_hard_others_are_the_nearest_that_are_no_translation() -> None:
    data = pairs([(0, 0), (1, 1), (2, 2), (0, 2)])
    random = np.random.default_rng(0)
    src, tgt = random.normal(size=(4, 5)), random.normal(size=(4, 5))
    src[3], tgt[3] = src[0], tgt[2]  # the same texts
    found = similarity.hard_others(data, src, tgt)
    cos = (src / np.linalg.norm(src, axis=1, keepdims=True)) @ (tgt / np.linalg.norm(tgt, axis=1, keepdims=True)).T
    # Sources 0 to 3 may take the targets that no pair joins with them; then the targets their sources.
    allowed = [[1], [0, 2], [0, 1], [1]]
    expected = [max(a, key=lambda j, i=i: cos[i, j]) for i, a in enumerate(allowed)]
    assert found.left[:4].tolist() == [0, 1, 2, 3]
    assert (found.right[:4] - 4).tolist() == expected
    back = [[1, 2], [0, 2], [1], [1]]
    assert found.left[4:].tolist() == [max(a, key=lambda i, j=j: cos[i, j]) for j, a in enumerate(back)]


def test_language_alone_earns_three_quarters_under_the_published_negatives() -> None:
    data = pairs([(i, i) for i in range(2_000)])
    asked = similarity.languages_alone(data)
    scores = similarity.score([[kind] for kind in asked.kind], [[one, one] for one in asked.cosine])
    for measure in ("auc", "accuracy"):
        assert scores[f"{measure} random"] == scores[f"{measure} hard"] == 0.5
        assert scores[f"{measure} tpp2021"] == pytest.approx(0.75, abs=0.02)


def test_the_trained_head_says_how_often_it_is_right() -> None:
    data = pairs([(i, i) for i in range(30)])
    vectors = np.random.default_rng(0).normal(size=(30, 40))
    asked = similarity.ask(data, vectors, vectors, Translation("cosine", 10.0, -7.0))
    assert asked.probability is not None
    scores = similarity.score(
        [[kind] for kind in asked.kind], [list(row) for row in zip(asked.cosine, asked.probability, strict=True)]
    )
    assert scores["auc random"] == scores["accuracy random"] == 1.0
    assert list(scores) == [*similarity.METRICS, *(f"accuracy {kind}" for kind in similarity.KINDS)]


def test_pairs_that_give_no_others_and_broken_vectors_are_refused() -> None:
    with pytest.raises(TppcError, match="every text is a translation of every other"):
        similarity.ask(pairs([(0, 0), (0, 1)]), np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(TppcError, match="not finite"):
        similarity.ask(pairs([(0, 0), (1, 1)]), np.full((2, 3), np.nan), np.ones((2, 3)))
