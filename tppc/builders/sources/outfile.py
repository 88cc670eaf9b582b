"""Records of MySQL's `SELECT ... INTO OUTFILE`: tab-separated, `\\N` for null, a backslash before a tab or newline.

Nearly all lines hold no escape but `\\N`, and those are read as columns; the others are read character by character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tppc.builders.sources.blocks import Block, block_of, blocks_of

NULL = b"\\N"
_BACKSLASH = 0x5C

#: Number of the first line, fields, raw bytes.
Record = tuple[int, list[bytes | None], bytes]


def outfile_records(
    lines: Iterable[bytes], record_start: re.Pattern[bytes] | None = None, first: int = 1
) -> Iterator[Record]:
    """Records of a MySQL OUTFILE: (number of the first line, fields, raw bytes).

    A line that ends in an odd number of backslashes goes on in the next one, unless that looks like the start of a
    record (`record_start`): Tatoeba's per-language files are split by line, so the rest of such a sentence is
    elsewhere. Escapes: `\\N` alone is null, `\\0` NUL, and a backslash before any other character stands for that
    character (MySQL Reference Manual, SELECT ... INTO).
    """
    pending, began = b"", 0
    for number, line in enumerate(lines, start=first):
        if began and record_start is not None and record_start.match(line):
            yield began, _unescape(pending), pending
            pending, began = b"", 0
        record, start = (pending + b"\n" + line, began) if began else (line, number)
        if b"\\" not in record:
            yield start, list(record.split(b"\t")), record
            continue
        if _goes_on(record):
            pending, began = record, start
            continue
        pending, began = b"", 0
        yield start, _unescape(record), record
    if began:
        yield began, _unescape(pending), pending


def _goes_on(line: bytes) -> bool:
    """Whether a line's own line break is escaped."""
    return (len(line) - len(line.rstrip(b"\\"))) % 2 == 1


def _unescape(record: bytes) -> list[bytes | None]:
    fields: list[bytes | None] = []
    field = bytearray()
    null = False
    characters = iter(record)
    for value in characters:
        if value == _BACKSLASH:
            escaped = next(characters, _BACKSLASH)
            if escaped == 0x4E and not field:  # \N
                null = True
            field.append({0x30: 0}.get(escaped, escaped))
        elif value == 0x09:
            fields.append(None if null and field == b"N" else bytes(field))
            field, null = bytearray(), False
        else:
            field.append(value)
    fields.append(None if null and field == b"N" else bytes(field))
    return fields


@dataclass(frozen=True)
class Records:
    """The records of one block, as `outfile_records` would read them.

    Attributes:
        plain: indices of the lines that are a record each and hold no escape but whole fields `\\N`.
        others: all other records.
    """

    block: Block
    plain: NDArray[np.int64]
    others: list[Record]

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.plain) + len(self.others)

    def one(self, line: int) -> Record:
        """The record of a plain line."""
        (record,) = outfile_records([self.block.line(line)], first=self.block.first + line)
        return record


def record_blocks(path: Path, record_start: re.Pattern[bytes] | None = None) -> Iterator[Records]:
    """The records of a file, block by block; no record is cut by the end of a block."""
    carry, first = b"", 1
    for read in blocks_of(path):
        block = read
        if carry or _open_end(read.data) < len(read.data):
            data = carry + read.data
            cut = _open_end(data)
            carry = data[cut:]
            if not cut:
                continue
            block = block_of(data[:cut], first)
        first = block.first + block.lines
        yield _records(block, record_start)
    if carry:
        yield _records(block_of(carry, first), record_start)


def _open_end(data: bytes) -> int:
    """Where the last lines begin that go on in the next block; the length of the data where none does."""
    end = len(data)
    while end and data.endswith(b"\\\n", 0, end):
        start = data.rfind(b"\n", 0, end - 1) + 1
        if not _goes_on(data[start : end - 1]):
            break
        end = start
    return end


def _records(block: Block, record_start: re.Pattern[bytes] | None) -> Records:
    raw = np.frombuffer(block.data + b"\n\n", np.uint8)
    backslashes = np.flatnonzero(raw == _BACKSLASH)
    every = np.arange(block.lines)
    if not len(backslashes):
        return Records(block, every, [])
    # A field `\N` after a tab; the bytes around it say so. (Before the first byte stands the newline at the end.)
    is_null = (raw[backslashes - 1] == 9) & (raw[backslashes + 1] == 0x4E)
    is_null &= (raw[backslashes + 2] == 9) | (raw[backslashes + 2] == 10)
    ends = block.stops[block.opening[1:] - 1]
    other = np.zeros(block.lines + 1, np.bool_)
    other[np.searchsorted(ends, backslashes[~is_null])] = True
    for line in np.flatnonzero(other).tolist():
        other[line + 1] |= _goes_on(block.line(line))
    lines = np.flatnonzero(other[:-1])
    records: list[Record] = []
    edges = [0, *(np.flatnonzero(np.diff(lines) > 1) + 1).tolist(), len(lines)]
    for start, stop in pairwise(edges):
        run = lines[start:stop].tolist()
        if run:
            records += outfile_records(map(block.line, run), record_start, block.first + run[0])
    return Records(block, np.flatnonzero(~other[:-1]), records)
