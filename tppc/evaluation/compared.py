"""Stored answers by model, and the differences between two of them by resampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tppc.evaluation.predictions import Predictions
from tppc.evaluation.resampling import Difference, Stratum, counted, difference
from tppc.evaluation.results import Result, Role
from tppc.evaluation.tasks import TASKS, bitext, retrieval


@dataclass(frozen=True)
class Model:
    """Which model's answers to which test set, whatever the seed and the run; the fields are those of a `Result`."""

    task: str
    language: str
    dataset_digest: str
    protocol: str
    role: Role
    encoder: str
    start: str | None
    recipe: str | None


def model_of(one: Result | Predictions) -> Model:
    """The model that a result or an answer is of."""
    return Model(one.task, one.language, one.dataset_digest, one.protocol, one.role, one.encoder, one.start, one.recipe)


Answers = Mapping[Model, Mapping[Stratum, Predictions]]


def by_model(answers: Sequence[Predictions]) -> Answers:
    """Answers by model, run and seed; of answers that are there twice the last count."""
    found: dict[Model, dict[Stratum, Predictions]] = {}
    for one in answers:
        if one.task in (*TASKS, retrieval.NAME, bitext.NAME) and one.role != "trivial":
            found.setdefault(model_of(one), {})[one.run, one.seed] = one
    return found


def compared(answers: Answers, before: Model, after: Model) -> Difference | None:
    """`after` minus `before` in the main metric; None where answers of one are not there or no seed is shared."""
    sides = [answers.get(before, {}), answers.get(after, {})]
    if not all(sides):
        return None
    counts = iter(counted([one for side in sides for one in side.values()]))
    first, second = ({stratum: next(counts) for stratum in side} for side in sides)
    return difference(first, second)
