"""Vectors do not depend on what they are computed with; neighbours are those of brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders import neighbours
from tppc.encoders.embed import embed, pool
from tppc.encoders.load import Encoder
from tppc.encoders.neighbours import nearest
from tppc.encoders.scratch import make_encoder


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder("scratch:tiny", ["a b c d e f g h long words here"] * 3, 1)


def test_mean_pooling_leaves_padding_out_and_cls_takes_the_first() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert pool(hidden, mask, "mean").tolist() == [[2.0, 3.0], [7.0, 8.0]]
    assert pool(hidden, mask, "cls").tolist() == [[1.0, 2.0], [5.0, 6.0]]


def test_vectors_come_in_the_order_of_the_texts_whatever_the_batches(encoder: Encoder) -> None:
    texts = ["a", "long words here a b c d e f", "b c", "", "a", "words " * 40]
    together, alone = embed(encoder, texts), embed(encoder, texts, batch_tokens=1)
    assert together.dtype == np.float32
    assert together.shape == (6, encoder.hidden_size)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together[1], embed(encoder, [texts[1]])[0], atol=1e-5)
    np.testing.assert_allclose(together[0], together[4], atol=1e-6)


def test_embedding_nothing_gives_nothing_and_the_mode_is_put_back(encoder: Encoder) -> None:
    assert embed(encoder, []).shape == (0, encoder.hidden_size)
    encoder.model.train()
    embed(encoder, ["a"])
    assert encoder.model.training
    encoder.model.train(False)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 14), st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_neighbours_are_those_of_brute_force_with_the_lower_index_first(n: int, m: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    # Axis vectors: cosines are exactly 0, 1 or -1, so most are ties.
    axes = np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    queries, keys = axes[random.integers(0, 6, n)] * 2, axes[random.integers(0, 6, m)] * 3
    scores, indices = nearest(queries, keys, k)
    similarity = neighbours.unit(queries) @ neighbours.unit(keys).T
    expected = np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, m)]
    assert indices.tolist() == expected.tolist()
    assert scores.tolist() == np.take_along_axis(similarity, expected, 1).tolist()


def test_ties_across_pieces_keep_the_lower_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_CELLS", 8)
    monkeypatch.setattr(neighbours, "_COLUMNS", 3)
    keys = np.tile(np.eye(2, dtype=np.float32), (5, 1))
    _, indices = nearest(np.eye(2, dtype=np.float32), keys, 4)
    assert indices.tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_a_zero_vector_and_no_keys_are_no_error() -> None:
    scores, indices = nearest(np.zeros((1, 2)), np.eye(2), 1)
    assert (scores.tolist(), indices.tolist()) == ([[0.0]], [[0]])
    assert nearest(np.ones((2, 3)), np.empty((0, 3)), 5)[1].shape == (2, 0)


def test_vectors_are_the_same_to_the_last_bit_whatever_the_threads(encoder: Encoder) -> None:
    texts = ["a b", "long words here", "c " * 30, "h g f", "a"] * 9
    one, three = (embed(encoder, texts, batch_tokens=60, threads=n) for n in (1, 3))
    assert one.tobytes() == three.tobytes()
    np.testing.assert_allclose(one, embed(encoder, texts), atol=1e-5)


def test_combinations_that_do_not_count_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_CELLS", 4)
    monkeypatch.setattr(neighbours, "_COLUMNS", 2)
    keys = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1]], dtype=np.float32)
    without = np.array([0, 0, 1]), np.array([0, 2, 1])
    scores, indices = nearest(keys[:2], keys, 2, without=without)
    assert indices.tolist() == [[1, 3], [2, 0]]
    few, _ = nearest(keys[:1], keys[:2], 2, without=(np.array([0]), np.array([0])))
    assert np.isfinite(few).tolist() == [[True, False]]
    assert np.isfinite(scores).all()
