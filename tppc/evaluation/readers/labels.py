"""Label maps: one label space for training and test data, and what is lost on the way.

A zero-shot F1 between two label spaces measures the map, not the encoder; so a map says what it loses, and the number
of entities it dropped is reported with every result. Maps have names, or stand in a TOML file (`map_file`).
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import LabelledText, Reading, TaggedSentence


@dataclass(frozen=True)
class LabelMap:
    """A map of labels (for entities: of types, without B- and I-).

    Attributes:
        to: what a label becomes. loses: in words, what cannot be told apart or is gone afterwards.
        other: what becomes of a label that `to` has not: `O` (entities alone), itself, or an error.
        tags: the tag of each number, for files that hold numbers and do not name them.
    """

    name: str
    to: Mapping[str, str]
    loses: str
    other: Literal["O", "keep", "error"] = "O"
    tags: tuple[str, ...] = ()


def _merged(**kinds: str) -> dict[str, str]:
    """`PER="PERSON person"` to `{"PER": "PER", "PERSON": "PER", "person": "PER"}`."""
    return {label: kind for kind, labels in kinds.items() for label in [kind, *labels.split()]}


_ONTONOTES = (
    *("PERSON", "NORP", "FAC", "ORG", "GPE", "LOC", "PRODUCT", "EVENT", "WORK_OF_ART", "LAW", "LANGUAGE"),
    *("DATE", "TIME", "PERCENT", "MONEY", "QUANTITY", "ORDINAL", "CARDINAL"),
)
# SSEA-2008's twelve tags and the names that flat copies of it have.
_SSEA = {
    **{"NEP": "PERSON", "NED": "DESIGNATION", "NEO": "ORGANIZATION", "NEA": "ABBREVIATION", "NEB": "BRAND"},
    **{"NETP": "TITLE_PERSON", "NETO": "TITLE_OBJECT", "NEL": "LOCATION", "NETI": "TIME", "NEN": "NUMBER"},
    **{"NEM": "MEASURE", "NETE": "TERMS"},
}

# Facilities are locations in CoNLL-2003's guidelines (airports, squares, museums).
PER_LOC_ORG = LabelMap(
    "per-loc-org",
    _merged(
        PER="PERSON person PSN NEP",
        LOC="LOCATION location GPE FAC FACILITY NEL geo-loc facility",
        ORG="ORGANIZATION ORGANISATION group corporation NEO company sportsteam",
    ),
    "all types but persons, locations (with GPE, FAC) and organisations (with group, corporation) become O",
)
CONLL2003 = LabelMap(
    "conll2003",
    {
        **PER_LOC_ORG.to,
        **_merged(MISC="NORP EVENT WORK_OF_ART LANGUAGE LAW PRODUCT product creative-work"),
    },
    "per-loc-org, and a MISC that gathers nationalities, events, works, laws, languages and products, which "
    "CoNLL-2003's annotators drew otherwise in places; all other types (dates, numbers, titles) become O",
)
WNUT17 = LabelMap(
    "wnut17",
    {
        **_merged(person="PER PERSON PSN NEP", location="LOC LOCATION GPE FAC NEL"),
        **_merged(group="corporation ORG ORGANIZATION NEO", product="PRODUCT"),
        "creative-work": "creative-work",
        "WORK_OF_ART": "creative-work",
    },
    "WNUT17's types, where group holds corporation too, since no other data part them; all other types become O",
)
TPP = LabelMap(
    "tpp",
    _merged(
        PERSON="PER person PSN NEP",
        PLACE="LOC LOCATION location GPE FAC NEL",
        ORGANIZATION="ORG group corporation NEO",
        PRODUCT="product NEB BRAND",
        OTHER="MISC creative-work WORK_OF_ART EVENT NORP LAW LANGUAGE",
    ),
    "the five types of the TPP paper's tweets (its guidelines are not published, so OTHER is an approximation); "
    "all other types become O",
)
ONTONOTES = LabelMap(
    "ontonotes",
    {**{kind: kind for kind in _ONTONOTES}, "PER": "PERSON", "person": "PERSON"},
    "types that OntoNotes 5 has not become O (of Japanese GSD: TITLE_AFFIX, MOVEMENT, PET_NAME, PHONE); LOC stays LOC, "
    "which in other data holds countries and cities too, GPE here",
)
SSEA = LabelMap(
    "ssea",
    {**_SSEA, **{name: name for name in _SSEA.values()}},
    "the twelve tags of SSEA-2008 by the names of its flat copies; tags that are none of them (misspelt ones) become O",
)
UMSAB = LabelMap("umsab", {"0": "negative", "1": "neutral", "2": "positive"}, "nothing is lost", other="error")
SIGNED = LabelMap("signed", {"-1": "negative", "0": "neutral", "1": "positive"}, "nothing is lost", other="error")
BINARY = LabelMap("binary", {"0": "negative", "1": "positive"}, "nothing is lost", other="error")
STARS = LabelMap(
    "stars",
    {"1": "negative", "2": "negative", "3": "neutral", "4": "positive", "5": "positive"},
    "how strong an opinion is: 1 and 2 stars become one, 4 and 5 too",
    other="error",
)
UD_COARSE = LabelMap(
    "ud-coarse",
    {"AUX": "VERB", "DET": "PRON"},
    "AUX is counted as VERB and DET as PRON: the borders that versions 1 and 2 of UD draw differently (PART's stays)",
    other="keep",
)

TAG_MAPS = {m.name: m for m in (PER_LOC_ORG, CONLL2003, WNUT17, TPP, ONTONOTES, SSEA)}
TEXT_MAPS = {m.name: m for m in (UMSAB, SIGNED, BINARY, STARS)}
POS_MAPS = {m.name: m for m in (UD_COARSE,)}


def map_file(path: Path, other: Literal["O", "keep", "error"]) -> LabelMap:
    """A map from a TOML file.

        loses = "products and dates become O"   # said with the results
        other = "O"                             # of labels not listed: "O" (entities), "keep" or "error"
        tags = ["O", "B-PER", "I-PER"]          # for files with numbers: what 0, 1, 2 stand for
        [to]
        PERSON = "PER"

    Args:
        other: what holds where the file does not say.

    Raises `TppcError`, with file and key, for a file that is not there or no TOML, and for keys and values of no use.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise TppcError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TppcError(f"{path}: cannot be read as TOML ({error})") from None
    if unknown := sorted(set(content) - {"to", "loses", "other", "tags"}):
        raise TppcError(f"{path}: there is no key {unknown[0]!r} in a label map; there is: to, loses, other, tags")
    to, loses, said, tags = (content.get(key) for key in ("to", "loses", "other", "tags"))
    if to is None and tags is None:
        raise TppcError(f'{path}: a label map needs a table [to], with lines such as PERSON = "PER"')
    if not isinstance(to or {}, dict) or not all(isinstance(v, str) and v for v in (to or {}).values()):
        raise TppcError(f'{path}: in [to] every label becomes a string, as in PERSON = "PER"')
    if not isinstance(tags or [], list) or not all(isinstance(tag, str) and tag for tag in tags or []):
        raise TppcError(f'{path}: tags must be a list of strings, as in tags = ["O", "B-PER"]')
    if not isinstance(loses or "", str):
        raise TppcError(f"{path}: loses must be a string")
    if said not in (None, "O", "keep", "error"):
        raise TppcError(f'{path}: other must be "O", "keep" or "error", not {said!r}')
    becomes = said or ("keep" if to is None else other)
    default = {"O": "every type it does not list becomes O", "keep": "labels it does not list stay"}
    return LabelMap(path.name, to or {}, loses or default.get(becomes, "what it merges"), becomes, tuple(tags or ()))


