"""Speed and peak memory of a build as rows grow: `tppc build wikimatrix` on made rows, in a process of its own.

python benchmarks/build_scale.py [ROWS ...] [--workers=1,2]        default 100000 400000, with one worker
"""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_EN = """the old new long short river house city road school garden teacher doctor
story window morning of in near behind"""
_HI = """पुराना नया लंबा छोटा नदी घर शहर सड़क स्कूल बाग़ शिक्षक डॉक्टर
कहानी खिड़की सुबह का में पास पीछे और"""


def write_rows(path: Path, rows: int) -> None:
    """Distinct rows of 8 to 16 words by falling score."""
    draw = random.Random(7)
    english, hindi = _EN.split(), _HI.split()
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        for i in range(rows):
            count = draw.randint(8, 16)
            src, tgt = " ".join(draw.choices(english, k=count)), " ".join(draw.choices(hindi, k=count))
            file.write(f"{1.3 - i / rows / 4:.6f}\t{src} {i}\t{tgt} {i}\n")


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        try:
            children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        except OSError:  # it has ended
            continue
        found.append(process)
        waiting += map(int, children)
    return found


def _resident(root: int) -> int:
    """KiB that a process and all below it hold; what they share is counted once."""
    total = 0
    for process in _tree(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def measured(rows: int, workers: int) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and peak MiB (all processes together) of a build."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "WikiMatrix.en-hi.tsv.gz"
        write_rows(path, rows)
        command = [sys.executable, "-m", "tppc", "build", "wikimatrix", "--pair", "en-hi", "--from", str(path)]
        start, peak = time.perf_counter(), 0
        process = subprocess.Popen(
            [*command, "--out", folder, "--workers", str(workers)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            peak = max(peak, _resident(process.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - start
        assert ended[1] == 0, "the build must succeed"
        return seconds, ended[2].ru_utime + ended[2].ru_stime, peak // 1024


def main() -> None:
    """Print a line for each size and number of workers, and how the peaks relate."""
    words = [a for a in sys.argv[1:] if not a.startswith("--")]
    given = next((a.split("=")[1] for a in sys.argv[1:] if a.startswith("--workers=")), "1")
    peaks = []
    for rows in [int(a) for a in words] or [100_000, 400_000]:
        for workers in map(int, given.split(",")):
            wall, cpu, peak = measured(rows, workers)
            peaks.append(peak)
            print(
                f"{rows:>10,} rows, {workers} workers: {wall:6.1f} s wall, {cpu:6.1f} s CPU, "
                f"{rows / wall:8,.0f} rows/s, peak {peak:,} MiB ({peak / peaks[0]:.2f} of the first)",
                flush=True,
            )


if __name__ == "__main__":
    main()
