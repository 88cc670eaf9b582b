"""Objectives: losses over a batch, one file each, added up with weights.

Three kinds, by what they look at:

* `PairObjective`: the vectors of a global batch of pairs (`tpp`, `cosine`, `infonce`, `ntxent`);
* `StateObjective`: the states of tokens after every layer (`identical`, `mean-variance`, `average-linkage`), of the
  pairs' texts or of unpaired ones;
* `MaskedObjective`: texts with tokens to guess (`mlm`, `tlm`), each with a forward pass of its own.

A file defines `Settings` (a pydantic model with a docstring) and `build(settings, hidden_size)`; its name on the
command line is the file's with hyphens. A loss computes the share of the rows that belong to this rank, divided by
GLOBAL counts, so that the shares add up to the loss of one process, whatever the number of ranks.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from tppc.errors import UsageError, misfit
from tppc.training.distribution import Ranks


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
        hard: [M, H] or None, embeddings of mined targets that are hard to tell from translations.
        hard_masked: [N, M], true where mined target j is no negative of source i.
    """

    src: Tensor
    tgt: Tensor
    rows: Tensor
    masked: Tensor
    draw: int = 0
    other: Tensor | None = None
    other_usable: Tensor | None = None
    hard: Tensor | None = None
    hard_masked: Tensor | None = None

    def candidates(self) -> tuple[Tensor, Tensor]:
        """What this rank's sources are told from: targets [N + M, H], mined ones last, and their mask [n, N + M]."""
        if self.hard is None or self.hard_masked is None:
            return self.tgt, self.masked[self.rows]
        return torch.cat([self.tgt, self.hard]), torch.cat([self.masked, self.hard_masked], 1)[self.rows]

    def admitted(self) -> Tensor:
        """How many combinations of all N sources with targets, mined ones included, are negatives: a scalar."""
        count = len(self.src)
        admitted = count * count - count - self.masked.sum()
        if self.hard_masked is not None:
            admitted = admitted + (~self.hard_masked).sum()
        return admitted


@dataclass(frozen=True)
class TokenTexts:
    """The tokens of this rank's texts, piece by piece as they run through the encoder.

    For each piece, [total] each: `ids` of the vocabulary, `languages` as numbers from 0 to G - 1, and `content`, false
    for special tokens and those of texts that take no part (language -1), which belong to no language.
    """

    ids: Sequence[Tensor]
    languages: Sequence[Tensor]
    content: Sequence[Tensor]


@dataclass(frozen=True)
class Outcome:
    """This rank's share of the loss (a scalar) and scalars worth a look, which are not summed over ranks."""

    loss: Tensor
    numbers: dict[str, Tensor] = field(default_factory=dict)


class Objective(nn.Module):
    """What all objectives are; their parameters (a scale, a bias, a head) are trained along."""


class PairObjective(Objective, ABC):
    """A loss over the vectors of a global batch."""

    needs_other = False

    def initialise(self, pairs: GlobalPairs) -> None:
        """Set parameters from the first global batch, before the first step. The same on every rank."""

    @abstractmethod
    def forward(self, pairs: GlobalPairs) -> Outcome:
        """This rank's share of the loss."""

    def logits(self, src: Tensor, tgt: Tensor) -> Tensor | None:
        """Logits [a, b] of all combinations of src [a, H] and tgt [b, H], where the objective has such a thing."""
        return None


class StateObjective(Objective, ABC):
    """A loss over the states of tokens after every layer, from G languages.

    The encoder runs on pieces of a batch that may be computed twice (see `step`), so the loss is split: `features`
    takes what it needs of one piece, the pieces' features are added or put one after another, and `forward` sees them
    all.
    """

    additive: bool
    """Whether the features of pieces are added; otherwise they are concatenated along the first axis."""

    @abstractmethod
    def prepare(self, texts: TokenTexts, groups: int, ranks: Ranks, draw: int) -> Any:
        """What `features` and `forward` need to know of the whole batch, such as counts over all ranks. Every rank
        calls it, so it may exchange numbers.
        """

    @abstractmethod
    def features(self, layers: Sequence[Tensor], piece: int, plan: Any) -> Tensor:
        """What piece number `piece` adds. `layers`: L + 1 tensors [total, H], the embeddings first."""

    @abstractmethod
    def forward(self, features: Tensor, plan: Any) -> Outcome:
        """This rank's share of the loss."""


