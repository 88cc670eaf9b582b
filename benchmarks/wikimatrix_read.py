"""WikiMatrix reading: gunzip, parse, write Parquet, without cleaning, beside `gzip -dc FILE >/dev/null`.

python benchmarks/wikimatrix_read.py [ROWS] [ROUNDS]

The file is made here, as large as the real en-ja file (850,000 rows, about 310 bytes each); words follow Zipf's law, so
that it packs to a third, as text does. The runs are interleaved, and the ratio is that of the fastest ones. What bounds
the reading is shown by its parts: gunzip alone (in a thread beside the rest), cutting into columns, writing zstd-1
Parquet as `clean` does.
"""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from isal import igzip

from tppc.builders.sources.base import Partition
from tppc.builders.sources.wikimatrix import SOURCE

GOAL = 2.5


def _words(rng: np.random.Generator, count: int, letters: str, longest: int) -> list[str]:
    return ["".join(rng.choice(list(letters), rng.integers(1, longest + 1))) for _ in range(count)]


def made(path: Path, rows: int) -> int:
    """Write the file, scores falling; returns its bytes before packing."""
    rng = np.random.default_rng(7)
    english = _words(rng, 30_000, "eeeetttaaooiinnsshhrrdlucmfwypgbvk", 9)
    kana = "あいうえおかきくけこさしすせそたちつてとなにのはひふまみめもやよらりるれをんアイウカキクコサシス"
    kanji = "".join(chr(0x4E00 + int(c)) for c in rng.integers(0, 6_000, 1_500))
    japanese = _words(rng, 30_000, kana * 12 + kanji, 4)
    total = 0
    with gzip.GzipFile(path, "wb", compresslevel=6, mtime=0) as file:
        for start in range(0, rows, 10_000):
            lines = []
            for row in range(start, min(start + 10_000, rows)):
                size = max(4, int(rng.normal(22, 8)))
                en, ja = ((rng.zipf(1.25, size) - 1) % len(words) for words in (english, japanese))
                texts = " ".join(english[i] for i in en), "".join(japanese[i] for i in ja)
                lines.append(f"{1.25 - row * 2e-7:.10f}\t{texts[0]}.\t{texts[1]}。\n")
            data = "".join(lines).encode()
            total += len(data)
            file.write(data)
    return total


def gunzip(path: Path) -> None:
    """What the reading is measured against."""
    subprocess.run(["gzip", "-dc", str(path)], stdout=subprocess.DEVNULL, check=True)


def unpack(path: Path) -> None:
    """Gunzip as the reading does, alone."""
    with igzip.open(path, "rb") as file:  # type: ignore[no-untyped-call]
        while file.read(1 << 20):
            pass


def read(path: Path, out: Path | None) -> int:
    """Read the file, and write what it holds where `out` says so; returns the rows."""
    partition = Partition("wikimatrix", ("en-ja",), {"pairs": str(path)}, {}, None)
    writer, rows = None, 0
    for batch in SOURCE.read(partition):
        rows += batch.rows.height
        if out is not None:
            table = batch.rows.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                options = {"compression": "zstd", "compression_level": 1, "use_dictionary": ["licence", "attribution"]}
                writer = pq.ParquetWriter(out, table.schema, **options)
            writer.write_table(table)
    if writer is not None:
        writer.close()
    return rows


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    """Make the file, time the runs, print them."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 850_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "WikiMatrix.en-ja.tsv.gz", Path(folder) / "rows.parquet"
        total = made(path, rows)
        print(f"{rows:,} rows, {total / 1e6:.0f} MB, packed {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores")
        assert read(path, out) == rows == pq.ParquetFile(out).metadata.num_rows
        runs: dict[str, Callable[[], object]] = {
            "gzip -dc": lambda: gunzip(path),
            "gunzip, parse, write Parquet": lambda: read(path, out),
            "  gunzip, parse": lambda: read(path, None),
            "  gunzip (igzip)": lambda: unpack(path),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                times[name].append(_seconds(run))
        best = {name: min(seconds) for name, seconds in times.items()}
        for name, seconds in times.items():
            print(f"{name:<32}{best[name]:6.2f} s best of {rounds}{rows / best[name] / 1e6:8.2f} M rows/s", end="")
            print(f"   {' '.join(f'{s:.2f}' for s in seconds)}")
        ratio = best["gunzip, parse, write Parquet"] / best["gzip -dc"]
        writing = best["gunzip, parse, write Parquet"] - best["  gunzip, parse"]
        print(f"{ratio:.2f} times `gzip -dc` (goal: {GOAL}); {writing:.2f} s of it is writing Parquet, which bounds it")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
