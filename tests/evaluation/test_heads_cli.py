"""Heads, layers and precision from the command line, and in what a result says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tppc.cli import evaluate as group
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import UsageError
from tppc.evaluation.results import read_results

app = typer.Typer()
group.register(app)


def run(tiny: Encoder, folder: Path, task: str, line: str, *more: str) -> set[str]:
    """Evaluate on a made file; what the zero-shot results say of how they came to be."""
    save_encoder(tiny, folder / "encoder")
    end = "tsv" if task == "sentiment" else "conll"
    for name in ("en.train", "hi.test"):
        (folder / f"{name}.{end}").write_text(line * 4)
    out = folder / "results.jsonl"
    arguments = ["--data", str(folder), "--encoder", str(folder / "encoder"), "--seeds", "1", "--epochs", "1"]
    found = CliRunner().invoke(app, ["evaluate", task, *arguments, "--out", str(out), *more], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return {r.protocol for r in read_results([out]) if r.role == "trained"}


def test_a_tagger_on_frozen_states(tiny: Encoder, tmp_path: Path) -> None:
    chosen = ("--head", "bilstm-crf", "--layers", "self-weighted", "--freeze", "--precision", "bf16")
    [how] = run(tiny, tmp_path, "ner", "Anna\tB-PER\nlives\tO\n\n", *chosen)
    assert "frozen encoder; bilstm-crf head on self-weighted layers; AdamW" in how
    assert " bf16" in how


def test_a_text_head(tiny: Encoder, tmp_path: Path) -> None:
    [how] = run(
        tiny,
        tmp_path,
        "sentiment",
        "good film\tpositive\nbad film\tnegative\n",
        "--text-head",
        "both",
        "--head-lr",
        "0.01",
    )
    assert "linear head on cls and mean; AdamW lr=5e-05 (head 0.01)" in how


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--head-lr must be above 0"):
        CliRunner().invoke(
            app, ["evaluate", "pos", "--data", "sample", "--encoder", "E", "--head-lr", "0"], catch_exceptions=False
        )


@pytest.mark.parametrize(
    ("option", "known"),
    [("--head", "linear, crf, bilstm-crf"), ("--layers", "last, self-weighted, fully-weighted"),
     ("--text-head", "pooling, cls, mean, both"), ("--precision", "fp32, bf16")],
)  # fmt: skip
def test_an_unknown_choice_is_named_with_those_there_are(option: str, known: str) -> None:
    with pytest.raises(UsageError, match=f"{option} must be one of {known}, not 'no'"):
        CliRunner().invoke(
            app, ["evaluate", "ner", "--data", "sample", "--encoder", "E", option, "no"], catch_exceptions=False
        )
