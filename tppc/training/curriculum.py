"""Curricula: one training over several stages, each with its own corpora.

`--curriculum tatoeba,wikidata,wikimatrix` trains on one corpus after the other, and each stage starts with the weights
of the last: the sequenced pairs of the TPP paper (TT -> WD and the like), which were trainings one after the other. So
by default each stage has an optimiser without memory, and a warm-up and decay of its own; `optimizer = "kept"` runs
one optimiser and one schedule through all stages.

A position is (stage, step inside it), and follows from the global step by arithmetic: a run that is resumed in the
second stage, on another number of processes too, reads the pairs that the unbroken one would have read.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tppc.corpora.corpus import Corpus
from tppc.corpora.sampling import PROPORTIONAL, Sampling, shares
from tppc.corpora.stream import PairBatch
from tppc.errors import UsageError

_MANY = 1_000_000_000


class StageSettings(BaseModel):
    """A stage. What is None is as for the run; `steps` or `epochs`, not both.

    `corpora` names some of the run's, each by its path, its name (`tatoeba/en-hi`) or the first part of it (`tatoeba`,
    for all pairs of the source).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    corpora: list[str] = Field(min_length=1)
    sampling: Sampling | None = None
    steps: int | None = Field(default=None, ge=1, le=_MANY)
    epochs: float | None = Field(default=None, gt=0, le=1_000_000)

    @model_validator(mode="after")
    def _one_length(self) -> StageSettings:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        return self


