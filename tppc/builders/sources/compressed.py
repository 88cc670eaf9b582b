"""Read compressed files as lines of bytes, with errors that name the file and the place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tppc.corpora.files import DAMAGED, open_compressed
from tppc.errors import TppcError


def lines_of(path: Path | None) -> Iterator[bytes]:
    """Lines of a plain, gzip, bzip2 or xz file, without their newline; None reads standard input.

    Only `\\n` ends a line, never another character that Python's text mode would take for a line end.
    Raises `TppcError` for a truncated or damaged file, with the number of the last line that was read.
    """
    number, name = 0, str(path) if path else "standard input"
    try:
        with sys.stdin.buffer if path is None else open_compressed(path) as file:
            for line in file:
                number += 1
                yield line.removesuffix(b"\n")
    except DAMAGED as error:
        raise TppcError(
            f"{name}: truncated or damaged after line {number} ({error}); fetch the file again and run the same command"
        ) from error
