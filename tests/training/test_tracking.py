"""Metrics are read whole, whatever happened to the run that wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tppc.errors import TppcError
from tppc.training.diagnostics import in_words
from tppc.training.tracking import Tracker, duration, flat_numbers, progress_line, read_metrics, truncate_metrics


def test_metrics_of_a_resumed_and_killed_run(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 9}\n{"step": 2, "loss": 8}\n{"step": 2, "loss": 7}\n\n{"step": 3, "lo')
    assert [(r["step"], r["loss"]) for r in read_metrics(tmp_path)] == [(1, 9), (2, 7)]
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(TppcError, match=r"line 2: not JSON"):
        read_metrics(tmp_path)
    path.write_text('{"step": 1}\n[2]\n')
    with pytest.raises(TppcError, match=r"line 2: no object with a whole `step`"):
        read_metrics(tmp_path)


def test_cutting_metrics_back_replaces_the_file_and_never_writes_into_it(tmp_path: Path) -> None:
    path, kept = tmp_path / "metrics.jsonl", tmp_path / "kept"
    path.write_text('{"step": 1}\n{"step": 2}\n')
    kept.hardlink_to(path)
    truncate_metrics(tmp_path, 1)
    assert [line["step"] for line in read_metrics(tmp_path)] == [1]
    assert kept.read_text() == '{"step": 1}\n{"step": 2}\n'


LINE: dict[str, Any] = {
    "step": 10, "loss": 0.51239, "lr": 2e-5, "pairs_per_s": 1_234.4, "tokens_per_s": 30_123.0, "padding_share": 0.123,
    "batch_p_at_1": 0.954, "cos_pos": 0.5, "cos_neg": 0.4999, "alarms": [],
}  # fmt: skip


def test_the_line_says_loss_speed_padding_and_mfu() -> None:
    said = "loss 0.5124  P@1 in batch 0.95  lr 2e-05  1,234 pairs/s  30,123 tokens/s  padding 12%"
    assert progress_line(LINE) == said
    assert progress_line({**LINE, "mfu": 0.4119}) == said + "  MFU 41.2%"
    assert progress_line({**LINE, "mfu": None}) == said + "  MFU unknown"
    assert progress_line({"step": 1, "loss": 2.0, "lr": 1.0}) == "loss 2.0000  lr 1"


def test_time_left_is_said_as_people_do() -> None:
    assert [duration(s) for s in (0.4, 119, 600, 7_199, 11_100, 360_000)] == [
        "0 s", "119 s", "10 min", "2 h 00 min", "3 h 05 min", "100 h 00 min",
    ]  # fmt: skip


def test_alarms_are_said_in_words_when_they_begin_and_once_when_they_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker(tmp_path, 50, 0, track=[]) as tracker:
        for step, alarms in (
            (10, []),
            (20, ["collapse"]),
            (30, ["collapse", "saturated"]),
            (40, []),
            (50, ["collapse"]),
        ):
            tracker.log({**LINE, "step": step, "alarms": alarms})
    said = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in said] == [
        "step 10/50",
        "step 20/50", said[2],
        "step 30/50", said[4],
        "step 40/50", "step 40: the alarm 'collapse' is over", "step 40: the alarm 'saturated' is over",
        "step 50/50", said[9],
    ]  # fmt: skip
    assert said[2].startswith("step 20: alarm: collapse: translations lie no nearer")
    assert "(mean cosine 0.500 against 0.500)" in said[2]
    assert "Lower the learning rate" in said[2]
    assert said[4].startswith("step 30: alarm: saturated: at a loss of 0.51")
    assert [line["alarms"] for line in read_metrics(tmp_path)][1:3] == [["collapse"], ["collapse", "saturated"]]


def test_every_alarm_has_words_that_need_no_more_than_the_line_has() -> None:
    names = {"no negatives", "collapse", "saturated", "forgetting"}
    for name in names:
        assert in_words(name, LINE).startswith(f"{name}: ")
        assert in_words(name, {"step": 1, "loss": 1.0}).startswith(f"{name}: ")
    assert in_words("something new", LINE) == "something new"


def test_held_out_retrieval_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Tracker(tmp_path, 50, 0, track=[]) as tracker:
        tracker.log({**LINE, "dev": {"en-hi": {"p@1": 0.5, "mrr": 0.625, "n": 1_000.0}}})
    assert "step 10: held-out P@1 en-hi 0.500 (MRR 0.625, 1,000 pairs)" in capsys.readouterr().err


def test_numbers_are_found_wherever_they_stand() -> None:
    nested = {"a": 1, "b": {"c": {"d": 0.5, "e": None}, "f": float("nan")}, "g": "text", "h": True, "i": [1.0]}
    assert flat_numbers(nested) == {"a": 1.0, "b/c/d": 0.5}
