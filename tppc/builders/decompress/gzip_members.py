"""Read gzip (RFC 1952) fast, member after member, with places to go on inside a member.

`isal` inflates on one thread as fast as several others together: 1,390-1,650 MB/s of a made Wikidata dump, where
`rapidgzip -P 2` takes both cores for 620 MB/s (2 cores, shared machine). So one thread inflates and the
other core is free to parse; no index is kept, and memory does not grow with the file. Length and CRC-32 of every member
are checked, also of one that was read on from its middle.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Any

from isal import isal_zlib

from tppc.builders.decompress.deflate_blocks import WINDOW, candidates, primed
from tppc.builders.decompress.positions import CUT, Chunk, Damaged, Position

_INPUT = 1 << 18
_OUTPUT = 1 << 23
_AHEAD = 1 << 17  # compressed bytes searched for a block; blocks of usual encoders take 10 to 60 KB
_PROOF = 1 << 17  # compressed bytes inflated from a candidate and compared; more than a stored block
_SAME = 1 << 10
_TRIES = 3
_BROKEN: type[Exception] = isal_zlib.error  # type: ignore[assignment]
_HCRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16


class GzipMembers:
    """One pass over a file; `file` needs `seek` only where `start` is given."""

    def __init__(self, file: IO[bytes], every: int, start: Position | None = None) -> None:
        self.file = file
        self.every = every
        self.since = 0  # bytes of output since the last position
        self.taken = 0  # bytes of the file that were read
        self.data = b""  # read and not yet inflated
        self.start = start
        self.crc, self.length, self.tail = 0, 0, b""

    def _fill(self, size: int) -> bool:
        """Hold at least `size` bytes of input, False where the file ends before."""
        while len(self.data) < size:
            more = self.file.read(max(_INPUT, size - len(self.data)))
            if not more:
                return False
            self.taken += len(more)
            self.data += more
        return True

    def _take(self, size: int) -> bytes:
        if not self._fill(size):
            raise Damaged(CUT)
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def _until_zero(self) -> bytes:
        size = 64
        while (end := self.data.find(b"\0")) < 0:
            size *= 2
            if not self._fill(min(size, len(self.data) + 1)):
                raise Damaged(CUT)
        return self._take(end + 1)

    def _header(self) -> None:
        magic, method, flags = struct.unpack("<HBB6x", self._take(10))
        if (magic, method) != (0x8B1F, 8) or flags > 31:
            raise Damaged("no gzip header where a member should begin")
        if flags & _EXTRA:
            self._take(struct.unpack("<H", self._take(2))[0])
        for flag in (_NAME, _COMMENT):
            if flags & flag:
                self._until_zero()
        if flags & _HCRC:
            self._take(2)

    @property
    def _here(self) -> int:
        """The byte of the file that is read next."""
        return self.taken - len(self.data)

    def chunks(self) -> Iterator[Chunk]:
        """The content from the start on. Raises `Damaged`."""
        if self.start is not None:
            self.file.seek(self.start.byte)
            self.taken = self.start.byte
        if self.start is not None and self.start.inside:
            at = self.start
            self.crc, self.length, self.tail = at.crc, at.length, at.window
            if not self._fill(1):
                raise Damaged(CUT)
            self.data = primed(self.data, at.bit)
            yield from self._member(isal_zlib.decompressobj(-15, zdict=at.window))
        while self._fill(1):
            if self.data[:1] == b"\0":  # tar and tapes pad with zeros
                self.data = self.data.lstrip(b"\0")
                continue
            self._header()
            self.crc, self.length, self.tail = 0, 0, b""
            yield from self._member(isal_zlib.decompressobj(-15))

    def _chunk(self, data: bytes, position: Position | None = None) -> Chunk:
        self.since = 0 if position else self.since + len(data)
        return Chunk(data, position, self._here)

    def _feed(self, inflater: Any, size: int) -> Iterator[bytes]:
        """Inflate the next `size` bytes of input (fewer where the member ends); output in pieces of bounded size."""
        given = self.data[:size]
        size, left = len(given), 0
        try:
            while True:
                data = inflater.decompress(given, _OUTPUT)
                given = inflater.unconsumed_tail
                left = len(given) + len(inflater.unused_data)
                if data:
                    self.crc = isal_zlib.crc32(data, self.crc)
                    self.length += len(data)
                    self.tail = (self.tail + data[-WINDOW:])[-WINDOW:]
                    yield data
                if inflater.eof or len(data) < _OUTPUT:
                    break
        except _BROKEN as error:
            raise Damaged(str(error)) from error
        self.data = self.data[size - left :]

    def _member(self, inflater: Any) -> Iterator[Chunk]:
        while not inflater.eof:
            if not self._fill(1):
                raise Damaged(CUT)
            if self.since >= self.every and self._fill(_AHEAD + 2 * _PROOF):
                yield from self._place(inflater)
            else:
                for data in self._feed(inflater, len(self.data)):
                    yield self._chunk(data)
        self._trailer()
        if self.since >= self.every // 2:
            yield self._chunk(b"", Position("gzip", self._here))

    def _place(self, inflater: Any) -> Iterator[Chunk]:
        """Inflate on to a bit where a block begins, prove it, and give out the position; or give up for a while."""
        ahead, begin = self.data, self._here
        for tried, bit in enumerate(candidates(ahead[:_AHEAD])):
            size = begin + (bit + 7) // 8 - self._here
            if size < 0:
                continue
            if tried >= _TRIES:
                break
            # The inflater stands at most seven bits behind the block's first, and no symbol of a block is that short.
            for data in self._feed(inflater, size) if size else ():
                yield self._chunk(data)
            if inflater.eof:
                return
            place = Position("gzip", begin + (bit >> 3), bit & 7, True, self.tail, self.crc, self.length)
            piece = ahead[bit >> 3 : (bit >> 3) + _PROOF]
            try:
                found = isal_zlib.decompressobj(-15, zdict=place.window).decompress(primed(piece, place.bit), _OUTPUT)
            except _BROKEN:
                continue
            true = b"".join(self._feed(inflater, _PROOF))
            if inflater.eof:  # a last stored block looks like any other; the next member begins with a position anyway
                yield self._chunk(true)
                return
            length = min(len(found), len(true))
            found = found[:length]
            # One byte repeated proves nothing: between zeros a stored block also seems to begin a byte too early.
            if length >= _SAME and found == true[:length] and found.lstrip(found[:1]):
                yield self._chunk(b"", place)
                yield self._chunk(true)
                return
            yield self._chunk(true)
        self.since = min(self.since, self.every * 3 // 4)

    def _trailer(self) -> None:
        """Check CRC-32 and length."""
        if self._take(8) != struct.pack("<II", self.crc, self.length & 0xFFFFFFFF):
            raise Damaged("the checksum of a gzip member does not match")