class CurriculumSettings(BaseModel):
    """Stages, in order. Validates from text as well: stages between commas, the corpora of a stage joined by `+`, as in
    `tatoeba,wikidata+opus`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: list[StageSettings] = Field(min_length=1)
    optimizer: Literal["fresh", "kept"] = "fresh"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"stages": value.split(",")} if isinstance(value, str) else value

    @field_validator("stages", mode="before")
    @classmethod
    def _stages_from_text(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"corpora": [name.strip() for name in v.split("+")]} if isinstance(v, str) else v for v in value]


@dataclass(frozen=True)
class Stage:
    """A stage with nothing left open.

    Attributes:
        name: for people. corpora: which of the run's corpora it reads, as their numbers.
        first: the global step (from 0) that is its first. steps: how many it has.
    """

    number: int
    name: str
    corpora: tuple[int, ...]
    sampling: Sampling
    first: int
    steps: int

    @property
    def end(self) -> int:
        """The global step after its last."""
        return self.first + self.steps

    def seed(self, seed: int) -> int:
        """The seed of this stage's stream: that of the run in the first stage, others later, so that a corpus that
        comes twice does not come twice in the same order.
        """
        if self.number == 0:
            return seed
        return int(np.random.SeedSequence([seed, self.number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def stages(
    settings: CurriculumSettings | None,
    corpora: Sequence[Corpus],
    *,
    batch_size: int,
    sampling: Sampling = PROPORTIONAL,
    steps: int | None = None,
    epochs: float | None = None,
    paths: Sequence[str] | None = None,
) -> tuple[Stage, ...]:
    """The stages of a run; without a curriculum there is one, of all corpora.

    Args:
        corpora: of the run. paths: what the user calls them (their addresses where None).
        batch_size: pairs in a global batch. sampling, steps, epochs: of the run, for each stage that has none of its
        own; one epoch where nothing is said. A run of unpaired texts alone has no corpora, and must say its steps.

    Raises `UsageError` where a stage names no corpus of the run, or no stage names one of them; `TppcError` for a
    corpus without rows to train on.
    """
    if not corpora:
        if settings is not None:
            raise UsageError("a curriculum is about corpora of pairs, and this run has none; give them with --corpus")
        assert steps is not None, "without corpora the caller knows how many"
        return (Stage(0, "no pairs", (), sampling, 0, steps),)
    known = list(paths) if paths is not None else [c.address for c in corpora]
    wanted = settings.stages if settings is not None else [StageSettings(corpora=known)]
    found: list[Stage] = []
    for number, one in enumerate(wanted):
        chosen = tuple(sorted({i for name in one.corpora for i in _named(name, corpora, known)}))
        how = one.sampling or _restricted(sampling, chosen, len(corpora))
        count = one.steps
        if count is None and one.epochs is None:
            count = steps
        if count is None:
            for i in chosen:
                corpora[i].shards("train")  # raises where there are none
            epoch = shares(how, [corpora[i].part_rows("train") for i in chosen]).epoch
            count = max(1, math.ceil((one.epochs or epochs or 1.0) * epoch / batch_size))
        first = found[-1].end if found else 0
        found.append(Stage(number, "+".join(one.corpora), chosen, how, first, count))
    left = [known[i] for i in range(len(corpora)) if not any(i in stage.corpora for stage in found)]
    if left:
        raise UsageError(f"{left[0]}: no stage of the curriculum reads it; name it there, or leave out its --corpus")
    return tuple(found)


def _named(name: str, corpora: Sequence[Corpus], paths: Sequence[str]) -> list[int]:
    """Numbers of the corpora that a name means."""
    found = [
        i
        for i, (corpus, path) in enumerate(zip(corpora, paths, strict=True))
        if name in (path, corpus.name, corpus.name.split("/", maxsplit=1)[0])
    ]
    if not found:
        have = ", ".join(dict.fromkeys(c.name for c in corpora))
        raise UsageError(f"curriculum: no corpus {name!r} in this run (it has {have}); give it with --corpus")
    return found


def _restricted(sampling: Sampling, chosen: Sequence[int], count: int) -> Sampling:
    """The sampling of some corpora of a run: weights are those of the chosen ones."""
    if sampling.weights is None or len(sampling.weights) != count:
        return sampling
    return Sampling(method="weights", weights=tuple(sampling.weights[i] for i in chosen))


def settled(settings: CurriculumSettings, found: Sequence[Stage]) -> CurriculumSettings:
    """The settings with every stage's sampling and steps filled in, for `config.toml`: resolving them again gives the
    same stages.
    """
    filled = [
        one.model_copy(update={"sampling": stage.sampling, "steps": stage.steps, "epochs": None})
        for one, stage in zip(settings.stages, found, strict=True)
    ]
    return settings.model_copy(update={"stages": filled})


def stage_at(found: Sequence[Stage], step: int) -> tuple[Stage, int]:
    """The stage of a global step (from 0), and the step inside it; what lies behind the end is of the last stage."""
    stage = next((s for s in found if step < s.end), found[-1])
    return stage, step - stage.first


def begins_afresh(settings: CurriculumSettings | None, found: Sequence[Stage], step: int) -> bool:
    """Whether the optimiser forgets everything before a global step: at the first step of a later stage.

    It is asked before the step is made, and so again by a run that is resumed exactly there.
    """
    stage, inside = stage_at(found, step)
    return settings is not None and settings.optimizer == "fresh" and stage.number > 0 and inside == 0


def on_schedule(settings: CurriculumSettings | None, found: Sequence[Stage], step: int) -> tuple[int, int]:
    """Where a global step stands on the schedule of the learning rate, and how many steps that has: the stage's own, or
    the whole run's where the optimiser is kept.
    """
    if settings is not None and settings.optimizer == "kept":
        return step, found[-1].end
    stage, inside = stage_at(found, step)
    return inside, stage.steps


class Pairs(Protocol):
    """Whatever has a global batch for a step."""

    def batch(self, step: int) -> PairBatch:
        """The global batch of a step (from 0)."""


class StagedStream:
    """The global sequence of batches over the stages of a run.

    `opened` makes the stream of a stage; it is called when the stage is reached, and two streams at most are kept.
    Several threads may ask for batches, as they do at the end of a stage for those of the next.
    """

    def __init__(self, found: Sequence[Stage], opened: Callable[[Stage], Pairs]) -> None:
        self._stages, self._opened = tuple(found), opened
        self._streams: OrderedDict[int, Pairs] = OrderedDict()
        self._opening = threading.Lock()

    def batch(self, step: int) -> PairBatch:
        """The global batch of global step `step` (from 0), which is what its `step` says."""
        stage, inside = stage_at(self._stages, step)
        with self._opening:
            if stage.number not in self._streams:
                self._streams[stage.number] = self._opened(stage)
                if len(self._streams) > 2:
                    self._streams.popitem(last=False)
            stream = self._streams[stage.number]
        return replace(stream.batch(inside), step=step)
