"""Numbered lines of a UTF-8 file, plain or compressed with gzip, bzip2 or xz."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from tppc.corpora.files import DAMAGED, open_compressed
from tppc.errors import TppcError


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield (number from 1, line without its end) of a file.

    Lines end at `\n` (or `\r\n`) alone: U+2028, U+0085 and a lone `\r` occur inside tweets and are text, so
    `str.splitlines` would tear texts from their labels. A byte-order mark is dropped.

    Raises `TppcError` for a file that is not there, is cut short or damaged, or has a line that is not UTF-8.
    """
    number = 0
    try:
        with open_compressed(path) as file:
            for number, raw in enumerate(file, start=1):
                line = raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
                yield number, line.removeprefix("\ufeff") if number == 1 else line
    except FileNotFoundError:
        raise TppcError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise TppcError(f"{path}: this is a folder, where a file is wanted") from None
    except UnicodeDecodeError as error:
        raise TppcError(f"{path}, line {number}: not UTF-8 ({error.reason}); convert the file to UTF-8 first") from None
    except DAMAGED as error:
        raise TppcError(
            f"{path}: cannot be read after line {number} ({error}); the file is damaged or cut short"
        ) from None


def malformed(path: Path, number: int, fault: str, remedy: str) -> NoReturn:
    """Raise the `TppcError` for a line that breaks its format."""
    refuse(f"{path}, line {number}", fault, remedy)


def refuse(where: str, fault: str, remedy: str) -> NoReturn:
    """Raise the `TppcError` for a place that breaks its format; `where` is file and line, row or item."""
    raise TppcError(f"{where}: {fault}; {remedy}")
