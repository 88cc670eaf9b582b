"""Files with a record a line: delimited text (TSV, CSV) and JSON lines.

TSV has no quoting: a tab always ends a field, a line break always ends a record. CSV is quoted as RFC 4180 says: a
field that begins with `"` ends at the next lone `"`, a doubled one stands for itself, and line breaks inside belong to
the text; a `"` in the middle of an unquoted field is taken as it is. A record that cannot be read costs itself alone: a
quote that is never closed ends with its line, not with the file. Lines without anything are skipped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tppc.builders.sources.base import Refused, unreadable
from tppc.builders.sources.compressed import Unterminated, damaged, lines_of
from tppc.builders.sources.records import Record, score_of
from tppc.errors import UsageError

#: Columns are looked for in so many records before they count as missing.
LOOK = 1_000
_LONGEST = 1 << 16  # bytes of a CSV record: no sentence is longer, so a quote open that long was never meant as one
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Columns:
    """Which columns hold what: by name or, as digits, by number from 1. In JSON a dot leads into an object or array."""

    src: str
    tgt: str
    score: str | None = None
    identifier: str | None = None

    @property
    def roles(self) -> tuple[str | None, ...]:
        """The columns of source, target, score and id; None where there is none."""
        return self.src, self.tgt, self.score, self.identifier

    @property
    def asked(self) -> list[str]:
        """The columns that must be there."""
        return [name for name in self.roles if name is not None]


def no_columns(path: Path, missing: list[str], there: list[str]) -> UsageError:
    """The error for columns that a file does not have."""
    named = ", ".join(there[:40]) or "none"
    return UsageError(
        f"{path}: no column {', '.join(missing)}; it has {named}: name them with --src-column and --tgt-column"
    )


class _Row(NamedTuple):
    """A delimited record: the number of its first line, its fields, its bytes, and what is wrong with it."""

    number: int
    fields: list[bytes]
    raw: bytes
    wrong: str | None = None


def delimited_records(
    path: Path, columns: Columns, *, delimiter: str, quoted: bool, header: bool
) -> Iterator[Record | Refused]:
    """Records of TSV (`quoted` false) or CSV; the id is the number of the record's first line, header included.

    Raises `UsageError` for columns that are not in the header, or that none of the first 1,000 records reaches;
    `TppcError` for a file that is cut.
    """
    rows = (_quoted_rows if quoted else _plain_rows)(path, delimiter.encode())
    if header:
        first = next(rows, None)
        if first is None:
            return
        positions = _in_header(path, columns, [f.decode(errors="replace").strip() for f in first.fields])
    else:
        positions = _by_number(path, columns)
    needed = max(p for p in positions if p is not None) + 1
    widest = 0
    for seen, row in enumerate(rows, start=1):
        widest = max(widest, len(row.fields))
        if seen == LOOK and widest < needed:
            break
        yield _delimited_record(path, row, positions, needed)
    if 0 < widest < needed:
        raise no_columns(path, [str(needed)], [str(n) for n in range(1, widest + 1)])


def _delimited_record(path: Path, row: _Row, positions: list[int | None], needed: int) -> Record | Refused:
    number, fields, raw, wrong = row
    if wrong is None and len(fields) < needed:
        wrong = f"{len(fields)} columns instead of {needed}"
    if wrong is None:
        try:
            src, tgt, score, identifier = ("" if p is None else fields[p].decode() for p in positions)
            return Record(identifier.strip() or str(number), src, tgt, score_of(score))
        except UnicodeDecodeError as error:
            wrong = f"not UTF-8: {error.reason} at byte {error.start} of a field"
        except ValueError as error:
            wrong = str(error)
    if isinstance(raw, Unterminated):
        raise damaged(path, number - 1, f"the last line is cut, {wrong}")
    return unreadable(str(number), wrong, raw)


def _in_header(path: Path, columns: Columns, names: list[str]) -> list[int | None]:
    """Positions of source, target, score, id. A column that the header names goes before one of that number."""

    def find(column: str) -> int | None:
        if column in names:
            return names.index(column)
        return int(column) - 1 if column.isdecimal() and 0 < int(column) <= len(names) else None

    missing = [column for column in columns.asked if find(column) is None]
    if missing:
        raise no_columns(path, missing, names)
    return [None if column is None else find(column) for column in columns.roles]


def _by_number(path: Path, columns: Columns) -> list[int | None]:
    wrong = [c for c in columns.asked if not (c.isdecimal() and int(c) > 0)]
    if wrong:
        raise UsageError(
            f"{path}: column {', '.join(wrong)} is asked for by name, but without a header there are only numbers, "
            "from 1; leave --no-header out, or give numbers"
        )
    return [None if column is None else int(column) - 1 for column in columns.roles]


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their number, without a byte order mark."""
    for number, line in enumerate(lines_of(path), start=1):
        if number == 1 and line.startswith(_BOM):
            yield number, type(line)(line.removeprefix(_BOM))
        else:
            yield number, line


def _plain_rows(path: Path, delimiter: bytes) -> Iterator[_Row]:
    for number, line in _lines(path):
        if line not in (b"", b"\r"):
            yield _Row(number, line.removesuffix(b"\r").split(delimiter), line)


