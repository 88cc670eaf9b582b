"""Files that appear complete or not at all, their digests, and files that are compressed."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from isal import igzip, isal_zlib


def cache_folder() -> Path:
    """Where downloads live, and all else that can be had again: `$TPPC_CACHE`, or `tppc` in the user's cache folder."""
    if value := os.environ.get("TPPC_CACHE"):
        return Path(value)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tppc"


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
    except OSError as error:
        error.filename = error.filename or str(path)  # a write that fails, on a full disk, does not know its file
        raise
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


COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_ISAL_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub declares an instance
#: What reading a truncated or damaged compressed file raises.
DAMAGED = (EOFError, zlib.error, _ISAL_ERROR, gzip.BadGzipFile, lzma.LZMAError, OSError)
MAGIC = 6  # bytes that tell a format
_PIECE = 1 << 20


class _Zstd(io.RawIOBase):
    """The content of zstd frames, one behind the other; a frame that is cut is an `EOFError`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: Any = None
        self._input, self._output = b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def _decompress(self) -> None:
        import zstandard

        if self._frame is None:
            # Files packed with `zstd --long=31` need a window of 2 GiB; others take what their header says.
            self._frame = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        try:
            self._output = memoryview(self._frame.decompress(self._input))
        except zstandard.ZstdError as error:
            raise OSError(str(error)) from error
        self._input = self._frame.unused_data if self._frame.eof else b""
        if self._frame.eof:
            self._frame = None

    def readinto(self, buffer: Any) -> int:
        while not self._output:
            if not self._input and not (piece := self._file.read(_PIECE)):
                if self._frame is not None:
                    raise EOFError("the last zstd frame is cut")
                return 0
            self._input = self._input or piece
            self._decompress()
        count = min(len(buffer), len(self._output))
        buffer[:count] = self._output[:count]
        self._output = self._output[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _zstd(file: IO[bytes], mode: str) -> IO[bytes]:
    return io.BufferedReader(_Zstd(file), _PIECE)


# By the first bytes of a file: names lie, and standard input has none.
_OPENERS: dict[bytes, Callable[[Any, Any], Any]] = {
    b"\x1f\x8b": igzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": _zstd,
}


def decompressed(file: IO[bytes], beginning: bytes) -> IO[bytes]:
    """The content of an open file, decompressed if it begins as gzip, bzip2, xz or zstd files do.

    `beginning` are its first `MAGIC` bytes, which `file` must still give out.
    """
    opener = next((opener for magic, opener in _OPENERS.items() if beginning.startswith(magic)), None)
    opened: IO[bytes] = opener(file, "rb") if opener else file
    return opened


def open_compressed(path: Path) -> IO[bytes]:
    """Open a file for reading bytes, decompressed if it begins as gzip, bzip2, xz or zstd files do."""
    with path.open("rb") as file:
        beginning = file.read(MAGIC)
    opener = next((opener for magic, opener in _OPENERS.items() if beginning.startswith(magic)), None)
    if opener is None or opener is _zstd:
        return decompressed(path.open("rb"), beginning)
    opened: IO[bytes] = opener(path, "rb")
    return opened
