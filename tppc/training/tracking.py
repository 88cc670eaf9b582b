"""What a run tells while it runs: `metrics.jsonl`, TensorBoard, and a bar (or plain lines) on stderr."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tppc.corpora.files import write_bytes
from tppc.errors import TppcError

METRICS = "metrics.jsonl"


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """The lines of a run's `metrics.jsonl`, the last one of each step, in order of steps; none where there is no file.

    A run that was resumed repeats steps; the later line is what the weights saw. A cut-off last line, which a killed
    run leaves, is left out. Raises `TppcError` that names any other line that is not a JSON object, or one whose step
    is no whole number.
    """
    path = out / METRICS
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    by_step: dict[int, dict[str, Any]] = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            if number == len(lines):
                break
            raise TppcError(f"{path}, line {number}: not JSON ({error}); the run's metrics are damaged") from error
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise TppcError(f"{path}, line {number}: no object with a whole `step`; the run's metrics are damaged")
        by_step[row["step"]] = row
    return [by_step[step] for step in sorted(by_step)]


def truncate_metrics(out: Path, step: int) -> None:
    """Drop what was logged after `step`, so that a resumed run writes each step once."""
    if (out / METRICS).is_file():
        kept = [line for line in read_metrics(out) if line["step"] <= step]
        write_bytes(out / METRICS, "".join(json.dumps(line) + "\n" for line in kept).encode())


class Tracker:
    """Writes metrics; a silent one (`out` None) on every rank but the first."""

    def __init__(self, out: Path | None, steps: int, done: int) -> None:
        self.out, self.steps = out, steps
        self._bar: Any = None
        if out is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        truncate_metrics(out, done)
        self._file = (out / METRICS).open("a", encoding="utf-8")
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=done + 1 if done else None)
        self._started, self._first = time.monotonic(), done
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}")]
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=steps, completed=done)
            self._bar.start()

    def say(self, text: str) -> None:
        """One line for people."""
        if self.out is not None:
            (self._bar.console.print if self._bar else lambda t: print(t, file=sys.stderr, flush=True))(text)

    def step(self, step: int) -> None:
        """Step `step` (from 1) is done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def log(self, line: dict[str, Any]) -> None:
        """Write one line of metrics; `line["step"]` counts finished steps."""
        if self.out is None:
            return
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        step = line["step"]
        for name, value in line.items():
            for key, number in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(number, float):
                    self._board.add_scalar(f"{name}/{key}" if key else name, number, step)
        text = (
            f"loss {line['loss']:.4f}  P@1 in batch {line['batch_p_at_1']:.2f}  lr {line['lr']:.2g}  "
            f"{line['pairs_per_s']:,.0f} pairs/s"
        )
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=text)
        else:
            left = (time.monotonic() - self._started) / max(1, step - self._first) * (self.steps - step)
            self.say(f"step {step}/{self.steps}  {text}  {left:,.0f} s left")
        if line["alarms"]:
            self.say(f"step {step}: alarm: {', '.join(line['alarms'])} (docs/training.md says what to do)")

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self.out is not None:
            self._file.close()
            self._board.close()