def _quoted_rows(path: Path, delimiter: bytes) -> Iterator[_Row]:
    """Records of RFC 4180. A record whose quote is not closed within 64 KiB, or is closed before something else than
    a delimiter, gives its first line as unreadable, and reading goes on with the next line.
    """
    source = _lines(path)
    again: deque[tuple[int, bytes]] = deque()  # lines that were read ahead in vain
    while (at := again.popleft() if again else next(source, None)) is not None:
        number, line = at
        if line in (b"", b"\r"):
            continue
        if b'"' not in line:
            yield _Row(number, line.removesuffix(b"\r").split(delimiter), line)
            continue
        ahead: list[tuple[int, bytes]] = []
        record = line
        fields, wrong = _fields(record, delimiter)
        while fields is None and not wrong and len(record) < _LONGEST:
            following = again.popleft() if again else next(source, None)
            if following is None:
                break
            ahead.append(following)
            record += b"\n" + following[1]
            if b'"' in following[1]:
                fields, wrong = _fields(record, delimiter)
        if fields is not None:
            yield _Row(number, fields, record)
        else:
            again.extendleft(reversed(ahead))
            yield _Row(number, [], line, wrong or "a quote is never closed")


def _fields(record: bytes, delimiter: bytes) -> tuple[list[bytes] | None, str]:
    """Fields of a record, or None and what is wrong with it; nothing where its last quote is still open."""
    record = record.removesuffix(b"\r")
    fields: list[bytes] = []
    at = 0
    while True:
        if record[at : at + 1] != b'"':
            end = record.find(delimiter, at)
            fields.append(record[at:] if end < 0 else record[at:end])
            if end < 0:
                return fields, ""
        else:
            close = record.find(b'"', at + 1)
            while close >= 0 and record[close + 1 : close + 2] == b'"':
                close = record.find(b'"', close + 2)
            if close < 0:
                return None, ""
            fields.append(record[at + 1 : close].replace(b'""', b'"'))
            end = close + 1
            if end == len(record):
                return fields, ""
            if record[end : end + 1] != delimiter:
                return None, "text after a closing quote"
        at = end + 1


def json_records(path: Path, columns: Columns) -> Iterator[Record | Refused]:
    """Records of JSON lines, an object a line; the id is the line's number. A text that is missing or null gives
    `no_src` or `no_tgt`.

    Raises `UsageError` where none of the first 1,000 objects has a column, or the file is one JSON array.
    """
    decode: Callable[[bytes], Any] = msgspec.json.Decoder().decode
    missing, there = set(columns.asked), dict[str, None]()
    seen = 0
    for number, line in _lines(path):
        if not line.strip():
            continue
        if seen == 0 and line.lstrip().startswith(b"["):
            raise UsageError(
                f"{path}: a JSON array, but JSON lines hold one object a line; `jq -c '.[]' FILE` turns it into such"
            )
        seen += 1
        record: Record | Refused
        try:
            found = decode(line)
            if not isinstance(found, dict):
                raise ValueError("no JSON object")
            if missing:
                missing -= {column for column in missing if _inside(found, column) is not None}
                there |= dict.fromkeys(_keys(found))
            record = _json_record(number, found, columns)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
            if isinstance(line, Unterminated):
                raise damaged(path, number - 1, f"the last line is cut, {error}") from error
            record = unreadable(str(number), str(error), line)
        if seen == LOOK and missing and there:
            break
        yield record
    if missing and there:
        raise no_columns(path, [c for c in columns.asked if c in missing], list(there))


def _keys(found: dict[str, Any], before: str = "") -> Iterator[str]:
    """Names of an object's columns, dotted for those of objects and arrays inside."""
    for name, value in found.items():
        parts = {str(place): item for place, item in enumerate(value[:8])} if isinstance(value, list) else value
        if isinstance(parts, dict):
            yield from _keys(parts, f"{before}{name}.")
        else:
            yield before + name


def _inside(found: Any, column: str) -> Any:
    """The value of a column: of that very name, or by a dotted one inside objects and, from 0, arrays; None where it
    is not there.
    """
    name, dot, rest = column.partition(".")
    if isinstance(found, list):
        inner = found[int(name)] if name.isdecimal() and int(name) < len(found) else None
        return _inside(inner, rest) if dot else inner
    if not isinstance(found, dict):
        return None
    if column in found or not dot:
        return found.get(column)
    return _inside(found.get(name), rest)


def _json_record(number: int, found: dict[str, Any], columns: Columns) -> Record | Refused:
    texts: dict[str, str] = {}
    for role, column in (("src", columns.src), ("tgt", columns.tgt)):
        text = _inside(found, column)
        if text is None:
            return Refused(f"no_{role}", str(number), f"no {column}")
        if not isinstance(text, str):
            raise ValueError(f"{column} is {type(text).__name__}, not a text")
        texts[role] = text
    score = _inside(found, columns.score) if columns.score else None
    if isinstance(score, bool) or not isinstance(score, str | float | int | None):
        raise ValueError("the score is not a number")
    identifier = _inside(found, columns.identifier) if columns.identifier else None
    if not isinstance(identifier, str | int | None):
        raise ValueError(f"{columns.identifier} is {type(identifier).__name__}, not a text or a whole number")
    name = "" if identifier is None else str(identifier).strip()
    return Record(name or str(number), texts["src"], texts["tgt"], score_of(score))
