"""Tab-separated lines in blocks, cut at tabs and newlines without a loop over lines.

A block holds whole lines; its fields are one array that points into the block's bytes, so a column costs one gather,
and gunzip runs ahead in a thread of its own. There is no quoting: only a tab ends a field, only `\\n` a line, whatever
else the text holds. What is odd about a line a source settles by itself, from the bytes of `Block.line`.
"""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tppc.builders.decompress.ahead import ahead
from tppc.builders.sources.compressed import damaged
from tppc.corpora.files import DAMAGED, MAGIC, decompressed

_BLOCK = 1 << 20  # bytes of a block, about: its arrays still fit the cache of a core
_READ = 1 << 20  # bytes decompressed at a time; small reads would make the two threads wait for each other
_TAB, _NEWLINE = 9, 10
# How zlib, gzip and zstd begin, and what may begin so: polars unpacks what it takes for compressed.
_PACKED = (b"x", b"\x1f", b"(")


@dataclass(frozen=True)
class Member:
    """A gzip member of a larger file, read where it lies: `size` bytes from `offset` of an archive."""

    name: str
    offset: int
    size: int


class _Slice(io.RawIOBase):
    """Some bytes of an open file as a file of their own."""

    def __init__(self, file: IO[bytes], member: Member) -> None:
        self._file, self._left = file, member.size
        file.seek(member.offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: self._left]
        data = self._file.read(len(view))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)


@dataclass(frozen=True)
class Block:
    """Whole lines. `first` is the number of the first one, from 1; the last line of a file may lack its newline.

    Attributes:
        stops: position of the byte after each field, which is its tab, its newline, or the end of the data.
        opening: for each line the number of its first field; one more entry ends the last line.
    """

    data: bytes
    first: int
    stops: NDArray[np.int64]
    opening: NDArray[np.int64]
    fields: pl.Series

    @property
    def lines(self) -> int:
        """How many lines there are."""
        return len(self.opening) - 1

    @property
    def widths(self) -> NDArray[np.int64]:
        """Fields of each line; an empty line has one."""
        return np.diff(self.opening)

    @property
    def unterminated(self) -> bool:
        """Whether the last line has no newline: whole, or the beginning of a line that was cut."""
        return not self.data.endswith(b"\n")

    def line(self, index: int) -> bytes:
        """One line without its newline."""
        first, after = self.opening[index], self.opening[index + 1]
        return self.data[self.stops[first - 1] + 1 if first else 0 : self.stops[after - 1]]

    def column(self, number: int, lines: NDArray[np.int64]) -> pl.Series:
        """Field `number`, from 0, of some lines (by index; each must have that many fields), as bytes."""
        return self.fields.gather(2 * (self.opening[lines] + number))


def block_of(data: bytes, first: int) -> Block:
    """Cut some lines at their tabs."""
    raw = np.frombuffer(data, np.uint8)
    stops = np.flatnonzero((raw - _TAB) < 2)  # unsigned: a tab or a newline
    ends = np.flatnonzero(raw[stops] == _NEWLINE) + 1
    if not data.endswith(b"\n"):
        stops = np.append(stops, len(data))
        ends = np.append(ends, len(stops))
    # Fields at even places, what ends them at odd ones: so every entry begins where the last one ended.
    offsets = np.empty(2 * len(stops), np.int64)
    offsets[0] = 0
    offsets[1::2] = stops
    offsets[2::2] = stops[:-1] + 1
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    fields = pl.Series(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers))
    return Block(data, first, stops, np.concatenate([[0], ends]), fields)


def texts(column: pl.Series) -> pl.Series:
    """Bytes as text; null where they are not UTF-8."""
    try:
        return column.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series(column.name, [_decoded(value) for value in column.to_list()], pl.String)


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def even_columns(data: bytes, names: Sequence[str]) -> pl.DataFrame | None:
    """The fields of lines that have one for each of the names, as text: in a third of the time that `block_of` takes.

    None where a line has more or fewer fields or an empty one, or holds a carriage return or what is not UTF-8.
    """
    if b"\r" in data or data.startswith(BOM_UTF8) or data.endswith(b"\n\n"):  # polars takes these off
        return None
    if data.startswith(_PACKED):
        return None
    try:
        found = pl.read_csv(
            data, separator="\t", has_header=False, quote_char=None, schema=dict.fromkeys(names, pl.String)
        )
    except pl.exceptions.PolarsError:
        return None
    return None if any(column.null_count() for column in found) else found


def blocks_of(path: Path, member: Member | None = None) -> Iterator[Block]:
    """The lines of a plain, gzip, bzip2 or xz file, or of a gzip member of an archive, in blocks.

    Raises `TppcError` for a truncated or damaged file, after a last block of the whole lines that came before.
    """
    number, pieces = 1, line_blocks(path, member)
    while True:
        try:
            data = next(pieces, None)
        except Broken as broken:
            raise damaged(path / member.name if member else path, number - 1, str(broken)) from broken
        if data is None:
            return
        block = block_of(data, number)
        number += block.lines
        yield block


class Broken(Exception):
    """A truncated or damaged file; who reads it knows how many lines came (`damaged`)."""


def line_blocks(path: Path, member: Member | None = None, size: int = _BLOCK) -> Iterator[bytes]:
    """What `blocks_of` cuts into fields: about `size` bytes of whole lines. Raises `Broken` after a last block of the
    whole lines that came before."""
    waiting: list[bytes] = []
    held = 0
    failure: Exception | None = None
    try:
        with ahead(_pieces(path, member)) as pieces:
            for piece in pieces:
                held += len(piece)
                cut = piece.rfind(b"\n") + 1 if held >= size else 0
                if not cut:
                    waiting.append(piece)
                    continue
                view = memoryview(piece)
                yield b"".join((*waiting, view[:cut]))
                waiting, held = [bytes(view[cut:])], len(piece) - cut
    except DAMAGED as error:
        failure = error
    rest = b"".join(waiting)
    if failure is not None:
        rest = rest[: rest.rfind(b"\n") + 1]
    if rest:
        yield rest
    if failure is not None:
        raise Broken(str(failure)) from failure


def _pieces(path: Path, member: Member | None) -> Iterator[bytes]:
    """Decompressed bytes, `_READ` at a time; igzip keeps back what it had of a read that meets a damage."""
    with path.open("rb") as raw:
        part = raw if member is None else io.BufferedReader(_Slice(raw, member), _BLOCK)
        content = decompressed(part, part.peek(MAGIC)[:MAGIC])
        # read1 gives what is there: one call never waits for a second piece, nor loses the first to its damage.
        take: Callable[[int], bytes] = getattr(content, "read1", content.read)
        while piece := take(_READ):
            yield piece