def _named(maps: Mapping[str, LabelMap], name: str, other: Literal["O", "keep", "error"]) -> LabelMap:
    if name in maps:
        return maps[name]
    if name.endswith(".toml"):
        return map_file(Path(name), other)
    raise UsageError(f"there is no label map {name!r}; there is: {', '.join(maps)}, or a file, my_map.toml")


def tags_of_numbers(name: str | None) -> tuple[str, ...]:
    """The tags that numbers stand for, where a map's file says so."""
    return map_file(Path(name), "O").tags if name and name.endswith(".toml") else ()


def map_tags(reading: Reading[TaggedSentence], name: str) -> Reading[TaggedSentence]:
    """Map the entity types of IOB2 sentences; spans keep their borders, dropped types become `O`.

    A note says what the map loses, and how many entities of which type it dropped here.

    Raises `UsageError` for a map there is not, or a type that the map makes an error.
    """
    table = _named(TAG_MAPS, name, "O")
    counts = Counter(tag[2:] for sentence in reading.items for tag in sentence.tags if tag.startswith("B-"))
    becomes = {kind: table.to.get(kind, kind if table.other == "keep" else "O") for kind in counts}
    if table.other == "error":
        _whole(table, name, set(counts))
    sentences = [
        TaggedSentence(
            sentence.tokens,
            tuple(
                tag[:2] + becomes[tag[2:]] if tag != "O" and becomes[tag[2:]] != "O" else "O" for tag in sentence.tags
            ),
        )
        for sentence in reading.items
    ]
    lost = ", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts) if becomes[kind] == "O")
    merged = [kind for kind in counts if kind != becomes[kind] != "O" and _merges(becomes, kind)]
    if not lost and not merged:
        return Reading(sentences, reading.notes)
    note = f"{table.name}: {table.loses}" + (f"; here: {lost}" if lost else "")
    return Reading(sentences, (*reading.notes, note))


