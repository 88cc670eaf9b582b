"""Texts with one label: `text<TAB>label` lines, or two files of equal length, one of texts and one of labels."""

from __future__ import annotations

from pathlib import Path

from tppc.errors import TppcError
from tppc.evaluation.readers.forms import LabelledText, Reading
from tppc.evaluation.readers.lines import malformed, numbered_lines


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


def read_tsv(path: Path) -> Reading[LabelledText]:
    r"""Read `text<TAB>label` lines; no quoting, no escapes; a first line `text<TAB>label` is a header.

    Raises `TppcError`, with file and line, for a line that has not two columns, or an empty text or label.
    """
    items = []
    for number, line in numbered_lines(path):
        if not line:
            continue
        columns = line.split("\t")
        if len(columns) != 2:
            malformed(path, number, f"{len(columns)} tab-separated columns", "a line is a text, a tab and a label")
        text, label = columns[0], columns[1].strip()
        if number == 1 and (text.lower(), label.lower()) == ("text", "label"):
            continue
        if not text.strip() or not label:
            malformed(path, number, f"an empty {'label' if text.strip() else 'text'}", "every line needs both")
        items.append(LabelledText(text, label))
    if not items:
        raise TppcError(f"{path}: no labelled text in it")
    return Reading(items)


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
