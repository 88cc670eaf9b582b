"""Writing files so that the same input always gives the same bytes."""

from __future__ import annotations

import bz2
import gzip
import io
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> None:
    """Plain bytes, with the folders above them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_bz2(path: Path, data: bytes) -> None:
    """bzip2 has no time stamp, so its output depends on the data alone."""
    write_bytes(path, bz2.compress(data, 9))


def write_gz(path: Path, data: bytes) -> None:
    """gzip with neither a time stamp nor a file name in its header."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as stream:
        stream.write(data)
    write_bytes(path, buffer.getvalue())
