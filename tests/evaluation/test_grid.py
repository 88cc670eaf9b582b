"""A grid: what its file may say, its plan, and that it is done once however often it is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cipher import cipher_pairs
from commands import command
from factory import write_corpus
from typer.testing import CliRunner

from tppc.cli import app
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import TppcError
from tppc.evaluation.experiment import load_experiment
from tppc.evaluation.grid import folder_of_cell, is_done, run_grid, workers
from tppc.evaluation.plan import plan
from tppc.evaluation.results import read_results

EXPERIMENT = """
seeds = 2
[encoders.tiny]
path = "tiny"
[corpora]
cipher = ["corpus"]
[training]
steps = 4
batch_size = 8
max_length = 24
save_every = 2
track = []
[fine_tuning]
epochs = 1
[tasks.names]
task = "ner"
data = "sample"
train_items = 16
test_items = 8
dev_items = 4
[tasks.find]
task = "retrieval"
corpora = ["corpus"]
limit = 20
"""


@pytest.fixture(scope="module")
def experiment(tiny: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an experiment beside its encoder and corpus."""
    folder = tmp_path_factory.mktemp("experiment")
    save_encoder(tiny, folder / "tiny")
    pairs = cipher_pairs(80, seed=1)
    write_corpus(folder / "corpus", {"train": pairs[:60], "test": pairs[60:]}, "cipher/en-hi")
    (folder / "experiment.toml").write_text(EXPERIMENT)
    return folder / "experiment.toml"


def changed(experiment: Path, before: str, after: str, name: str = "changed.toml") -> Path:
    """The experiment with a change, in the same folder."""
    path = experiment.with_name(name)
    assert before in EXPERIMENT
    path.write_text(EXPERIMENT.replace(before, after))
    return path


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("seeds = 2", "sedes = 2", r"changed\.toml: sedes: unknown key"),
        ("train_items = 16", "train_item = 16", r"changed\.toml: tasks\.names\.train_item: unknown key"),
        ("[fine_tuning]\nepochs = 1", "[fine_tuning]\nepoch = 1", r"changed\.toml: fine_tuning\.epoch: unknown key"),
        ('task = "ner"', 'task = "nre"', r"tasks\.names: there is no task 'nre'; there is: ner"),
        ('path = "tiny"', 'path = "scratch:tiny"', "no common start"),
        ("steps = 4", 'encoder = "x"', r"training\.encoder is set by the grid"),
        ("limit = 20", "limit = 0", r"tasks\.find\.limit: input should be greater"),
        (
            'task = "retrieval"\ncorpora = ["corpus"]',
            'task = "retrieval"',
            "retrieval, and no other task, needs corpora",
        ),
        ("batch_size = 8", "batch_sise = 8", r"changed\.toml: training\.batch_sise: unknown key"),
        (
            "[training]",
            "[objectives.mine]\ntpp = { wait = 2 }\n[training]",
            r"changed\.toml: objectives\.mine\.tpp\.wait: ",
        ),
        ("seeds = 2", "seeds = ", "not TOML"),
    ],
)
def test_a_slip_in_the_file_is_named(experiment: Path, before: str, after: str, message: str) -> None:
    with pytest.raises(TppcError, match=message):
        load_experiment(changed(experiment, before, after))


def test_the_plan_crosses_everything(experiment: Path) -> None:
    cells = plan(load_experiment(changed(experiment, "seeds = 2", "seeds = 2\nruns = 2")))
    assert [(one.role, one.run, one.config.seed) for one in cells.trainings] == [
        ("trained", 0, 1), ("control", 0, 1), ("trained", 1, 2), ("control", 1, 2),
    ]  # fmt: skip
    # Trivial baselines; then (untouched + 2 runs x 2 roles) x (2 seeds of names, 1 search).
    assert len(cells.evaluations) == 2 + 5 * 3
    assert {one.recipe for one in cells.evaluations} == {None, "tpp(cipher)"}


