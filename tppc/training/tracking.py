"""What a run tells while it runs: `metrics.jsonl`, the trackers asked for, and a bar (or plain lines) on stderr."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tppc.corpora.files import write_bytes
from tppc.errors import TppcError
from tppc.training.diagnostics import in_words
from tppc.training.trackers import TrackerName, open_places

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
    """Writes metrics; a silent one (`out` None) on every rank but the first.

    Args:
        out: the run's folder. steps: of the whole run. done: finished before, in a run that goes on. track: places for
        the numbers beside `metrics.jsonl`. config: all settings, which trackers show beside the numbers.

    Raises what `tppc.training.trackers.open_places` raises.
    """

    def __init__(
        self,
        out: Path | None,
        steps: int,
        done: int,
        *,
        track: Sequence[TrackerName] = ("tensorboard",),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.out, self.steps = out, steps
        self._bar: Any = None
        self._ringing: set[str] = set()
        if out is None:
            return
        self._places = open_places(track, out, done, config or {})
        truncate_metrics(out, done)
        self._file = (out / METRICS).open("a", encoding="utf-8")
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
        if self.out is None:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def step(self, step: int) -> None:
        """Step `step` (from 1) is done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def log(self, line: dict[str, Any]) -> None:
        """Write one line of metrics; `line["step"]` counts finished steps.

        Every number of it, also inside `losses`, `objectives` or `dev`, goes to the trackers under its path
        (`dev/en-hi/p@1`). Alarms are said in words when they begin, and once more when they are over.
        """
        if self.out is None:
            return
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        step = line["step"]
        numbers = flat_numbers({k: v for k, v in line.items() if k != "step"})
        numbers |= {f"alarm/{name.replace(' ', '_')}": 1.0 for name in line.get("alarms", [])}
        for place in self._places:
            place.log(step, numbers)
        text = progress_line(line)
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=text)
        else:
            left = (time.monotonic() - self._started) / max(1, step - self._first) * (self.steps - step)
            self.say(f"step {step}/{self.steps}  {text}  {duration(left)} left")
        for text in retrieval_lines(line):
            self.say(f"step {step}: {text}")
        alarms = set(line.get("alarms", []))
        for name in sorted(alarms - self._ringing):
            self.say(f"step {step}: alarm: {in_words(name, line)}")
        for name in sorted(self._ringing - alarms):
            self.say(f"step {step}: the alarm {name!r} is over")
        self._ringing = alarms

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self.out is not None:
            self._file.close()
            for place in self._places:
                place.close()


def flat_numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of nested tables by their path, `losses/tpp`; what is no number, or not finite, is left out."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat_numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[f"{prefix}{name}"] = float(value)
    return found


def progress_line(line: Mapping[str, Any]) -> str:
    """What a line of metrics says at a glance: loss, retrieval in the batch, rate, speed, padding, MFU.

    `mfu` is a share of the peak, or None where the device's peak is unknown, which is said; without the key nothing is.
    """
    parts = [f"loss {line['loss']:.4f}"]
    if line.get("batch_p_at_1") is not None:
        parts.append(f"P@1 in batch {line['batch_p_at_1']:.2f}")
    parts.append(f"lr {line['lr']:.2g}")
    for key, unit in (("pairs_per_s", "pairs/s"), ("tokens_per_s", "tokens/s")):
        if line.get(key) is not None:
            parts.append(f"{line[key]:,.0f} {unit}")
    if line.get("padding_share") is not None:
        parts.append(f"padding {line['padding_share']:.0%}")
    if "mfu" in line:
        parts.append("MFU unknown" if line["mfu"] is None else f"MFU {line['mfu']:.1%}")
    return "  ".join(parts)


def retrieval_lines(line: Mapping[str, Any]) -> list[str]:
    """Held-out retrieval of a line of metrics, where it has one (`dev`), in words."""
    dev = line.get("dev") or {}
    if not dev:
        return []
    scores = ", ".join(f"{pair} {s['p@1']:.3f} (MRR {s['mrr']:.3f}, {s['n']:,.0f} pairs)" for pair, s in dev.items())
    return [f"held-out P@1 {scores}"]


def duration(seconds: float) -> str:
    """A time to wait, as people say it: `45 s`, `12 min`, `3 h 05 min`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60:02} min"
