"""The pass over a Wikidata dump beside decompressors that only decompress, and beside the usual loop. On Linux.

python benchmarks/dump_pass.py [--entities 200000] [--rounds 3] [--folder KEEP] [--no-bz2]

Every figure is the wall time of a process of its own, imports included; the runs of a round follow each other, so that
a busy machine slows all of them, and a ratio is taken within a round. `pass` is the `split` step of a build: from the
opened file to the segments on disk. The usual loop (`bz2.open` and `json.loads`) reads a part of the file and is scaled
by bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from made_dump import LANGUAGES, lines, write_bz2, write_gz

_PASS = """
import sys, tempfile
from pathlib import Path
from tppc.builders.sources.wikidata.dump import extract
from tppc.builders.sources.wikidata.wanted import Wanted, WikidataOptions
wanted = Wanted.of(sys.argv[2].split(","), WikidataOptions().model_dump())
with tempfile.TemporaryDirectory(dir=sys.argv[3]) as folder:
    extract(Path(folder), Path(sys.argv[1]), wanted, None)
"""
_LOOP = """
import bz2, json, sys
found = size = 0
with bz2.open(sys.argv[1]) as file:
    for line in file:
        size += len(line)
        if len(line) > 3:
            entity = json.loads(line.rstrip(b",\\n"))
            labels, descriptions = entity["labels"], entity["descriptions"]
            found += "en" in labels and "hi" in labels and "en" in descriptions and "hi" in descriptions
        if size > int(sys.argv[2]):
            break
"""
_ONE = "en-hi"
_TEN = ",".join(f"en-{code}" for code in LANGUAGES[1:])
_LOOP_BYTES = 300_000_000


@dataclass(frozen=True)
class Run:
    """Wall seconds and peak memory (MiB) of a process."""

    seconds: float
    memory: float


def run(*command: object) -> Run:
    """Run a command; what it prints is thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    assert status == 0, f"{command[0]} must succeed"
    return Run(seconds, usage.ru_maxrss / 1024)


def main() -> None:
    """Print times, memory and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entities", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the made dumps are kept, and found again")
    parser.add_argument("--no-bz2", action="store_true", help="leave out all that needs the bz2 file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        gz, bz2 = (folder / f"made-{given.entities}.json.{kind}" for kind in ("gz", "bz2"))
        for path, write in ((gz, write_gz), (bz2, write_bz2)):
            if not path.exists() and not (given.no_bz2 and path is bz2):
                write(path, lines(given.entities))
        size = sum(len(line) for line in lines(given.entities))
        measure(gz, None if given.no_bz2 else bz2, size, given.rounds, temporary)


def measure(gz: Path, bz2: Path | None, size: int, rounds: int, folder: str) -> None:
    """Run everything `rounds` times."""
    python = sys.executable
    rapidgzip = Path(python).with_name("rapidgzip")
    commands: dict[str, list[object]] = {
        "rapidgzip -d -P 2": [rapidgzip, "-d", "-P", "2", "-c", gz],
        "gz pass, one pair": [python, "-c", _PASS, gz, _ONE, folder],
        "gz pass, ten pairs": [python, "-c", _PASS, gz, _TEN, folder],
    }
    if bz2 is not None:
        assert shutil.which("lbzip2"), "lbzip2 must be installed (or give --no-bz2)"
        commands |= {
            "lbzip2 -dc": ["lbzip2", "-dc", bz2],
            "bz2 pass, one pair": [python, "-c", _PASS, bz2, _ONE, folder],
            "bz2.open + json.loads": [python, "-c", _LOOP, bz2, min(size, _LOOP_BYTES)],
        }
    taken: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            taken[name].append(run(*command))
    print(f"{size / 1e9:.2f} GB of content, {os.cpu_count()} cores, {rounds} rounds")
    scale = {"bz2.open + json.loads": size / min(size, _LOOP_BYTES)}
    seconds = {name: [r.seconds * scale.get(name, 1) for r in runs] for name, runs in taken.items()}
    for name, runs in taken.items():
        middle = statistics.median(seconds[name])
        memory = max(r.memory for r in runs)
        print(f"{name:<24}{middle:8.2f} s  {size / 1e6 / middle:7.0f} MB/s  peak {memory:6.0f} MiB")
    ratio("gz pass / rapidgzip", seconds["gz pass, one pair"], seconds["rapidgzip -d -P 2"])
    ratio("ten pairs / one pair", seconds["gz pass, ten pairs"], seconds["gz pass, one pair"])
    if bz2 is not None:
        ratio("bz2 pass / lbzip2", seconds["bz2 pass, one pair"], seconds["lbzip2 -dc"])
        ratio("loop over bz2 / gz pass", seconds["bz2.open + json.loads"], seconds["gz pass, one pair"])


def ratio(name: str, above: list[float], below: list[float]) -> None:
    """Print the ratio of each round, and their median."""
    each = [a / b for a, b in zip(above, below, strict=True)]
    print(f"{name:<24}{statistics.median(each):8.2f}    rounds: {', '.join(f'{r:.2f}' for r in each)}")


if __name__ == "__main__":
    main()
