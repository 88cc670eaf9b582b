"""Whatever stands in a file: examples, or an error that names file and line; never a crash, never a silent loss."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.choose import TAGGED_READERS, TEXT_READERS, read_labelled, read_tagged
from tppc.evaluation.readers.forms import LabelledText, Reading, TaggedSentence
from tppc.evaluation.readers.options import ReadOptions

Factory = pytest.TempPathFactory
FILES = [name for name in (*TAGGED_READERS, *TEXT_READERS) if name != "dataset"]


def read(path: Path, reader: str, kind: str) -> Reading[Any] | str:
    """What a reader makes of a file: a reading that is not empty, or a message that names the file."""
    options = ReadOptions(reader=reader)
    message = ""
    try:
        reading: Reading[Any] = (
            read_labelled(path, options) if kind == "text" else read_tagged(path, options, kind)  # type: ignore[arg-type]
        )
    except TppcError as error:
        message = str(error)
    if message:
        assert str(path) in message or path.name.replace("_text", "_labels") in message
        return message
    assert reading.items, "a file with nothing in it must be refused"
    for item in reading.items:
        if isinstance(item, TaggedSentence):
            assert item.tokens
            assert all(item.tokens)
            assert all(item.tags)
        else:
            assert item.text.strip()
            assert item.label
    return reading


def kinds_of(reader: str) -> list[str]:
    return [
        *(["entities"] if reader in TAGGED_READERS else []),
        *(["upos"] if reader in ("conll", "conllu", "json", "parquet") else []),
        *(["text"] if reader in TEXT_READERS else []),
    ]


# Pieces that mean something to some format, in any order.
PIECES = [
    *(
        "\t",
        " ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "#",
        "O",
        "B-PER",
        "I-PER",
        "L-LOC",
        "PERSON",
        "en:",
        "-DOCSTART-",
        "1",
        "2",
        "1-2",
    ),
    *(
        "1.1",
        "NOUN",
        "CONJ",
        "_",
        "\t_" * 6,
        "((",
        "))",
        "<Sentence id='1'>",
        "</Sentence>",
        "<ne=NEP>",
        "SSF",
        "NP",
        "token",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        '"',
        ",",
        ":",
        '"text"',
        '"label"',
        '"tokens"',
        '"labels"',
        '"spans"',
        '"start"',
        "text",
        "label",
    ),
    *("\u2028", "\x85", "\x00", "\ufeff", "\u200d", "東京", "é", "\\ud800", "null", "1e999", "NaN", "0", "-1"),
]


@pytest.mark.parametrize("reader", FILES)
@settings(max_examples=60, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=120), st.lists(st.sampled_from(PIECES), max_size=40).map(lambda p: "".join(p).encode())
    )
)
def test_any_bytes_are_examples_or_a_message_with_the_file(reader: str, data: bytes, tmp_path_factory: Factory) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a_text.txt").write_bytes(data)
    (folder / "a_labels.txt").write_bytes(b"x\n" * data.count(b"\n"))
    for kind in kinds_of(reader):
        read(folder / "a_text.txt", reader, kind)


# --- one line of garbage in a good file: named with its line, or nothing is lost

GOOD: dict[str, tuple[str, str]] = {
    "conll": ("entities", "Anna\tB-PER\nran\tO\n\nOslo\tB-LOC\n\n"),
    "conllu": ("upos", "".join("\t".join([n, "w", "_", "NOUN", *["_"] * 6]) + "\n" for n in "12") + "\n"),
    "ssf": (
        "entities",
        '<Sentence id="1">\n0\t((\tSSF\n1\t((\tNP\t<ne=NEP>\n1.1\tराम\n\t))\n2\tगया\n\t))\n</Sentence>\n',
    ),
    "json": ("entities", json.dumps({"tokens": ["Anna", "ran"], "labels": ["B-PER", "O"]}) + "\n"),
    "spans": ("entities", json.dumps({"text": "in Oslo", "spans": [{"start": 3, "end": 7, "label": "LOC"}]}) + "\n"),
    "tsv": ("text", "good\tpositive\nbad\tnegative\n"),
    "csv": ("text", "text,label\ngood,positive\nbad,negative\n"),
}


def size(reading: Reading[Any]) -> int:
    """Tokens, or texts."""
    return sum(len(i.tokens) if isinstance(i, TaggedSentence) else 1 for i in reading.items)


@pytest.mark.parametrize("reader", GOOD)
@settings(max_examples=80, deadline=None)
@given(
    garbage=st.one_of(st.text(max_size=20), st.lists(st.sampled_from(PIECES), max_size=8).map("".join)), data=st.data()
)
def test_a_line_of_garbage_is_named_or_costs_nothing(
    reader: str, garbage: str, data: st.DataObject, tmp_path_factory: Factory
) -> None:
    kind, good = GOOD[reader]
    path = tmp_path_factory.mktemp("garbage") / "a.txt"
    garbage = garbage.encode("utf-8", "replace").decode()
    before = good.split("\n")
    place = data.draw(st.integers(0, len(before) - 1))
    path.write_text("\n".join([*before[:place], garbage, *before[place:]]), "utf-8", newline="")
    whole = Path(path.parent / "whole.txt")
    whole.write_text(good, "utf-8")
    expected = read(whole, reader, kind)
    found = read(path, reader, kind)
    assert isinstance(expected, Reading)
    if isinstance(found, Reading):
        # Line ends in the garbage may make a header or a comment of it, but of the good lines none goes.
        assert size(found) >= size(expected)
    else:
        # A question on the file's columns or fields is on the whole file; all else has its line.
        assert re.search(r"(line|item) \d+|no field|header|no column|may be the|begins as one array", found), found


def cells(reading: Reading[Any]) -> list[Any]:
    return [(i.text, i.label) if isinstance(i, LabelledText) else (i.tokens, i.tags) for i in reading.items]


@pytest.mark.parametrize("reader", GOOD)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_line_that_is_gone_costs_no_other_line(reader: str, data: st.DataObject, tmp_path_factory: Factory) -> None:
    kind, good = GOOD[reader]
    lines = good.rstrip("\n").split("\n")
    gone = data.draw(st.integers(0, len(lines) - 1))
    path = tmp_path_factory.mktemp("gone") / "a.txt"
    path.write_text("\n".join(lines[:gone] + lines[gone + 1 :]) + "\n", "utf-8")
    whole = path.parent / "whole.txt"
    whole.write_text(good, "utf-8")
    expected, found = read(whole, reader, kind), read(path, reader, kind)
    assert isinstance(expected, Reading)
    if isinstance(found, Reading):
        per_line = 2 if reader in ("json", "spans") else 1
        assert size(found) >= size(expected) - per_line


# --- what is written is read, in every format

_letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"])
_token = st.text(_letters, min_size=1, max_size=5).filter(lambda t: t != "-DOCSTART-" and not t.startswith("\ufeff"))
_tags = st.sampled_from(["O", "B-PER", "B-LOC"])
_sentences = st.lists(st.lists(st.tuples(_token, _tags), min_size=1, max_size=5), min_size=1, max_size=4)


def in_columns(sentences: Sequence[Sequence[tuple[str, str]]]) -> bytes:
    return "\n".join("".join(f"{i}\t{w}\t-\t{t}\n" for i, (w, t) in enumerate(s, 1)) for s in sentences).encode()


def in_conllu(sentences: Sequence[Sequence[tuple[str, str]]]) -> bytes:
    rows = [
        "".join("\t".join([str(i), w, "_", "X", t, *["_"] * 5]) + "\n" for i, (w, t) in enumerate(s, 1))
        for s in sentences
    ]
    return "\n".join(rows).encode()


def in_json(sentences: Sequence[Sequence[tuple[str, str]]]) -> bytes:
    records = [{"tokens": [w for w, _ in s], "ner_tags": [t for _, t in s]} for s in sentences]
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def in_parquet(sentences: Sequence[Sequence[tuple[str, str]]]) -> bytes:
    table = pa.table(
        {"tokens": [[w for w, _ in s] for s in sentences], "ner_tags": [[t for _, t in s] for s in sentences]}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def in_ssf(sentences: Sequence[Sequence[tuple[str, str]]]) -> bytes:
    text = ""
    for number, sentence in enumerate(sentences, 1):
        text += f'<Sentence id="{number}">\n0\t((\tSSF\n'
        for i, (word, tag) in enumerate(sentence, 1):
            text += f"{i}\t{word}\tXX\n" if tag == "O" else f"{i}\t((\tNP\t<ne={tag[2:]}>\n{i}.1\t{word}\tXX\n\t))\n"
        text += "\t))\n</Sentence>\n"
    return text.encode()


@pytest.mark.parametrize(
    ("reader", "columns", "write"),
    [
        ("conll", None, in_columns),
        ("conll", (1, 3), in_columns),
        ("conllu", ("form", "xpos"), in_conllu),
        ("json", None, in_json),
        ("parquet", None, in_parquet),
        ("ssf", None, in_ssf),
    ],
)
@settings(max_examples=50, deadline=None)
@given(sentences=_sentences)
def test_sentences_come_back_as_they_were_written(
    reader: str,
    columns: Any,
    write: Callable[[Sequence[Sequence[tuple[str, str]]]], bytes],
    sentences: list[list[tuple[str, str]]],
    tmp_path_factory: Factory,
) -> None:
    if reader == "ssf" and any(word in ("((", "))") for s in sentences for word, _ in s):
        return  # SSF itself cannot write these
    path = tmp_path_factory.mktemp("written") / "a"
    path.write_bytes(write(sentences))
    reading = read_tagged(
        path, ReadOptions(reader=reader, columns=columns), "upos" if reader == "conllu" else "entities"
    )
    words = [[w for w, _ in s] for s in sentences]
    if not any("prefix" in note for note in reading.notes):  # every token may look like PAN-X's by chance
        assert [list(s.tokens) for s in reading.items] == words
    assert [list(s.tags) for s in reading.items] == [[t for _, t in s] for s in sentences]


_line = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1).filter(
    lambda t: t.strip() and not t.startswith("\ufeff")
)


@pytest.mark.parametrize("reader", ["tsv", "csv", "two-files", "json", "parquet"])
@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.tuples(_line, st.sampled_from(["positive", "0", "#tag", "😀"])), min_size=1, max_size=5))
def test_texts_come_back_as_they_were_written(
    reader: str, texts: list[tuple[str, str]], tmp_path_factory: Factory
) -> None:
    folder = tmp_path_factory.mktemp("texts")
    path = folder / "a_text.txt"
    if reader == "two-files":
        path.write_bytes("\n".join(text for text, _ in texts).encode())
        (folder / "a_labels.txt").write_bytes("\n".join(label for _, label in texts).encode())
    elif reader == "tsv":
        path.write_bytes("".join(f"{text}\t{label}\n" for text, label in [("text", "label"), *texts]).encode())
    elif reader == "csv":
        quoted = [(text.replace('"', '""'), label) for text, label in texts]
        path.write_bytes(("text,label\r\n" + "".join(f'"{text}",{label}\r\n' for text, label in quoted)).encode())
    elif reader == "json":
        path.write_bytes("".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in texts).encode())
    else:
        pq.write_table(pa.table({"text": [t for t, _ in texts], "label": [label for _, label in texts]}), path)
    items = read_labelled(path, ReadOptions(reader=reader)).items
    assert [(item.text, item.label) for item in items] == texts


def test_a_missing_file_is_named_by_every_reader(tmp_path: Path) -> None:
    for reader in FILES:
        for kind in kinds_of(reader):
            message = read(tmp_path / "none.txt", reader, kind)
            assert isinstance(message, str)


def test_a_question_to_the_user_has_its_own_exit_status() -> None:
    assert UsageError.exit_code == 2
