"""Progress of long work, on stderr: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich import progress as bars


def note(message: str) -> None:
    """Tell the user something about work under way."""
    sys.stderr.write(f"tppc: {message}\n")  # one write: threads must not mix their lines
    sys.stderr.flush()


class _Display:
    """One display on the terminal for all work under way, since a terminal can hold only one."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.users = 0
        self.bars: bars.Progress | None = None


_display = _Display()


@contextmanager
def _bar(label: str, total: int | None, unit: str, done: int) -> Iterator[Callable[[int], None]]:
    """A line of the display, which begins with the first user and ends with the last."""
    from rich import filesize
    from rich import progress as bars
    from rich.console import Console

    with _display.guard:
        if _display.bars is None:
            _display.bars = bars.Progress(
                bars.TextColumn("{task.description}"),
                bars.BarColumn(),
                bars.TextColumn("{task.fields[amount]}"),
                bars.TextColumn("{task.fields[rate]}"),
                bars.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            _display.bars.start()
        _display.users += 1
        shown = _display.bars
    size = filesize.decimal if unit == "bytes" else "{:,}".format
    of = f" of {size(total)}" if total else ""
    task = shown.add_task(label, total=total, completed=done, rate="", amount=size(done) + of)

    def advance(amount: int) -> None:
        nonlocal done
        done += amount
        speed = next((t.speed for t in shown.tasks if t.id == task), None)
        rate = f"{size(int(speed))}{'' if unit == 'bytes' else f' {unit}'}/s" if speed else ""
        shown.update(task, advance=amount, rate=rate, amount=size(done) + of)

    try:
        yield advance
    finally:
        shown.remove_task(task)
        with _display.guard:
            _display.users -= 1
            if not _display.users:
                shown.stop()
                _display.bars = None


@contextmanager
def progress(label: str, total: int | None, unit: str, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield a function that is called with the amount of work done since the last call.

    Args:
        total: all the work, None where that is unknown. done: what was done before, which the rate leaves out.
    """
    if sys.stderr.isatty():
        with _bar(label, total, unit, done) as advance:
            yield advance
        return
    before, start, last = done, time.monotonic(), time.monotonic()

    def line(amount: int) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= 10:
            last = now
            rate = (done - before) / (now - start)
            left = f", {(total - done) / rate:,.0f} s left" if total and rate else ""
            note(f"{label}: {done:,}{f' of {total:,}' if total else ''} {unit}, {rate:,.0f}/s{left}")

    yield line
