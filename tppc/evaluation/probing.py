"""Probes: a logistic regression on frozen vectors says what can be read from them linearly.

Nothing of the encoder is trained, so a probe takes seconds and sees differences that fine-tuning levels out
(TwHIN-BERT's hashtag probe told encoders apart by 10 points where fine-tuning told them apart by 5). It is
scikit-learn's multinomial logistic regression with an L2 penalty, on dimensions with mean 0 and deviation 1 over the
training texts, since encoders differ in scale and share a large common direction. It has one optimum, so no seed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tppc.errors import TppcError


class Probing(BaseModel):
    """Settings of a probe."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    inverse_penalty: float = Field(default=1.0, gt=0, description="scikit-learn's C: less is a stronger L2 penalty")
    max_iterations: int = Field(default=1_000, ge=1, description="of L-BFGS")

    def describe(self) -> str:
        """The settings as they stand in a result's protocol."""
        return f"frozen encoder; logistic regression on standardised vectors C={self.inverse_penalty:g}"


@dataclass(frozen=True)
class Probe:
    """A logistic regression that is learnt: its labels, and scikit-learn's pipeline. `converged`: it is the optimum."""

    labels: tuple[str, ...]
    pipeline: Any
    converged: bool

    def ranked(self, vectors: NDArray[np.float32], count: int = 1) -> list[list[str]]:
        """The likeliest labels of n vectors [n, H], best first, at most `count` each; equals by the alphabet."""
        likely = self.pipeline.decision_function(vectors)
        if likely.ndim == 1:  # of two labels scikit-learn gives the second's alone
            likely = np.stack([-likely, likely], axis=1)
        best = np.argsort(-likely, axis=1, kind="stable")[:, :count]
        return [[self.labels[i] for i in row] for row in best.tolist()]


def learn_probe(vectors: NDArray[np.float32], labels: Sequence[str], config: Probing) -> Probe:
    """Learn to tell the labels of n vectors, float32 [n, H].

    Raises `TppcError` for vectors that are not finite numbers, and for labels that are all the same.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not np.isfinite(vectors).all():
        raise TppcError("the encoder gave vectors that are not finite numbers; its weights are damaged")
    if len(set(labels)) < 2:
        raise TppcError(f"all training texts have the label {labels[0]!r}; a probe needs two labels at least")
    regression = LogisticRegression(C=config.inverse_penalty, max_iter=config.max_iterations)
    pipeline = make_pipeline(StandardScaler(), regression)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        pipeline.fit(vectors, list(labels))
    converged = not any(issubclass(one.category, ConvergenceWarning) for one in said)
    return Probe(tuple(str(label) for label in regression.classes_), pipeline, converged)


def cross_validated(
    vectors: NDArray[np.float32],
    labels: Sequence[str],
    config: Probing,
    folds: int = 5,
    groups: NDArray[np.int64] | None = None,
) -> float:
    """Share of n vectors [n, H] whose label a probe gets right that was learnt on the other folds.

    Args:
        groups: int64 [n]; rows of one group are never in training and test at once (a text and its translation, where
            the labels are languages). Without, rows are dealt out with seed 0, each label evenly.

    Raises `TppcError` where a fold leaves a single label to learn from.
    """
    from sklearn.model_selection import GroupKFold, StratifiedKFold

    answers = np.array(labels)
    if groups is None:
        split = StratifiedKFold(folds, shuffle=True, random_state=0)
    else:
        split = GroupKFold(min(folds, len(np.unique(groups))))
    hits = 0
    for train, test in split.split(vectors, answers, groups):
        probe = learn_probe(vectors[train], answers[train].tolist(), config)
        hits += sum(found[0] == right for found, right in zip(probe.ranked(vectors[test]), answers[test], strict=True))
    return hits / len(labels)
