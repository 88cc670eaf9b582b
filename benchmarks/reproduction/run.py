"""The paper's question on open data: does Translation Pair Prediction on Tatoeba help zero-shot transfer?

    python benchmarks/reproduction/run.py --data FOLDER --encoder FOLDER --out FOLDER [--workers 2] [--small]

`--data` holds `tatoeba/exports` (a mirror of the weekly exports), `ud`, `ner` and `sentiment`, laid out as
experiment.toml names them. Holds out 500 pairs of each language for retrieval, builds corpora without any of their
texts and without any labelled test text, trains, evaluates, prints the table, and leaves it in `--out` as table.md,
table.tex and table.csv. A second start goes on where the first one stopped. `--small` is a try of some minutes whose
numbers mean nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from string import Template
from typing import Any

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.corpora.languages import parse_pair
from tppc.evaluation.compared import by_model
from tppc.evaluation.experiment import Experiment, load_experiment
from tppc.evaluation.grid import prediction_folders, run_grid, workers
from tppc.evaluation.paper_table import paper_table, render_paper
from tppc.evaluation.plan import plan
from tppc.evaluation.predictions import prediction_files, read_predictions
from tppc.evaluation.tables import build_table, render

PAIRS = ("en-hi", "en-ar", "en-ja")
HOLDOUT = {"dev": 100, "test": 500}


def say(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


def tested_files(experiment: Experiment) -> list[Path]:
    """All files that are tested on: their texts are kept out of the corpora."""
    return sorted({Path(file) for task in experiment.tasks.values() for file in task.tests.values()})


def smaller(experiment: Experiment) -> Experiment:
    """The same cells with next to no data and steps."""
    changed: dict[str, Any] = {}
    for name, task in experiment.tasks.items():
        cut = {"train_items": 32, "dev_items": 8, "test_items": 8} if task.seeded else {"limit": 50}
        changed[name] = task.model_copy(update={**cut, "fine_tuning": {"epochs": 1}})
    training = {**experiment.training, "steps": 3, "batch_size": 8}
    return experiment.model_copy(update={"tasks": changed, "training": training, "seeds": 2})


def main() -> None:
    """Build, train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    began = time.monotonic()
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    places = {"data": options.data.resolve(), "encoder": options.encoder.resolve()}
    places |= {"corpora": out / "corpora", "held": out / "held"}
    written = Template(Path(__file__).with_name("experiment.toml").read_text("utf-8")).substitute(places)
    (out / "experiment.toml").write_text(written, "utf-8")
    experiment = load_experiment(out / "experiment.toml")

    # A text that one pair holds out may stand in another pair's training data (English is in all of them), so what is
    # held out is drawn first, and kept out of every corpus that is trained on.
    mirror, pairs = str(options.data / "tatoeba" / "exports"), [parse_pair(p) for p in PAIRS]
    recipe = load_recipe(None, holdout=HOLDOUT)
    held = build("tatoeba", pairs, origin=mirror, out=out / "held", recipe=recipe)
    kept_out = [*tested_files(experiment), *(corpus.path for corpus in held)]
    build("tatoeba", pairs, origin=mirror, out=out / "corpora", protect=kept_out)
    say(f"corpora are there after {time.monotonic() - began:.0f} s")

    experiment = smaller(experiment) if options.small else experiment
    cells = plan(experiment)
    grid = out / ("small" if options.small else "grid")
    results = run_grid(experiment, cells, grid, workers(options.workers), say)
    places_of_predictions = prediction_files(prediction_folders(cells, grid))
    answers = by_model([one for path in places_of_predictions for one in read_predictions(path)])
    rows = build_table(results, answers=answers)
    table = paper_table(rows)
    (grid / "table.md").write_text(render_paper(table, "md") + "\n", "utf-8")
    (grid / "table.tex").write_text(render_paper(table, "latex") + "\n", "utf-8")
    (grid / "table.csv").write_text(render(rows, "csv") + "\n", "utf-8")
    print(render(rows, "text"))
    print(render_paper(table, "text"))
    say(f"{(time.monotonic() - began) / 60:.1f} minutes in all; tables in {grid}")


if __name__ == "__main__":
    main()
