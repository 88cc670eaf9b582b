"""Which reader a file gets: by its ending, where that says too little by its content, or as the user says.

`read_tagged` and `read_labelled` are what tasks call: any file or folder in, one canonical form out, labels mapped.
"""

from __future__ import annotations

import json
from pathlib import Path

from tppc.corpora.files import COMPRESSED
from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.conll import read_columns, read_conll
from tppc.evaluation.readers.conllu import read_conllu
from tppc.evaluation.readers.dataset_folder import folder_named, read_dataset_folder
from tppc.evaluation.readers.forms import LabelledText, Reading, TaggedSentence
from tppc.evaluation.readers.jsonl import read_json
from tppc.evaluation.readers.labels import map_labels, map_parts_of_speech, map_tags, tags_of_numbers
from tppc.evaluation.readers.lines import numbered_lines
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.readers.parquet import read_parquet
from tppc.evaluation.readers.records import Kind, Records, read_labelled_records, read_tagged_records, read_upos
from tppc.evaluation.readers.spans import is_spans, read_spans
from tppc.evaluation.readers.ssf import looks_like_ssf, read_ssf
from tppc.evaluation.readers.texts import labels_beside, read_csv, read_tsv, read_two_files

TAGGED_READERS = ("conll", "conllu", "ssf", "json", "spans", "parquet", "dataset")
TEXT_READERS = ("tsv", "csv", "two-files", "json", "parquet", "dataset")

ENTITY_ENDINGS = ("conll", "bio", "iob", "iob2", "tsv", "txt", "ssf", "utf8", "jsonl", "json", "ndjson", "parquet")
UPOS_ENDINGS = ("conllu", "conll", "tsv", "txt", "jsonl", "json", "ndjson", "parquet")
TEXT_ENDINGS = ("tsv", "csv", "jsonl", "json", "ndjson", "parquet")
"""Endings of the files of a folder that the tasks take; named one by one, a file may have any."""

_BY_ENDING = {"conllu": "conllu", "ssf": "ssf", "parquet": "parquet", "csv": "csv"}
_BY_ENDING |= dict.fromkeys(["jsonl", "json", "ndjson"], "json")
_CONLLU_COLUMNS = 10


def read_tagged(path: Path, options: ReadOptions, kind: Kind = "entities") -> Reading[TaggedSentence]:
    """Sentences with a tag for each token, from a file or folder in any format; labels mapped if so asked.

    Raises `TppcError`, with file and line, for what is malformed, `UsageError` for a reader that there is not.
    """
    reader = options.reader or tagged_reader(path, kind)
    if reader not in TAGGED_READERS:
        raise UsageError(f"there is no reader {reader!r} for tokens; there is: {', '.join(TAGGED_READERS)}")
    if reader == "conllu" and kind == "entities":
        raise UsageError(
            f"{path}: CoNLL-U holds parts of speech, not entities; if its columns are others, say --reader conll"
        )
    _refuse_columns(path, reader, options)
    reading = _read_tagged(path, reader, options, kind)
    if options.labels is None:
        return reading
    return map_tags(reading, options.labels) if kind == "entities" else map_parts_of_speech(reading, options.labels)


def _read_tagged(path: Path, reader: str, options: ReadOptions, kind: Kind) -> Reading[TaggedSentence]:
    if reader == "conll" and kind == "entities":
        return read_conll(path, options.columns)
    if reader == "conll":
        sentences, notes = read_columns(path, options.columns or _upos_columns(path))
        reading = read_upos(sentences, path.name, lambda number: f"{path}, line {number}")
        return Reading(reading.items, (*notes, *reading.notes))
    if reader == "conllu":
        return read_conllu(path, options.columns)
    if reader == "ssf":
        if kind == "upos":
            raise UsageError(f"{path}: of SSF entities are read, not parts of speech")
        return read_ssf(path)
    records, first = _peeked(_records(path, reader, options))
    if reader == "spans" or (first is not None and kind == "entities" and options.columns is None and is_spans(first)):
        return read_spans(records, options.unit)
    return read_tagged_records(records, options.columns, kind, tags_of_numbers(options.labels))


