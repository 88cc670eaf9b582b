"""Read bzip2 with all cores, with places to go on at every block.

From the beginning of a file `indexed_bzip2` reads, which keeps up with `lbzip2` (127-135 against 118-142 MB/s on two
cores; one core of the standard library: 50). It cannot start in the middle, where two thirds of the real dump's reading
would be lost by a kill: there the blocks are found by their 48-bit mark, which stands at any bit, each is wrapped as a
stream of its own, and the standard library decompresses them in threads, at 57 to 81 MB/s. Standard input is read
in this way too, since it cannot be read twice. Every block's CRC is checked in both.
"""

from __future__ import annotations

import bz2
import os
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tppc.builders.decompress.positions import CUT, Chunk, Damaged, Position

_BLOCK, _END = 0x314159265359, 0x177245385090  # digits of pi, and of its square root
_MARK = 48  # bits
_PIECE = 1 << 22  # compressed bytes read at once
_OUTPUT = 1 << 22  # of content; more than a block holds, but for blocks of repetitions
_LEAST = 1 << 18
_LARGEST = 1 << 23  # compressed bytes in which a block must end; its 900,000 symbols take less than two megabytes


def marks(data: bytes) -> list[tuple[int, bool]]:
    """Bits (from the first byte's highest on) with the mark of a block, or of a stream's end; and which."""
    found = []
    for mark in (_BLOCK, _END):
        for bit in range(8):
            # Bits of the mark in the byte where it begins; the next five bytes are whole.
            skip = 1 if bit else 0
            needle = (mark >> (bit or 8) & ((1 << 40) - 1)).to_bytes(5, "big")
            at = data.find(needle)
            while at >= 0:
                begin = at - skip
                if begin >= 0 and begin + 7 <= len(data):
                    seven = int.from_bytes(data[begin : begin + 7], "big")
                    if seven >> (8 - bit) & ((1 << _MARK) - 1) == mark:
                        found.append((8 * begin + bit, mark == _BLOCK))
                at = data.find(needle, at + 1)
    return sorted(found)


def as_stream(data: bytes, begin: int, end: int) -> bytes:
    """The block in the bits `begin` to `end` as a stream of its own: header, block, end mark, the block's CRC."""
    length = end - begin
    raw = np.frombuffer(data, np.uint8)[begin >> 3 : (end + 7 >> 3) + 1]
    high = raw
    if shift := begin & 7:
        high = raw << np.uint8(shift)
        high[:-1] |= raw[1:] >> np.uint8(8 - shift)
    block = high.tobytes()
    whole, odd = divmod(length, 8)
    crc = int.from_bytes(block[6:10], "big")
    last = block[whole] >> (8 - odd) if odd else 0
    tail = (last << 80 | _END << 32 | crc) << (8 - odd) % 8
    return b"BZh9" + block[:whole] + tail.to_bytes(10 + (odd > 0), "big")


@dataclass
class _Block:
    """A block in compressed form: bits of `data`, whose first byte is byte `base` of the file.

    `ends` are marks behind it: the first is its end, unless that one stands in a block's content by chance.
    """

    data: bytes
    base: int
    begin: int
    ends: list[int]

    @property
    def position(self) -> Position:
        """Where it begins."""
        byte, bit = divmod(self.begin, 8)
        return Position("bzip2", self.base + byte, bit, inside=True)

    def content(self) -> tuple[bytes, int]:
        """Its content, and the bit of the file at which it ends. Raises `Damaged`."""
        for end in self.ends:
            try:
                return bz2.decompress(as_stream(self.data, self.begin, end)), 8 * self.base + end
            except (OSError, ValueError):
                continue
        raise Damaged("a bzip2 block is damaged")


