"""Metrics are read whole, whatever happened to the run that wrote them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tppc.errors import TppcError
from tppc.training.tracking import read_metrics, truncate_metrics


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
