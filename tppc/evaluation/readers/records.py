"""Records: data whose examples are objects with named fields, whatever file they came in.

JSON, Parquet and folders of the `datasets` library yield `Records`; here is decided which fields hold text, tokens and
labels, and every fault is named with the place of its record. Numbers that stand for labels become names where the
file brings them (`ClassLabel` of the `datasets` library).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.conllu import UPOS
from tppc.evaluation.readers.forms import LabelledText, Reading, TaggedSentence
from tppc.evaluation.readers.lines import refuse
from tppc.evaluation.readers.options import Column
from tppc.evaluation.readers.schemes import RawSentence, read_entities

Kind = Literal["entities", "upos"]
"""What tags are: entities in some scheme, or universal parts of speech."""

TOKENS = ("tokens", "words")
TAGS: Mapping[Kind, tuple[str, ...]] = {
    "entities": ("ner_tags", "labels", "tags", "ner"),
    "upos": ("upos", "pos_tags", "labels", "tags"),
}
TEXTS = ("text", "sentence", "tweet")
LABELS = ("label", "sentiment", "class")


@dataclass(frozen=True)
class Records:
    """The examples of one file.

    Attributes:
        path: the file. place: what a record is counted in: `line`, `item` or `row`.
        rows: number from 1 and fields of each record.
        names: of a field with numbers for labels, the label of each number.
    """

    path: Path
    place: str
    rows: Iterable[tuple[int, Mapping[str, Any]]]
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def where(self, number: int) -> str:
        """The place of a record, for errors."""
        return f"{self.path}, {self.place} {number}"


def field_of(
    records: Records, row: Mapping[str, Any], given: Column | None, known: Sequence[str], what: str, *, spare: bool
) -> str:
    """The name of the field that holds `what` (text, label, tokens, tags).

    Args:
        given: as the user said. known: names it often has. spare: whether the first of several known names is taken;
            else several are a question to the user.

    Raises `UsageError`, with the fields there are, where it is not there or not clear.
    """
    there = ", ".join(str(name) for name in row) or "none"
    if given is not None:
        if given not in row:
            hint = "; fields have names here, not numbers" if isinstance(given, int) else ""
            raise UsageError(f"{records.path}: no field {given!r} for the {what}{hint}; there are: {there}")
        return str(given)
    found = [name for name in known if name in row]
    if not found or (len(found) > 1 and not spare):
        fault = f"both {' and '.join(found)} may be the {what}" if found else f"no field for the {what}"
        raise UsageError(f"{records.path}: {fault} (there are: {there}); name them with --columns, as in text,label")
    return found[0]


def text_at(where: str, value: Any, what: str) -> str:
    """A value that must be text with something in it."""
    if not isinstance(value, str):
        refuse(where, f"the {what} is {_said(value)}, not a string", f"every example needs a {what}")
    if not value.strip():
        refuse(where, f"an empty {what}", f"every example needs a {what}")
    return well_formed(where, value, what)


def well_formed(where: str, value: str, what: str) -> str:
    """Text without lone surrogates (`\\ud83d` alone in JSON), which is in no encoding."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        refuse(where, f"half a character (a lone surrogate) in the {what}", "write the whole character")
    return value


def label_at(records: Records, where: str, name: str, value: Any) -> str:
    """A label as a string: itself, the name of its number, or its digits."""
    if isinstance(value, str):
        return text_at(where, value, name).strip()
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, int):
        refuse(where, f"{name} is {_said(value)}", "a label is a string or a whole number")
    if name not in records.names:
        return str(value)
    if not 0 <= value < len(records.names[name]):
        refuse(
            where,
            f"{name} is {value}, and labels go from 0 to {len(records.names[name]) - 1}",
            "-1 is often put for 'not published'; take a split with labels",
        )
    return well_formed(where, records.names[name][value], name)


