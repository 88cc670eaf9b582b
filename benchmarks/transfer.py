"""Does training on pairs help zero-shot transfer, against a fair control? The demo with three seeds, and the
statistics.

    python benchmarks/transfer.py [--seeds 3] [--out FOLDER]

A seed is a training of `scratch:tiny` on the samples, a control (the same steps on shuffled pairs), and the
fine-tunings of both. For each seed the gain over the control is averaged over the nine cells (NER, sentiment, POS;
Hindi, Japanese, Arabic); the mean over seeds is compared with its standard error, paired by seed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tppc.demo import TASKS, demo
from tppc.evaluation.results import Result
from tppc.evaluation.tables import build_table, render
from tppc.evaluation.tasks import PRIMARY


def gains(results: list[Result], tasks: tuple[str, ...], against: str) -> dict[int, float]:
    """Mean gain in points (of 100) of the trained encoder over `against`, for each seed, over target languages."""
    values: dict[tuple[int, str, str, str], float] = {}
    for r in results:
        if r.task in tasks and r.metric == PRIMARY[r.task] and r.seed is not None and not r.dataset.endswith(":dev"):
            values[r.seed, r.task, r.language, r.role] = 100 * r.value
    found: dict[int, list[float]] = {}
    for (seed, task, language, role), value in values.items():
        if role == "trained":
            found.setdefault(seed, []).append(value - values[seed, task, language, against])
    return {seed: statistics.mean(cells) for seed, cells in sorted(found.items())}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary) / "demo"
        results, _ = demo(out, lambda line: print(line, file=sys.stderr), seeds=range(options.seeds))
    print(render([row for row in build_table(results) if not row.dataset.endswith(":dev")], "text"))
    for against in ("control", "baseline"):
        for name, tasks in {"all nine cells": TASKS, **{task: (task,) for task in TASKS}}.items():
            by_seed = list(gains(results, tasks, against).values())
            mean = statistics.mean(by_seed)
            error = statistics.stdev(by_seed) / len(by_seed) ** 0.5 if len(by_seed) > 1 else float("nan")
            print(
                f"trained - {against}, {name}: {mean:+.2f} points, standard error {error:.2f}, "
                f"{mean / error:.1f} standard errors; by seed {', '.join(f'{g:+.2f}' for g in by_seed)}"
            )


if __name__ == "__main__":
    main()
