"""Files that appear complete or not at all, their digests, and files that are compressed."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed over `path`, on failure removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes files that only their owner can read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, complete or not at all."""
    with complete_or_absent(path) as temporary:
        temporary.write_bytes(data)


def canonical_json(value: Any) -> bytes:
    """JSON bytes that depend on the value alone: sorted keys, UTF-8, two-space indent, final newline."""
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


def sha256_of_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_value(value: Any) -> str:
    """Hex SHA-256 of a JSON-able value in canonical form."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


# By the first bytes of a file: names lie, and standard input has none.
_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
COMPRESSED = (".gz", ".bz2", ".xz")
#: What reading a truncated or damaged compressed file raises.
DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, OSError)


def open_compressed(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, decompressed if it begins as gzip, bzip2 or xz files do."""
    with path.open("rb") as file:
        beginning = file.read(6)
    opener = next((opener for magic, opener in _OPENERS.items() if beginning.startswith(magic)), None)
    opened: IO[bytes] = opener(path, "rb") if opener else path.open("rb")
    return opened
