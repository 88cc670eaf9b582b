"""Who answers for which data: fine-tuned encoders, probes, projections, or encoders as they are.

`protocol` walks one road for every task; here is what differs between tasks. Each kind of data has its trivial
baselines and its way to ask encoders, and takes settings of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tppc.errors import UsageError
from tppc.evaluation import probe_answers, untrained, zero_shot
from tppc.evaluation.data import TaskData
from tppc.evaluation.engagement import answers as engaged
from tppc.evaluation.engagement.data import EngagementData
from tppc.evaluation.engagement.projections import ProjectionTraining
from tppc.evaluation.finetune import FineTuning
from tppc.evaluation.predictions import Predictions
from tppc.evaluation.probing import Probing
from tppc.evaluation.results import Role
from tppc.evaluation.selection import Selection
from tppc.evaluation.tasks import engagement, task_named

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

Data = TaskData | EngagementData | untrained.Data
Settings = FineTuning | Probing | ProjectionTraining
Say = Callable[[str], None]
Kind = TypeVar("Kind", FineTuning, Probing, ProjectionTraining)


@dataclass(frozen=True)
class Answering:
    """How a task's data is answered, each list being one model's answers to all of its test sets.

    Attributes:
        trivial: the trivial baselines; tells what there is to say of the data.
        encoders: all encoders that are compared in one pretraining run, by role; those of them that are asked; how
            they are read; and which run it is.
    """

    trivial: Callable[[], Iterator[list[Predictions]]]
    encoders: Callable[[Mapping[Role, Encoder], Mapping[Role, Encoder], str, int], Iterator[list[Predictions]]]


def answering(
    task: str,
    data: Data,
    seeds: Sequence[int],
    config: Settings | None,
    *,
    selection: Selection,
    layer: int | None,
    say: Say,
) -> Answering:
    """How `task` is answered on `data`. Raises `UsageError` for data, settings, seeds or a layer that do not fit."""
    if not isinstance(data, TaskData | EngagementData):
        return _untrained(task, data, say)
    if layer is not None:
        raise UsageError(f"{task} is learnt on the last layer; a layer can be chosen for tasks that train nothing")
    if not seeds or len(set(seeds)) != len(seeds):
        raise UsageError(f"seeds must be at least one and all different (they are {list(seeds)})")
    if isinstance(data, EngagementData):
        return _engaged(task, data, seeds, _settings(task, config, ProjectionTraining), say)
    return _labelled(task, data, seeds, config, selection=selection, say=say)


def _settings(task: str, given: Settings | None, kind: type[Kind]) -> Kind:
    """The settings, or the defaults. Raises `UsageError` for those of another kind of task."""
    if given is None:
        return kind()
    if not isinstance(given, kind):
        raise UsageError(f"{task} is set up by {kind.__name__}, not by {type(given).__name__}")
    return given


def _untrained(task: str, data: untrained.Data, say: Say) -> Answering:
    untrained.check(task, data)

    def trivial() -> Iterator[list[Predictions]]:
        yield untrained.trivial(task, data)

    def encoders(
        loaded: Mapping[Role, Encoder], new: Mapping[Role, Encoder], read: str, run: int
    ) -> Iterator[list[Predictions]]:
        yield from untrained.answers(task, loaded, new, data, run=run, say=say)

    return Answering(trivial, encoders)


def _engaged(task: str, data: EngagementData, seeds: Sequence[int], config: ProjectionTraining, say: Say) -> Answering:
    if task != engagement.NAME:
        raise UsageError(f"{task} wants other data than interactions of users with texts")

    def trivial() -> Iterator[list[Predictions]]:
        for note in data.notes:
            say(f"note: {note}")
        yield from engaged.trivial_answers(data)

    def encoders(
        loaded: Mapping[Role, Encoder], new: Mapping[Role, Encoder], read: str, run: int
    ) -> Iterator[list[Predictions]]:
        for role, encoder in new.items():
            yield from engaged.encoder_answers(encoder, data, seeds, config, read, role=role, run=run, say=say)

    return Answering(trivial, encoders)


def _labelled(
    task: str, data: TaskData, seeds: Sequence[int], config: Settings | None, *, selection: Selection, say: Say
) -> Answering:
    chosen, parts = task_named(task), zero_shot.parts_of(data)
    probe = _settings(task, config, Probing) if chosen.learner == "probe" else None
    tuning = _settings(task, config, FineTuning) if probe is None else FineTuning()
    if probe is not None and selection.how != "last":
        raise UsageError(f"{task} has one optimum and nothing to select: leave the selection out")

    def trivial() -> Iterator[list[Predictions]]:
        for note in zero_shot.notes_of(data, parts):
            say(f"note: {note}")
        yield from zero_shot.trivial_answers(chosen, data, parts)

    def encoders(
        loaded: Mapping[Role, Encoder], new: Mapping[Role, Encoder], read: str, run: int
    ) -> Iterator[list[Predictions]]:
        setting = zero_shot.Setting(seeds, tuning, selection, read)
        for role, encoder in new.items():
            if probe is not None:
                yield from probe_answers.encoder_answers(
                    chosen, encoder, data, parts, probe, read, role=role, run=run, say=say
                )
            else:
                yield from zero_shot.encoder_answers(chosen, encoder, data, parts, setting, role=role, run=run, say=say)

    return Answering(trivial, encoders)
