"""Stored answers by model, and the differences between two of them by resampling."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
Scored = tuple[Model, Collection[Stratum]]  # a model, and the runs and seeds that it has results of


def by_model(answers: Sequence[Predictions]) -> Answers:
    """Answers by model, run and seed; of answers that are there twice the last count."""
    found: dict[Model, dict[Stratum, Predictions]] = {}
    for one in answers:
        if one.task in (*TASKS, retrieval.NAME, bitext.NAME) and one.role != "trivial":
            found.setdefault(model_of(one), {})[one.run, one.seed] = one
    return found


def compared(answers: Answers, before: Scored, after: Scored) -> Difference | None:
    """`after` minus `before` in the main metric, over the runs and seeds that the two have results of.

    None where the answers of any of these are not there, since a test over fewer seeds would stand beside a difference
    over all of them, or where no seed is shared.
    """
    if not (complete(answers, before) and complete(answers, after)):
        return None
    sides = [{stratum: answers[model][stratum] for stratum in strata} for model, strata in (before, after)]
    counts = iter(counted([one for side in sides for one in side.values()]))
    first, second = ({stratum: next(counts) for stratum in side} for side in sides)
    return difference(first, second)


def complete(answers: Answers, scored: Scored) -> bool:
    """Whether the answers of every run and seed of a model are there."""
    model, strata = scored
    return model in answers and set(strata) <= set(answers[model])


def incomplete(answers: Answers, results: Sequence[Result]) -> list[Model]:
    """The models of which some answers are there, but not those of every run and seed that has a result."""
    strata: dict[Model, set[Stratum]] = {}
    for one in results:
        strata.setdefault(model_of(one), set()).add((one.run, one.seed))
    return [model for model in answers if not complete(answers, (model, strata.get(model, set())))]
