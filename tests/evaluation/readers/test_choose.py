"""Which reader a file gets, by name, by content, by force."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.choose import read_labelled, read_tagged, tagged_reader, text_reader
from tppc.evaluation.readers.options import ReadOptions

Write = Callable[[str, str], Path]

CONLLU = "# text = a\n" + "\t".join(["1", "a", "_", "NOUN", *["_"] * 6]) + "\n"
SSF = '<Sentence id="1">\n0\t((\tSSF\n1\tएक\n\t))\n</Sentence>\n'
TAGGED = json.dumps({"tokens": ["a"], "labels": ["O"]}) + "\n"
SPANS = json.dumps({"text": "a b", "spans": []}) + "\n"


@pytest.mark.parametrize(
    ("name", "text", "kind", "reader"),
    [
        ("en.test.CONLLU.xz", "", "upos", "conllu"),
        ("a.ssf", "", "entities", "ssf"),
        ("a.utf8", SSF, "entities", "ssf"),
        ("training", "\n0\t((\tSSF\n1\tएक\n\t))\n", "entities", "ssf"),
        ("a.jsonl", "", "entities", "json"),
        ("a.txt", TAGGED, "entities", "json"),
        ("a.txt", "{ O\nb O\n", "entities", "conll"),  # a bracket can be a token
        ("a.txt", "a B-PER\n", "entities", "conll"),
        ("a.txt", "<p>\tO\n", "entities", "conll"),
        ("a.txt", CONLLU, "upos", "conllu"),
        ("a.txt", "a\tNOUN\n", "upos", "conll"),
        ("a.iob2", "1\ta\tO\n", "entities", "conll"),
    ],
)
def test_readers_of_tokens_by_name_and_by_content(write: Write, name: str, text: str, kind: str, reader: str) -> None:
    assert tagged_reader(write(name, text), kind) == reader  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("a.csv", "", "csv"),
        ("a.tsv", "", "tsv"),
        ("a.txt", "good\tpositive\n", "tsv"),
        ("a.txt", '{"text": "a", "label": "b"}\n', "json"),
        ("a.ndjson.gz", "", "json"),
        ("a.parquet", "", "parquet"),
    ],
)
def test_readers_of_texts_by_name_and_by_content(write: Write, name: str, text: str, reader: str) -> None:
    assert text_reader(write(name, text)) == reader


def test_two_files_and_parquet_without_an_ending(write: Write, tmp_path: Path) -> None:
    write("val_labels.txt", "1\n")
    assert text_reader(write("val_text.txt", "a\n")) == "two-files"
    pq.write_table(pa.table({"text": ["a"], "label": ["x"]}), tmp_path / "data")
    assert text_reader(tmp_path / "data") == "parquet"


def test_a_reader_can_be_forced(write: Write) -> None:
    odd = write("a.jsonl", "a O\n{ O\n")  # columns under a wrong name
    with pytest.raises(TppcError, match="line 1: not JSON"):
        read_tagged(odd, ReadOptions())
    assert read_tagged(odd, ReadOptions(reader="conll")).items[0].tokens == ("a", "{")
    spans = write("b.txt", SPANS)
    assert read_tagged(spans, ReadOptions(reader="spans", unit="characters")).items[0].tokens == ("a", "b")
    table = write("c.txt", "text,label\ngood,x\n")
    assert read_labelled(table, ReadOptions(reader="csv")).items[0].text == "good"


def test_a_reader_there_is_not_is_a_question_to_the_user(write: Write) -> None:
    path = write("a.txt", "a O\n")
    with pytest.raises(UsageError, match="no reader 'xml' for tokens; there is: conll, conllu, ssf"):
        read_tagged(path, ReadOptions(reader="xml"))
    with pytest.raises(UsageError, match="no reader 'conll' for texts; there is: tsv"):
        read_labelled(path, ReadOptions(reader="conll"))
    with pytest.raises(UsageError, match="of SSF entities are read"):
        read_tagged(write("a.ssf", SSF), ReadOptions(), "upos")
    with pytest.raises(UsageError, match="CoNLL-U holds parts of speech"):
        read_tagged(write("a.conllu", CONLLU), ReadOptions())
    for reader in ("ssf", "spans"):
        with pytest.raises(UsageError, match=f"{reader} has no columns"):
            read_tagged(path, ReadOptions(reader=reader, columns=(0, 1)))
    with pytest.raises(TppcError, match="no labels beside it"):
        read_labelled(path, ReadOptions(reader="two-files"))


def test_parts_of_speech_in_plain_columns(write: Write) -> None:
    numbered = write("a.txt", "1 Dogs NOUN\n2 bark VERB\n\n1 # SYM\n2 und CONJ\n")
    reading = read_tagged(numbered, ReadOptions(), "upos")
    assert [s.tokens for s in reading.items] == [("Dogs", "bark"), ("#", "und")]
    assert reading.items[1].tags == ("SYM", "CCONJ")
    with pytest.raises(TppcError, match=r"b\.txt, line 2: 'VB' is no universal part of speech"):
        read_tagged(write("b.txt", "Dogs\tNOUN\nbark\tVB\n"), ReadOptions(), "upos")


def test_maps_reach_every_format(write: Write) -> None:
    options = ReadOptions(labels="per-loc-org")
    ssf = SSF.replace("1\tएक", "1\t((\tNP\t<ne=NEP>\n1.1\tराम\n\t))\n2\t((\tNP\t<ne=NETI>\n2.1\tआज\n\t))")
    assert read_tagged(write("a.ssf", ssf), options).items[0].tags == ("B-PER", "O")
    spans = json.dumps({"text": "東京", "spans": [{"start": 0, "end": 2, "label": "GPE"}]}) + "\n"
    assert read_tagged(write("b.jsonl", spans), options).items[0].tags == ("B-LOC", "I-LOC")
    texts = write("c.csv", "text,label\nx,2\n")
    assert read_labelled(texts, ReadOptions(labels="umsab")).items[0].label == "positive"
    coarse = read_tagged(write("d.conllu", CONLLU.replace("NOUN", "AUX")), ReadOptions(labels="ud-coarse"), "upos")
    assert coarse.items[0].tags == ("VERB",)


def test_what_options_change_is_said_without_places(tmp_path: Path) -> None:
    options = ReadOptions(
        labels=str(tmp_path / "my_map.toml"), columns=("form", "xpos"), unit="characters", neutral="drop"
    )
    assert options.describe() == "labels=my_map.toml; columns=form,xpos; unit=characters; neutral dropped"
