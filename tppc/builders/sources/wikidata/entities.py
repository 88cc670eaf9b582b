"""Entities as JSON: the lines of a dump, a stream without brackets, `Special:EntityData`, `wbgetentities`.

Labels, descriptions and aliases come before the claims, which are most of an entity's bytes. So of most lines only what
lies before `"claims"` is decoded, into structures that have no place for other languages; the rest of a line
is looked at where an item has all that a pair needs. Whatever is laid out otherwise is decoded as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tppc.builders.decompress import Damaged
from tppc.builders.sources.wikidata.segments import Segment
from tppc.builders.sources.wikidata.wanted import ANY_LANGUAGE, Wanted

_BEGIN = b'{"type":"'
_CLAIMS = b',"claims":'
_P31 = b',"claims":{"P31":['
_TRIES = 8
_tuple = msgspec.structs.astuple


class _Text(msgspec.Struct):
    value: str


class _Id(msgspec.Struct):
    id: str = ""


class _DataValue(msgspec.Struct):
    value: _Id | str | int | float | None = None


class _Snak(msgspec.Struct):
    datavalue: _DataValue | None = None


class _Statement(msgspec.Struct):
    mainsnak: _Snak


class _Claims(msgspec.Struct):
    P31: list[_Statement] = []


class _Claimed(msgspec.Struct):
    claims: _Claims | list[None] = msgspec.field(default_factory=_Claims)


def _terms(name: str, codes: Sequence[str], kind: Any) -> Any:
    """A map with the wanted languages; an empty one may be written as a list."""
    fields = [(f"of_{number}", kind | None, None) for number in range(len(codes))]
    rename = {f"of_{number}": code for number, code in enumerate(codes)}
    return msgspec.defstruct(name, fields, rename=rename) | list[None]


class Entities:
    """Reads the lines of a dump; what it finds goes to `segment`, which may be exchanged between two calls."""

    def __init__(self, wanted: Wanted, limit: int | None, line: int, records: int) -> None:
        self.wanted = wanted
        self.limit = limit
        self.line = line  # lines read so far
        self.records = records
        self.segment = Segment(wanted)
        self.full = False  # the limit is reached
        self.open = False  # the array of all entities was opened and not closed yet
        self._begun: list[bytes] = []  # the beginning of a line
        self._readable = records > 0
        labels = _terms("Labels", (*wanted.codes, ANY_LANGUAGE), _Text)
        descriptions = _terms("Descriptions", wanted.codes, _Text)
        aliases = _terms("Aliases", wanted.codes, list[_Text])
        fields: list[Any] = [("type", str), ("id", str), ("labels", labels), ("descriptions", descriptions)]
        fields += [("aliases", aliases)] if wanted.aliases else []
        head: Any = msgspec.defstruct("Head", fields)
        loose = [(name, kind, "" if kind is str else msgspec.field(default_factory=list)) for name, kind in fields]
        entity: Any = msgspec.defstruct("Entity", loose, bases=(_Claimed,))
        wrapper: Any = msgspec.defstruct("Wrapper", [("entities", dict[str, entity] | None, None)])
        self._decode_head = msgspec.json.Decoder(head).decode
        self._decode_entity = msgspec.json.Decoder(entity).decode
        self._decode_entities = msgspec.json.Decoder(list[entity]).decode
        self._decode_wrapper = msgspec.json.Decoder(wrapper).decode
        self._decode_statements = msgspec.json.Decoder(list[_Statement]).decode
        self._decode_claims = msgspec.json.Decoder(_Claimed).decode
        self._no_labels = (None,) * (len(wanted.codes) + 1)
        self._no_texts = (None,) * len(wanted.codes)

    def standing(self) -> tuple[bytes, int, int]:
        """Bytes of a line that has begun, and the lines and records before it."""
        return b"".join(self._begun), self.line, self.records

    def feed(self, data: bytes) -> None:
        """Read the whole lines of the next piece of the dump."""
        end = data.find(b"\n")
        if self._begun and end >= 0:
            first = b"".join([*self._begun, data[:end]])
            self._begun = []
            self._line(first, 0, len(first))
            begin = end + 1
            end = data.find(b"\n", begin)
        else:
            begin = 0
        while end >= 0 and not self.full:
            self._line(data, begin, end)
            begin = end + 1
            end = data.find(b"\n", begin)
        self._begun.append(data[begin:])

    def close(self) -> None:
        """The dump ends. Raises `Damaged` where it ends inside an entity."""
        if last := b"".join(self._begun):
            self._begun = []
            self._line(last, 0, len(last), last=True)

    def _line(self, data: bytes, begin: int, end: int, last: bool = False) -> None:
        self.line += 1
        if not last and data.startswith(_BEGIN, begin):
            claims = data.find(_CLAIMS, begin, end)
            if claims >= 0 and data.endswith((b"}", b"},"), claims, end):
                if self._reached():
                    return
                try:
                    head = self._decode_head(data[begin:claims] + b"}")
                    self._add(head, data, claims, end)
                    return
                except msgspec.MsgspecError:
                    self.records -= 1  # laid out otherwise, or broken: the whole line tells
        text = data[begin:end].strip().rstrip(b",")
        self.open = text == b"[" or (self.open and text != b"]")
        if text in (b"", b"[", b"]") or self._reached():
            return
        try:
            for entity in self._decoded(text):
                self._add(entity)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if last and self._readable:  # else this is no dump at all, and the funnel says so
                self.line -= 1
                raise Damaged("the last line is cut") from error
            self.segment.add_unreadable(self.line, str(error), data[begin:end])

    def _reached(self) -> bool:
        """Count a record, unless the limit is reached."""
        if self.limit is not None and self.records >= self.limit:
            self.full = True
            return True
        self.records += 1
        return False

    def _decoded(self, text: bytes) -> list[Any]:
        """The entities of a line; raises `msgspec.MsgspecError` where it is none."""
        if text.startswith(b'{"entities"'):
            return list((self._decode_wrapper(text).entities or {}).values())
        if text.startswith(b"["):  # a whole array on one line
            return list(self._decode_entities(text))
        return [self._decode_entity(text)]

    def _claims(self, data: bytes, begin: int, end: int) -> _Claims | list[None]:
        """The claims from `,"claims":` at `begin` on. Where P31 comes first only its statements are decoded."""
        if data.startswith(_P31, begin):
            first = stop = begin + len(_P31) - 1
            for _ in range(_TRIES):  # references have lists that end in the same way
                stop = data.find(b'}],"P', stop, end) + 2
                if stop < 2:
                    break
                try:
                    return _Claims(self._decode_statements(data[first:stop]))
                except msgspec.DecodeError:
                    continue
        found: _Claims | list[None] = self._decode_claims(b"{" + data[begin + 1 : end].rstrip(b", \r")).claims
        return found

    def _add(self, entity: Any, data: bytes | None = None, begin: int = 0, end: int = 0) -> None:
        """Count an entity; one that some pair can use becomes a row. `data[begin:end]` are claims not decoded yet."""
        self._readable = True
        if entity.type not in ("item", "") or not entity.id.startswith("Q"):
            self.segment.add_other(entity.id, entity.type)
            return
        labels = self._no_labels if entity.labels.__class__ is list else _tuple(entity.labels)
        descriptions = self._no_texts if entity.descriptions.__class__ is list else _tuple(entity.descriptions)
        terms = labels + descriptions
        signature = bytes(map(bool, terms))
        if self.wanted.complete(signature):
            claims = entity.claims if data is None else self._claims(data, begin, end)
            texts = [None if term is None else term.value for term in terms]
            row: tuple[Any, ...] = (entity.id, " ".join(_classes(claims)) or None, *texts)
            if self.wanted.aliases:
                aliases = self._no_texts if isinstance(entity.aliases, list) else _tuple(entity.aliases)
                row += tuple([alias.value for alias in each] if each else None for each in aliases)
            self.segment.rows.append(row)
        self.segment.add_item(entity.id, signature)


def _classes(claims: _Claims | list[None]) -> list[str]:
    if isinstance(claims, list):
        return []
    values = (s.mainsnak.datavalue.value for s in claims.P31 if s.mainsnak.datavalue)
    return [v.id for v in values if isinstance(v, _Id)]
