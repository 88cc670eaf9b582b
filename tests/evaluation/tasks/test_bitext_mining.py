"""Bitext mining: BUCC's F1, a threshold that never sees the scored part, and mteb's numbers on the same vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tppc.corpora.keys import side_keys
from tppc.encoders.margin import Candidates
from tppc.evaluation.tasks import bitext
from tppc.evaluation.tasks.bitext import Mined, Mining, Sides


def sides(src: list[str], tgt: list[str], gold: list[tuple[int, int]]) -> Sides:
    return Sides("made", "0", "en", "hi", src, tgt, np.array(gold, dtype=np.int64).reshape(-1, 2))


def candidates(scores: list[float], right: list[bool], missed: int) -> Mined:
    """One candidate a source; the right ones are gold, and so are `missed` pairs of further sources."""
    numbers = np.arange(len(scores))
    gold = [(i, i) for i, good in enumerate(right) if good] + [(len(scores) + i, 0) for i in range(missed)]
    found = Candidates(numbers, numbers, np.array(scores, dtype=np.float32))
    return bitext.judged(found, np.array(gold, dtype=np.int64).reshape(-1, 2), len(scores) + missed)


def test_score_is_that_of_sets_of_pairs() -> None:
    found = candidates([0.9, 0.8, 0.7, 0.6], [True, False, True, False], 3)
    answers = bitext.answers(found, 0.65)
    assert bitext.score(answers.gold, answers.predicted) == {"f1": 2 * 2 / (3 + 5), "precision": 2 / 3, "recall": 2 / 5}
    assert answers.gold == [["0"], [], ["2"], [], ["0"], ["0"], ["0"]]  # one row a source
    assert answers.predicted == [["0"], ["1"], ["2"], [], [], [], []]
    assert bitext.counts(answers.gold, answers.predicted).sum(0).tolist() == [2, 3, 5]
    nothing = bitext.answers(found, 2.0)
    assert set(bitext.score(nothing.gold, nothing.predicted).values()) == {0.0}


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 4),
)
def test_no_threshold_beats_the_chosen_one(rows: list[tuple[int, bool]], missed: int) -> None:
    rows.sort(key=lambda row: -row[0])
    found = candidates([s / 10 for s, _ in rows], [good for _, good in rows], missed)

    def f1(threshold: float) -> float:
        answers = bitext.answers(found, threshold)
        return bitext.score(answers.gold, answers.predicted)["f1"]

    best = f1(bitext.best_threshold(found))
    assert best == max(f1(t) for t in [*np.unique(found.found.score).tolist(), 9.0])


def test_mining_finds_what_is_hidden_and_equal_texts_are_one() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(20, 12))
    src = [f"source {i}" for i in range(20)]
    tgt = [f"target {i}" for i in range(12)] + ["only here", "Target 3"]  # the last is a copy, by key
    given = sides(src, tgt, [(i, i) for i in range(12)] + [(3, 13)])
    other = np.concatenate(
        [vectors[:12] + random.normal(size=(12, 12)) / 50, random.normal(size=(1, 12)), vectors[3:4]]
    )
    found = bitext.mined(given, vectors, other, Mining())
    assert len(found.gold) == 12
    assert int(found.right.sum()) == 12
    answers = bitext.answers(found, bitext.best_threshold(found))
    assert bitext.score(answers.gold, answers.predicted)["f1"] == 1.0


def test_the_trivial_baseline_takes_texts_that_are_the_same() -> None:
    given = sides(["Delhi", "a house", "2024"], ["2024", "घर", "delhi"], [(0, 2), (1, 1), (2, 0)])
    answers = bitext.answers(bitext.identical(given), 0.0)
    assert bitext.score(answers.gold, answers.predicted) == {"f1": 0.8, "precision": 1.0, "recall": 2 / 3}


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25),
    st.floats(0.1, 0.9),
)
def test_parts_share_no_text_and_lose_none(gold: list[tuple[int, int]], share: float) -> None:
    # Text i and i + 20 are the same by key on each side, so they must go together.
    src, tgt = ([f"{name} {i % 20}" for i in range(31)] for name in ("a", "b"))
    whole = sides(src, tgt, gold)
    dev, test = bitext.split_off(whole, share)
    for side in ("src", "tgt"):
        kept = [side_keys(getattr(part, side)) for part in (dev, test)]
        assert not np.intersect1d(*kept).size
        assert sorted(getattr(dev, side) + getattr(test, side)) == sorted(getattr(whole, side))
    pairs = [(part.src[i], part.tgt[j]) for part in (dev, test) for i, j in part.gold.tolist()]
    assert sorted(pairs) == sorted((src[i], tgt[j]) for i, j in gold)
    backwards = replace(whole, src=src[::-1], tgt=tgt[::-1], gold=30 - whole.gold)
    assert sorted(bitext.split_off(backwards, share)[0].src) == sorted(dev.src)  # the texts alone decide


@pytest.mark.parametrize("seed", range(3))
def test_nearest_targets_are_scored_as_mteb_scores_them(seed: int) -> None:
    evaluators = pytest.importorskip("mteb._evaluators", reason="mteb is not installed")
    from mteb.abstasks.text.bitext_mining import AbsTaskBitextMining
    from mteb.similarity_functions import cos_sim

    random = np.random.default_rng(seed)
    src = random.normal(size=(60, 8)).astype(np.float32)
    tgt = (src + random.normal(size=(60, 8)) * 1.2).astype(np.float32)
    texts = [f"text {i}" for i in range(60)]

    class Model:
        def similarity(self, left: np.ndarray, right: np.ndarray) -> object:
            return cos_sim(left, right).numpy()

    search = evaluators.BitextMiningEvaluator._similarity_search
    found = search(None, src, tgt, Model())
    expected = AbsTaskBitextMining._compute_metrics(None, found, [(i, i) for i in range(60)])
    ours = bitext.score_nearest(*bitext.nearest_targets(sides(texts, texts, [(i, i) for i in range(60)]), src, tgt))
    assert ours == pytest.approx(dict(expected))
    assert 0 < ours["f1"] <= ours["accuracy"] < 1
