"""The command line of evaluation: tables on stdout, the rest on stderr, one sentence for a mistake."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from factory import write_corpus
from typer.testing import CliRunner

from tppc.cli import evaluate as group
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import TppcError, UsageError
from tppc.evaluation.results import read_results

app = typer.Typer()
group.register(app)


@pytest.fixture(scope="module")
def encoder_folder(tiny: Encoder, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(tiny, folder)
    return str(folder)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with a test split of 20 pairs."""
    pairs = [(f"good film {chr(97 + i)}", f"very bad {chr(97 + i)}") for i in range(20)]
    return write_corpus(tmp_path_factory.mktemp("corpus"), {"test": pairs}, "test/en-hi")


def run(*arguments: str) -> tuple[str, str]:
    """Run the command line; its stdout and stderr. Errors come out as exceptions."""
    found = CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout, found.stderr


def test_retrieval(encoder_folder: str, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    stdout, stderr = run(
        "retrieval", "--corpus", str(corpus), "--encoder", encoder_folder, "--limit", "10", "--json", "--out", str(out)
    )
    [row] = json.loads(stdout)
    assert (row["task"], row["language"], row["metric"], row["n"]) == ("retrieval", "hi", "p@1", 10)
    assert row["dataset"] == "test/en-hi:test (first 10)"
    assert "retrieval trained en-hi" in stderr
    assert len(read_results([out])) == 12  # trivial and trained: two metrics, both ways and their mean


@pytest.mark.parametrize("task", ["ner", "pos", "sentiment"])
def test_labelled_tasks_and_table(task: str, encoder_folder: str, tmp_path: Path) -> None:
    line = {
        "ner": "Anna\tB-PER\nlives\tO\n\n",
        "pos": "1\tAnna\t_\tPROPN" + "\t_" * 6 + "\n2\tlives\t_\tVERB" + "\t_" * 6 + "\n\n",
        "sentiment": "good film\tpositive\nbad film\tnegative\n",
    }[task]
    file, out = tmp_path / "data", tmp_path / "results.jsonl"
    file.write_text(line * 4)
    arguments = ["--train", str(file), "--dev", str(file), "--test", f"hi={file}", "--seeds", "2", "--epochs", "1"]
    stdout, stderr = run(
        task, *arguments, "--encoder", encoder_folder, "--baseline", encoder_folder, "--out", str(out), "--format", "md"
    )
    assert stdout.split("\n")[0].startswith(
        "| task | language | metric | trivial | baseline | trained | trained - baseline"
    )
    assert "| en (dev) |" in stdout
    assert f"{task} trained seed 1:" in stderr
    again, _ = run("table", str(out), "--format", "md")
    assert again == stdout


def test_scores_of_stored_predictions_draw_the_same_table(encoder_folder: str, tmp_path: Path) -> None:
    file, out = tmp_path / "data", tmp_path / "results.jsonl"
    file.write_text("Anna\tB-PER\nlives\tO\n\n" * 4)
    arguments = ["--train", str(file), "--test", f"hi={file}", "--seeds", "2", "--epochs", "1", "--out", str(out)]
    shutil.copytree(encoder_folder, tmp_path / "second")
    two = ["--encoder", encoder_folder, "--encoder", str(tmp_path / "second"), "--baseline", encoder_folder]
    stdout, _ = run("ner", *arguments, *two, "--json")
    [row] = json.loads(stdout)
    assert (row["trained"]["runs"], row["trained"]["seeds"], row["test"]["runs"]) == (2, 2, 2)
    again, _ = run("score", str(tmp_path / "results.predictions"), "--out", str(tmp_path / "again.jsonl"), "--json")
    assert json.loads(again) == [row]
    assert set(read_results([tmp_path / "again.jsonl"])) == set(read_results([out]))
    drawn, _ = run("table", str(out), "--layout", "paper", "--format", "latex")
    assert drawn.startswith("% needs")
    one, *_ = (tmp_path / "results.predictions").glob("*trained*seed1*")
    one.unlink()
    shown, said = run("table", str(out), "--json")
    assert json.loads(shown)[0]["test"] is None  # of two seeds that are not both there any more
    assert "predictions of some seeds are not there (1 of 2" in said
    shutil.rmtree(tmp_path / "results.predictions")
    (tmp_path / "results.predictions").mkdir()
    assert run("table", str(out), "--json") == (shown, "")
    with pytest.raises(UsageError, match="--layout must be long or paper"):
        run("table", str(out), "--layout", "wide")
    with pytest.raises(UsageError, match="for an oracle give --oracle"):
        run("ner", *arguments, *two, "--selection", "oracle")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ner", "--data", "x"], "no encoder to evaluate"),
        (["ner", "--data", "x", "--encoder", "e", "--columns", "1"], "write two numbers"),
        (["ner", "--data", "x", "--encoder", "e", "--format", "xml"], "must be text, md, csv, json or latex"),
        (["sentiment", "--data", "x", "--encoder", "e", "--neutral", "half"], "--neutral must be keep, drop or both"),
        (["pos", "--encoder", "e"], "say what to train on"),
        (["pos", "--data", "x", "--encoder", "e", "--lr", "0"], "--lr must be above 0"),
        (["pos", "--data", "x", "--encoder", "e", "--lr", "nan"], "--lr must be above 0"),
        (["pos", "--data", "x", "--encoder", "e", "--lr", "inf"], "--lr must be above 0 and finite"),
        (["ner", "--data", "x", "--encoder", "e", "--columns", "0,-1"], "counted from 0"),
        (["ner", "--data", "x", "--encoder", "e", "--columns", "1,1"], "two different columns"),
        (["retrieval", "--corpus", "none", "--encoder", "e"], "no such folder"),
        (["table", "none.jsonl"], "none.jsonl: cannot be read as results"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(TppcError, match=message):
        run(*arguments)


def test_an_unwritable_file_is_found_before_the_work(encoder_folder: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TppcError, match="results cannot be written"):
        run("retrieval", "--corpus", str(corpus), "--encoder", encoder_folder, "--out", str(tmp_path))


def test_a_missing_split_says_how_to_get_one(encoder_folder: str, corpus: Path) -> None:
    with pytest.raises(TppcError, match="--holdout"):
        run("retrieval", "--corpus", str(corpus), "--encoder", encoder_folder, "--split", "dev")
    with pytest.raises(UsageError, match="--limit must be at least 1"):
        run("retrieval", "--corpus", str(corpus), "--encoder", encoder_folder, "--limit", "0")


@pytest.mark.parametrize("device", ["nonsense", "mps", "meta", "cpu:1", "cuda:", "cuda:99", "CUDA"])
def test_a_device_that_is_not_here_is_named(encoder_folder: str, corpus: Path, device: str) -> None:
    with pytest.raises(UsageError, match=f"--device {device}: "):
        run("retrieval", "--corpus", str(corpus), "--encoder", encoder_folder, "--device", device)


def test_hidden_characters_of_labels_are_written_out_on_stderr(encoder_folder: str, tmp_path: Path) -> None:
    train, test = tmp_path / "train", tmp_path / "test"
    train.write_text("good film\tpositive\nbad film\tnegative\n")
    test.write_text("good\tp\u202e\x1b[31m\n", "utf-8")
    files = ["--train", str(train), "--test", f"hi={test}"]
    _, stderr = run("sentiment", *files, "--encoder", encoder_folder, "--seeds", "1", "--epochs", "1")
    assert "p⟨U+202E⟩⟨U+001B⟩[31m" in stderr
    assert not {"\u202e", "\x1b"} & set(stderr)


def test_every_command_has_help_with_an_example() -> None:
    for command in (
        "retrieval",
        "ner",
        "pos",
        "sentiment",
        "classification",
        "probe",
        "engagement",
        "table",
        "score",
        "grid",
    ):
        assert f"Example: tppc evaluate {command}" in " ".join(run(command, "--help")[0].split())


def test_the_command_group_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'sklearn', 'seqeval', 'polars', 'pyarrow', 'numpy', 'pydantic'}"
    code = f"import sys, typer, tppc.errors; import importlib.util as u; s = u.spec_from_file_location('e', {group.__file__!r}); m = u.module_from_spec(s); s.loader.exec_module(m); print(sorted({heavy} & set(sys.modules)))"
    # Loaded by its path, so that the command line's other groups are not judged here.
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