def test_a_cell_depends_on_what_it_is_made_of_and_on_nothing_else(experiment: Path) -> None:
    def digests(path: Path) -> dict[str, str]:
        cells = plan(load_experiment(path))
        return {one.name: one.digest for one in [*cells.trainings, *cells.evaluations]}

    first = digests(experiment)
    assert digests(experiment) == first
    rate = digests(changed(experiment, "epochs = 1", "epochs = 1\nlr = 1e-4"))
    assert {name for name in first if first[name] != rate[name]} == {
        name for name in first if name.startswith("names") and "trivial" not in name
    } | {"names, trivial baselines"}
    steps = digests(changed(experiment, "steps = 4", "steps = 5"))
    kept = {name for name in first if first[name] == steps[name]}
    assert kept == {name for name in first if "cipher" not in name}
    items = digests(changed(experiment, "train_items = 16", "train_items = 17"))
    assert {name for name in first if first[name] != items[name]} == {name for name in first if "names" in name}


def test_a_grid_that_is_killed_goes_on_and_ends_with_the_same_results(experiment: Path, tmp_path: Path) -> None:
    file = changed(experiment, "seeds = 2", "seeds = 1\ncontrol = false", "killed.toml")
    settings = load_experiment(file)
    cells = plan(settings)
    out = tmp_path / "killed"
    arguments = ("evaluate", "grid", file, "--out", out, "--device", "cpu")
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
    evaluated = folder_of_cell(cells.evaluations[0], out) / "results.jsonl"
    while not evaluated.is_file() and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()[1]
    os.kill(process.pid, signal.SIGKILL)
    assert process.communicate()[1]
    done = {one.digest: folder_of_cell(one, out).stat().st_mtime_ns for one in cells.evaluations if is_done(one, out)}
    assert 0 < len(done) < len(cells.evaluations)

    said: list[str] = []
    resumed = run_grid(settings, cells, out, workers(1, "cpu"), said.append)
    assert "cells are done already" in said[0]
    after = {one.digest: folder_of_cell(one, out).stat().st_mtime_ns for one in cells.evaluations}
    assert after | done == after
    assert read_results([out / "results.jsonl"]) == resumed

    whole = run_grid(settings, cells, tmp_path / "whole", workers(2, "cpu"), said.append)
    assert whole == resumed
    assert {(r.role, r.start, r.recipe) for r in whole} == {
        ("trivial", None, None), ("baseline", "tiny", None), ("trained", "tiny", "tpp(cipher)"),
    }  # fmt: skip
    plain = CliRunner().invoke(app, [*map(str, arguments), "--dry-run"], catch_exceptions=False).stdout
    assert {line.split("\t")[0] for line in plain.strip().split("\n")} == {"done"}
    drawn = CliRunner().invoke(app, [*map(str, arguments), "--format", "md"], catch_exceptions=False).stdout
    assert drawn.startswith("| encoder | ner f1 ar | ner f1 hi | ner f1 ja | ner Δ | retrieval p@1 hi |")
    rows = [line.split(" | ")[0] for line in drawn.split("\n")[2:5]]
    assert rows == ["| trivial (best)", "| tiny", "| tiny + tpp(cipher)"]
    again = CliRunner().invoke(app, ["evaluate", "score", str(out), "--all-metrics", "--json"], catch_exceptions=False)
    scored = {(row["task"], row["language"], row["metric"]) for row in json.loads(again.stdout)}
    assert scored == {(r.task, r.language, r.metric) for r in whole if r.role != "trivial"}
    for answers in folder_of_cell(cells.evaluations[0], out).glob("*.parquet"):
        answers.unlink()
    assert CliRunner().invoke(app, [*map(str, arguments), "--format", "md"], catch_exceptions=False).stdout == drawn


def test_a_cell_that_fails_is_named_and_the_others_go_on(experiment: Path, tmp_path: Path) -> None:
    slip = "seeds = 1\n[encoders.tiny]", "seeds = 2\n[encoders.tiny]"
    file = changed(experiment, "steps = 4", "lr = 1e30\nsteps = 4", "fails.toml")
    file.write_text(file.read_text().replace(slip[1], slip[0]))
    settings = load_experiment(file)
    cells = plan(settings)
    said: list[str] = []
    with pytest.raises(TppcError, match=r"2 cells failed \(tiny-cipher-tpp-run0.*4 wait for them; the others are done"):
        run_grid(settings, cells, tmp_path, workers(1, "cpu"), said.append)
    done = [one.encoder for one in cells.evaluations if is_done(one, tmp_path)]
    assert sorted(set(done)) == ["tiny", "trivial baselines"]
    assert (tmp_path / "results.jsonl").is_file()
    assert any("tiny-cipher-tpp-run0 failed" in line for line in said)
