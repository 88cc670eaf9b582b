"""Progress: plain lines with rate and time left, and one display for all bars of a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tppc.builders import progress as module
from tppc.builders.progress import progress


def test_lines_tell_rate_and_time_left_of_what_is_done_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with progress("file.gz", 10_000, "bytes", done=5_000) as advance:
        clock[0] += 5
        advance(500)
        clock[0] += 5
        advance(500)
    with progress("stdin", None, "entities") as advance:
        clock[0] += 20
        advance(40)
    assert capsys.readouterr().err.splitlines() == [
        "tppc: file.gz: 6,000 of 10,000 bytes, 100/s, 40 s left",
        "tppc: stdin: 40 entities, 2/s",
    ]


def test_several_bars_share_a_terminal() -> None:
    code = """
from tppc.builders.progress import note, progress
with progress("one", 4_000_000, "bytes", done=1_000_000) as first:
    first(500_000)
    with progress("two", None, "rows") as second:
        second(7)
        note("a note between")
    first(2_500_000)
with progress("three", 3, "items") as third:
    third(3)
"""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    while True:
        try:
            data = os.read(leader, 65_536)
        except OSError:  # the other end closed
            break
        if not data:
            break
        shown += data
    os.close(leader)
    assert process.wait(timeout=60) == 0, shown.decode()
    for text in ("one", "two", "three", "a note between", "MB of 4.0 MB", "of 3"):
        assert text in shown.decode()
