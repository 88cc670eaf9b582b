"""Texts with one label: tables (TSV, CSV), or two files of equal length, one of texts and one of labels."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import LabelledText, Reading
from tppc.evaluation.readers.lines import malformed, numbered_lines
from tppc.evaluation.readers.options import Column
from tppc.evaluation.readers.records import LABELS, TEXTS

Rows = Iterable[tuple[int, list[str]]]


def labels_beside(path: Path) -> Path | None:
    """The labels file beside a texts file (`train_text.txt` -> `train_labels.txt`, as cardiffnlp names them)."""
    if "_text." not in path.name:
        return None
    beside = path.with_name(path.name.replace("_text.", "_labels."))
    return beside if beside.is_file() else None


def read_texts(path: Path) -> Reading[LabelledText]:
    """Read labelled texts from `path`: the two-file form where a labels file stands beside it, else TSV."""
    labels = labels_beside(path)
    return read_two_files(path, labels) if labels else read_tsv(path)


def read_tsv(path: Path, columns: tuple[Column, Column] | None = None) -> Reading[LabelledText]:
    r"""Read lines of tab-separated columns; no quoting, no escapes.

    Two columns are text and label. A first line that names both (`text<TAB>label`) is a header, and then there may be
    more columns.

    Args:
        columns: those of text and label: by name, where there is a header, or by number, where there is none.

    Raises `TppcError`, with file and line, for a line of another width than the first, or an empty text or label;
    `UsageError` where columns are given that are not there.
    """
    rows = ((number, line.split("\t")) for number, line in numbered_lines(path) if line)
    return _from_table(path, rows, columns, "tab-separated", header=False)


def read_csv(path: Path, columns: tuple[Column, Column] | None = None) -> Reading[LabelledText]:
    """Read a CSV file (RFC 4180: commas, quotation marks doubled inside quotation marks) with a header.

    Args:
        columns: those of text and label: by name, or by number, where there is no header.

    Raises `TppcError`, with file and the line a record begins in, for what breaks the format (a quotation mark that
    nothing closes does not swallow the lines after it), a row of another width, or an empty text or label;
    `UsageError` where the header names no text and label, or other columns than are given.
    """
    return _from_table(path, _csv_rows(path), columns, "comma-separated", header=True)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((line + "\n" for _, line in numbered_lines(path)), strict=True)
    number = 1
    try:
        for row in reader:
            if row:
                yield number, row
            number = reader.line_num + 1
    except csv.Error as error:
        malformed(path, number, f"not CSV ({error})", "a text with commas or quotation marks stands in quotation marks")


def _from_table(
    path: Path, rows: Rows, columns: tuple[Column, Column] | None, parted: str, *, header: bool
) -> Reading[LabelledText]:
    """Texts and labels of a table.

    Args:
        header: whether the first row is one even where it names no column that is known.
    """
    items = []
    where: tuple[int, int] | None = None
    width = 0
    for number, row in rows:
        if where is None:
            where, is_header = _columns(path, number, row, columns, header, parted)
            width = len(row)
            if is_header:
                continue
        if len(row) != width:
            malformed(path, number, f"{len(row)} {parted} columns where the first line has {width}", "mend the line")
        text, label = row[where[0]], row[where[1]].strip()
        if not text.strip() or not label:
            malformed(path, number, f"an empty {'label' if text.strip() else 'text'}", "every line needs both")
        items.append(LabelledText(text, label))
    if not items:
        raise TppcError(f"{path}: no labelled text in it")
    return Reading(items)


def _columns(
    path: Path, number: int, first: list[str], given: tuple[Column, Column] | None, header: bool, parted: str
) -> tuple[tuple[int, int], bool]:
    """The numbers of the text and the label column, and whether the first row is a header."""
    names = [name.strip().lower() for name in first]
    if given is not None and all(isinstance(column, int) for column in given):
        numbers = [int(column) for column in given]
        if not all(-len(first) <= column < len(first) for column in numbers):
            raise UsageError(f"{path}: no columns {given[0]},{given[1]}: the first line has {len(first)}, from 0")
        return (numbers[0], numbers[1]), False
    known = [[str(column).lower()] for column in given] if given else [list(TEXTS), list(LABELS)]
    found = [next((names.index(name) for name in some if name in names), None) for some in known]
    if found[0] is not None and found[1] is not None:
        return (found[0], found[1]), True
    if given is None and not header:
        if len(first) == 2:
            return (0, 1), False
        malformed(
            path,
            number,
            f"{len(first)} {parted} columns",
            "a line is a text, a tab and a label; of more columns, say which with --columns",
        )
    wanted = f"columns {given[0]} and {given[1]}" if given else "column of texts and labels"
    raise UsageError(
        f"{path}: the header has no {wanted} (it has: {', '.join(first)[:200]}); "
        "name them with --columns TEXT,LABEL, or number them from 0 where there is no header"
    )


def read_two_files(texts: Path, labels: Path) -> Reading[LabelledText]:
    """Read texts from one file and their labels, line by line, from another.

    Texts stay as they are: those of UMSAB hold `\\u2019` spelt out, as in the published sets.

    Raises `TppcError` where the files have not the same number of lines (a text never gets another text's label), or
    either line is empty.
    """
    left, right = list(numbered_lines(texts)), list(numbered_lines(labels))
    if len(left) != len(right):
        raise TppcError(
            f"{texts} has {len(left)} lines and {labels} has {len(right)}; they must have as many, in the same order"
        )
    items = []
    for (number, text), (_, label) in zip(left, right, strict=True):
        if not text.strip():
            malformed(texts, number, "an empty text", "every line needs a text")
        if not label.strip():
            malformed(labels, number, "an empty label", "every line needs a label")
        items.append(LabelledText(text, label.strip()))
    if not items:
        raise TppcError(f"{texts}: no labelled text in it")
    return Reading(items)
