"""How often do the tests of differences find one where there is none? On made answers, by the spread of seeds and runs.

    python benchmarks/false_alarms.py [--repeat 300]

Two encoders answer the same sentences equally well; each seed and run of either is better or worse by chance. A test at
5% should say "different" in 5% of the cases; more is too bold, less is careful. The table is in docs/evaluation.md.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import sparse

from tppc.evaluation.resampling import Counted, Stratum, difference

SENTENCES = 300
# Seeds, runs, and the standard deviations of what a seed and a run shift (0.05 is about 1.3 points of accuracy).
SETTINGS = (
    (1, 1, 0.0, 0.0), (3, 1, 0.0, 0.0), (3, 1, 0.05, 0.0), (3, 1, 0.2, 0.0), (5, 1, 0.05, 0.0), (5, 1, 0.2, 0.0),
    (3, 3, 0.05, 0.1),
)  # fmt: skip


def accuracy(sums: np.ndarray) -> np.ndarray:
    """Right over all, [...] from [..., 2]."""
    shares: np.ndarray = sums[..., 0] / sums[..., 1]
    return shares


def answers(
    random: np.random.Generator, ease: np.ndarray, seeds: int, runs: int, by_seed: float, by_run: float
) -> dict[Stratum, Counted]:
    """One encoder's right answers, by run and seed."""
    found: dict[Stratum, Counted] = {}
    for run in range(runs):
        shift = random.normal(0, by_run)
        for seed in range(seeds):
            right = ease + shift + random.normal(0, by_seed) + random.normal(0, 0.5, SENTENCES) > 0
            table = np.stack([right.astype(float), np.ones(SENTENCES)], axis=1)
            found[run, seed] = Counted(sparse.csr_matrix(table), accuracy)
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=300)
    repeat = parser.parse_args().repeat
    random = np.random.default_rng(0)
    print("seeds  runs  sd of seeds  sd of runs  bootstrap  randomisation")
    for seeds, runs, by_seed, by_run in SETTINGS:
        alarms = np.zeros(2)
        for number in range(repeat):
            ease = random.normal(0.8, 1.0, SENTENCES)
            both = [answers(random, ease, seeds, runs, by_seed, by_run) for _ in range(2)]
            found = difference(both[0], both[1], resamples=400, seed=number)
            assert found is not None
            alarms += [found.p_bootstrap < 0.05, found.p_randomised < 0.05]
        shares = "  ".join(f"{share:9.3f}" for share in alarms / repeat)
        print(f"{seeds:5d}  {runs:4d}  {by_seed:11.2f}  {by_run:10.2f}  {shares}")


if __name__ == "__main__":
    main()
