"""An experiment: which encoders, corpora, objectives and tasks are crossed, as a TOML file says it.

Every encoder is trained on every corpus (a list of folders is read as one mixture) with every objective, in `runs`
pretraining runs, and beside each a control on shuffled pairs; the untouched encoders and all trained ones are then
evaluated on every task with every seed. Unknown keys are errors. Paths are relative to the TOML file's folder.
"""

from __future__ import annotations

import tomllib
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tppc.encoders.scratch import is_scratch
from tppc.errors import TppcError, UsageError, misfit
from tppc.evaluation.finetune import FineTuning
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.selection import Selection
from tppc.evaluation.tasks import TASKS, retrieval
from tppc.training.config import CorpusSettings, load_config

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
_OWN = ("corpora", "encoder", "objectives", "shuffled_pairs", "pooling", "prefix")  # settings that the grid makes


class EncoderEntry(BaseModel):
    """An untouched encoder: folder or hub name, and how it and all that is trained from it are read."""

    model_config = _STRICT

    path: str
    pooling: Literal["cls", "mean", "pooler"] | None = None
    prefix: str | None = None

    @field_validator("path")
    @classmethod
    def _no_scratch(cls, value: str) -> str:
        if is_scratch(value):
            raise ValueError(
                "a scratch encoder's vocabulary comes from its corpus, so it is no common start; give a folder"
            )
        return value


class TaskEntry(BaseModel):
    """A task and its data, as the options of `tppc evaluate` have it.

    Attributes:
        task: `retrieval` or a labelled task. train, dev, tests, data, labels, columns, neutral, reader: as there.
        train_items, dev_items, test_items: how many items are used, drawn with seed 0 and kept in their order; None
            for all.
        corpora, split, limit: what retrieval searches.
        fine_tuning: settings of this task that differ from the experiment's.
    """

    model_config = _STRICT

    task: str
    data: str | None = None
    train: str | None = None
    dev: str | None = None
    tests: dict[str, str] = Field(default_factory=dict)
    labels: str | None = None
    columns: tuple[int | str, int | str] | None = None
    neutral: Literal["keep", "drop"] = "keep"
    reader: str | None = None
    train_items: int | None = Field(default=None, ge=1)
    dev_items: int | None = Field(default=None, ge=1)
    test_items: int | None = Field(default=None, ge=1)
    corpora: list[str] = Field(default_factory=list)
    split: str = "test"
    limit: int | None = Field(default=None, ge=1)
    fine_tuning: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> TaskEntry:
        if self.task not in (*TASKS, retrieval.NAME):
            raise ValueError(f"there is no task {self.task!r}; there is: {', '.join((*TASKS, retrieval.NAME))}")
        if (self.task == retrieval.NAME) != bool(self.corpora):
            raise ValueError("retrieval, and no other task, needs corpora to search")
        return self

    @property
    def seeded(self) -> bool:
        """Whether an encoder is fine-tuned, so that seeds and the settings of fine-tuning matter."""
        return self.task in TASKS and TASKS[self.task].learner == "fine-tuning"

    def options(self) -> ReadOptions:
        """How its files are read."""
        return ReadOptions(labels=self.labels, columns=self.columns, neutral=self.neutral, reader=self.reader)


