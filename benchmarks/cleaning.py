"""The table of docs/cleaning.md: what the default recipe drops, by kind of fault, in files with a known truth.

python benchmarks/cleaning.py FOLDER       FOLDER holds WikiMatrix.<a>-<b>.tsv.gz with WikiMatrix.<a>-<b>.truth.tsv
python benchmarks/cleaning.py              the package's own samples
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from truth import by_kind

from tppc.builders.build import build
from tppc.corpora.languages import parse_pair
from tppc.samples import sample_root

PAIRS = {"en-hi": "en-hi", "en-ar": "ar-en", "en-ja": "en-ja"}


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_root() / "wikimatrix"
    truths = folder if len(sys.argv) > 1 else Path(__file__).parents[1] / "tests" / "samples" / "truth"
    columns = {}
    with tempfile.TemporaryDirectory() as out:
        for pair, name in PAIRS.items():
            (corpus,) = build("wikimatrix", [parse_pair(pair)], origin=str(folder), out=Path(out))
            file = f"WikiMatrix.{name}"
            columns[pair] = by_kind(corpus, folder / f"{file}.tsv.gz", truths / f"{file}.truth.tsv")
    print(f"| kind | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for kind in sorted({k for column in columns.values() for k in column}):
        label = "`clean` kept" if kind == "clean" else f"`{kind}`"
        print(f"| {label} | {' | '.join(f'{100 * column[kind]:.1f}%' for column in columns.values())} |")


if __name__ == "__main__":
    main()
