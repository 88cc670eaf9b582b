"""Retrieval on the same vectors gives the numbers of mteb and of LASER's similarity search."""

from __future__ import annotations

import numpy as np
import pytest

from tppc.encoders.neighbours import unit
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.tasks import retrieval


@pytest.fixture
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Two sides of 200 pairs, so noisy that about half of the translations are found."""
    random = np.random.default_rng(3)
    src = random.normal(size=(200, 16)).astype(np.float32)
    return src, (src + random.normal(size=(200, 16))).astype(np.float32)


def ours(src: np.ndarray, tgt: np.ndarray) -> dict[str, float]:
    keys = np.arange(200, dtype=np.int64)
    pairs = Pairs("made", "0", "en", "hi", [""] * 200, [""] * 200, keys, keys)
    ranks = retrieval.Ranks(retrieval.ranks(src, tgt, keys, keys), retrieval.ranks(tgt, src, keys, keys))
    return dict(retrieval.score(ranks, pairs))


def test_p_at_1_is_the_accuracy_of_mteb(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    evaluators = pytest.importorskip("mteb._evaluators", reason="mteb is not installed")
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining
    from mteb.similarity_functions import cos_sim

    class Model:
        def similarity(self, left: np.ndarray, right: np.ndarray) -> object:
            return cos_sim(left, right).numpy()

    src, tgt = vectors
    found = ours(src, tgt)
    for way, queries, keys in (("en>hi", src, tgt), ("hi>en", tgt, src)):
        nearest = evaluators.BitextMiningEvaluator._similarity_search(None, queries, keys, Model())
        expected = AbsTaskBitextMining._compute_metrics(None, nearest, [(i, i) for i in range(200)])["accuracy"]
        assert 0.2 < expected < 0.9
        assert found[f"p@1 {way}"] == pytest.approx(expected)


def test_p_at_1_is_what_laser_counts(vectors: tuple[np.ndarray, np.ndarray]) -> None:
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    src, tgt = vectors
    index = faiss.IndexFlatL2(16)  # LASER searches by distance among vectors of length one, which is by cosine
    index.add(unit(tgt))
    _, found = index.search(unit(src), 1)
    assert ours(src, tgt)["p@1 en>hi"] == pytest.approx((found[:, 0] == np.arange(200)).mean())