class MaskedObjective(Objective):
    """Cross-entropy of tokens that were taken out of texts, by a head over the last layer's states.

    The batches are made in `masking`; the mean runs over all guessed tokens of all ranks. `pairs` says whether the
    two texts of a pair are one input.
    """

    pairs: bool

    def __init__(self, settings: MaskedSettings) -> None:
        super().__init__()
        self.settings = settings


class MaskedSettings(ObjectiveSettings):
    """How tokens are chosen and replaced, as BERT does (Devlin et al. 2019, section 3.1).

    rate: share of a text's tokens to guess, at least one. whole_words: choose words, all pieces of each (as the later
    releases of BERT). Of the chosen ones 80% become [MASK], 10% another token, 10% stay.
    """

    rate: float = Field(default=0.15, gt=0, lt=1)
    whole_words: bool = False


def _file_of(name: str) -> str:
    return name.replace("-", "_")


def names() -> list[str]:
    """Names of all objectives."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def _module(name: str) -> Any:
    if name not in names():
        raise UsageError(f"unknown objective {name!r}: choose from {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{_file_of(name)}")


def kind_of(name: str) -> Literal["pairs", "states", "masked"]:
    """What an objective reads: `pairs` alone (`tlm` among them), or `states` and `masked` texts, paired or not."""
    made = [c for c in vars(_module(name)).values() if isinstance(c, type) and issubclass(c, Objective)]
    if any(issubclass(c, StateObjective) and c is not StateObjective for c in made):
        return "states"
    masked = [c for c in made if issubclass(c, MaskedObjective) and c is not MaskedObjective]
    return "masked" if masked and not masked[0].pairs else "pairs"


def unpaired_names() -> list[str]:
    """The objectives that need no pairs."""
    return [name for name in names() if kind_of(name) != "pairs"]


#: The objectives that take mined negatives.
TAKE_HARD = ("cosine", "infonce", "tpp")


def parse_settings(name: str, values: Mapping[str, Any]) -> ObjectiveSettings:
    """Check the settings of objective `name`. Raises `UsageError` that names the setting."""
    try:
        settings: ObjectiveSettings = _module(name).Settings.model_validate(dict(values))
    except ValidationError as error:
        where, said = misfit(error)
        raise UsageError(f"objectives.{name}{'.' + where if where else ''}: {said}") from error
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
    masked = share_a_text(src_key, tgt_key, src_key, tgt_key)
    if own_src_key is not None and own_tgt_key is not None:
        masked |= share_a_text(src_key, own_tgt_key, own_src_key, tgt_key)
    masked.fill_diagonal_(False)
    return masked


def share_a_text(src: Tensor, tgt: Tensor, other_src: Tensor, other_tgt: Tensor) -> Tensor:
    """Bool [N, M]: whether pair i, with keys `src` and `tgt`, and pair j of the others have a text in common."""
    shared = src[:, None] == other_src[None, :]
    shared |= tgt[:, None] == other_tgt[None, :]
    shared |= src[:, None] == other_tgt[None, :]
    shared |= tgt[:, None] == other_src[None, :]
    return shared


def uniform(draw: int, *shape: int, device: torch.device) -> Tensor:
    """Random numbers in [0, 1) that depend on `draw` and the shape alone, also across devices."""
    generator = torch.Generator().manual_seed(draw)
    return torch.rand(shape, generator=generator).to(device)
