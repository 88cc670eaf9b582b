"""What was predicted for every example, in Parquet, so that any score is computed again without a model.

One file holds one encoder's answers to all test sets of one fine-tuning (one task, run and seed), one row an example.
`results_of` is the one way from answers to results: `evaluate` goes it with the answers in memory, `tppc evaluate
score` with those of a file, so both give the same numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from tppc.corpora.files import complete_or_absent, sha256_of_value
from tppc.errors import TppcError
from tppc.evaluation.results import Result, Role
from tppc.evaluation.tasks import TASKS, bitext, engagement, retrieval, similarity, task_named
from tppc.evaluation.tasks.task import Labels

if TYPE_CHECKING:
    import pyarrow as pa

# The columns that say which answers these are: equal for all rows of one `Predictions`.
_IDENTITY = (
    "task", "language", "dataset", "dataset_digest", "source_language", "role", "encoder", "start", "recipe", "run",
    "seed", "protocol",
)  # fmt: skip
_OPTIONAL = ("source_language", "start", "recipe", "seed")


@dataclass(frozen=True)
class Predictions:
    """One encoder's answers to one test set. What `Result` has too is described there.

    Attributes:
        gold, predicted: labels by example: one a token, or one a text; both empty for retrieval.
        values: whole numbers by example, for retrieval: the ranks of the right answer in both directions (from 1), or
            for a random order what `tppc.evaluation.tasks.retrieval.chance_values` says; for engagement the best and
            the worst rank; else empty.
    """

    task: str
    language: str
    dataset: str
    dataset_digest: str
    source_language: str | None
    role: Role
    encoder: str
    run: int
    seed: int | None
    protocol: str
    gold: Labels
    predicted: Labels
    values: Sequence[Sequence[float]]
    start: str | None = None
    recipe: str | None = None

    @property
    def count(self) -> int:
        """Number of examples."""
        return len(self.gold) or len(self.values)


def results_of(one: Predictions) -> list[Result]:
    """The results that follow from answers: one for each metric of the task.

    Raises `UsageError` for a task that this version does not know.
    """
    if one.task == retrieval.NAME:
        values = np.array(one.values, dtype=np.int64)
        scores = retrieval.score_values(values, str(one.source_language), one.language)
        count = len(values)
    elif one.task == engagement.NAME:
        scores, count = engagement.score(one.values), len(one.values)
    elif one.task == bitext.NAME:
        scores, count = bitext.score(one.gold, one.predicted), sum(map(len, one.gold))
    elif one.task == bitext.NEAREST:
        scores, count = bitext.score_nearest(one.gold, one.predicted), len(one.gold)
    elif one.task == similarity.NAME:
        scores, count = similarity.score(one.gold, one.values), one.gold.count([similarity.TRANSLATION])
    else:
        scores = task_named(one.task).score(one.gold, one.predicted)
        count = sum(len(labels) for labels in one.gold)
    identity = {name: getattr(one, name) for name in _IDENTITY}
    return [Result(**identity, metric=metric, value=value, n=count) for metric, value in scores.items()]


def file_name(parts: Sequence[Predictions]) -> str:
    """The name of the file that holds `parts`: the same for the same task, encoder, run, seed, protocol and data."""
    first = parts[0]
    which = sha256_of_value([[getattr(one, name) for name in _IDENTITY] for one in parts])
    seed = "none" if first.seed is None else first.seed
    return f"{first.task}-{first.role}-run{first.run}-seed{seed}-{which[:12]}.parquet"


def write_predictions(folder: Path, parts: Sequence[Predictions]) -> Path:
    """Write the answers to the test sets of one fine-tuning into a file of `folder`, complete or not at all.

    A file of the same answers from an earlier evaluation is replaced. Raises `TppcError` where it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / file_name(parts)
    try:
        with complete_or_absent(path) as temporary:
            pq.write_table(pa.concat_tables([_table(one) for one in parts]), temporary, compression="zstd")
    except OSError as error:
        raise TppcError(f"{path}: predictions cannot be written there ({error.strerror or error})") from None
    return path


