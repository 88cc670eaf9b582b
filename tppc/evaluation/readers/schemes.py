"""Tag schemes of entities, all read into IOB2.

`O` is outside in all of them; the letter before the hyphen says where in an entity a token stands:

| scheme | letters | |
|---|---|---|
| IOB1 | B I | `B` only where an entity follows one of its own type (Ramshaw and Marcus 1995) |
| IOB2, BIO | B I | every entity begins with `B` |
| IOE1, IOE2 | I E | `E` for the last token: of every entity (IOE2), or before one of its own type (IOE1) |
| BILOU | B I L O U | `L` for the last token, `U` for an entity of one token |
| BIOES, IOBES | B I O E S | the same with `E` and `S`; BMES writes `M` for `I` |
| flat | none | `PERSON PERSON O`: a run of one type is one entity |

One reading serves them all: an entity goes on where the letter does not begin one and the type is that of the entity
still open; else a new one begins. For B and I that is conlleval's reading, which turns IOB1 into IOB2 exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.lines import refuse

TAG = re.compile(r"O|[BILUESM]-\S+")
"""A tag of any scheme with letters."""


@dataclass(frozen=True)
class Scheme:
    """A set of letters: those that begin an entity, end one, and must continue one if the file is well-formed."""

    name: str
    letters: frozenset[str]
    begin: str
    last: str
    inside: str


_IOB = Scheme("IOB", frozenset("BI"), begin="B", last="", inside="I")
# In IOE nothing marks a beginning, so an `I` or `E` that continues nothing is as it should be.
_IOE = Scheme("IOE", frozenset("IE"), begin="", last="E", inside="")
# The first that has all letters of a file is taken.
_SCHEMES = (
    _IOB,
    _IOE,
    Scheme("BILOU", frozenset("BILU"), begin="BU", last="LU", inside="IL"),
    Scheme("BIOES", frozenset("BIES"), begin="BS", last="ES", inside="IE"),
    Scheme("BMES", frozenset("BMES"), begin="BS", last="ES", inside="ME"),
)


@dataclass(frozen=True)
class RawSentence:
    """Tokens and tags as a file has them, and the line (row, item) of each token."""

    tokens: Sequence[str]
    tags: Sequence[str]
    places: Sequence[int]


def to_iob2(tags: Sequence[str], scheme: Scheme | None) -> tuple[tuple[str, ...], int]:
    """IOB2 tags of one sentence, and how many beginnings and ends are not marked as the scheme asks.

    Args:
        tags: `O`, or letter, hyphen and type; with no scheme `O` or a type.
    """
    if all(tag == "O" for tag in tags):
        return tuple(tags), 0
    found: list[str] = []
    mended, is_open = 0, ""  # the type of the entity that may go on
    marks_ends = scheme is not None and bool(scheme.last) and scheme is not _IOE
    for tag in tags:
        letter, kind = ("", "" if tag == "O" else tag) if scheme is None else (tag[0], tag[2:])
        goes_on = bool(kind) and kind == is_open and (scheme is None or letter not in scheme.begin)
        mended += marks_ends and bool(is_open) and not goes_on
        mended += scheme is not None and bool(kind) and not goes_on and letter in scheme.inside
        found.append(f"{'I' if goes_on else 'B'}-{kind}" if kind else "O")
        is_open = "" if scheme is not None and letter in scheme.last else kind
    return tuple(found), mended + (marks_ends and bool(is_open))


def read_entities(
    sentences: Sequence[RawSentence], name: str, where: Callable[[int], str], *, flat: bool = True
) -> Reading[TaggedSentence]:
    """Sentences in IOB2, whatever scheme the file is in; the scheme is that of the whole file.

    Args:
        name: the file's, for notes. where: the place of a line, for errors.
        flat: whether tags may be plain types.

    Raises `TppcError`, with file and line, for a tag of no scheme, or of another scheme than those before it.
    """
    scheme = _scheme(sentences, where, flat)
    done, mended = [], 0
    for sentence in sentences:
        tags, faults = to_iob2(sentence.tags, scheme)
        mended += faults
        done.append(TaggedSentence(tuple(sentence.tokens), tags))
    notes = []
    if scheme is None and any(tag != "O" for s in done for tag in s.tags):
        notes.append(
            f"{name}: tags without B- and I-: a run of one type is read as one entity, "
            "so neighbours of one type are merged"
        )
    if scheme is _IOB and mended:
        notes.append(f"{name}: {mended} entities that begin with I- (IOB1, or broken IOB2) now begin with B-")
    elif scheme is not None and scheme is not _IOB:
        faults_said = f"; {mended} beginnings or ends were not marked as it asks, and are guessed" if mended else ""
        notes.append(f"{name}: tags in {scheme.name} are read as IOB2{faults_said}")
    return Reading(done, tuple(notes))


def _scheme(sentences: Sequence[RawSentence], where: Callable[[int], str], flat: bool) -> Scheme | None:
    """The scheme of a file; None where tags are plain types."""
    tags = {tag for sentence in sentences for tag in sentence.tags}
    lettered = {tag for tag in tags - {"O"} if TAG.fullmatch(tag)}
    if not lettered and flat:
        if wrong := {tag for tag in tags if "-" in tag}:
            where_found, tag = _first(sentences, wrong)
            refuse(
                where(where_found),
                f"tag {tag!r} is neither O nor of a known scheme, and a type that stands alone has no hyphen",
                "IOB1, IOB2, IOE, BILOU, BIOES and plain types (PERSON) are read; convert other schemes, "
                "or say where the tags are with --columns",
            )
        return None
    if wrong := tags - lettered - {"O"}:
        where_found, tag = _first(sentences, wrong)
        refuse(
            where(where_found),
            f"tag {tag!r} is neither O nor a letter of a scheme, a hyphen and a type (B-PER)",
            "IOB1, IOB2, IOE, BILOU and BIOES are read; convert other schemes, "
            "or say where the tags are with --columns",
        )
    letters = {tag[0] for tag in lettered}
    for scheme in _SCHEMES:
        if letters <= scheme.letters:
            return scheme
    _refuse_mixed(sentences, where)


def _refuse_mixed(sentences: Sequence[RawSentence], where: Callable[[int], str]) -> NoReturn:
    """Raise for the first tag that makes two schemes of the tags up to it."""
    letters: list[str] = []
    while any(set(letters) <= scheme.letters for scheme in _SCHEMES):
        known = {*letters, "O"}
        place, tag = _first(sentences, {t for s in sentences for t in s.tags if t[0] not in known})
        letters.append(tag[0])
    refuse(
        where(place),
        f"tag {tag!r} is of another scheme than those before it ({', '.join(sorted(letters[:-1]))})",
        "a file has one scheme: IOB, IOE, BILOU, BIOES or BMES",
    )


def _first(sentences: Sequence[RawSentence], tags: set[str]) -> tuple[int, str]:
    """Place and tag of the first token that has one of these tags."""
    return next(
        (place, tag)
        for sentence in sentences
        for tag, place in zip(sentence.tags, sentence.places, strict=True)
        if tag in tags
    )
