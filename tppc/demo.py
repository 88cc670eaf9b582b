"""The main job on the samples: build, train, evaluate, report. What `tppc demo` runs, and a script to copy from.

Three encoders are compared: the untouched start, one trained on the pairs, and a control with the same number of
steps on the same texts with the targets exchanged among the pairs of a batch. What the control gains is the effect of
training at all; only what goes beyond it is the effect of translations.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import redirect_stderr
from pathlib import Path

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import parse_pair
from tppc.errors import UsageError
from tppc.evaluation.results import Result, Role

PAIRS = ("en-hi", "en-ja", "en-ar")
TASKS = ("ner", "sentiment", "pos")
HOLDOUT = {"dev": 100, "test": 500}
_MARK = ".tppc-demo"

Say = Callable[[str], None]


def demo(out: Path, say: Say, *, seeds: Sequence[int] = (0,), steps: int | None = None) -> tuple[list[Result], Path]:
    """Run everything into the folder `out`, which is emptied first if it holds an earlier demo.

    Args:
        say: is told what happens, a line at a time. seeds: of training and fine-tuning alike: with n seeds there are n
        trainings and n controls. steps: of each training, None for the default.

    Returns all results and the path of the report. Raises `UsageError` if `out` holds anything else.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; give a folder with --out")
    if out.exists() and any(out.iterdir()):
        if not (out / _MARK).is_file():
            raise UsageError(f"{out}: holds other files; give an empty folder with --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).touch()

    say("building three corpora for each of " + ", ".join(PAIRS) + " from the samples")
    corpora = build_samples(out / "corpora")
    results: list[Result] = []
    # Two processes of one thread each: these models are too small to gain from threads.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for seed in seeds:
            say(f"training on the pairs, and a control on shuffled pairs (seed {seed})")
            runs = {role: out / "runs" / f"{role}-{seed}" for role in ("trained", "control")}
            trainings = [
                pool.submit(train_one, [c.path for c in corpora], run, seed, role == "control", steps)
                for role, run in runs.items()
            ]
            while wait(trainings, timeout=10).not_done:
                say(f"  {last_line(runs['trained'])}")
            for training in trainings:
                training.result()
            encoders: dict[Role, str] = {
                "baseline": str(runs["trained"] / "initial"),
                "control": str(runs["control"] / "encoder"),
                "trained": str(runs["trained"] / "encoder"),
            }
            say(
                f"retrieval on held-out pairs; fine-tuning on English, testing on Hindi, Japanese, Arabic (seed {seed})"
            )
            held = [str(c.path) for c in corpora if c.manifest.source == "tatoeba"]
            work = [pool.submit(retrieve, encoders, path, seed) for path in held]
            work += [pool.submit(fine_tune_and_test, task, encoders, seed) for task in TASKS]
            for done in work:
                results += done.result()

    from tppc.evaluation.results import append_results
    from tppc.reports.report import write_report

    append_results(out / "results.jsonl", results)
    say("writing the report")
    first = out / "runs" / f"trained-{seeds[0]}"
    report = write_report([*(c.path for c in corpora), first, out / "results.jsonl"], out / "report.html")
    return results, report


def last_line(run: Path) -> str:
    """The last line about a step in the log of a run that is under way."""
    log = run.with_name(f"{run.name}.log")
    lines = log.read_text("utf-8").splitlines() if log.is_file() else []
    return next((line for line in reversed(lines) if line.startswith("step ")), "starting")


def build_samples(out: Path) -> list[Corpus]:
    """All sources for all pairs of the sample; Tatoeba has the held-out splits."""
    pairs = [parse_pair(p) for p in PAIRS]
    held = build("tatoeba", pairs, origin="sample", out=out, recipe=load_recipe(None, holdout=HOLDOUT), workers=1)
    mined = build("wikimatrix", pairs, origin="sample", out=out, workers=1)
    return [*held, *mined, *build("wikidata", pairs, origin="sample", out=out, workers=1)]


def train_one(corpora: Sequence[Path], out: Path, seed: int, shuffled: bool, steps: int | None) -> None:
    """Train `scratch:tiny` with the default objective, in a process of its own; what it tells goes to `<out>.log`."""
    from tppc.training.config import load_config
    from tppc.training.trainer import train

    overrides = {"corpora": [str(c) for c in corpora], "encoder": "scratch:tiny", "seed": seed, **TRAINING}
    if steps is not None:
        overrides["steps"] = steps
    out.parent.mkdir(parents=True, exist_ok=True)
    # Two runs at once would write into each other's lines.
    with out.with_name(f"{out.name}.log").open("w", encoding="utf-8") as log, redirect_stderr(log):
        train(load_config(None, {**overrides, "shuffled_pairs": shuffled}), out)


# What suits an encoder that starts from nothing, measured on the samples: docs/training.md.
TRAINING: dict[str, object] = {"steps": 1_000, "log_every": 20}
FINE_TUNING = {"epochs": 4, "lr": 5e-4, "batch_size": 32}


def retrieve(encoders: Mapping[Role, str], corpus: str, seed: int) -> list[Result]:
    """Retrieval on a corpus's test split."""
    from tppc.evaluation.pairs import load_pairs
    from tppc.evaluation.protocol import evaluate

    return _of_seed(evaluate("retrieval", encoders, load_pairs(Corpus(corpus), "test")), seed)


def fine_tune_and_test(task: str, encoders: Mapping[Role, str], seed: int) -> list[Result]:
    """Fine-tune on English, test on the other languages, with one seed."""
    from tppc.evaluation.data import load_task_data
    from tppc.evaluation.finetune import FineTuning
    from tppc.evaluation.protocol import evaluate
    from tppc.evaluation.tasks import task_named

    data = load_task_data(task_named(task), data="sample")
    return _of_seed(evaluate(task, encoders, data, seeds=[seed], config=FineTuning.model_validate(FINE_TUNING)), seed)


def _of_seed(results: list[Result], seed: int) -> list[Result]:
    """Results that carry the training's seed and the role in place of the run's folder, so that seeds share a row."""
    return [r if r.role == "trivial" else r.model_copy(update={"seed": seed, "encoder": r.role}) for r in results]
