"""Progress of long work, on stderr: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def note(message: str) -> None:
    """Tell the user something about work under way."""
    print(f"tppc: {message}", file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is called with the amount of work done since the last call; `total` may be unknown."""
    if sys.stderr.isatty():
        from rich import progress as bars
        from rich.console import Console

        amount = bars.DownloadColumn() if unit == "bytes" else bars.MofNCompleteColumn()
        with bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            amount,
            bars.TextColumn("{task.fields[rate]}"),
            bars.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as bar:
            task = bar.add_task(label, total=total, rate="")

            def advance(amount: int) -> None:
                speed = bar.tasks[0].speed
                bar.update(task, advance=amount, rate=f"{speed:,.0f} {unit}/s" if speed else "")

            yield advance
        return
    done, start, last = 0, time.monotonic(), time.monotonic()

    def line(amount: int) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= 10:
            last = now
            left = f", {(total - done) * (now - start) / done:,.0f} s left" if total and done else ""
            note(f"{label}: {done:,}{f' of {total:,}' if total else ''} {unit}, {done / (now - start):,.0f}/s{left}")

    yield line
