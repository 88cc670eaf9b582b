"""Line-aligned text, the Moses format: line n of one file translates line n of the other.

OPUS packs such files into a zip (`Books.en-hi.en`, `Books.en-hi.hi`, and beside them `README`, `LICENSE`, ids,
for some mined corpora `.scores` with one number a line), which is read as a stream and never unpacked.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any, cast

from tppc.builders.sources.base import Refused, unreadable
from tppc.builders.sources.records import Record, score_of
from tppc.errors import TppcError

_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)
_TERMS = ("LICENSE", "LICENCE")


def aligned_records(streams: Mapping[str, Iterator[bytes]]) -> Iterator[Record | Refused]:
    """Pair the lines of two streams, by name, source first; a third one holds scores.

    A line that is not UTF-8 is refused with its bytes, and the lines after it stay aligned. Raises `TppcError`,
    with the number of lines of each, where they have different ones: then no one knows which lines belong together.
    """
    names = list(streams)
    for number, lines in enumerate(zip_longest(*streams.values()), start=1):
        if None in lines:
            counts = [
                number - 1 if line is None else number + sum(1 for _ in stream)
                for line, stream in zip(lines, streams.values(), strict=True)
            ]
            each = ", ".join(f"{name} has {count:,} lines" for name, count in zip(names, counts, strict=True))
            raise TppcError(f"{each}: line-aligned files must have the same number; fetch or export them again")
        texts = []
        for name, line in zip(names, lines, strict=True):
            try:
                texts.append(line.decode())
            except UnicodeDecodeError as error:
                where = f"{Path(name).name}: not UTF-8: {error.reason} at byte {error.start}"
                yield unreadable(str(number), where, line)
                break
        else:
            yield Record(str(number), texts[0], texts[1], _score(texts[2]) if len(texts) > 2 else None)


def _score(line: str) -> float | None:
    """The number that a line of scores begins with; None where it is none, since no document describes the file."""
    try:
        return score_of(line.partition("\t")[0])
    except ValueError:
        return None


def zip_records(path: Path, codes: tuple[str, str]) -> Iterator[Record | Refused]:
    """Records of a Moses zip; `codes` are OPUS's codes of source and target, which end the members' names.

    Raises `TppcError` for a file that is no sound zip, or without one member for each side, or with unequal ones.
    """
    try:
        with zipfile.ZipFile(path) as archive, ExitStack() as opened:
            members = [_member(path, archive, code) for code in codes]
            members += [name for name in archive.namelist() if name.endswith(".scores")][:1]
            streams = {f"{path}: {name}": _lines(opened.enter_context(archive.open(name))) for name in members}
            yield from aligned_records(streams)
    except _DAMAGED as error:
        raise TppcError(
            f"{path}: not a sound zip archive ({error}); remove it, fetch it again and run the same command"
        ) from error


def _member(path: Path, archive: zipfile.ZipFile, code: str) -> str:
    found = [name for name in archive.namelist() if name.endswith(f".{code}")]
    if len(found) != 1:
        there = ", ".join(archive.namelist()) or "nothing"
        raise TppcError(f"{path}: {len(found)} members end in .{code} (it holds {there}); check --pair and the codes")
    return found[0]


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    for line in io.BufferedReader(cast(Any, file), 1 << 20):  # zipfile's own reader of lines is four times slower
        yield line.removesuffix(b"\n")


def terms_of(path: Path) -> str | None:
    """The beginning of the licence text that a Moses zip holds, on one line; None where it holds none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.rsplit("/", 1)[-1].upper().startswith(_TERMS)]
            if not names:
                return None
            with archive.open(names[0]) as file:
                text = " ".join(file.read(2_000).decode(errors="replace").split())
    except _DAMAGED:
        return None  # `zip_records` says what is wrong with it
    text = "".join(c for c in text if c.isprintable())  # a stranger's text must not steer the terminal
    return text if len(text) <= 200 else f"{text[:199]}…"
