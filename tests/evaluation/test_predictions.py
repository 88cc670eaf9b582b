"""Stored predictions: complete, exact, and enough to compute every result again without a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tppc.encoders.load import Encoder
from tppc.errors import TppcError
from tppc.evaluation.data import load_task_data
from tppc.evaluation.finetune import FineTuning
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.predictions import (
    Predictions,
    prediction_files,
    read_predictions,
    results_of,
    write_predictions,
)
from tppc.evaluation.protocol import evaluate
from tppc.evaluation.results import Result
from tppc.evaluation.tasks import task_named

QUICK = FineTuning(epochs=1, lr=5e-3, batch_size=8)
NER = "Anna\tB-PER\nlikes\tO\nParis\tB-LOC\n\nParis\tB-LOC\nlikes\tO\nAnna\tB-PER\n\n" * 6


def scored(folder: Path) -> list[Result]:
    """What the stored predictions of a folder say, in the order of their files."""
    return [r for path in prediction_files([folder]) for one in read_predictions(path) for r in results_of(one)]


def as_set(results: list[Result]) -> set[str]:
    """Results whatever their order, to the last bit."""
    return {r.model_dump_json() for r in results}


def answers(**changes: object) -> Predictions:
    """Answers to two sentences, with the given fields changed."""
    one = Predictions(
        task="ner", language="hi", dataset="d:test", dataset_digest="0", source_language="en", role="trained",
        encoder="e", run=0, seed=0, protocol="zero-shot", gold=[["B-PER", "O"], ["O"]],
        predicted=[["B-PER", "O"], ["B-LOC"]], values=(),
    )  # fmt: skip
    return replace(one, **changes)  # type: ignore[arg-type]


def test_labelled_results_are_computed_again_to_the_last_bit(tiny: Encoder, tmp_path: Path) -> None:
    (tmp_path / "train").write_text(NER)
    (tmp_path / "test").write_text(NER + "Paris\tB-LOC\nin\tO\nZorro\tB-PROD\n\n")
    files = [f"{code}={tmp_path / 'test'}" for code in ("hi", "ja")]
    data = load_task_data(task_named("ner"), train=str(tmp_path / "train"), tests=files)
    encoders = {"baseline": tiny, "trained": tiny}
    found = evaluate("ner", encoders, data, (0, 1), QUICK, predictions=tmp_path / "p")  # type: ignore[arg-type]
    assert as_set(scored(tmp_path / "p")) == as_set(found)
    # One file for each trivial baseline, and for each encoder and seed; each holds both languages.
    names = sorted(path.name.rsplit("-", 1)[0] for path in (tmp_path / "p").iterdir())
    assert names == [
        "ner-baseline-run0-seed0", "ner-baseline-run0-seed1", "ner-trained-run0-seed0", "ner-trained-run0-seed1",
        "ner-trivial-run0-seednone", "ner-trivial-run0-seednone",
    ]  # fmt: skip
    evaluate("ner", encoders, data, (0, 1), QUICK, predictions=tmp_path / "p")  # type: ignore[arg-type]
    assert len(list((tmp_path / "p").iterdir())) == 6  # replaced, not added


def test_text_results_are_computed_again(tiny: Encoder, tmp_path: Path) -> None:
    file = tmp_path / "texts.tsv"
    file.write_text("good film\tpositive\nbad film\tnegative\nvery film\tneutral\n" * 4)
    data = load_task_data(task_named("classification"), train=str(file), tests=[f"hi={file}"])
    found = evaluate("classification", {"trained": tiny}, data, (0,), QUICK, predictions=tmp_path / "p")
    assert as_set(scored(tmp_path / "p")) == as_set(found)


def test_retrieval_is_computed_again_chance_included(tiny: Encoder, tmp_path: Path) -> None:
    texts = [f"film {letters}" for letters in ("ab", "cd", "ef", "gh", "in")]
    keys = np.array([0, 1, 2, 2, 4])  # one query with two right answers
    pairs = Pairs("c:test", "0", "en", "hi", texts, texts[::-1], keys, np.arange(5))
    found = evaluate("retrieval", {"trained": tiny}, pairs, predictions=tmp_path / "p")
    assert {r.role for r in found} == {"trivial", "trained"}
    assert as_set(scored(tmp_path / "p")) == as_set(found)


def test_columns_say_which_answers_they_are(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, [answers(start="base", recipe="tpp"), answers(language="ja")])
    frame = pl.read_parquet(path)
    assert frame["item"].to_list() == [0, 1, 0, 1]
    assert frame["predicted"].to_list() == [["B-PER", "O"], ["B-LOC"]] * 2
    assert frame.select("task", "language", "seed", "run", "start").row(0) == ("ner", "hi", 0, 0, "base")
    first, second = read_predictions(path)
    assert (first.recipe, second.recipe, second.language) == ("tpp", None, "ja")
    assert results_of(first)[0].value == pytest.approx(2 / 3)


def test_a_file_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    path = write_predictions(tmp_path, [answers()])
    frame = pl.read_parquet(path)
    frame.drop("gold").write_parquet(path)
    with pytest.raises(TppcError, match=r"no predictions \(no column gold\)"):
        read_predictions(path)
    frame.tail(1).write_parquet(path)
    with pytest.raises(TppcError, match="examples are missing"):
        read_predictions(path)
    for column, value, fault in (
        ("gold", pl.lit("O"), "no list in gold"),
        ("predicted", pl.col("predicted").list.head(1), "more gold labels than predicted"),
        ("encoder", pl.lit(None, pl.String), "the column encoder is empty"),
        ("role", pl.lit("boss"), "'boss' is no role"),
    ):
        frame.with_columns(value.alias(column)).write_parquet(path)
        with pytest.raises(TppcError, match=fault):
            read_predictions(path)
    path.write_bytes(b"PAR1 torn")
    with pytest.raises(TppcError, match=r"cannot be read as predictions.*evaluate again"):
        read_predictions(path)
    with pytest.raises(TppcError, match="no predictions there"):
        prediction_files([tmp_path / "none"])


def test_nothing_is_left_where_predictions_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TppcError, match="cannot be written"):
        write_predictions(tmp_path / "file", [answers()])
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
