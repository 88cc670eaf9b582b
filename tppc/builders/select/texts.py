"""Texts of protected files, whatever their form: lines, TSV, CSV, JSON, CoNLL columns, CoNLL-U, Parquet.

A sentence may have several spellings (CoNLL-U has its text and its tokens); tokens are joined by spaces, which the
comparison by letters does not see.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from tppc.corpora.files import COMPRESSED, DAMAGED, open_compressed
from tppc.errors import TppcError

Spellings = tuple[str, ...]
_TAG = re.compile(r"O|[BIESUL]-\S+")
_FLAT = re.compile(r"O|[A-Z][A-Z_]*")
_NUMBER = re.compile(r"\d+(?:[-.]\d+)?")
_PREFIX = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*:(?=.)")
_LOOK = 400  # lines that tell a form
_NO_TEXTS = re.compile(r"readme|licen[cs]e|copying|changelog|.*\.(?:md|py|sha256|toml|ya?ml)$", re.IGNORECASE)


def files_below(folder: Path) -> list[Path]:
    """The files of a folder that may hold texts, in the order of their names; hidden ones and READMEs are none."""
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    return [p for p in found if not _NO_TEXTS.match(p.name)]


def read_texts(path: Path) -> Iterator[Spellings]:
    """The sentences of a file, each with its spellings.

    Raises `TppcError`, with file and line, for what cannot be read.
    """
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    if name.endswith(".parquet"):
        yield from _parquet(path)
    elif name.endswith((".json", ".jsonl", ".ndjson")):
        yield from _json(path, lines=not name.endswith(".json"))
    elif name.endswith(".csv"):
        for row in csv.reader(io.StringIO("\n".join(_lines(path)))):
            yield from ((cell,) for cell in row)
    else:
        yield from _plain(list(_lines(path)))


def _lines(path: Path) -> Iterator[str]:
    number = 0
    try:
        with open_compressed(path) as file:
            for raw in file:
                number += 1
                yield raw.decode("utf-8").rstrip("\r\n").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise TppcError(
            f"{path}, line {number}: not UTF-8 ({error.reason}); convert it, or protect other files"
        ) from None
    except DAMAGED as error:
        raise TppcError(f"{path}: cannot be read after line {number} ({error}); check --protect") from error


def _plain(lines: list[str]) -> Iterator[Spellings]:
    beginning = [line for line in lines[:_LOOK] if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    rows = [line.split("\t") for line in beginning]
    if rows and all(len(row) == 10 and _NUMBER.fullmatch(row[0]) for row in rows):
        yield from _conllu(lines)
    elif column := _token_column(lines, beginning):
        yield from _conll(lines, *column)
    else:
        for line in lines:
            yield from ((cell,) for cell in line.split("\t"))


def _token_column(lines: list[str], beginning: list[str]) -> tuple[int, str | None] | None:
    """Column of the tokens and what parts columns, if the lines look like CoNLL: blank lines, and a column of tags."""
    if not beginning or "" not in (line.strip() for line in lines[: 4 * _LOOK]):
        return None
    tabs = all("\t" in line for line in beginning)
    rows = [line.split("\t" if tabs else None) for line in beginning]
    width = min(map(len, rows))
    if width < 2 or (not tabs and max(map(len, rows)) != width):
        return None
    tagged = any(all(_TAG.fullmatch(row[c]) for row in rows) for c in range(-1, -width, -1))
    flat = width == 2 and all(_FLAT.fullmatch(row[-1]) for row in rows) and any(row[-1] == "O" for row in rows)
    if not tagged and not flat:
        return None
    numbered = width > 2 and all(_NUMBER.fullmatch(row[0]) for row in rows) and rows[0][0] in ("0", "1")
    counted = numbered and all(int(b[0]) in (0, 1, int(a[0]) + 1) for a, b in pairwise(rows))
    return (1 if counted else 0), ("\t" if tabs else None)


def _conll(lines: list[str], column: int, separator: str | None) -> Iterator[Spellings]:
    tokens: list[str] = []
    text = ""
    for line in [*lines, ""]:
        cells = line.split(separator)
        if not line.strip():
            if joined := _joined(tokens):
                yield (joined, text) if text else (joined,)
            tokens, text = [], ""
        elif line.startswith("# text ="):
            text = line.removeprefix("# text =").strip()
        elif len(cells) > max(1, column) and cells[0] != "-DOCSTART-":
            tokens.append(cells[column])


def _joined(tokens: list[str]) -> str:
    if tokens and all(_PREFIX.match(token) for token in tokens):  # WikiANN: `en:token`
        tokens = [_PREFIX.sub("", token, count=1) for token in tokens]
    return " ".join(tokens)


def _conllu(lines: list[str]) -> Iterator[Spellings]:
    tokens: list[str] = []
    text, covered = "", 0
    for line in [*lines, ""]:
        if not line.strip():
            if spellings := tuple(s for s in (text, " ".join(tokens)) if s):
                yield spellings
            tokens, text, covered = [], "", 0
        elif line.startswith("# text ="):
            text = line.removeprefix("# text =").strip()
        elif not line.startswith("#"):
            cells = line.split("\t")
            first, _, last = cells[0].partition("-")
            if last.isdecimal():  # a token of several words is written once
                tokens.append(cells[1])
                covered = int(last)
            elif first.isdecimal() and int(first) > covered:
                tokens.append(cells[1])


def _json(path: Path, *, lines: bool) -> Iterator[Spellings]:
    texts = list(_lines(path))
    pieces = texts if lines else ["\n".join(texts)]
    for number, piece in enumerate(pieces, start=1):
        if piece.strip():
            try:
                value = json.loads(piece)
            except json.JSONDecodeError as error:
                raise TppcError(f"{path}, line {number}: not JSON ({error.msg}); check --protect") from error
            yield from _strings(value)


def _strings(value: Any) -> Iterator[Spellings]:
    """All strings of a value; a list of short strings without spaces is a sentence of tokens."""
    if isinstance(value, str):
        yield (value,)
    elif isinstance(value, list) and value and all(isinstance(v, str) and len(v) < 20 and " " not in v for v in value):
        yield (" ".join(value),)
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _parquet(path: Path) -> Iterator[Spellings]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for name in batch.schema.names:
                    for value in batch.column(name).to_pylist():
                        yield from _strings(value)
    except (pa.ArrowException, OSError) as error:
        raise TppcError(f"{path}: no Parquet file that can be read ({error}); check --protect") from error
