"""The commands `classification`, `probe` and `engagement`, and sentiment with and without neutral texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tppc.cli import evaluate as group
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import UsageError

app = typer.Typer()
group.register(app)


@pytest.fixture(scope="module")
def encoder_folder(tiny: Encoder, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(tiny, folder)
    return str(folder)


def run(*arguments: str) -> tuple[str, str]:
    """Run the command line; its stdout and stderr. Errors come out as exceptions."""
    found = CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout, found.stderr


def rows_of(*arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run(*arguments, "--json")[0])
    return rows


@pytest.fixture
def texts(tmp_path: Path) -> list[str]:
    """Options that name a training and a test file of three classes."""
    (tmp_path / "en.tsv").write_text("good film\tpositive\nbad film\tnegative\nfilm\tneutral\n" * 4)
    (tmp_path / "hi.tsv").write_text("very good\tpositive\nvery bad\tnegative\nvery\tneutral\n" * 2)
    return ["--train", str(tmp_path / "en.tsv"), "--test", f"hi={tmp_path / 'hi.tsv'}"]


def test_sentiment_twice(texts: list[str], encoder_folder: str) -> None:
    quick = ["--encoder", encoder_folder, "--seeds", "1", "--epochs", "1"]
    rows = rows_of("sentiment", *texts, *quick, "--neutral", "both")
    assert [row["n"] for row in rows] == [6, 4]
    stdout, stderr = run("sentiment", *texts, *quick, "--neutral", "drop", "--format", "md")
    assert "| hi (no neutral) |" in stdout
    assert "2 of 6 texts are neutral and dropped" in stderr


def test_classification_and_its_metrics_again_from_predictions(
    texts: list[str], encoder_folder: str, tmp_path: Path
) -> None:
    out = tmp_path / "r.jsonl"
    options = ["--encoder", encoder_folder, "--seeds", "1", "--epochs", "1", "--out", str(out), "--all-metrics"]
    rows = rows_of("classification", *texts, *options)
    wanted = {"macro_f1", "accuracy", "average_recall", "micro_f1", "f1:neutral"}
    assert wanted <= {row["metric"] for row in rows}
    assert "top5_accuracy" not in {row["metric"] for row in rows}  # three classes are all among the five likeliest
    assert rows_of("score", str(tmp_path / "r.predictions"), "--all-metrics") == rows


def test_probe_takes_the_sample_and_needs_no_seed(texts: list[str], encoder_folder: str) -> None:
    both = ["--encoder", encoder_folder, "--baseline", encoder_folder]
    [first, second] = rows_of("probe", *texts, *both, "--neutral", "both")
    assert (first["n"], second["n"]) == (6, 4)
    assert first["trained"]["mean"] == first["baseline"]["mean"]
    assert first["trained"]["sd"] is None
    rows = rows_of("probe", "--data", "sample", "--encoder", encoder_folder, "--all-metrics")
    assert [row["language"] for row in rows if row["metric"] == "top5_accuracy"] == ["en", "ar", "hi", "ja"]
    assert {row["task"] for row in rows} == {"probe"}


def test_engagement_takes_the_sample(encoder_folder: str, tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    options = ["--data", "sample", "--encoder", encoder_folder, "--seeds", "1", "--epochs", "1", "--out", str(out)]
    [row] = rows_of("engagement", *options)
    assert (row["language"], row["metric"], row["n"], row["trained"]["seeds"]) == ("en", "hits@10", 200, 1)
    assert row["trivial"] > 0.04  # ten of 215 at random
    assert rows_of("score", str(tmp_path / "r.predictions"))[0]["trained"] == row["trained"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classification", "--data", "x"], "no encoder to evaluate"),
        (["ner", "--data", "x", "--encoder", "e", "--neutral", "drop"], "--neutral is for the classification"),
        (["probe", "--data", "x", "--encoder", "e", "--neutral", "half"], "must be keep, drop or both"),
        (["probe", "--data", "x", "--encoder", "e", "--c", "0"], "--c must be above 0"),
        (["engagement", "--encoder", "e"], "say what to learn from"),
        (["engagement", "--data", "x", "--encoder", "e", "--lr", "nan"], "--lr must be above 0"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(*arguments)
