"""The shuffles hold a bucket or a range of keys, never a corpus."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl

from tppc.builders.clean import bucket_name, with_keys
from tppc.builders.row_files import write_rows

SCRIPT = """
import sys
from pathlib import Path
from tppc.builders.engine import Engine
from tppc.builders.runner import run_tasks
from tppc.builders.recipe import load_recipe
from tppc.builders.select import shuffle
from tppc.builders.select.named import KeptOut
from tppc.builders.select.steps import Selection, select
from tppc.builders.workspace import workspace

shuffle._ENTRIES_A_RANGE = 10_000
root, bits, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
work = workspace(str(root / "work"))
buckets = sorted(root.glob("identify-*"))
run = lambda tasks: run_tasks(tasks, work, Engine())
recipe = load_recipe(None, dedup={"sides": "either", "max_partners": 3})
select([Selection("en-hi", bits, buckets, rows)], recipe, KeptOut([], []), run, run)
# Not ru_maxrss, which a process inherits from the one that started it.
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def peak(root: Path, bits: int) -> int:
    """Peak memory in MiB of selecting from `1 << bits` buckets of 8,000 rows."""
    count = 8_000 << bits
    numbers = range(count)
    rows = with_keys(
        pl.DataFrame(
            {
                "src_text": [f"The river with the number {n} is long and very old." for n in numbers],
                "tgt_text": [f"संख्या {n} वाली नदी लंबी और बहुत पुरानी है।" for n in numbers],
                "source_id": [str(n) for n in numbers],
            }
        ).with_columns(score=pl.lit(1.0, pl.Float32))
    ).sort("order_key")
    for bucket in range(1 << bits):
        folder = root / f"identify-{bucket:04d}"
        folder.mkdir(parents=True)
        width = 1 << (64 - bits)
        low, high = (pl.lit(key, pl.UInt64) for key in (bucket * width, (bucket + 1) * width - 1))
        write_rows(rows.filter(pl.col("order_key").is_between(low, high)), folder / bucket_name(bucket))
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), str(bits), str(count)],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    return int(done.stdout)


def test_memory_does_not_follow_the_number_of_rows(tmp_path: Path) -> None:
    small, large = peak(tmp_path / "small", 1), peak(tmp_path / "large", 4)
    assert large <= 1.2 * small, f"{small} MiB for 16,000 rows, {large} MiB for 128,000"
