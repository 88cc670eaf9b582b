"""Files of interactions: which user engaged with which text.

Three forms: lines `user<TAB>text`, JSON lines and Parquet with `user`, `text` and, where texts repeat or change,
`item`, the text's identity. Users and items may be numbers. Other keys and columns are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tppc.corpora.files import COMPRESSED
from tppc.errors import TppcError
from tppc.evaluation.readers.lines import malformed, numbered_lines


@dataclass(frozen=True)
class Interaction:
    """One line of a file: a user, a text, and what the text is known by (itself where nothing else is given)."""

    user: str
    text: str
    item: str


@dataclass(frozen=True)
class Users:
    """Vectors of users that somebody else made: float32 [users, D], by name."""

    number: Mapping[str, int]
    vectors: NDArray[np.float32]


def read_interactions(path: Path) -> list[Interaction]:
    """The interactions of a file, in order.

    Raises `TppcError`, with file and line (row of Parquet), for one without user or text, or no interaction at all.
    """
    found = [_interaction(path, number, row) for number, row in _rows(path, "text")]
    if not found:
        raise TppcError(f"{path}: no interaction in it; a line is a user, a tab and a text")
    return found


def read_users(path: Path) -> Users:
    """Users' vectors from JSON lines or Parquet with `user` and `vector` (numbers, as many for each user).

    Raises `TppcError` that names file and line for a vector that is none, and for a user who is there twice.
    """
    number_of: dict[str, int] = {}
    vectors: list[NDArray[np.float32]] = []
    for number, row in _rows(path, "vector"):
        user, vector = _name(path, number, row, "user"), row.get("vector")
        numbers = isinstance(vector, list) and all(isinstance(v, int | float) for v in vector)
        values = np.array(vector if numbers else [], dtype=np.float32)
        if not values.size or not np.isfinite(values).all():
            malformed(path, number, "no vector of finite numbers", 'a line is {"user": ..., "vector": [...]}')
        if vectors and values.shape != vectors[0].shape:
            malformed(path, number, f"{len(values)} numbers where others have {len(vectors[0])}", "all need as many")
        if user in number_of:
            malformed(path, number, f"user {user} for the second time", "give each user one vector")
        number_of[user] = len(vectors)
        vectors.append(values)
    if not vectors:
        raise TppcError(f"{path}: no user's vector in it")
    return Users(number_of, np.stack(vectors))


def _rows(path: Path, wanted: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Numbered rows of a file by its ending: Parquet, JSON lines, else `user<TAB>wanted` (a header may name them)."""
    name = path.name
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    if name.endswith(".parquet"):
        yield from _parquet_rows(path, wanted)
        return
    json_lines = name.endswith((".jsonl", ".ndjson", ".json"))
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        if json_lines:
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                malformed(path, number, "not a JSON object", f'a line is {{"user": ..., "{wanted}": ...}}')
            yield number, row
            continue
        columns = line.split("\t")
        if number == 1 and [column.strip().lower() for column in columns] == ["user", wanted]:
            continue
        if len(columns) != 2:
            malformed(path, number, f"{len(columns)} tab-separated columns", f"a line is a user, a tab and a {wanted}")
        yield number, {"user": columns[0].strip(), wanted: columns[1]}


def _parquet_rows(path: Path, wanted: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TppcError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:200]})") from None
    if missing := [column for column in ("user", wanted) if column not in frame.columns]:
        raise TppcError(f"{path}: there is no column {missing[0]!r}; it has {', '.join(frame.columns)}")
    yield from enumerate(frame.iter_rows(named=True), start=1)


def _interaction(path: Path, number: int, row: Mapping[str, Any]) -> Interaction:
    """One interaction of a row's values. Raises `TppcError` with file and line."""
    text = row.get("text")
    if not isinstance(text, str) or not text.strip():
        malformed(path, number, "an empty text", "every line needs a user and a text")
    item = text if row.get("item") is None else _name(path, number, row, "item")
    return Interaction(_name(path, number, row, "user"), text, item)


def _name(path: Path, number: int, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        malformed(path, number, f"{key!r} is missing or neither text nor a whole number", "every line needs it")
    return str(value)
