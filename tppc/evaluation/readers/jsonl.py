"""JSON: an object a line, or one array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tppc.errors import TppcError
from tppc.evaluation.readers.lines import malformed, numbered_lines, refuse
from tppc.evaluation.readers.records import Records

_EXAMPLE = 'one is an object, such as {"text": "...", "label": "..."}'


def read_json(path: Path) -> Records:
    """The objects of a JSON-lines file, or of a file that is one array, plain or compressed.

    They are read as they are asked for; a malformed one raises `TppcError` with file and line (of an array: its place
    in it).
    """
    first = next((line for _, line in numbered_lines(path) if line.strip()), "")
    if first.lstrip().startswith("["):
        return Records(path, "item", _items(path))
    return Records(path, "line", _lines(path))


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            malformed(path, number, f"not JSON ({error})", "a file of JSON lines has one object a line")
        if not isinstance(value, dict):
            malformed(path, number, f"{type(value).__name__} where an example is wanted", _EXAMPLE)
        yield number, value


def _items(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    text = "\n".join(line for _, line in numbered_lines(path))
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        malformed(path, error.lineno, f"not JSON ({error.msg})", "the file begins as one array of objects")
    except (ValueError, RecursionError) as error:
        raise TppcError(f"{path}: not JSON ({error}); the file begins as one array of objects") from None
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict):
            refuse(f"{path}, item {number}", f"{type(value).__name__} where an example is wanted", _EXAMPLE)
        yield number, value
