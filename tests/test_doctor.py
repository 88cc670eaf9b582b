"""`tppc doctor` looks at this machine and says what will hurt, with a remedy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from tppc.builders.language_id.lid import Library
from tppc.cli import app
from tppc.doctor import described, examine, usable_cores, warnings
from tppc.training.probe import made_sentences


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """This machine, with the shortest probe there is."""
    return examine(seconds=0.001)


def test_what_it_finds_is_true_of_this_machine(facts: dict[str, Any], tmp_path: Path) -> None:
    import torch

    assert (
        facts["libraries"]["torch"] == torch.__version__.split("+")[0]
        or facts["libraries"]["torch"] == torch.__version__
    )
    assert facts["devices"][-1]["device"] == "cpu"
    assert facts["devices"][-1]["peak_bf16_flops"] is None
    assert (facts["devices"][0]["device"] == "cuda:0") == torch.cuda.is_available()
    assert 0 < usable_cores() <= (facts["cpu"]["cores"] or 1)
    assert facts["language_id"] == {"model": "lid.176.ftz", "works": True, "reason": None}
    assert all(0 < disk["free"] <= disk["total"] for disk in facts["disk"])
    assert {c["what"] for c in facts["caches"]} == {"downloads", "encoders"}
    probe = facts["probe"]
    assert probe["steps"] >= 1
    assert min(probe["pairs_per_s"], probe["tokens_per_s"], probe["tokenised_texts_per_s"]) > 0
    assert probe["tokens_per_s"] / probe["pairs_per_s"] > 2 * 3  # two texts of three words and more


def test_the_cache_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPPC_CACHE", str(tmp_path))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "one").write_bytes(b"x" * 1_234)
    (tmp_path / "files" / "two").symlink_to("one")
    found = examine(seconds=0)
    assert found["probe"] is None
    assert found["caches"][0] == {
        "what": "downloads",
        "path": str(tmp_path),
        "bytes": 1_234,
        "emptied_by": "tppc cache clean",
    }


def test_a_library_that_answers_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    best = Library.best

    def other(self: Library, texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        labels, scores = best(self, texts)
        return labels + 1, scores

    monkeypatch.setattr(Library, "best", other)
    found = examine(seconds=0)["language_id"]
    assert (found["works"], found["reason"]) == (False, "fastText's library answers otherwise")


def test_what_will_hurt_is_said_with_a_remedy(facts: dict[str, Any]) -> None:
    sound = copy.deepcopy(facts)
    sound["cpu"] |= {"threads": 1, "memory_free": 10**11}
    sound["disk"] = [disk | {"free": 10**12} for disk in sound["disk"]]
    quiet = [w for w in warnings(sound) if "NVIDIA" not in w]
    assert quiet == []
    ill = copy.deepcopy(sound)
    ill["cpu"] |= {"threads": 64, "usable_cores": 2.0, "memory_free": 10**9}
    ill["disk"][1]["free"] = 10**9
    ill["language_id"] = {"model": "m", "works": False, "reason": "it is gone"}
    ill["libraries"]["polars"] = None
    said = [w for w in warnings(ill) if "NVIDIA" not in w]
    for part in (
        "set OMP_NUM_THREADS=2",
        "1.0 GB of memory are free",
        "1.0 GB are free (downloads); make room",
        "language ID does not work: it is gone",
        "not installed: polars",
    ):
        assert len([w for w in said if part in w]) == 1, part
    assert len(said) == 5


def test_lines_for_people_have_everything(facts: dict[str, Any]) -> None:
    lines = described(facts | {"warnings": ["beware"]})
    text = "\n".join(lines)
    for part in ("torch ", "OMP_NUM_THREADS", "lid.176.ftz works", "pairs/s", "texts/s", "free, /", "warning: beware"):
        assert part in text
    gone = copy.deepcopy(facts)
    gone["libraries"]["wandb"] = None
    assert "wandb no (tppc[wandb])" in "\n".join(described(gone))
    gpu = {"device": "cuda:0", "name": "NVIDIA H200", "memory": 150 * 10**9, "cuda": "12.8", "bf16": True,
           "precision": "bf16 autocast", "peak_bf16_flops": 989.4e12}  # fmt: skip
    line = next(line for line in described(facts | {"devices": [gpu]}) if line.startswith("cuda:0"))
    assert line == "cuda:0        NVIDIA H200, 150.0 GB, CUDA 12.8: bf16 autocast, peak 989 TFLOP/s in bf16"


def test_the_command_prints_json_or_lines() -> None:
    done = CliRunner().invoke(app, ["doctor", "--seconds", "0", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["probe"] is None
    assert found["python"].startswith("3.")
    lines = CliRunner().invoke(app, ["doctor", "--seconds", "0"]).stdout.splitlines()
    assert lines[0].startswith(f"tppc          {found['tppc']}, Python 3.")


def test_made_sentences_are_the_same_every_time() -> None:
    assert made_sentences(50) == made_sentences(50)
    assert len({len(s.split()) for s in made_sentences(200)}) > 5
