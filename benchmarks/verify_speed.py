"""How fast `tppc manifests verify` reads a corpus of 1 GB or more, beside `sha256sum` over the same files with the same
number of processes. Both run in turn, from the page cache; the figure is the ratio of the medians.

    python benchmarks/verify_speed.py [--rows N] [--workers N] [--rounds N] [--corpus FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from made_corpora import random_texts, write_made_corpus


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=6_500_000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--corpus", type=Path, help="a finished corpus, instead of a made one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = given.corpus
        if corpus is None:
            texts = [random_texts(given.rows, length, seed) for seed, length in enumerate((110, 120))]
            corpus = write_made_corpus(Path(folder) / "corpus", *texts, np.zeros(given.rows))
            del texts
        files = sorted(str(p) for p in corpus.rglob("*") if p.is_file())
        size = sum(Path(p).stat().st_size for p in files)
        print(f"{size / 1e9:.2f} GB in {len(files)} files")
        for workers in given.workers:
            commands = {
                "sha256sum": ["xargs", "-0", "-n1", f"-P{workers}", "sha256sum"],
                **{
                    name: [
                        sys.executable,
                        "-m",
                        "tppc",
                        "manifests",
                        "verify",
                        str(corpus),
                        f"--workers={workers}",
                        *more,
                    ]
                    for name, more in (("verify", []), ("verify --quick", ["--quick"]))
                },
            }
            took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
            for _ in range(given.rounds):
                for name, command in commands.items():
                    stdin = "\0".join(files).encode() if name == "sha256sum" else None
                    took[name].append(measured(command, stdin))
            base, base_cpu = (statistics.median(column) for column in zip(*took["sha256sum"], strict=True))
            for name, both in took.items():
                middle, cpu = (statistics.median(column) for column in zip(*both, strict=True))
                print(
                    f"  {workers} process(es)  {name:<15}{middle:7.2f} s ({base / middle:5.0%} of sha256sum's speed)  "
                    f"{cpu:7.2f} s CPU ({base_cpu / cpu:5.0%})"
                )


def measured(command: list[str], stdin: bytes | None) -> tuple[float, float]:
    """Seconds that a command takes, and those of all cores; the second is the fairer one on a busy machine."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, input=stdin, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


if __name__ == "__main__":
    main()
