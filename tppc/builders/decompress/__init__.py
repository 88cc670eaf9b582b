"""Decompress a large file as fast as the machine allows, with places from which a later process can go on.

`chunks` reads gzip, bzip2, xz, zstd and plain files, told by their first bytes. Places to go on (`Position`) are given
out about every so many bytes of content, for gzip, bzip2 and plain files; xz and zstd begin again after a kill. Memory
does not grow with the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tppc.builders.decompress.ahead import ahead
from tppc.builders.decompress.positions import Chunk, Damaged, Position
from tppc.corpora.files import DAMAGED, MAGIC, decompressed

__all__ = ["Chunk", "Damaged", "Position", "ahead", "chunks"]

_PIECE = 1 << 22
_FORMATS = {b"\x1f\x8b": "gzip", b"BZ": "bzip2"}


def chunks(
    file: io.BufferedReader[Any], every: int, start: Position | None = None, path: Path | None = None
) -> Iterator[Chunk]:
    """The content of an open file in chunks of some megabytes.

    Args:
        file: opened for reading bytes, buffered.
        every: about so many bytes of content lie between two positions.
        start: a position that an earlier pass over the same file gave out; the content begins there.
        path: the file's path where it has one; bzip2 is read faster then.

    Raises `Damaged` for a file that is damaged, or ends too early.
    """
    beginning = file.peek(MAGIC)[:MAGIC]
    kind = start.format if start is not None else _FORMATS.get(beginning[:2], "")
    if kind == "gzip":
        from tppc.builders.decompress.gzip_members import GzipMembers

        return GzipMembers(file, every, start).chunks()
    if kind == "bzip2":
        from tppc.builders.decompress.bzip2_blocks import Bzip2Blocks

        return Bzip2Blocks(file, every, start, path).chunks()
    return _sequential(file, every, start, beginning)


def _sequential(file: io.BufferedReader[Any], every: int, start: Position | None, beginning: bytes) -> Iterator[Chunk]:
    """Formats that one library call decompresses, and plain files."""
    try:
        if start is not None:
            file.seek(start.byte)
        content = decompressed(file, beginning)
        plain = content is file
        place, since = start.byte if start else 0, 0
        while data := content.read(_PIECE):
            place, since = place + len(data), since + len(data)
            due = plain and since >= every
            yield Chunk(data, Position("plain", place) if due else None, place if plain else _told(file))
            since = 0 if due else since
    except DAMAGED as error:
        raise Damaged(str(error)) from error


def _told(file: io.BufferedReader) -> int:
    """How far a file was read; 0 where it cannot tell."""
    return file.tell() if file.seekable() else 0
