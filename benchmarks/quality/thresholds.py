"""What each filter and each threshold catches and costs: the table of docs/cleaning.md.

python benchmarks/quality/thresholds.py [FOLDER]      FOLDER as for compare.py

A filter alone, on all rows of the three files but misaligned ones (which need an encoder) and duplicates. Caught is its
share of the faulty rows, cost that of the clean rows. A preset's line changes all settings of the filter that
it names; other lines change one setting from its default, and are left out where that changes nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from tppc.builders.filters import FILTERS
from tppc.builders.presets import PRESETS
from tppc.builders.recipe import load_recipe
from tppc.builders.tune import Counts, Tuning, read_truth, tune
from tppc.corpora.languages import parse_pair
from tppc.samples import sample_root

PAIRS = {"en-hi": "en-hi", "en-ar": "ar-en", "en-ja": "en-ja"}
_UNSEEN = ("misaligned",)


def samples(folder: Path | None) -> Iterator[tuple[str, pl.DataFrame]]:
    """Pair and labelled rows of each file."""
    with tempfile.TemporaryDirectory() as work:
        for pair, name in PAIRS.items():
            if folder is not None:
                path = folder / f"WikiMatrix.{name}.truth.tsv"
            else:  # the package keeps pairs and truth apart
                path = Path(work) / f"WikiMatrix.{name}.truth.tsv"
                path.write_bytes((Path(__file__).parents[2] / "tests/samples/truth" / path.name).read_bytes())
                data = sample_root() / "wikimatrix" / f"WikiMatrix.{name}.tsv.gz"
                path.with_name(data.name).write_bytes(data.read_bytes())
            yield pair, read_truth(path, parse_pair(pair)).filter(~pl.col("label").is_in(_UNSEEN))


def added(counts: list[Counts]) -> str:
    """Two cells: share of faults caught, share of clean rows lost."""
    total = Counts(*(sum(getattr(c, name) for c in counts) for name in Counts.__dataclass_fields__))
    return f"{100 * total.recall:.2f}% | {100 * total.cost:.3f}%"


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    found: dict[str, list[Tuning]] = {preset: [] for preset in PRESETS if preset != "none"}
    for pair, rows in samples(folder):
        for preset, tunings in found.items():
            tunings.append(tune(rows, parse_pair(pair), load_recipe(None, preset=preset)))
    print("| filter | settings | caught | cost |\n|---|---|---:|---:|")
    for number, one in enumerate(FILTERS):
        if one.name == "score":  # off, and what it would do is a matter of the source
            continue
        shown = f"`{one.name}`"
        for preset, tunings in found.items():
            changed = PRESETS[preset].get("filters", {}).get(one.name, {})
            if (preset != "default" and not changed) or changed.get("enabled") is False:
                continue
            what = f"{preset}: {', '.join(f'`{k} = {v}`' for k, v in changed.items())}" if changed else "default"
            print(f"| {shown} | {what} | {added([t.verdicts[number].counts for t in tunings])} |")
            shown = ""
        values = [{(v.setting, v.value): v.counts for v in t.verdicts[number].values} for t in found["default"]]
        for setting in dict.fromkeys(name for name, _ in values[0]):
            own = sorted(value for name, value in values[0] if name == setting)
            have = getattr(one.settings(), setting)
            # Two values on each side of the default say where it stands.
            near = own if have is None else [*[v for v in own if v < have][-2:], *[v for v in own if v > have][:2]]
            for value in near:
                if not all((setting, value) in v for v in values):
                    continue
                changes = any(
                    v[setting, value] != t.verdicts[number].counts
                    for v, t in zip(values, found["default"], strict=True)
                )
                if changes:
                    print(f"| | `{setting} = {value:g}` | {added([v[setting, value] for v in values])} |")
    together = [f"{preset}: caught {added([t.together for t in tunings])} cost" for preset, tunings in found.items()]
    print("\nAll filters together: " + "; ".join(t.replace(" | ", ", ") for t in together))


if __name__ == "__main__":
    main()
