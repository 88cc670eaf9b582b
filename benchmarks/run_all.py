"""Run every benchmark that needs nothing but the package; figures go to stdout. Timings decide nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "startup.py",
    "quality/compare.py",
    "wikimatrix_read.py",
    "build_scale.py",
    "transfer.py",
    "verify_speed.py",
    "diff_memory.py",
    "stream.py",
)


def main() -> None:
    """Run the scripts one after another."""
    for name in SCRIPTS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name(name))], check=True)


if __name__ == "__main__":
    main()
