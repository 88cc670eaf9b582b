"""What is wanted of an entity: settings, languages, and what a pair of an item can lack.

What an item has is its *signature*: a byte, 0 or 1, for the label and the description in each language and for the
label for all languages. So an item of a dump is looked at once, however many pairs are built, and what each
pair lacks follows from the signatures of many items at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tppc.builders.sources.base import Options
from tppc.corpora.languages import Pair, parse_pair

ANY_LANGUAGE = "mul"
#: Items that serve Wikimedia itself, by P31.
INTERNAL = frozenset(
    {
        "Q4167410",  # disambiguation page
        "Q4167836",  # category
        "Q11266439",  # template
        "Q13406463",  # list article
        "Q4663903",  # portal
        "Q15184295",  # module
        "Q14204246",  # project page
        "Q11753321",  # navigation template
        "Q22808320",  # human-name disambiguation page
        "Q17442446",  # internal item
        "Q17633526",  # Wikinews article
        "Q20010800",  # user language category
    }
)


class WikidataOptions(Options):
    """`[wikidata]`: what the two texts of a pair are, and which items give one.

    `text`: the label and the description with a space between, as in the paper, or one of them. `aliases`: each alias
    in the one language, in the place of the label, with the text in the other one is a pair of its own (`Q42#src1` is
    the first alias in the source language), up to ten a side. `exclude_internal` leaves out items that only serve
    Wikimedia itself (disambiguation, category, template, list pages). `classes`: only direct instances (P31) of one.
    """

    text: Literal["label description", "label", "description"] = "label description"
    aliases: bool = False
    exclude_internal: bool = True
    classes: list[Annotated[str, Field(pattern="^Q[1-9][0-9]*$")]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _aliases_stand_for_labels(self) -> Self:
        if self.aliases and self.text == "description":
            raise ValueError("aliases take the place of labels, and text = 'description' has none")
        return self


@dataclass(frozen=True)
class Lack:
    """Something that an item lacks for a pair: the reason, in words, and the column of `Wanted.has` that is false."""

    reason: str
    words: str
    column: int


@dataclass(frozen=True)
class Wanted:
    """What a pass over a dump looks for. `codes` are the languages in the dump's own codes."""

    pairs: tuple[Pair, ...]
    codes: tuple[str, ...]
    labels: bool
    descriptions: bool
    aliases: bool

    @classmethod
    def of(cls, pairs: Sequence[str], options: dict[str, Any]) -> Wanted:
        """What some pairs need under the source's settings."""
        parsed = tuple(map(parse_pair, pairs))
        codes = tuple(sorted({side.wikidata for pair in parsed for side in pair.languages}))
        text = options["text"]
        return cls(parsed, codes, text != "description", text != "label", options["aliases"])

    @property
    def width(self) -> int:
        """Bytes of a signature: labels in the order of `codes`, the label for all, descriptions."""
        return 2 * len(self.codes) + 1

    def lacks(self, pair: Pair) -> list[Lack]:
        """What an item can lack for a pair, in the order in which it is asked."""
        found = []
        for role, side in zip(("src", "tgt"), pair.languages, strict=True):
            at = self.codes.index(side.wikidata)
            if self.labels:
                found.append(Lack(f"no_{role}_label", f"no {side.wikidata} label", at))
            if self.descriptions:
                found.append(Lack(f"no_{role}_description", f"no {side.wikidata} description", len(self.codes) + at))
        return found

    def complete(self, signature: bytes) -> bool:
        """Whether an item has all that one of the pairs needs."""
        has = int.from_bytes(signature, "little")
        if signature[len(self.codes)]:
            has |= self._labels
        common, needs = self._needs
        if has & common != common:  # all pairs share English, most often
            return False
        for need in needs:  # noqa: SIM110 - a generator takes twice the time, and this is asked of every item
            if has & need == need:
                return True
        return False

    @cached_property
    def _labels(self) -> int:
        return int.from_bytes(b"\1" * len(self.codes), "little")

    @cached_property
    def _needs(self) -> tuple[int, list[int]]:
        """For each pair a number with the bytes of a signature that it needs, and before them what all of them need."""
        count = len(self.codes)
        places = [[lack.column + (lack.column >= count) for lack in self.lacks(pair)] for pair in self.pairs]
        needs = [sum(1 << 8 * place for place in each) for each in places]
        return reduce(and_, needs), needs

    def has(self, signatures: bytes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Signatures (`width` bytes each) as rows of booleans: labels (own, or that for all), then descriptions."""
        rows = np.frombuffer(signatures, np.bool_).reshape(-1, self.width)
        count = len(self.codes)
        return np.hstack([rows[:, :count] | rows[:, count : count + 1], rows[:, count + 1 :]])


def first_lacks(has: np.ndarray[Any, np.dtype[np.bool_]], lacks: Sequence[Lack]) -> np.ndarray[Any, Any]:
    """For each row of `has` the number of the first thing that it lacks, -1 where it has all."""
    return np.select([~has[:, lack.column] for lack in lacks], range(len(lacks)), -1)
