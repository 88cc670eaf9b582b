"""The answers of probes to labelled test sets: learnt on frozen vectors of the source language, asked in all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tppc.evaluation.predictions import Predictions, results_of
from tppc.evaluation.probing import Probing, learn_probe
from tppc.evaluation.results import Role
from tppc.evaluation.tasks.task import Labels, Task, labels_of
from tppc.evaluation.zero_shot import Part, kind_of, predictions_of

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder
    from tppc.evaluation.data import TaskData


def encoder_answers(
    task: Task,
    encoder: Encoder,
    data: TaskData,
    parts: Sequence[Part],
    config: Probing,
    read: str,
    *,
    role: Role,
    run: int,
    say: Callable[[str], None],
) -> Iterator[list[Predictions]]:
    """Embed the training texts, learn a probe, ask it about all parts.

    Args:
        read: how the compared encoders are read. role, run: which encoder of a comparison this is.
    """
    from tppc.encoders.embed import embed

    start = time.monotonic()
    gold = [one[0] for one in labels_of(data.train)]
    probe = learn_probe(embed(encoder, [item.text for item in data.train]), gold, config)
    if not probe.converged:
        say(f"note: the probe of {encoder.name} has not converged in {config.max_iterations} iterations")
    answers, said = [], []
    for part in parts:
        found: Labels = probe.ranked(embed(encoder, [item.text for item in part.items]), task.ranked)
        how = f"{kind_of(part, data.source_language)}; {config.describe()}; {read}"
        one = predictions_of(task, data, part, found, role=role, encoder=encoder.name, run=run, seed=None, protocol=how)
        answers.append(one)
        said.append(f"{part} {100 * results_of(one)[0].value:.1f}")
    of_run = f" run {run}" if run else ""
    say(f"{task.name} {role}{of_run}: {task.metrics[0]} {', '.join(said)} ({time.monotonic() - start:.1f} s)")
    yield answers
