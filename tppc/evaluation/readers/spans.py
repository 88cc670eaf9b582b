"""Text with spans, for languages that are written without spaces and data that nobody has cut into tokens.

    {"text": "東京に行く", "spans": [{"start": 0, "end": 2, "label": "LOC"}]}

`start` and `end` count code points of `text` from 0, `end` is the first that is not in the span. Encoders label tokens,
so the text is cut into some, and the unit is a choice that decides what F1 counts:

- `words`: a run of letters, marks and digits; but every character of a script that is written without spaces (Han,
  kana, Thai, Lao, Khmer, Burmese), and every sign, is a token of its own.
- `characters`: every character is a token.

A character is a code point with the marks that follow it, so that no vowel sign stands alone. White space parts tokens
and is none. The cut is made without looking at the spans, which a model is not told either; a span that begins or ends
inside a token is an error, never moved.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tppc.errors import TppcError
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.lines import refuse
from tppc.evaluation.readers.options import Unit
from tppc.evaluation.readers.records import TAGS, Records, text_at

SPANS = ("spans", "entities")
# Zero-width joiners, and the voicing signs of half-width kana, which are letters to Unicode.
_CLINGING = "\u200c\u200d\uff9e\uff9f"
# Scripts written without spaces, by the beginnings of their characters' names.
_UNSPACED = ("CJK ", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


@dataclass(frozen=True)
class Span:
    """Code points `start` to `end` (not included) of a text, and their label."""

    start: int
    end: int
    label: str


def cut(text: str, unit: Unit) -> list[tuple[int, int]]:
    """Start and end of each token of a text, in code points."""
    tokens: list[tuple[int, int]] = []
    grows = False  # whether the next letter goes on with the last token
    for position, character in enumerate(text):
        if character.isspace():
            grows = False
            continue
        mark = unicodedata.category(character).startswith("M") or character in _CLINGING
        touches = bool(tokens) and tokens[-1][1] == position
        word = unicodedata.category(character)[0] in "LN" and not _is_unspaced(character)
        if touches and (mark or (word and grows)):
            tokens[-1] = (tokens[-1][0], position + 1)
        else:
            tokens.append((position, position + 1))
            grows = False
        grows = unit == "words" and (word or (mark and grows))
    return tokens


def _is_unspaced(character: str) -> bool:
    return ord(character) > 0x0E00 and unicodedata.name(character, "").startswith(_UNSPACED)


def is_spans(row: Mapping[str, Any]) -> bool:
    """Whether a record is a text with spans, and not also one of tokens and tags."""
    return "text" in row and any(name in row for name in SPANS) and not any(name in row for name in TAGS["entities"])


def read_spans(records: Records, unit: Unit = "words") -> Reading[TaggedSentence]:
    """Tokens and IOB2 tags of texts with spans.

    Raises `TppcError`, with file and place, for a text without tokens and a span that is malformed, out of range,
    empty, overlaps another, or begins or ends inside a token.
    """
    sentences = []
    entities = 0
    for number, row in records.rows:
        where = records.where(number)
        text = text_at(where, row.get("text"), "text")
        named = [name for name in SPANS if name in row]
        if len(named) != 1 or not isinstance(row[named[0]], list):
            refuse(where, "no list of spans", 'write "spans": [] where a text has none')
        spans = [_span(where, text, value) for value in row[named[0]]]
        sentences.append(_tagged(where, text, spans, unit))
        entities += len(spans)
    if not sentences:
        raise TppcError(f"{records.path}: no text with spans in it")
    assert sum(tag.startswith("B-") for s in sentences for tag in s.tags) == entities, "no span may be lost"
    cut_into = {"words": "words (characters, in scripts without spaces)", "characters": "characters"}[unit]
    note = f"{records.path.name}: texts are cut into {cut_into}, which are what is labelled and scored"
    return Reading(sentences, (note,))


def _span(where: str, text: str, value: Any) -> Span:
    """A span as an object or as `[start, end, label]`, checked against its text."""
    shape = 'a span is {"start": 0, "end": 2, "label": "LOC"}, counted in code points'
    if isinstance(value, dict):
        found = (value.get("start"), value.get("end"), value.get("label"))
    elif isinstance(value, list) and len(value) == 3:
        found = (value[0], value[1], value[2])
    else:
        refuse(where, f"{str(value)[:60]!r} is no span", shape)
    start, end, label = found
    if type(start) is not int or type(end) is not int or not isinstance(label, str):
        refuse(where, f"{str(value)[:60]!r} is no span", shape)
    label = text_at(where, label, "label").strip()
    if label == "O" or any(c.isspace() for c in label):
        refuse(where, f"{label!r} cannot be a label", "a label is a word; what is in no span is outside")
    if not 0 <= start < end <= len(text):
        refuse(where, f"span {start} to {end} of a text of {len(text)} code points", shape)
    surface = value.get("text") if isinstance(value, dict) else None
    if isinstance(surface, str) and surface != text[start:end]:
        refuse(
            where,
            f"span {start} to {end} holds {text[start:end]!r}, and the file says {surface!r}",
            "offsets count code points, not bytes or UTF-16 units",
        )
    return Span(start, end, label)


def _tagged(where: str, text: str, spans: Sequence[Span], unit: Unit) -> TaggedSentence:
    tokens = cut(text, unit)
    tags = ["O"] * len(tokens)
    starts = {start: i for i, (start, _) in enumerate(tokens)}
    ends = {end: i for i, (_, end) in enumerate(tokens)}
    before: Span | None = None
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        if before and span.start < before.end:
            refuse(
                where,
                f"spans {before.start} to {before.end} ({before.label}) and {span.start} to {span.end} ({span.label}) "
                "overlap",
                "a token has one tag: keep one of them",
            )
        before = span
        inner = text[span.start : span.end]
        if not inner.strip():
            refuse(where, f"span {span.start} to {span.end} holds white space alone", "remove it")
        lead, trail = len(inner) - len(inner.lstrip()), len(inner) - len(inner.rstrip())
        if span.start + lead not in starts or span.end - trail not in ends:
            edge = span.start if span.start + lead not in starts else span.end
            remedy = "--unit characters cuts finer" if unit == "words" else "move it to the edge of a character"
            refuse(where, f"span {span.start} to {span.end} ({inner[:30]!r}) cuts a token at {edge}", remedy)
        first, last = starts[span.start + lead], ends[span.end - trail]
        tags[first : last + 1] = [f"B-{span.label}", *[f"I-{span.label}"] * (last - first)]
    return TaggedSentence(tuple(text[start:end] for start, end in tokens), tuple(tags))