def read_labelled_records(records: Records, columns: tuple[Column, Column] | None) -> Reading[LabelledText]:
    """Texts and labels of records. Raises `TppcError`, with file and place, for a record that lacks either."""
    items: list[LabelledText] = []
    fields: tuple[str, str] | None = None
    for number, row in records.rows:
        if fields is None:
            text, label = columns or (None, None)
            fields = (
                field_of(records, row, text, TEXTS, "text", spare=True),
                field_of(records, row, label, LABELS, "label", spare=True),
            )
        where = records.where(number)
        missing = [name for name in fields if name not in row]
        if missing:
            refuse(where, f"no field {missing[0]!r}", "every example needs the same fields")
        text_found = text_at(where, row[fields[0]], fields[0])
        items.append(LabelledText(text_found, label_at(records, where, fields[1], row[fields[1]])))
    if not items:
        raise TppcError(f"{records.path}: no labelled text in it")
    return Reading(items)


def read_tagged_records(
    records: Records, columns: tuple[Column, Column] | None, kind: Kind, numbers: Sequence[str] = ()
) -> Reading[TaggedSentence]:
    """Tokens and tags of records, entities in IOB2.

    Args:
        columns: the fields of tokens and tags. numbers: the tag of each number, where the file does not name them.

    Raises `TppcError`, with file and place, for a record without tokens, with another number of tags than of tokens,
    an empty token, a number that nothing names, or a tag of no scheme.
    """
    sentences: list[RawSentence] = []
    fields: tuple[str, str] | None = None
    for number, row in records.rows:
        if fields is None:
            given = columns or (None, None)
            fields = (
                field_of(records, row, given[0], TOKENS, "tokens", spare=True),
                field_of(records, row, given[1], TAGS[kind], "tags", spare=False),
            )
        sentences.append(_raw(records, number, row, fields, numbers))
    if not sentences:
        raise TppcError(f"{records.path}: no sentence in it")
    if kind == "upos":
        return read_upos(sentences, records.path.name, records.where)
    return read_entities(sentences, records.path.name, records.where, flat=True)


def _raw(
    records: Records, number: int, row: Mapping[str, Any], fields: tuple[str, str], numbers: Sequence[str]
) -> RawSentence:
    where = records.where(number)
    lists = []
    for name in fields:
        value = row.get(name)
        if not isinstance(value, list | tuple):
            refuse(where, f"{name} is {_said(value)}, not a list", "tokens and tags are lists of equal length")
        lists.append(list(value))
    tokens, tags = lists
    if not tokens:
        refuse(where, "no token", "remove the empty sentence")
    if len(tokens) != len(tags):
        refuse(where, f"{len(tokens)} tokens and {len(tags)} tags", "every token needs exactly one tag")
    for token in tokens:
        if not isinstance(token, str) or not token:
            refuse(where, f"the token {_said(token)} is no text", "a token is a string with something in it")
        well_formed(where, token, "token")
    named = []
    for tag in tags:
        if isinstance(tag, int) and not isinstance(tag, bool) and fields[1] not in records.names:
            if not 0 <= tag < len(numbers):
                refuse(
                    where,
                    f"the tag {tag} is a number, and nothing says what it stands for",
                    "name the tags in a map: --labels map.toml with tags = ['O', 'B-PER', ...]",
                )
            named.append(numbers[tag])
        else:
            named.append(label_at(records, where, fields[1], tag))
    return RawSentence(tokens, named, [number] * len(tokens))


def read_upos(sentences: Sequence[RawSentence], name: str, where: Callable[[int], str]) -> Reading[TaggedSentence]:
    """Sentences with universal parts of speech; version 1's `CONJ` becomes `CCONJ`.

    Raises `TppcError`, with file and place, for a tag that is none of the seventeen.
    """
    renamed = 0
    done = []
    for sentence in sentences:
        tags = ["CCONJ" if tag == "CONJ" else tag for tag in sentence.tags]
        renamed += sum(tag == "CONJ" for tag in sentence.tags)
        for tag, place in zip(tags, sentence.places, strict=True):
            if tag not in UPOS:
                refuse(
                    where(place), f"{tag!r} is no universal part of speech", "it is one of " + " ".join(sorted(UPOS))
                )
        done.append(TaggedSentence(tuple(sentence.tokens), tuple(tags)))
    notes = (f"{name}: UD version 1, {renamed} CONJ read as CCONJ; its other differences stay",) if renamed else ()
    return Reading(done, notes)


def _said(value: Any) -> str:
    """A short word on a value of the wrong kind."""
    return "missing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
