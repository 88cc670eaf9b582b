"""From an experiment to its cells: what is to be trained and evaluated, each with a digest of all that it depends on.

A cell's digest covers the data as read, the encoder's files or the digest of its training, every setting, and the
versions of tppc, torch and transformers. So what was done is found again by digest, and nothing stale is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np

import tppc
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import sha256_of_value
from tppc.encoders.identity import digest_of_encoder, folder_of
from tppc.encoders.load import saved_settings
from tppc.evaluation.data import TaskData, load_task_data
from tppc.evaluation.experiment import EncoderEntry, Experiment, TaskEntry
from tppc.evaluation.pairs import Pairs, load_pairs
from tppc.evaluation.results import Role
from tppc.evaluation.tasks import task_named
from tppc.training.config import TrainConfig, load_config
from tppc.training.setup import opened


@dataclass(frozen=True)
class Training:
    """A training, or a control. `config` is resolved."""

    name: str
    digest: str
    config: TrainConfig
    start: str
    recipe: str
    role: Role
    run: int


@dataclass(frozen=True)
class Evaluation:
    """One encoder on one task with one seed (None where nothing is learnt), or a task's trivial baselines.

    `path` is the encoder's folder or hub name, None for that of `training`, the digest of the training that makes it.
    """

    name: str
    digest: str
    task: str
    role: Role
    encoder: str
    start: str | None
    recipe: str | None
    run: int
    seed: int | None
    path: str | None
    training: str | None
    pooling: str | None
    prefix: str | None


@dataclass(frozen=True)
class Plan:
    """All cells of an experiment, in the order in which they are best run."""

    trainings: list[Training]
    evaluations: list[Evaluation]


def plan(experiment: Experiment) -> Plan:
    """The cells of an experiment; encoders, corpora and data are looked at, so that what is missing is found first.

    Raises what reading them raises.
    """
    versions = {name: version(name) for name in ("torch", "transformers")} | {"tppc": tppc.__version__}
    starts = {name: digest_of_encoder(folder_of(entry.path)) for name, entry in experiment.encoders.items()}
    data = {name: digests_of(load_data(name, entry)) for name, entry in experiment.tasks.items()}
    trainings = list(_trainings(experiment, starts, versions))
    cells: list[Evaluation] = []

    def add(task: str, role: Role, encoder: str, seed: int | None, **of: Any) -> None:
        entry = experiment.tasks[task]
        settings = {
            "data": data[task],
            "fine_tuning": experiment.fine_tuning_of(entry).model_dump(mode="json") if entry.seeded else None,
            "selection": experiment.selection.model_dump(mode="json") if entry.seeded else None,
            "encoder": of["training"] or starts.get(of["start"] or ""),
            "identity": [task, role, encoder, seed, of["run"], of["start"], of["recipe"], of["pooling"], of["prefix"]],
            "versions": versions,
        }
        parts = [task, encoder, f"run {of['run']}" if of["run"] else "", "" if seed is None else f"seed {seed}"]
        name = ", ".join(part for part in parts if part)
        cells.append(Evaluation(name, sha256_of_value(settings), task, role, encoder, seed=seed, **of))

    nothing = {"start": None, "recipe": None, "run": 0, "path": None, "training": None, "pooling": None, "prefix": None}
    for task in experiment.tasks:
        add(task, "trivial", "trivial baselines", None, **nothing)
    for seed in range(experiment.seeds):
        for task, entry in experiment.tasks.items():
            if not entry.seeded and seed:
                continue
            shown = seed if entry.seeded else None
            for start, encoder in experiment.encoders.items():
                pooling, prefix = reading(encoder)
                read = {"pooling": pooling, "prefix": prefix, "start": start}
                add(task, "baseline", start, shown, **nothing | read | {"path": encoder.path})
                for one in trainings:
                    if one.start == start:
                        of = {"recipe": one.recipe, "run": one.run, "training": one.digest}
                        add(task, one.role, _label(one), shown, **nothing | read | of)
    return Plan(trainings, cells)


def reading(entry: EncoderEntry) -> tuple[str, str]:
    """Pooling and prefix of an encoder and all that is trained from it."""
    own = saved_settings(folder_of(entry.path))
    pooling = entry.pooling or str(own.get("pooling") or "cls")
    return pooling, entry.prefix if entry.prefix is not None else str(own.get("prefix") or "")


def _label(one: Training) -> str:
    return f"{one.start} + {one.recipe}{' (shuffled pairs)' if one.role == 'control' else ''}"


def _trainings(experiment: Experiment, starts: dict[str, str], versions: dict[str, str]) -> Iterator[Training]:
    """Every encoder x corpus x objective x run, each followed by its control."""
    roles: Sequence[Role] = ("trained", "control") if experiment.control else ("trained",)
    shared = dict(experiment.training)
    preset, first_seed = shared.pop("preset", None), int(shared.get("seed", 1))
    for start, encoder in experiment.encoders.items():
        pooling, prefix = reading(encoder)
        for corpus, folders in experiment.corpora.items():
            for objective, objectives in experiment.objectives.items():
                for run in range(experiment.runs):
                    for role in roles:
                        own = {
                            "encoder": encoder.path,
                            "pooling": pooling,
                            "prefix": prefix,
                            "corpora": [one.model_dump(exclude_none=True) for one in folders],
                            "objectives": objectives,
                            "seed": first_seed + run,
                            "shuffled_pairs": role == "control",
                        }
                        _, config = opened(load_config(None, shared | own, preset), 1)
                        recipe = f"{objective}({corpus})"
                        shuffled = "-shuffled" if role == "control" else ""
                        name = f"{start}-{corpus}-{objective}-run{run}{shuffled}"
                        digest = _digest_of_training(name, config, starts[start], versions)
                        yield Training(name, digest, config, start, recipe, role, run)


def _digest_of_training(name: str, config: TrainConfig, start: str, versions: dict[str, str]) -> str:
    """The digest of all that decides the trained encoder: corpora by their build digests, not by their places."""
    settings = config.model_dump(mode="json", exclude={"encoder"})
    for key in ("corpora", "monolingual"):
        for one in settings.get(key, []):
            del one["path"]
    return sha256_of_value({"name": name, "config": settings, "encoder": start, "versions": versions})


def load_data(name: str, entry: TaskEntry) -> TaskData | list[Pairs]:
    """A task's data under the experiment's name, cut as the entry says; for retrieval the pairs of each corpus."""
    if entry.corpora:
        corpora = [Corpus(path) for path in entry.corpora]
        return [load_pairs(one, entry.split, entry.limit, pair) for one in corpora for pair in one.pairs]
    task = task_named(entry.task)
    tests = [f"{code}={file}" for code, file in entry.tests.items()]
    data = load_task_data(task, data=entry.data, train=entry.train, dev=entry.dev, tests=tests, options=entry.options())
    return _cut(replace(data, name=f"{name}: {data.name}"), entry)


def _cut(data: TaskData, entry: TaskEntry) -> TaskData:
    """The items that are used, drawn with seed 0; the data's name says how many."""

    def some(items: Sequence[Any], count: int | None) -> Sequence[Any]:
        if count is None or count >= len(items):
            return items
        return [items[i] for i in np.sort(np.random.default_rng(0).permutation(len(items))[:count])]

    wanted = {"train": entry.train_items, "dev": entry.dev_items, "test": entry.test_items}
    said = ", ".join(f"{count:,} {name}" for name, count in wanted.items() if count is not None)
    return replace(
        data,
        name=f"{data.name} (at most {said} items)" if said else data.name,
        train=some(data.train, entry.train_items),
        dev=some(data.dev, entry.dev_items),
        tests={code: some(items, entry.test_items) for code, items in data.tests.items()},
    )


def digests_of(data: TaskData | list[Pairs]) -> list[str]:
    """What the data of a task is, for a cell's digest."""
    if isinstance(data, TaskData):
        return [data.name, *(data.digest(items) for items in (data.dev, *data.tests.values())), *data.tests]
    return [part for pairs in data for part in (pairs.name, pairs.digest)]