class Bzip2Blocks:
    """One pass over a file, from the beginning with `path`, else block by block from `start`."""

    def __init__(self, file: IO[bytes], every: int, start: Position | None = None, path: Path | None = None) -> None:
        self.file = file
        self.every = every
        self.start = start
        self.path = path
        self.since = 0

    def chunks(self) -> Iterator[Chunk]:
        """The content from the start on. Raises `Damaged`."""
        if self.path is not None and self.start is None:
            return self._indexed(self.path)
        return self._by_block()

    def _chunk(self, data: bytes, position: Position | None, read: int) -> Chunk:
        self.since = 0 if position else self.since + len(data)
        return Chunk(data, position, read)

    # From the beginning.

    def _indexed(self, path: Path) -> Iterator[Chunk]:
        import indexed_bzip2

        with indexed_bzip2.open(str(path), parallelization=os.cpu_count() or 1) as opened:
            reader: Any = opened.bz2reader
            size = min(_OUTPUT, max(_LEAST, self.every))
            try:
                data = _some(reader, size)
                while data:
                    mark = reader.tell_compressed()
                    if self.since + len(data) < self.every:
                        yield self._chunk(data, None, mark >> 3)
                        data = _some(reader, size)
                        continue
                    more = _some(reader, size)
                    cut = self._begin_of(mark, data, more)
                    if cut is None:
                        self.since = max(0, self.since - self.every // 4)
                        yield self._chunk(data, None, mark >> 3)
                        data = more
                    else:
                        both = data + more
                        yield self._chunk(both[:cut], Position("bzip2", mark >> 3, mark & 7, True), mark >> 3)
                        data = both[cut:]
            except (RuntimeError, ValueError) as error:
                raise Damaged(f"a bzip2 block is damaged or cut ({error})") from error

    def _begin_of(self, mark: int, data: bytes, more: bytes) -> int | None:
        """Where in `data + more` the content of the block at bit `mark` begins, the one in which `data` ends."""
        self.file.seek(mark >> 3)
        raw = self.file.read(_LARGEST)
        first = mark & 7
        ends = [bit for bit, _ in marks(raw) if bit > first]
        if not ends:
            return None
        try:
            block = bz2.decompress(as_stream(raw, first, ends[0]))
        except (OSError, ValueError):
            return None
        around = data + more
        at = around.find(block, max(0, len(data) - len(block)))
        once = at >= 0 and around.find(block, at + 1) < 0
        return at if once and at <= len(data) <= at + len(block) else None

    # Block by block.

    def _by_block(self) -> Iterator[Chunk]:
        workers = os.cpu_count() or 1
        waiting: deque[tuple[_Block, Future[tuple[bytes, int]]]] = deque()
        held, until = b"", 0
        with ThreadPoolExecutor(workers) as pool:
            blocks = self._blocks()
            while True:
                while len(waiting) <= 2 * workers and (block := next(blocks, None)):
                    waiting.append((block, pool.submit(block.content)))
                if not waiting:
                    break
                block, content = waiting.popleft()
                begin = 8 * block.base + block.begin
                if begin < until:  # its mark stood inside the block before it
                    continue
                if held:
                    due = self.since + len(held) >= self.every
                    yield self._chunk(held, block.position if due else None, begin >> 3)
                held, until = content.result()
            if held:
                yield self._chunk(held, None, until >> 3)

    def _blocks(self) -> Iterator[_Block]:
        """Blocks from the start on; raises `Damaged` where the file is no sequence of streams."""
        base, data = 0, b""
        if self.start is not None:
            self.file.seek(base := self.start.byte)
        found: list[tuple[int, bool]] = []
        ended = False

        def more() -> None:
            """Read on, and forget what lies before the next mark."""
            nonlocal base, data, found, ended
            drop = max(0, need // 8 - base)
            piece = self.file.read(_PIECE)
            ended = not piece
            base, data = base + drop, data[drop:] + piece
            found = marks(data)

        need = 8 * base + self.start.bit if self.start is not None and self.start.inside else 8 * base + 32
        if self.start is None or not self.start.inside:
            need -= 32
            more()
            if not data[:4].startswith(b"BZh"):
                raise Damaged(CUT if len(data) < 4 else "no bzip2 header")
            need += 32
        while True:
            at = bisect_left(found, (need - 8 * base, False))
            here = found[at] if at < len(found) and found[at][0] == need - 8 * base else None
            if here is None or (here[1] and at + 1 == len(found)) or (not here[1] and len(data) - here[0] // 8 < 16):
                if not ended and len(data) < _LARGEST:
                    more()
                    continue
                if here is None or here[1]:
                    raise Damaged(CUT if ended else "a bzip2 block is damaged")
            begin, is_block = here
            if is_block:
                ends = [bit for bit, _ in found[at + 1 : at + 3]]
                yield _Block(data, base, begin, ends)
                need = 8 * base + ends[0]
                continue
            after = (begin + _MARK + 32 + 7) // 8
            if len(data) < after:
                raise Damaged(CUT)
            if len(data) == after:
                return
            if data[after : after + 3] != b"BZh":
                raise Damaged("something that is no bzip2 stream follows the last one")
            need = 8 * (base + after + 4)


def _some(reader: Any, size: int) -> bytes:
    """The next piece of a reader's content, empty at its end."""
    piece = bytearray(size)
    held = 0
    while held < size and (got := reader.readinto(memoryview(piece)[held:])):
        held += got
    return bytes(memoryview(piece)[:held])
