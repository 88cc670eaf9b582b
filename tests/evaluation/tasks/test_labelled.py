"""Labelled tasks: metrics against hand-computed values, against seqeval and scikit-learn; trivial baselines; reading."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import LabelledText
from tppc.evaluation.tasks import TASKS, classification, ner, pos, sentiment, task_named
from tppc.evaluation.tasks.task import ReadOptions, majority, random_labels

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]


def tagged(tags: list[str]) -> st.SearchStrategy[list[list[tuple[str, str]]]]:
    """Sentences of (gold, predicted) tags, among them empty ones."""
    pair = st.tuples(st.sampled_from(tags), st.sampled_from(tags))
    sentences = st.lists(st.lists(pair, max_size=8), min_size=1, max_size=8)
    return sentences.filter(any)


def sides(sentences: list[list[tuple[str, str]]]) -> tuple[list[list[str]], list[list[str]]]:
    return [[g for g, _ in one] for one in sentences], [[p for _, p in one] for one in sentences]


# --- named entities


def test_ner_default_is_lenient_where_strict_is_not() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    # Borders and types right, but the entity begins with I-: conlleval takes it, IOB2 does not.
    found = ner.score(gold, [["I-PER", "I-PER", "O", "B-LOC"]])
    assert (found["f1"], found["f1_strict"]) == (1.0, pytest.approx(2 / 3))  # strict: P 1/1, R 1/2
    assert (found["f1:PER"], found["f1_strict:PER"], found["f1_strict:LOC"]) == (1.0, 0.0, 1.0)


def test_ner_counts_borders_and_types() -> None:
    gold = [["B-PER", "I-PER", "O"], ["B-LOC", "O", "B-ORG"]]
    found = ner.score(gold, [["B-PER", "O", "O"], ["B-LOC", "O", "B-PER"]])
    # One right (LOC) of three predicted and three gold.
    assert [found[m] for m in ("f1", "precision", "recall")] == [pytest.approx(1 / 3)] * 3
    assert [found[f"f1:{kind}"] for kind in ("LOC", "ORG", "PER")] == [1.0, 0.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(tagged(TAGS))
def test_ner_equals_seqeval(sentences: list[list[tuple[str, str]]]) -> None:
    from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    gold, predicted = sides(sentences)
    found = ner.score(gold, predicted)
    with warnings.catch_warnings():  # seqeval warns where nothing is predicted
        warnings.simplefilter("ignore")
        expected = {
            "f1": f1_score(gold, predicted, zero_division=0),
            "f1_strict": f1_score(gold, predicted, mode="strict", scheme=IOB2, zero_division=0),
            "precision": precision_score(gold, predicted, zero_division=0),
            "recall": recall_score(gold, predicted, zero_division=0),
        }
        for name, more in {"f1": {}, "f1_strict": {"mode": "strict", "scheme": IOB2}}.items():
            if not any(tag != "O" for side in (gold, predicted) for one in side for tag in one):
                continue
            report = classification_report(gold, predicted, output_dict=True, zero_division=0, **more)
            for kind, row in report.items():
                if not kind.endswith(" avg") and row["support"]:
                    expected[f"{name}:{kind}"] = row["f1-score"]
    assert found == pytest.approx(expected)


def test_all_o_scores_nought_without_warning(recwarn: pytest.WarningsRecorder) -> None:
    gold = [["B-PER", "O"], ["O"]]
    [(name, labels)] = ner.all_o([["B-PER"]], gold).items()
    assert name == "all-O"
    assert set(ner.score(gold, labels).values()) == {0.0}
    assert not list(recwarn)


# --- parts of speech


def test_pos_accuracy_is_over_words_not_sentences() -> None:
    found = pos.score([["NOUN"] * 3, ["VERB"]], [["NOUN", "NOUN", "VERB"], ["VERB"]])
    assert found == {
        "accuracy": 0.75,
        "macro_f1": pytest.approx((4 / 5 + 2 / 3) / 2),
        "average_recall": pytest.approx((2 / 3 + 1) / 2),
        "accuracy:NOUN": pytest.approx(2 / 3),
        "accuracy:VERB": 1.0,
        "f1:NOUN": pytest.approx(4 / 5),
        "f1:VERB": pytest.approx(2 / 3),
    }


@settings(max_examples=30, deadline=None)
@given(tagged(["NOUN", "VERB", "ADJ", "X"]))
def test_pos_and_texts_equal_scikit_learn(sentences: list[list[tuple[str, str]]]) -> None:
    from sklearn import metrics

    gold, predicted = sides(sentences)
    right, found = [tag for one in gold for tag in one], [tag for one in predicted for tag in one]
    occurring = sorted(set(right))
    expected = {
        "accuracy": metrics.accuracy_score(right, found),
        "macro_f1": metrics.f1_score(right, found, average="macro", zero_division=0),
        "average_recall": metrics.recall_score(right, found, labels=occurring, average="macro"),
    }
    by_tag = {
        f"f1:{tag}": metrics.f1_score(right, found, labels=[tag], average="macro", zero_division=0) for tag in occurring
    }
    shares = {
        f"accuracy:{tag}": metrics.recall_score(right, found, labels=[tag], average="macro", zero_division=0)
        for tag in occurring
    }
    assert pos.score(gold, predicted) == pytest.approx(expected | by_tag | shares)
    texts = classification.score([[tag] for tag in right], [[tag] for tag in found])
    micro = {"micro_f1": metrics.f1_score(right, found, average="micro")}
    assert texts == pytest.approx(expected | micro | by_tag)


# --- texts


def test_sentiment_by_hand() -> None:
    gold = [["negative"], ["negative"], ["positive"], ["positive"]]
    found = sentiment.TASK.score(gold, [["negative"], ["positive"], ["positive"], ["positive"]])
    # negative: P 1, R 1/2, F 2/3; positive: P 2/3, R 1, F 4/5.
    assert [found[metric] for metric in sentiment.TASK.metrics] == [
        pytest.approx((2 / 3 + 4 / 5) / 2), 0.75, pytest.approx((1 / 2 + 1) / 2), 0.75
    ]  # fmt: skip


def test_a_class_that_is_nowhere_does_not_count() -> None:
    gold = [["negative"], ["positive"]]
    assert classification.score(gold, gold)["macro_f1"] == 1.0
    assert classification.score(gold, [["neutral"], ["positive"]])["macro_f1"] == pytest.approx(1 / 3)


def test_the_first_of_ranked_labels_is_the_answer_and_five_count_for_top5() -> None:
    gold = [["a"], ["b"], ["f"]]
    ranked = [["a", "b", "c", "d", "e"], ["a", "c", "d", "e", "b"], ["a", "b", "c", "d", "e"]]
    found = classification.score(gold, ranked)
    assert (found["accuracy"], found["top5_accuracy"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert "top5_accuracy" not in classification.score(gold, [one[:1] for one in ranked])


def test_hundreds_of_classes_have_no_metric_each() -> None:
    gold = [[str(i)] for i in range(51)]
    assert set(classification.score(gold, gold)) == set(classification.TASK.metrics)
    assert classification.score(gold[:50], gold[:50])["f1:49"] == 1.0


# --- what a bootstrap needs


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_measure_of_drawn_counts_is_the_score_of_drawn_items(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(TASKS)))
    task = TASKS[name]
    tags = TAGS if name == "ner" else ["a", "b", "c"]
    gold, predicted = sides(data.draw(tagged(tags)))
    if task.unit == "text":
        gold, predicted = ([[one[0]] for one in side if one] for side in (gold, predicted))
    drawn = data.draw(st.lists(st.integers(0, len(gold) - 1), min_size=1, max_size=12))
    if not any(gold[i] for i in drawn):
        return
    sums = task.counts(gold, predicted)[drawn].sum(0)
    expected = task.score([gold[i] for i in drawn], [predicted[i] for i in drawn])[task.metrics[0]]
    assert float(task.measure(sums)) == pytest.approx(expected)
    stacked = task.measure(np.stack([sums, sums]))
    assert stacked.tolist() == [pytest.approx(expected)] * 2


# --- trivial baselines


def test_majority_is_of_training_labels_and_ties_go_by_alphabet() -> None:
    assert majority([["b", "a"], ["b"]], [["x", "x"], ["x"]]) == {"majority (b)": [["b", "b"], ["b"]]}
    assert list(majority([["b"], ["a"]], [["x"]])) == ["majority (a)"]


def test_random_labels_follow_the_training_frequencies_and_nothing_else() -> None:
    [(name, drawn)] = random_labels([["a", "a", "a", "b"]], [["x"] * 4000, [], ["y"]]).items()
    assert "seed 0" in name
    assert [len(one) for one in drawn] == [4000, 0, 1]
    assert drawn[0].count("a") == pytest.approx(3000, abs=150)  # five standard deviations
    assert random_labels([["a", "a", "a", "b"]], [["z"] * 4000, [], ["b"]])[name] == drawn


def test_every_task_has_a_random_baseline_and_one_that_repeats_itself() -> None:
    for task in TASKS.values():
        found = task.trivials([["O"], ["B-PER"]], [["O"], ["O"]])
        assert len(found) == 2
        assert any("random" in name for name in found)
        assert all([len(one) for one in labels] == [1, 1] for labels in found.values())


# --- reading


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


def test_texts_that_hold_their_own_hashtag_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("go #Team now\tteam\nmy team won\tteam\nso good 😂\t😂\nso good\t😂\n")
    reading = classification.read(file, ReadOptions())
    assert len(reading.items) == 4
    assert "2 of 4 texts hold their own label" in reading.notes[0]
    assert not classification.gives_away(LabelledText("a #tea", "team"))


def test_the_registry_knows_its_tasks_and_no_others() -> None:
    assert set(TASKS) == {"ner", "pos", "sentiment", "classification", "probe"}
    with pytest.raises(UsageError, match="there is no task 'nli'"):
        task_named("nli")


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_file_reader_of_a_task_takes_the_same_arguments(name: str, tmp_path: Path) -> None:
    with pytest.raises(TppcError, match="no such file"):
        TASKS[name].read(tmp_path / "none", ReadOptions())