def _schema() -> pa.Schema:
    import pyarrow as pa

    name = pa.dictionary(pa.int32(), pa.string())
    kinds = {"run": pa.int32(), "seed": pa.int64()}
    fields = [pa.field(column, kinds.get(column, name)) for column in _IDENTITY]
    labels = pa.list_(pa.string())
    return pa.schema(
        [
            *fields,
            pa.field("item", pa.int32()),
            pa.field("gold", labels),
            pa.field("predicted", labels),
            pa.field("values", pa.list_(pa.float64())),
        ]
    )


def _table(one: Predictions) -> pa.Table:
    import pyarrow as pa

    schema, count = _schema(), one.count
    empty: list[list[Any]] = [[] for _ in range(count)]
    columns: dict[str, Any] = {column: [getattr(one, column)] * count for column in _IDENTITY}
    columns["item"] = range(count)
    columns["gold"] = [list(labels) for labels in one.gold] or empty
    columns["predicted"] = [list(labels) for labels in one.predicted] or empty
    columns["values"] = [list(values) for values in one.values] or empty
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def prediction_files(places: Sequence[Path]) -> list[Path]:
    """The files that paths name: files as they are, the `.parquet` files of folders by name, each once.

    Raises `TppcError` for a path that is not there and for a folder without predictions.
    """
    found: dict[Path, None] = {}
    for place in places:
        inside = sorted(place.rglob("*.parquet")) if place.is_dir() else [place] if place.is_file() else []
        if not inside:
            raise TppcError(
                f"{place}: no predictions there; give a folder or files that `tppc evaluate ... --predictions` wrote"
            )
        found.update(dict.fromkeys(inside))
    return list(found)


def read_predictions(path: Path) -> list[Predictions]:
    """The answers of a file, one `Predictions` for each test set, in the order of the file.

    Raises `TppcError` for a file that is no Parquet file, lacks a column, or holds rows out of order.
    """
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TppcError(
            f"{path}: cannot be read as predictions ({reason}); give a file that `tppc evaluate` wrote, "
            "or remove this one and evaluate again"
        ) from None
    wanted = _schema().names
    if missing := [column for column in wanted if column not in frame.columns]:
        raise TppcError(f"{path}: no predictions (no column {missing[0]}); give a file that `tppc evaluate` wrote")
    for column in ("gold", "predicted", "values"):
        if not isinstance(frame.schema[column], pl.List):
            raise TppcError(f"{path}: no predictions (no list in {column}); give a file that `tppc evaluate` wrote")
    found = []
    for part in frame.select(wanted).partition_by(*_IDENTITY, maintain_order=True):
        if part["item"].to_list() != list(range(part.height)):
            raise TppcError(
                f"{path}: examples are missing or out of order; a part of a file cannot be scored, so evaluate again"
            )
        identity = part.row(0, named=True)
        one = Predictions(
            **{name: identity[name] for name in _IDENTITY},
            gold=_unless_empty(part["gold"].to_list()),
            predicted=_unless_empty(part["predicted"].to_list()),
            values=_unless_empty(part["values"].to_list()),
        )
        if fault := _fault(one):
            raise TppcError(
                f"{path}: {fault}; give a file as `tppc evaluate` wrote it, or remove this one and evaluate again"
            )
        found.append(one)
    return found


def _fault(one: Predictions) -> str:
    """What no file that `write_predictions` wrote holds; nothing where all is well."""
    empty = [name for name in _IDENTITY if getattr(one, name) is None and name not in _OPTIONAL]
    if empty:
        return f"the column {empty[0]} is empty"
    if one.role not in get_args(Role):
        return f"{one.role!r} is no role"
    if one.task in TASKS:
        # A text may have several predicted classes, the likeliest first.
        some = TASKS[one.task].unit == "text"
        counts = [
            [min(len(labels), 1) if some else len(labels) for labels in each] for each in (one.gold, one.predicted)
        ]
        if counts[0] != counts[1]:
            return "an example has more gold labels than predicted ones, or fewer"
    return ""


def _unless_empty(lists: list[list[Any]]) -> list[list[Any]]:
    """The lists, or none at all where a task has none of them."""
    return lists if any(lists) else []
