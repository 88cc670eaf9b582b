"""Label maps by name: one label space for training and test data, and what is lost on the way.

A zero-shot F1 between two label spaces measures the map, not the encoder; so a map says what it drops, and the number
of entities it dropped is reported with every result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tppc.errors import UsageError
from tppc.evaluation.readers.forms import LabelledText, Reading, TaggedSentence


@dataclass(frozen=True)
class LabelMap:
    """A map of labels (for tags: of entity types, without B- and I-). A type that `to` has not becomes `O`."""

    name: str
    to: Mapping[str, str]
    loses: str


PER_LOC_ORG = LabelMap(
    "per-loc-org",
    {
        **dict.fromkeys(["PER", "PERSON", "person", "PSN"], "PER"),
        # Facilities are locations in CoNLL-2003's guidelines (airports, squares, museums).
        **dict.fromkeys(["LOC", "LOCATION", "location", "GPE", "FAC"], "LOC"),
        **dict.fromkeys(["ORG", "ORGANIZATION", "group", "corporation"], "ORG"),
    },
    "all types but persons, locations (with GPE, FAC) and organisations (with group, corporation) become O",
)
UMSAB = LabelMap("umsab", {"0": "negative", "1": "neutral", "2": "positive"}, "nothing is lost")

TAG_MAPS = {PER_LOC_ORG.name: PER_LOC_ORG}
TEXT_MAPS = {UMSAB.name: UMSAB}


def _named(maps: Mapping[str, LabelMap], name: str) -> LabelMap:
    if name not in maps:
        raise UsageError(f"there is no label map {name!r}; there is: {', '.join(maps)}")
    return maps[name]


def map_tags(reading: Reading[TaggedSentence], name: str) -> Reading[TaggedSentence]:
    """Map the entity types of IOB2 sentences; spans keep their borders, dropped types become `O`.

    Raises `UsageError` for a map there is not.
    """
    table = _named(TAG_MAPS, name)
    dropped: Counter[str] = Counter()
    sentences: list[TaggedSentence] = []
    for sentence in reading.items:
        tags = []
        for tag in sentence.tags:
            if tag != "O" and tag[2:] in table.to:
                tags.append(tag[:2] + table.to[tag[2:]])
            else:
                tags.append("O")
                dropped[tag[2:]] += tag.startswith("B-")
        sentences.append(TaggedSentence(sentence.tokens, tuple(tags)))
    lost = ", ".join(f"{kind} {count}" for kind, count in sorted(dropped.items()) if count)
    return Reading(sentences, (*reading.notes, f"{name}: {table.loses}; here: {lost}") if lost else reading.notes)


def map_labels(reading: Reading[LabelledText], name: str) -> Reading[LabelledText]:
    """Map the labels of texts. Raises `UsageError` for a map there is not, or a label that it has not."""
    table = _named(TEXT_MAPS, name)
    unknown = sorted({item.label for item in reading.items} - set(table.to))
    if unknown:
        raise UsageError(f"label map {name!r} has no label {unknown[0]!r}; it has: {', '.join(table.to)}")
    items: Sequence[LabelledText] = [LabelledText(item.text, table.to[item.label]) for item in reading.items]
    return Reading(items, reading.notes)
