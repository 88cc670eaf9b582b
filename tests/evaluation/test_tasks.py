"""Metrics against hand-computed values, trivial baselines, retrieval with duplicates and ties."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tppc.errors import TppcError, UsageError
from tppc.evaluation.tasks import TASKS, ner, pos, retrieval, sentiment, task_named
from tppc.evaluation.tasks.task import ReadOptions, majority


def test_ner_default_is_lenient_where_strict_is_not() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    # Borders and types right, but the entity begins with I-: conlleval takes it, IOB2 does not.
    predicted = [["I-PER", "I-PER", "O", "B-LOC"]]
    assert ner.score(gold, predicted) == {"f1": 1.0, "f1_strict": pytest.approx(2 / 3)}  # strict: P 1/1, R 1/2


def test_ner_counts_borders_and_types() -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "B-ORG"]]
    predicted = [["B-PER", "O", "O"], ["B-LOC", "O", "B-PER"]]
    # One right (LOC) of three predicted and three gold.
    assert ner.score(gold, predicted)["f1"] == pytest.approx(1 / 3)


def test_all_o_scores_nought_without_warning(recwarn: pytest.WarningsRecorder) -> None:
    gold = [["B-PER", "O"], ["O"]]
    name, labels = ner.all_o([["B-PER"]], gold)
    assert (name, ner.score(gold, labels)) == ("all-O", {"f1": 0.0, "f1_strict": 0.0})
    assert not list(recwarn)


def test_pos_accuracy_is_over_words_not_sentences() -> None:
    assert pos.score([["NOUN"] * 3, ["VERB"]], [["NOUN", "NOUN", "VERB"], ["VERB"]]) == {"accuracy": 0.75}


def test_sentiment_by_hand() -> None:
    gold = [["negative"], ["negative"], ["positive"], ["positive"]]
    predicted = [["negative"], ["positive"], ["positive"], ["positive"]]
    # negative: P 1, R 1/2, F 2/3; positive: P 2/3, R 1, F 4/5.
    assert sentiment.score(gold, predicted) == {"macro_f1": pytest.approx((2 / 3 + 4 / 5) / 2), "accuracy": 0.75}


def test_a_class_that_is_nowhere_does_not_count() -> None:
    gold = [["negative"], ["positive"]]
    assert sentiment.score(gold, gold)["macro_f1"] == 1.0
    assert sentiment.score(gold, [["neutral"], ["positive"]])["macro_f1"] == pytest.approx(1 / 3)


def test_majority_is_of_training_labels_and_ties_go_by_alphabet() -> None:
    assert majority([["b", "a"], ["b"]], [["x", "x"], ["x"]]) == ("majority (b)", [["b", "b"], ["b"]])
    assert majority([["b"], ["a"]], [["x"]])[0] == "majority (a)"


def test_neutral_texts_are_dropped_on_demand(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("x\tpositive\ny\tneutral\nz\tnegative\n")
    assert len(sentiment.read(file, ReadOptions()).items) == 3
    dropped = sentiment.read(file, ReadOptions(neutral="drop"))
    assert [i.label for i in dropped.items] == ["positive", "negative"]
    assert "1 of 3 texts are neutral" in dropped.notes[0]


def test_numbers_of_the_two_file_form_get_their_names(tmp_path: Path) -> None:
    (tmp_path / "v_text.txt").write_text("x\ny\nz\n")
    (tmp_path / "v_labels.txt").write_text("0\n1\n2\n")
    items = sentiment.read(tmp_path / "v_text.txt", ReadOptions()).items
    assert [i.label for i in items] == ["negative", "neutral", "positive"]
    tsv = tmp_path / "v.tsv"
    tsv.write_text("x\t0\ny\t1\n")
    with pytest.raises(UsageError, match="--labels umsab"):
        sentiment.read(tsv, ReadOptions(neutral="drop"))


def test_nothing_but_neutral_texts_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("y\tneutral\n")
    with pytest.raises(TppcError, match="every text is neutral"):
        sentiment.read(file, ReadOptions(neutral="drop"))


def test_the_registry_knows_its_tasks_and_no_others() -> None:
    assert set(TASKS) == {"ner", "pos", "sentiment"}
    with pytest.raises(UsageError, match="there is no task 'nli'"):
        task_named("nli")


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
    monkeypatch.setattr(retrieval, "_ROWS", 7)
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
    pairs = retrieval.Pairs("c:test", "0", "en", "hi", ["a"] * 4, ["b"] * 4, np.arange(4), np.arange(4))
    found = retrieval.Ranks(np.array([1, 1, 2, 4]), np.array([1, 2, 2, 2]))
    assert retrieval.score(found, pairs) == {
        "p@1": 0.375,
        "mrr": pytest.approx((2.75 / 4 + 2.5 / 4) / 2),
        "p@1 en>hi": 0.5,
        "p@1 hi>en": 0.25,
        "mrr en>hi": 2.75 / 4,
        "mrr hi>en": 2.5 / 4,
    }


def test_every_file_reader_of_a_task_takes_the_same_arguments(tmp_path: Path) -> None:
    reader: Callable[..., object]
    for task in TASKS.values():
        reader = task.read
        with pytest.raises(TppcError, match="no such file"):
            reader(tmp_path / "none", ReadOptions())
