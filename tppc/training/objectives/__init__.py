"""Objectives: losses over a global batch of pairs. One module of this package is one objective.

A module `tppc.training.objectives.<name>` defines

- `Settings`, a subclass of `ObjectiveSettings`: what a user may set (unknown keys are errors), and
- `build(settings, hidden_size) -> Objective`.

An objective sees the embeddings of the WHOLE global batch (gathered over ranks, with gradients) and the rows that
belong to this rank. It returns this rank's share of the loss: a sum over its rows divided by GLOBAL counts, so that the
shares add up to the loss of one process, whatever the number of ranks.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from tppc.errors import UsageError


class ObjectiveSettings(BaseModel):
    """What every objective can be told. Objectives add up: total loss = sum of weight * loss."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    weight: float = Field(default=1.0, gt=0)


@dataclass(frozen=True)
class GlobalPairs:
    """A global batch of N pairs as float32 embeddings.

    Args:
        src, tgt: [N, H]; row i of both is one translation pair.
        rows: [n], which of the N rows are this rank's.
        masked: [N, N], true at (i, j), i != j, where src i and tgt j may be translations of each other after all (a
            text of pair i is also a text of pair j): neither positive nor negative. Not symmetric in a control, where
            target j belongs to another source.
        draw: seed of this step's random choices, the same on every rank.
        other: [N, H] or None, embeddings of one text a pair from a second stream (for `needs_other` objectives).
        other_usable: [N], false where the second stream happened on a pair that shares a text with this one.
    """

    src: Tensor
    tgt: Tensor
    rows: Tensor
    masked: Tensor
    draw: int = 0
    other: Tensor | None = None
    other_usable: Tensor | None = None


@dataclass(frozen=True)
class Outcome:
    """This rank's share of the loss (a scalar) and scalars worth a look, which are not summed over ranks."""

    loss: Tensor
    numbers: dict[str, Tensor] = field(default_factory=dict)


class Objective(nn.Module, ABC):
    """A loss over a global batch; its parameters (a scale, a bias) are trained along."""

    needs_other = False

    def initialise(self, pairs: GlobalPairs) -> None:
        """Set parameters from the first global batch, before the first step. The same on every rank."""

    @abstractmethod
    def forward(self, pairs: GlobalPairs) -> Outcome:
        """This rank's share of the loss."""

    def logits(self, src: Tensor, tgt: Tensor) -> Tensor | None:
        """Logits [a, b] of all combinations of src [a, H] and tgt [b, H], where the objective has such a thing."""
        return None


def names() -> list[str]:
    """Names of all objectives."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def _module(name: str) -> Any:
    if name not in names():
        raise UsageError(f"unknown objective {name!r}: choose from {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")


def parse_settings(name: str, values: Mapping[str, Any]) -> ObjectiveSettings:
    """Check the settings of objective `name`. Raises `UsageError` that names the setting."""
    try:
        settings: ObjectiveSettings = _module(name).Settings.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(["objectives", name, *(str(p) for p in first["loc"])])
        raise UsageError(f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    return settings


def build(name: str, settings: ObjectiveSettings, hidden_size: int) -> Objective:
    """The objective `name` over vectors of length `hidden_size`."""
    objective: Objective = _module(name).build(settings, hidden_size)
    return objective


def false_negatives(
    src_key: Tensor, tgt_key: Tensor, own_src_key: Tensor | None = None, own_tgt_key: Tensor | None = None
) -> Tensor:
    """The `masked` matrix, bool [N, N], from the side keys, int64 [N].

    (i, j) is masked when pairs i and j share any text, on either side: then src i and tgt j may translate each other
    (Tatoeba links many to many; Wikidata gives thousands of items one description). In a control, `own_tgt_key` are the
    keys of the targets that the sources had, `own_src_key` those of the sources that the targets had: (i, j) is also
    masked when those pairs share a text or are one, or the control would be taught to tear translations apart.
    """
    masked = _share_a_text(src_key, tgt_key, src_key, tgt_key)
    if own_src_key is not None and own_tgt_key is not None:
        masked |= _share_a_text(src_key, own_tgt_key, own_src_key, tgt_key)
    masked.fill_diagonal_(False)
    return masked


def _share_a_text(src: Tensor, tgt: Tensor, other_src: Tensor, other_tgt: Tensor) -> Tensor:
    """Bool [N, N]: whether pair i, with keys `src` and `tgt`, and pair j of the others have a text in common."""
    shared = src[:, None] == other_src[None, :]
    shared |= tgt[:, None] == other_tgt[None, :]
    shared |= src[:, None] == other_tgt[None, :]
    shared |= tgt[:, None] == other_src[None, :]
    return shared


def uniform(draw: int, *shape: int, device: torch.device) -> Tensor:
    """Random numbers in [0, 1) that depend on `draw` and the shape alone, also across devices."""
    generator = torch.Generator().manual_seed(draw)
    return torch.rand(shape, generator=generator).to(device)
