"""The ranks that trivial baselines and encoders give the engagements of a test set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tppc.evaluation.engagement.data import CANDIDATES, EngagementData
from tppc.evaluation.predictions import Predictions
from tppc.evaluation.results import Role
from tppc.evaluation.tasks import engagement

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder
    from tppc.evaluation.engagement.projections import ProjectionTraining


def trivial_answers(data: EngagementData) -> Iterator[list[Predictions]]:
    """The exact expectation of a random order, and of an order by how often training engages with a text."""
    others = data.candidates >= 0
    last = 1 + others.sum(1)
    frequency = np.bincount(data.train[:, 1], minlength=len(data.texts))
    own, rest = frequency[data.test[:, 1], None], frequency[data.candidates]
    best = 1 + (others & (rest > own)).sum(1)
    how = f"trivial; exact expectation; among {CANDIDATES:,}"
    for name, bounds in {
        "random order": np.stack([np.ones_like(last), last], axis=1),
        "popularity": np.stack([best, best + (others & (rest == own)).sum(1)], axis=1),
    }.items():
        yield [_predictions(data, bounds.tolist(), role="trivial", encoder=name, run=0, seed=None, protocol=how)]


def encoder_answers(
    encoder: Encoder,
    data: EngagementData,
    seeds: Sequence[int],
    config: ProjectionTraining,
    read: str,
    *,
    role: Role,
    run: int,
    say: Callable[[str], None],
) -> Iterator[list[Predictions]]:
    """Embed the texts once, then learn projections and rank with each seed.

    Args:
        read: how the compared encoders are read. role, run: which encoder of a comparison this is.
    """
    from tppc.encoders.embed import embed
    from tppc.evaluation.engagement.projections import learn, ranks, scaled

    vectors = scaled(embed(encoder, data.texts), data.train[:, 1])
    users = "learnt users" if data.users is None else f"users given ({data.users.shape[1]} numbers)"
    how = f"in-language; last epoch; {config.describe()}; {users}; among {CANDIDATES:,}; ties count against; {read}"
    for seed in seeds:
        start = time.monotonic()
        what = f"{encoder.name}: engagement with seed {seed}"
        model = learn(data, vectors, config, seed, device=encoder.model.device, what=what)
        found = ranks(model, data, vectors)
        scores = engagement.score(found)
        said = ", ".join(f"{metric} {100 * scores[metric]:.1f}" for metric in engagement.METRICS)
        of_run = f" run {run}" if run else ""
        seconds = time.monotonic() - start
        say(f"engagement {role}{of_run} seed {seed}: {data.language} {said} ({seconds:.1f} s)")
        yield [_predictions(data, found.tolist(), role=role, encoder=encoder.name, run=run, seed=seed, protocol=how)]


def _predictions(data: EngagementData, values: Sequence[Sequence[float]], **identity: Any) -> Predictions:
    return Predictions(
        task=engagement.NAME,
        language=data.language,
        dataset=f"{data.name}:test",
        dataset_digest=data.digest,
        source_language=data.language,
        gold=(),
        predicted=(),
        values=values,
        **identity,
    )
