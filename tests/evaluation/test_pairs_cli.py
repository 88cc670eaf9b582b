"""The commands over pairs: which pairs the options name, and what goes to stdout and to files."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from cipher import cipher_pairs
from factory import write_corpus, write_mixture
from typer.testing import CliRunner

from tppc.cli import evaluate as group
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import TppcError, UsageError
from tppc.evaluation.results import read_results

app = typer.Typer()
group.register(app)


@pytest.fixture(scope="module")
def encoder(tiny: Encoder, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(tiny, folder)
    return str(folder)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Thirty pairs as a file, as two aligned files, as BUCC's three files, and as corpora."""
    rows = [(f"{a} {i}", f"{a} hi {i}") for i, (a, _) in enumerate(cipher_pairs(30, 0))]
    texts = {
        "pairs.tsv": "".join(f"{s}\t{t}\n" for s, t in rows),
        "x.en": "".join(f"{s}\n" for s, _ in rows),
        "x.hi": "".join(f"{t}\n" for _, t in rows),
        "b.en": "".join(f"en-{i}\t{s}\n" for i, (s, _) in enumerate(rows)),
        "b.hi": "".join(f"hi-{i}\t{t}\n" for i, (_, t) in enumerate(rows)),
        "b.gold": "".join(f"en-{i}\thi-{i}\n" for i in range(20)),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    write_corpus(tmp_path / "corpus", {"dev": rows[:10], "test": rows[10:]})
    write_mixture(tmp_path / "mixture", {"en-hi": {"test": rows[:10]}, "en-ja": {"test": rows[10:22]}})
    return {path.name: str(path) for path in tmp_path.iterdir()}


def run(*arguments: str) -> tuple[str, str]:
    """Run the command line; its stdout and stderr. Errors come out as exceptions."""
    found = CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout, found.stderr


def test_the_same_pairs_from_a_file_and_from_two(encoder: str, files: dict[str, str]) -> None:
    one = json.loads(
        run("retrieval", "--pairs", files["pairs.tsv"], "--pair", "en-hi", "--encoder", encoder, "--json")[0]
    )
    sides = ["--src", files["x.en"], "--tgt", files["x.hi"], "--pair", "en-hi"]
    [two] = json.loads(run("retrieval", *sides, "--encoder", encoder, "--json")[0])
    assert [row["n"] for row in one] == [30]
    assert (one[0]["trained"], one[0]["language"]) == (two["trained"], "hi")


def test_each_language_pair_of_a_mixture_is_a_row(encoder: str, files: dict[str, str]) -> None:
    rows = json.loads(run("retrieval", "--corpus", files["mixture"], "--encoder", encoder, "--json")[0])
    assert [(row["language"], row["n"]) for row in rows] == [("hi", 10), ("ja", 12)]
    [hindi] = json.loads(
        run("retrieval", "--corpus", files["mixture"], "--pair", "en-hi", "--encoder", encoder, "--json")[0]
    )
    assert hindi["trained"] == rows[0]["trained"]


def test_similarity_shows_the_language_baseline_beside_the_encoder(encoder: str, files: dict[str, str]) -> None:
    stdout, _ = run(
        "similarity", "--pairs", files["pairs.tsv"], "--pair", "en-hi", "--encoder", encoder, "--format", "md"
    )
    lines = [line for line in stdout.splitlines() if "| auc " in line]
    assert [line.split(" | ")[2] for line in lines] == ["auc random", "auc hard", "auc tpp2021"]
    assert [line.split(" | ")[3] for line in lines[:2]] == ["50.0", "50.0"]


def test_mining_with_gold_pairs_and_a_threshold_from_elsewhere(
    encoder: str, files: dict[str, str], tmp_path: Path
) -> None:
    three = ["--src", files["b.en"], "--tgt", files["b.hi"], "--gold", files["b.gold"], "--pair", "en-hi"]
    out = tmp_path / "r.jsonl"
    run("bitext", *three, "--encoder", encoder, "--out", str(out), "--dev-share", "0.5")
    found = [r for r in read_results([out]) if r.role == "trained" and r.metric == "f1"]
    assert {r.task for r in found} == {"bitext", "bitext-nearest"}
    assert all(0 < r.n < 20 for r in found)  # a part of the gold pairs chose the threshold
    run("bitext", *three, "--encoder", encoder, "--threshold", "1.01", "--margin", "ratio", "--mine", "intersection",
        "--out", str(out))  # fmt: skip
    last = read_results([out])[-5:]
    assert {r.n for r in last} == {20}
    protocols = {r.protocol for r in read_results([out])}
    assert any("ratio margin k=4; intersection retrieval; threshold 1.01" in one for one in protocols)
    run("bitext", "--corpus", files["corpus"], "--encoder", encoder, "--out", str(out))
    latest = read_results([out])[-1]
    assert (latest.n, latest.dataset) == (20, "made/en-hi:test")  # the dev split chose, all of test is scored


def test_what_two_encoders_mined_is_compared_by_resampling(
    tiny: Encoder, encoder: str, files: dict[str, str], tmp_path: Path
) -> None:
    worse = replace(tiny, model=copy.deepcopy(tiny.model))
    with torch.no_grad():
        worse.model.get_input_embeddings().weight.zero_()  # every text of one length is the same to it
    save_encoder(worse, tmp_path / "worse")
    three = ["--src", files["b.en"], "--tgt", files["b.hi"], "--gold", files["b.gold"], "--pair", "en-hi"]
    roles = ["--encoder", encoder, "--baseline", str(tmp_path / "worse")]
    kept = ["--out", str(tmp_path / "r.jsonl"), "--predictions", str(tmp_path / "p")]
    rows = json.loads(run("bitext", *three, *roles, *kept, "--threshold", "0.5", "--json")[0])
    mined = next(row for row in rows if row["task"] == "bitext" and row["metric"] == "f1")
    tested = mined["test"]
    assert tested["value"] == pytest.approx(mined["trained"]["mean"] - mined["baseline"]["mean"])
    assert tested["low"] <= tested["value"] <= tested["high"]
    assert 0 < tested["p_bootstrap"] <= mined["holm"] <= 1
    assert run("bitext", *three, *roles, "--threshold", "0.5")[0].count(" p ") >= 1


def test_diagnose_prints_both_tables_and_keeps_the_numbers(encoder: str, files: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "d.jsonl"
    roles = ["--encoder", encoder, "--baseline", encoder]
    stdout, stderr = run("diagnose", "--corpus", files["corpus"], *roles, "--format", "md", "--out", str(out))
    assert "| layer | cka |" in stdout
    assert "diagnose trained en-hi: cosine of translations" in stderr
    assert {json.loads(line)["role"] for line in out.read_text().splitlines()} == {"trivial", "baseline", "trained"}
    short, _ = run("diagnose", "--corpus", files["corpus"], *roles, "--format", "md", "--no-layers")
    assert "layer" not in short


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["retrieval", "--encoder", "e"], "say which pairs"),
        (["similarity", "--pairs", "x.tsv", "--encoder", "e"], "a file does not say its languages"),
        (["retrieval", "--src", "x", "--pair", "en-hi", "--encoder", "e"], "--src and --tgt go together"),
        (["retrieval", "--pairs", "none.tsv", "--pair", "en-hi", "--encoder", "e"], "no such file"),
        (["bitext", "--gold", "g", "--encoder", "e"], "--gold is about two files: give --src, --tgt and --pair too"),
        (["bitext", "--dev-gold", "g", "--encoder", "e"], "give --dev-src, --dev-tgt and --pair too"),
        (["bitext", "--margin", "half", "--encoder", "e"], "--margin must be one of ratio, distance, absolute"),
        (["bitext", "--mine", "up", "--encoder", "e"], "--mine must be one of forward, backward, intersection, max"),
        (["bitext", "--encoder", "e"], "say which pairs"),
        (["bitext", "--threshold", "nan", "--encoder", "e"], "--threshold must be a finite number"),
        (["diagnose", "--pairs", "x", "--pair", "en-hi"], "no encoder to evaluate"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str) -> None:
    with pytest.raises(TppcError, match=message):
        run(*arguments)


def test_a_corpus_asked_for_another_pair_says_what_it_has(encoder: str, files: dict[str, str]) -> None:
    with pytest.raises(TppcError, match="no test split of en-ja"):
        run("retrieval", "--corpus", files["corpus"], "--pair", "en-ja", "--encoder", encoder)
    with pytest.raises(UsageError, match="--layer 9"):
        run("retrieval", "--corpus", files["corpus"], "--layer", "9", "--encoder", encoder)


def test_every_command_has_help_with_an_example() -> None:
    for command in ("retrieval", "similarity", "bitext", "diagnose"):
        assert f"Example: tppc evaluate {command}" in " ".join(run(command, "--help")[0].split())