def _merges(becomes: Mapping[str, str], kind: str) -> bool:
    """Whether another type that occurs becomes what this one does."""
    return sum(other == becomes[kind] for other in becomes.values()) > 1


def map_parts_of_speech(reading: Reading[TaggedSentence], name: str) -> Reading[TaggedSentence]:
    """Map whole tags. Raises `UsageError` for a map there is not, or a tag that it has not."""
    table = _named(POS_MAPS, name, "error")
    if table.other == "O":
        raise UsageError(f'{name}: a part of speech cannot become O; write other = "keep" or other = "error"')
    tags = {tag for sentence in reading.items for tag in sentence.tags}
    whole = _whole(table, name, tags)
    items = [TaggedSentence(s.tokens, tuple(whole[tag] for tag in s.tags)) for s in reading.items]
    return Reading(items, (*reading.notes, f"{table.name}: {table.loses}"))


def map_labels(reading: Reading[LabelledText], name: str) -> Reading[LabelledText]:
    """Map the labels of texts. Raises `UsageError` for a map there is not, or a label that it has not."""
    table = _named(TEXT_MAPS, name, "error")
    if table.other == "O":
        raise UsageError(f'{name}: the label of a text cannot become O; write other = "keep" or other = "error"')
    whole = _whole(table, name, {item.label for item in reading.items})
    items: Sequence[LabelledText] = [LabelledText(item.text, whole[item.label]) for item in reading.items]
    merges = len(set(table.to.values())) < len(table.to)
    return Reading(items, (*reading.notes, f"{table.name}: {table.loses}") if merges else reading.notes)


def _whole(table: LabelMap, name: str, labels: set[str]) -> dict[str, str]:
    """What each label becomes."""
    unknown = sorted(labels - set(table.to))
    if unknown and table.other == "error":
        raise UsageError(f"label map {name!r} has no label {unknown[0]!r}; it has: {', '.join(table.to)}")
    return {label: table.to.get(label, label) for label in labels}