def read_labelled(path: Path, options: ReadOptions) -> Reading[LabelledText]:
    """Texts with one label each, from a file or folder in any format; labels mapped if so asked.

    Raises `TppcError`, with file and line, for what is malformed, `UsageError` for a reader that there is not.
    """
    reader = options.reader or text_reader(path)
    if reader not in TEXT_READERS:
        raise UsageError(f"there is no reader {reader!r} for texts; there is: {', '.join(TEXT_READERS)}")
    _refuse_columns(path, reader, options)
    if reader == "two-files":
        labels = labels_beside(path)
        if labels is None:
            raise TppcError(
                f"{path}: no labels beside it; the two files are named as x_text.txt and x_labels.txt, and given by "
                "the first"
            )
        reading = read_two_files(path, labels)
    elif reader in ("tsv", "csv"):
        reading = (read_tsv if reader == "tsv" else read_csv)(path, options.columns)
    else:
        reading = read_labelled_records(_records(path, reader, options), options.columns)
    return map_labels(reading, options.labels) if options.labels else reading


def _refuse_columns(path: Path, reader: str, options: ReadOptions) -> None:
    """Raise where columns are given for a format that has none: they would be silently ignored."""
    if options.columns is not None and reader in ("ssf", "spans", "two-files"):
        raise UsageError(f"{path}: {reader} has no columns to choose from; leave --columns out")


def tagged_reader(path: Path, kind: Kind) -> str:
    """The reader for tokens and tags that a file's ending, or its first line with text, asks for."""
    if folder_named(path):
        return "dataset"
    by_ending = _BY_ENDING.get(ending(path), "")
    if by_ending in TAGGED_READERS:
        return by_ending
    by_content = _by_content(path)
    if by_content:
        return by_content
    if kind == "upos":
        return "conllu" if _has_ten_columns(path) else "conll"
    return "conll"


def text_reader(path: Path) -> str:
    """The reader for texts and labels that a file's name, ending or first line with text asks for."""
    if folder_named(path):
        return "dataset"
    if labels_beside(path):
        return "two-files"
    by_ending = _BY_ENDING.get(ending(path), "")
    if by_ending in TEXT_READERS:
        return by_ending
    by_content = _by_content(path)
    return by_content if by_content in TEXT_READERS else "tsv"


def ending(path: Path) -> str:
    """The ending of a file's name without compression, in lower case: `a.CONLLU.xz` to `conllu`."""
    name = path.name.lower()
    for packed in COMPRESSED:
        name = name.removesuffix(packed)
    return name.rpartition(".")[2] if "." in name else ""


def _by_content(path: Path) -> str:
    """`parquet`, `ssf`, `json` or nothing, by the first line with text."""
    if not path.is_file():
        raise TppcError(f"{path}: there is no such file")
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return "parquet"
    first = next((line for _, line in numbered_lines(path) if line.strip()), "")
    if looks_like_ssf(first):
        return "ssf"
    if first.lstrip().startswith("{"):
        try:
            return "json" if isinstance(json.loads(first), dict) else ""
        except (ValueError, RecursionError):
            return ""
    return ""


def _has_ten_columns(path: Path) -> bool:
    lines = (line for _, line in numbered_lines(path) if line.strip() and not line.startswith("#"))
    return next(lines, "").count("\t") == _CONLLU_COLUMNS - 1


def _upos_columns(path: Path) -> tuple[int, int]:
    """Word and tag of plain columns: the first (the second, where the first counts 1, 2, 3) and the last."""
    first = next((line for _, line in numbered_lines(path) if line.strip() and not line.startswith("#")), "")
    cells = first.split("\t") if "\t" in first else first.split(" ")
    return (1 if len(cells) > 2 and cells[0] == "1" else 0), -1


def _records(path: Path, reader: str, options: ReadOptions) -> Records:
    if reader == "dataset":
        return read_dataset_folder(path, options.split)
    if reader == "parquet":
        return read_parquet(path)
    return read_json(path)


def _peeked(records: Records) -> tuple[Records, dict[str, object] | None]:
    """The same records and the fields of the first, None where there is none."""
    from dataclasses import replace
    from itertools import chain

    rows = iter(records.rows)
    first = next(rows, None)
    if first is None:
        return records, None
    return replace(records, rows=chain([first], rows)), dict(first[1])
