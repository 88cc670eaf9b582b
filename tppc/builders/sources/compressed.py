"""Read compressed files as lines of bytes, with errors that name the file and the place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tppc.corpora.files import DAMAGED, open_compressed
from tppc.errors import TppcError

_PIECE = 1 << 20


class Unterminated(bytes):
    """A last line without its newline: whole, or the beginning of a line that was cut."""


def lines_of(path: Path) -> Iterator[bytes]:
    """Lines of a plain, gzip, bzip2, xz or zstd file, without their newline.

    Only `\\n` ends a line, never another character that Python's text mode would take for a line end.
    Raises `TppcError` for a truncated or damaged file, with the number of the last line that was read.
    """
    number, begun = 0, [b""]
    try:
        with open_compressed(path) as file:
            while piece := file.read(_PIECE):
                # Split as a whole: asking the decompressor for each line costs several times as much.
                first, *lines = piece.split(b"\n")
                begun.append(first)
                if lines:
                    last = lines.pop()
                    for line in (b"".join(begun), *lines):
                        number += 1
                        yield line
                    begun = [last]
            if rest := b"".join(begun):
                number += 1
                yield Unterminated(rest)
    except DAMAGED as error:
        raise damaged(path, number, str(error)) from error


def damaged(path: Path, number: int, why: str) -> TppcError:
    """The error for a file that ends or breaks where it should not, after line `number`."""
    return TppcError(
        f"{path}: truncated or damaged after line {number} ({why}); fetch the file again and run the same command"
    )