class Experiment(BaseModel):
    """Everything that a grid depends on.

    Attributes:
        encoders, corpora, objectives, tasks: by names of the user's choice, which tables show. A corpus is a folder,
            or a list of folders or of tables with `path` and `weight`, which is read as one mixture; an objective is
            what `tppc train` takes under `objectives`.
        training: every other setting of `tppc train`; run i takes its seed plus i.
        control: whether each training has a control on shuffled pairs beside it.
        runs: pretraining runs of each kind. seeds: fine-tuning seeds of each run, 0 to N-1.
    """

    model_config = _STRICT

    encoders: dict[str, EncoderEntry] = Field(min_length=1)
    corpora: dict[str, list[CorpusSettings]] = Field(default_factory=dict)
    objectives: dict[str, dict[str, dict[str, Any]]] = Field(default={"tpp": {"tpp": {}}}, min_length=1)
    training: dict[str, Any] = Field(default_factory=dict)
    control: bool = True
    runs: int = Field(default=1, ge=1)
    tasks: dict[str, TaskEntry] = Field(min_length=1)
    fine_tuning: FineTuning = FineTuning()
    selection: Selection = Selection()
    seeds: int = Field(default=5, ge=1)

    @field_validator("encoders", mode="before")
    @classmethod
    def _paths(cls, value: Any) -> Any:
        return {k: {"path": v} if isinstance(v, str) else v for k, v in value.items()} if _is_table(value) else value

    @field_validator("corpora", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        def folders(entry: Any) -> Any:
            entry = [entry] if isinstance(entry, str) else entry
            return [{"path": e} if isinstance(e, str) else e for e in entry] if isinstance(entry, list) else entry

        return {k: folders(v) for k, v in value.items()} if _is_table(value) else value

    @model_validator(mode="after")
    def _fits(self) -> Experiment:
        if taken := [key for key in _OWN if key in self.training]:
            raise ValueError(f"training.{taken[0]} is set by the grid: say it under encoders, corpora or objectives")
        if self.selection.how == "oracle":
            raise ValueError("a grid selects no oracle; use `tppc evaluate ner --oracle hi=FILE` for one")
        for name, task in self.tasks.items():
            try:
                self.fine_tuning_of(task)
            except ValidationError as error:
                where, said = misfit(error)
                raise ValueError(f"tasks.{name}.fine_tuning.{where}: {said}") from None
        for folders, (name, objectives) in product(self.corpora.values(), self.objectives.items()):
            try:
                self._training(folders, objectives)
            except UsageError as error:
                said = str(error)
                inside = said.removeprefix("objectives.")
                key = said.partition(":")[0].partition(".")[0]
                where = f"objectives.{name}." if inside != said else "training." if key in self.training else ""
                raise ValueError(where + inside) from None
        return self

    def _training(self, folders: list[CorpusSettings], objectives: dict[str, dict[str, Any]]) -> None:
        """Raise `UsageError` where the settings of a training are none that `tppc train` takes."""
        settings = dict(self.training)
        preset = settings.pop("preset", None)
        start = next(iter(self.encoders.values()))
        corpora = [one.model_dump(exclude_none=True) for one in folders]
        load_config(None, settings | {"encoder": start.path, "corpora": corpora, "objectives": objectives}, preset)

    def fine_tuning_of(self, task: TaskEntry) -> FineTuning:
        """The settings of a task's fine-tuning."""
        return FineTuning.model_validate(self.fine_tuning.model_dump() | task.fine_tuning)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def load_experiment(path: Path) -> Experiment:
    """Read an experiment and make its paths absolute.

    Raises `TppcError` for a file that cannot be read or is no TOML, `UsageError` that names file and key for settings
    that are unknown or do not fit.
    """
    try:
        read = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise TppcError(f"{path}: cannot read this experiment ({error.strerror}); give a TOML file") from error
    except ValueError as error:
        raise TppcError(f"{path}: not TOML ({error}); see docs/evaluation.md for an example") from error
    try:
        found = Experiment.model_validate(read)
    except ValidationError as error:
        where, said = misfit(error)
        raise UsageError(f"{path}: {where + ': ' if where else ''}{said}; see docs/evaluation.md") from None
    return _with_paths(found, path.resolve().parent)


def _with_paths(experiment: Experiment, folder: Path) -> Experiment:
    """The same with paths of `folder`; an encoder that is not there keeps its name, which is one of the hub."""

    def there(path: str | None) -> str | None:
        return None if path is None else str(folder / path)

    def encoder(entry: EncoderEntry) -> EncoderEntry:
        local = (folder / entry.path).exists() or entry.path.startswith((".", "/"))
        return entry.model_copy(update={"path": there(entry.path)}) if local else entry

    def corpus(entry: CorpusSettings) -> CorpusSettings:
        return entry.model_copy(update={"path": there(entry.path)})

    def task(entry: TaskEntry) -> TaskEntry:
        files: dict[str, Any] = {"train": there(entry.train), "dev": there(entry.dev)}
        files["tests"] = {code: there(file) for code, file in entry.tests.items()}
        files["corpora"] = [there(one) for one in entry.corpora]
        if entry.data is not None and entry.data != "sample":
            files["data"] = there(entry.data)
        if entry.labels is not None and entry.labels.endswith(".toml"):
            files["labels"] = there(entry.labels)
        return entry.model_copy(update=files)

    return experiment.model_copy(
        update={
            "encoders": {name: encoder(entry) for name, entry in experiment.encoders.items()},
            "corpora": {name: [corpus(one) for one in entry] for name, entry in experiment.corpora.items()},
            "tasks": {name: task(entry) for name, entry in experiment.tasks.items()},
        }
    )
