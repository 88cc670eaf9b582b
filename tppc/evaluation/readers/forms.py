"""The canonical forms that every reader yields and every task takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class TaggedSentence:
    """A sentence of n tokens with one tag each: IOB2 for entities (`B-PER`, `I-PER`, `O`), UPOS for parts of speech."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]

    def __post_init__(self) -> None:
        assert len(self.tokens) == len(self.tags), "a reader must give every token exactly one tag"


@dataclass(frozen=True)
class LabelledText:
    """A text with one label."""

    text: str
    label: str


@dataclass(frozen=True)
class Reading(Generic[Item]):
    """What a file held: its items in file order, and notes for people on everything that was repaired or mapped."""

    items: Sequence[Item]
    notes: tuple[str, ...] = ()
