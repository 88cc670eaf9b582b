"""A run's numbers reach every tracker, with no network, and a resumed run goes on under its name."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tppc.errors import UsageError
from tppc.training.trackers import check_trackers, open_places
from tppc.training.tracking import Tracker

LINE: dict[str, Any] = {
    "step": 10, "loss": 0.5, "losses": {"tpp": 0.5}, "lr": 1e-3, "pairs_per_s": 800.0, "tokens_per_s": 9_000.0,
    "padding_share": 0.21, "mfu": None, "batch_p_at_1": 0.75, "cos_pos": 0.9, "cos_neg": 0.1, "bias": None,
    "dev": {"en-hi": {"p@1": 0.5, "mrr": 0.6, "n": 100.0}}, "alarms": [],
}  # fmt: skip


def test_tensorboard_gets_every_number_under_its_path_and_forgets_what_a_resume_does_again(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Tracker(tmp_path, 30, 0) as tracker:
        tracker.log(LINE)
        tracker.log({**LINE, "step": 20, "loss": 0.4})
    with Tracker(tmp_path, 30, 10) as tracker:
        tracker.log({**LINE, "step": 20, "loss": 0.3, "alarms": ["no negatives"]})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss", "losses/tpp", "dev/en-hi/p@1", "alarm/no_negatives"} <= set(events.Tags()["scalars"])
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("loss")] == [(10, 0.5), (20, 0.3)]


def test_wandb_works_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="Weights & Biases (extra tppc[wandb]) is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    with Tracker(tmp_path, 30, 0, track=["wandb"], config={"lr": 1e-3}) as tracker:
        tracker.log(LINE)
    wandb.teardown()  # as at the end of a process: the library's own one writes what it still holds
    name = json.loads((tmp_path / "tracking.json").read_text())["id"]
    folder = next((tmp_path / "wandb").glob("offline-run-*"))
    stored = (folder / f"run-{name}.wandb").read_bytes()
    assert b"dev/en-hi/p@1" in stored
    assert b"padding_share" in stored


def test_wandb_without_an_account_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="Weights & Biases (extra tppc[wandb]) is not installed")
    code = f"""
from pathlib import Path
from tppc.errors import TppcError
from tppc.training.trackers import open_places
try:
    open_places(["wandb"], Path({str(tmp_path)!r}), 0, {{}})
except TppcError as error:
    print(error)
"""
    # In a process of its own: the library settles its mode, and whose account it is, once.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")} | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False, env=environment
    )
    assert done.stdout.startswith("Weights & Biases cannot start ("), done.stderr
    assert "set WANDB_MODE=offline, or leave it out of `track`" in done.stdout


def test_trackio_keeps_the_numbers_on_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio (extra tppc[trackio]) is not installed")
    code = f"""
from pathlib import Path
from tppc.training.tracking import Tracker
line = {LINE!r}
for done in (0, 10):
    with Tracker(Path({str(tmp_path / "run")!r}), 30, done, track=["trackio"], config={{"lr": 1e-3}}) as tracker:
        tracker.log({{**line, "step": done + 10}})
"""
    (tmp_path / "run").mkdir()
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "kept"), "TRACKIO_PROJECT": "ours"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""  # results alone go there
    name = json.loads((tmp_path / "run" / "tracking.json").read_text())["id"]
    with sqlite3.connect(next((tmp_path / "kept").glob("ours*.db"))) as database:
        rows = database.execute(
            "SELECT step, metrics FROM metrics WHERE run_name = ? ORDER BY step", (name,)
        ).fetchall()
    assert [step for step, _ in rows] == [10, 20]
    assert json.loads(rows[0][1])["dev/en-hi/p@1"] == 0.5


def test_a_tracker_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'tppc\[wandb\]'"):
        check_trackers(["tensorboard", "wandb"])
    with pytest.raises(UsageError, match=r"pip install 'tppc\[trackio\]'"):
        open_places(["trackio"], tmp_path, 0, {})
