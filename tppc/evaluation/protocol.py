"""The main road of evaluation: encoders in, answers, results out.

For a labelled task every encoder is fine-tuned on the source language (English) with every seed and tested on every
other language: zero-shot transfer. The last checkpoint is taken unless `selection` says otherwise; target-language data
is only ever tested on. Retrieval, bitext mining and similarity need no training. Every task reports trivial baselines
beside the encoders (all-O, majority class, random order), since a score means little without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tppc.errors import UsageError
from tppc.evaluation import predictions as stored
from tppc.evaluation.alike import describe, differently_read, load_alike
from tppc.evaluation.answering import Data, Settings, answering
from tppc.evaluation.data import TaskData
from tppc.evaluation.engagement.data import EngagementData
from tppc.evaluation.mining_data import MiningData
from tppc.evaluation.overlap import flagged, overlaps
from tppc.evaluation.predictions import Predictions
from tppc.evaluation.results import Result, Role
from tppc.evaluation.selection import Selection

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

    Given = str | Encoder | Sequence[str | Encoder]

Say = Callable[[str], None]


def evaluate(
    task: str,
    encoders: Mapping[Role, Given],
    data: Data,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    config: Settings | None = None,
    *,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
    pooling: str | None = None,
    prefix: str | None = None,
    device: str | None = None,
    layer: int | None = None,
    predictions: Path | None = None,
    say: Say = lambda line: None,
) -> list[Result]:
    """Evaluate encoders on a task.

    Args:
        task: `retrieval`, `bitext`, `similarity`, `engagement`, or one of `tppc.evaluation.tasks.TASKS` (`ner`, ...).
        encoders: by role (`baseline`, `control`, `trained`): a name or folder, or a loaded encoder; or several of one
            kind from different pretraining runs, run i of one role being paired with run i of the others. A role of one
            encoder is compared with every run of the others.
        data: from `load_pairs` and the like for retrieval and similarity, a `MiningData` for bitext, from
            `load_engagement` for engagement, from `load_task_data` for the others.
        seeds: of the fine-tuning, the same for every encoder, so that results are paired by seed.
        config: `FineTuning`; for `probe` a `Probing`, for `engagement` a `ProjectionTraining`; the defaults without.
        selection: which weights of a fine-tuning are tested.
        pooling, prefix: instead of the encoders' own; without them, see `alike`. device: cpu or cuda; CUDA where there
            is one.
        layer: whose states are pooled where nothing is trained: 0 the embeddings, 7 the seventh layer, None the last.
        predictions: a folder that the answers to every example are written to, as soon as they are there.
        say: is told what happens, a line at a time.

    Returns every measured number, trivial baselines first. Raises `UsageError` for a request that makes no sense,
    `TppcError` for an encoder that cannot be loaded or that diverges, or predictions that cannot be written.
    """
    results: list[Result] = []
    how: dict[str, Any] = {"pooling": pooling, "prefix": prefix, "device": device, "layer": layer}
    for parts in answers(task, encoders, data, seeds, config, selection=selection, **how, say=say):
        if predictions is not None:
            stored.write_predictions(predictions, parts)
        for one in parts:
            results.extend(stored.results_of(one))
    return results


def answers(
    task: str,
    encoders: Mapping[Role, Given],
    data: Data,
    seeds: Sequence[int],
    config: Settings | None = None,
    *,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
    pooling: str | None = None,
    prefix: str | None = None,
    device: str | None = None,
    layer: int | None = None,
    only: Collection[Role] | None = None,
    say: Say = lambda line: None,
) -> Iterator[list[Predictions]]:
    """What `evaluate` makes its results of, as it comes: the answers of one model to all of its test sets.

    Args:
        only: whose answers are wanted (`trivial` among them; None for all); the other encoders are loaded to be read
            alike and not asked. The rest is as in `evaluate`.
    """
    families = _families(encoders)
    named = flagged(data) if isinstance(data, TaskData) else data
    road = answering(task, named, seeds, config, selection=selection, layer=layer, say=say)
    where = device_for(device)

    def wanted(role: Role) -> bool:
        return only is None or role in only

    asked = [name for role, family in families.items() if wanted(role) for name in family if isinstance(name, str)]
    if not isinstance(data, EngagementData):
        for one in overlaps(data.test if isinstance(data, MiningData) else data, asked):
            say(str(one))
    if wanted("trivial"):
        yield from road.trivial()
    if not any(wanted(role) for role in families):
        return
    for run in range(max(len(family) for family in families.values())):
        compared = {role: family[min(run, len(family) - 1)] for role, family in families.items()}
        loaded = load_alike(compared, pooling=pooling, prefix=prefix, device=where, layer=layer)
        read = describe(loaded)
        if differently_read(loaded):
            say(f"note: the encoders declare different ways to be read, and keep them: {read}")
        new = {
            role: replace(one, name=_label(families[role]))
            for role, one in loaded.items()
            if run < len(families[role]) and wanted(role)
        }
        yield from road.encoders(loaded, new, read, run)


def _families(encoders: Mapping[Role, Given]) -> dict[Role, list[str | Encoder]]:
    """The encoders of each role, one a pretraining run. Raises `UsageError` for roles or counts that do not fit."""
    unknown = sorted(set(encoders) - set(get_args(Role)) | set(encoders) & {"trivial"})
    if unknown or not encoders:
        raise UsageError(f"encoders are given by role: baseline, control or trained, not {unknown or 'none'}")
    families = {
        role: list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        for role, given in encoders.items()
    }
    counts = {role: len(family) for role, family in families.items()}
    if 0 in counts.values() or len(set(counts.values()) - {1}) > 1:
        said = ", ".join(f"{count} of {role}" for role, count in counts.items())
        raise UsageError(
            f"run i of one role is compared with run i of the others, but there are {said}; "
            "give one encoder of a role, or as many as of the others"
        )
    for role, family in families.items():
        names = [one for one in family if isinstance(one, str)]
        places = [str(Path(name).resolve()) if Path(name).exists() else name for name in names]
        if again := [name for number, name in enumerate(names) if places[number] in places[:number]]:
            raise UsageError(
                f"{again[0]} is given twice as {role}: a copy is no second pretraining run, and has no spread; "
                "give each encoder once"
            )
    return families


def _label(family: Sequence[str | Encoder]) -> str:
    """What a role's encoders are called in results, the same for all runs."""
    return ", ".join(dict.fromkeys(one if isinstance(one, str) else one.name for one in family))


def device_for(given: str | None) -> str:
    """The device asked for, or the best there is. Raises `UsageError` for one that is not here or of another kind."""
    import torch

    if given is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    found = re.fullmatch(r"cpu|cuda(?::([0-9]{1,4}))?", given)
    if not found:
        raise UsageError(f"--device {given}: no device that tppc runs on; use cpu, cuda or cuda:1")
    if given == "cpu":
        return given
    if not torch.cuda.is_available():
        raise UsageError(f"--device {given}: PyTorch finds no CUDA device here; use --device cpu")
    if int(found[1] or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {given}: PyTorch finds {torch.cuda.device_count()} CUDA devices, counted from 0")
    return given
