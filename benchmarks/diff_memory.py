"""Peak memory and time of `tppc manifests diff` on two made corpora, of which every shard differs.

    python benchmarks/diff_memory.py [ROWS ...]        default 500000 5000000

The second corpus lacks the first 2% of the rows, has as many others, and another score in each hundredth row.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from made_corpora import random_texts, write_made_corpus


def write_both(folder: Path, rows: int) -> None:
    """The two corpora, `before` and `after`; `rows` rows each."""
    others = rows // 50
    src, tgt = (random_texts(rows + others, 60, seed) for seed in (1, 2))
    scores = np.zeros(rows)
    write_made_corpus(folder / "before", src.slice(0, rows), tgt.slice(0, rows), scores)
    scores[::100] = 1
    write_made_corpus(folder / "after", src.slice(others), tgt.slice(others), scores, first=others)


def main() -> None:
    """Print a line for each size."""
    for rows in [int(a) for a in sys.argv[1:]] or [500_000, 5_000_000]:
        with tempfile.TemporaryDirectory() as folder:
            # In a process of its own: a child begins with the peak of the process that starts it.
            writer = multiprocessing.get_context("spawn").Process(target=write_both, args=(Path(folder), rows))
            writer.start()
            writer.join()
            corpora = [Path(folder) / name for name in ("before", "after")]
            size = sum(p.stat().st_size for p in Path(folder).rglob("*.parquet"))
            command = [sys.executable, "-m", "tppc", "manifests", "diff", *map(str, corpora), "--json"]
            start = time.perf_counter()
            with (Path(folder) / "out.json").open("wb") as out:
                process = subprocess.Popen(command, stdout=out)
                _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            assert os.waitstatus_to_exitcode(status) == 1, "the corpora differ"
            found = json.loads((Path(folder) / "out.json").read_text())["rows"]["en-hi"]
            numbers = [found[kind]["train"] for kind in ("added", "removed", "changed")]
            assert numbers == [rows // 50, rows // 50, -(-(rows - rows // 50) // 100)], numbers
            print(
                f"{rows:>9,} rows each, {size / 1e6:,.0f} MB in all: {seconds:6.1f} s, "
                f"{2 * rows / seconds:9,.0f} rows/s, peak {usage.ru_maxrss / 1024:,.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
