"""Speed and peak memory of a build as rows grow: `tppc build wikimatrix` on made rows, in a process of its own.

python benchmarks/build_scale.py [ROWS ...]        default 100000 400000
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


def main() -> None:
    """Print a line for each size."""
    for rows in [int(a) for a in sys.argv[1:]] or [100_000, 400_000]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "WikiMatrix.en-hi.tsv.gz"
            write_rows(path, rows)
            tppc = str(Path(sys.executable).with_name("tppc"))
            command = [tppc, "build", "wikimatrix", "--pair", "en-hi", "--from", str(path), "--out", folder]
            start = time.perf_counter()
            process = subprocess.Popen(
                [*command, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            assert status == 0, "the build must succeed"
            print(
                f"{rows:>9,} rows: {seconds:6.1f} s wall, {usage.ru_utime + usage.ru_stime:6.1f} s CPU, "
                f"{rows / seconds:8,.0f} rows/s, peak {usage.ru_maxrss / 1024:,.0f} MiB"
            )


if __name__ == "__main__":
    main()
