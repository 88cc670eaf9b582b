"""Entities as N-Triples: the `truthy` dump, whose lines are grouped by subject.

Every label stands there three times; `rdfs:label` is read and the other two are passed over. Language tags are matched
by the dump's own code and by the canonical one, since the RDF export writes some languages as BCP-47 has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tppc.builders.decompress import Damaged
from tppc.builders.sources.wikidata.segments import Segment
from tppc.builders.sources.wikidata.wanted import ANY_LANGUAGE, Wanted

_ENTITY = b"<http://www.wikidata.org/entity/"
_ID = re.compile(rb"[QPL][1-9][0-9]*")
_KINDS = {b"P": "property", b"L": "lexeme"}
_LABEL, _DESCRIPTION, _ALIAS, _CLASS = range(4)
_PREDICATES = {
    b"http://www.w3.org/2000/01/rdf-schema#label": _LABEL,
    b"http://schema.org/description": _DESCRIPTION,
    b"http://www.w3.org/2004/02/skos/core#altLabel": _ALIAS,
    b"http://www.wikidata.org/prop/direct/P31": _CLASS,
}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.?))", re.DOTALL)
_SHORT = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}


@dataclass
class _Facts:
    """What the lines of one subject say; texts by the dump's code of their language."""

    labels: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)


def unescape(text: str) -> str:
    """A literal's content without its escapes (N-Triples, ECHAR and UCHAR). Raises `ValueError` for what is none."""

    def plain(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        if code:
            if 0xD800 <= int(code, 16) < 0xE000:
                raise ValueError(f"\\u{code} is half a character")
            return chr(int(code, 16))
        if found[3] not in _SHORT:
            raise ValueError(f"no such escape: {found[0]}")
        return _SHORT[found[3]]

    return _ESCAPE.sub(plain, text) if "\\" in text else text


class Triples:
    """Reads lines of N-Triples; what it finds goes to `segment`, which may be exchanged between two calls."""

    def __init__(self, wanted: Wanted, limit: int | None, line: int, records: int) -> None:
        self.wanted = wanted
        self.limit = limit
        self.line = line
        self.records = records
        self.segment = Segment(wanted)
        self.full = False
        self.open = False  # nothing in this format says where it ends
        self._begun: list[bytes] = []  # the beginning of a line
        self._subject = b""
        self._group: list[bytes] = []  # lines of the subject under way: its first, and those that matter
        self._tags = {ANY_LANGUAGE.encode(): ANY_LANGUAGE}
        for side in (side for pair in wanted.pairs for side in pair.languages):
            self._tags |= dict.fromkeys((side.wikidata.encode(), side.code.lower().encode()), side.wikidata)

    def standing(self) -> tuple[bytes, int, int]:
        """Bytes that have to be read again to go on, and the lines and records before them."""
        again = b"".join(line + b"\n" for line in self._group)
        return again + b"".join(self._begun), self.line - len(self._group), self.records - bool(self._group)

    def feed(self, data: bytes) -> None:
        """Read the whole lines of the next piece of the dump."""
        first, *lines = data.split(b"\n")
        self._begun.append(first)
        if not lines:
            return
        last = lines.pop()
        for line in (b"".join(self._begun), *lines):
            if line.startswith(_ENTITY):
                self._line(line)
                if self.full:
                    break
            self.line += 1
        self._begun = [last]

    def close(self) -> None:
        """The dump ends. Raises `Damaged` where it ends inside a line."""
        last = b"".join(self._begun)
        if last and not last.rstrip().endswith(b"."):
            raise Damaged("the last line is cut")
        if last.startswith(_ENTITY):
            self._line(last)
        self.line += bool(last)
        self._begun = []
        if not self.full:
            self._finish()

    def _line(self, line: bytes) -> None:
        end = line.find(b"> <", len(_ENTITY))
        subject = line[len(_ENTITY) : end] if end > 0 else b""
        if subject != self._subject:
            if not _ID.fullmatch(subject):
                return  # a form or a sense of a lexeme, or the beginning of a line that is none
            self._finish()
            if self.limit is not None and self.records >= self.limit:
                self.full = True
                return
            self.records += 1
            self._subject = subject
            self._group.append(line)
            return
        kind = _PREDICATES.get(line[end + 3 : line.find(b">", end + 3)])
        if kind is None or (kind == _ALIAS and not self.wanted.aliases):
            return
        if kind == _CLASS or line[line.rfind(b"@") + 1 :].rstrip(b" .\r").lower() in self._tags:
            self._group.append(line)

    def _finish(self) -> None:
        """Count the subject under way."""
        if not self._group:
            return
        group, self._group, subject, self._subject = self._group, [], self._subject, b""
        if not subject.startswith(b"Q"):
            self.segment.add_other(subject.decode(), _KINDS[subject[:1]])
            return
        facts = _Facts()
        try:
            for line in group:
                self._fact(line, facts)
        except ValueError as error:
            self.segment.add_unreadable(self.line, str(error), b"\n".join(group))
            return
        self._add(subject.decode(), facts)

    def _fact(self, line: bytes, facts: _Facts) -> None:
        begin = line.find(b"> <", len(_ENTITY)) + 3
        end = line.find(b"> ", begin)
        kind = _PREDICATES.get(line[begin:end])
        value = line[end + 2 :].rstrip().removesuffix(b".").rstrip()
        if kind is None:
            return
        if kind == _CLASS:
            if value.startswith(_ENTITY) and _ID.fullmatch(value[len(_ENTITY) : -1]):
                facts.classes.append(value[len(_ENTITY) : -1].decode())
            return
        quote = value.rfind(b'"@')
        code = self._tags.get(value[quote + 2 :].lower())
        if not value.startswith(b'"') or quote < 1:
            raise ValueError("a text without quotes or language")
        if code is None:
            return
        text = unescape(value[1:quote].decode())
        if kind == _ALIAS:
            facts.aliases.setdefault(code, []).append(text)
        else:
            (facts.labels if kind == _LABEL else facts.descriptions).setdefault(code, text)

    def _add(self, identifier: str, facts: _Facts) -> None:
        codes = self.wanted.codes
        labelled = (*codes, ANY_LANGUAGE)
        signature = bytes([*(code in facts.labels for code in labelled), *(c in facts.descriptions for c in codes)])
        if self.wanted.complete(signature):
            texts = (*map(facts.labels.get, labelled), *map(facts.descriptions.get, codes))
            row: tuple[Any, ...] = (identifier, " ".join(facts.classes) or None, *texts)
            self.segment.rows.append(row + (tuple(map(facts.aliases.get, codes)) if self.wanted.aliases else ()))
        self.segment.add_item(identifier, signature)
