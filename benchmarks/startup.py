"""Time of `tppc --help`: median of five, after one start that warms the disk cache."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Print the median in seconds."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run([str(Path(sys.executable).with_name("tppc")), "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    print(
        f"tppc --help: median {statistics.median(times[1:]):.3f} s of 5 ({min(times[1:]):.3f} to {max(times[1:]):.3f})"
    )


if __name__ == "__main__":
    main()
