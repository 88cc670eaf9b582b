"""JSON lines, JSON arrays and Parquet: fields, names of numbers, malformed records."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.choose import read_labelled, read_tagged
from tppc.evaluation.readers.forms import LabelledText, TaggedSentence
from tppc.evaluation.readers.options import ReadOptions

Write = Callable[[str, str], Path]

PLAIN = ReadOptions()


def lines(*records: Any) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def parquet(path: Path, columns: dict[str, list[Any]], features: dict[str, Any] | None = None) -> Path:
    """A Parquet file, with features as the `datasets` library writes them."""
    table = pa.table(columns)
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("name", ["labels", "ner_tags", "tags"])
def test_tokens_and_tags_by_their_usual_names(write: Write, name: str) -> None:
    path = write("a.jsonl", lines({"id": 7, "tokens": ["Anna", "ran"], name: ["B-PER", "O"]}))
    assert read_tagged(path, PLAIN).items == [TaggedSentence(("Anna", "ran"), ("B-PER", "O"))]


def test_other_schemes_and_flat_tags_in_json(write: Write) -> None:
    bioes = write(
        "a.jsonl", lines({"tokens": ["a", "b"], "labels": ["B-X", "E-X"]}, {"tokens": ["c"], "labels": ["S-X"]})
    )
    assert [s.tags for s in read_tagged(bioes, PLAIN).items] == [("B-X", "I-X"), ("B-X",)]
    flat = write("b.jsonl", lines({"tokens": ["a", "b"], "labels": ["PERSON", "PERSON"]}))
    assert read_tagged(flat, PLAIN).items[0].tags == ("B-PERSON", "I-PERSON")


def test_an_array_of_objects_and_a_compressed_file(tmp_path: Path) -> None:
    records = [{"text": "good", "label": "positive"}, {"text": "bad", "label": "negative"}]
    expected = [LabelledText("good", "positive"), LabelledText("bad", "negative")]
    (tmp_path / "a.json").write_text(json.dumps(records, indent=1))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines(*records).encode()))
    assert read_labelled(tmp_path / "a.json", PLAIN).items == expected
    assert read_labelled(tmp_path / "b.jsonl.gz", PLAIN).items == expected


def test_labels_may_be_numbers_or_truth_values(write: Write) -> None:
    path = write("a.jsonl", lines({"text": "x", "label": 2}, {"text": "y", "label": "0"}))
    assert [i.label for i in read_labelled(path, ReadOptions(labels="umsab")).items] == ["positive", "negative"]
    truth = write("b.jsonl", lines({"text": "x", "label": True}))
    assert read_labelled(truth, PLAIN).items[0].label == "true"


def test_fields_can_be_named(write: Write) -> None:
    path = write("a.jsonl", lines({"review": "fine", "stars": 4, "text": "?", "label": "?"}))
    assert read_labelled(path, ReadOptions(columns=("review", "stars"))).items == [LabelledText("fine", "4")]
    with pytest.raises(UsageError, match=r"no field 'score' for the label; there are: review, stars, text, label"):
        read_labelled(path, ReadOptions(columns=("review", "score")))
    with pytest.raises(UsageError, match="fields have names here, not numbers"):
        read_labelled(path, ReadOptions(columns=(0, 1)))


def test_which_of_two_fields_holds_the_tags_is_a_question_to_the_user(write: Write) -> None:
    path = write("a.jsonl", lines({"tokens": ["a"], "labels": ["O"], "ner_tags": ["O"]}))
    with pytest.raises(UsageError, match=r"both ner_tags and labels may be the tags.*--columns"):
        read_tagged(path, PLAIN)
    assert read_tagged(path, ReadOptions(columns=("tokens", "labels"))).items[0].tags == ("O",)
    nothing = write("b.jsonl", lines({"words": ["a"], "y": ["O"]}))
    with pytest.raises(UsageError, match=r"no field for the tags \(there are: words, y\)"):
        read_tagged(nothing, PLAIN)


def test_numbers_need_names(write: Write) -> None:
    path = write("a.jsonl", lines({"tokens": ["Anna", "ran"], "tags": [1, 0]}))
    with pytest.raises(TppcError, match=r"a\.jsonl, line 1: the tag 1 is a number, and nothing says"):
        read_tagged(path, PLAIN)
    names = write("names.toml", 'tags = ["O", "B-PER", "I-PER"]\n')
    assert read_tagged(path, ReadOptions(labels=str(names))).items[0].tags == ("B-PER", "O")
    both = write("both.toml", 'tags = ["O", "B-PER"]\n[to]\nPER = "person"\n')
    assert read_tagged(path, ReadOptions(labels=str(both))).items[0].tags == ("B-person", "O")
    few = write("few.toml", 'tags = ["O"]\n')
    with pytest.raises(TppcError, match="line 1: the tag 1 is a number"):
        read_tagged(path, ReadOptions(labels=str(few)))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5_000, "not JSON|int where an example"),
        ("[1]", "list where an example is wanted"),
        ('{"tokens": ["a"]}', "labels is missing, not a list"),
        ('{"tokens": "a", "labels": ["O"]}', "tokens is str 'a', not a list"),
        ('{"tokens": [], "labels": []}', "no token"),
        ('{"tokens": ["a", "b"], "labels": ["O"]}', "2 tokens and 1 tags"),
        ('{"tokens": [""], "labels": ["O"]}', "is no text"),
        ('{"tokens": [null], "labels": ["O"]}', "the token missing is no text"),
        ('{"tokens": ["\\ud83d"], "labels": ["O"]}', "half a character"),
        ('{"tokens": ["a"], "labels": ["Q-PER"]}', "tag 'Q-PER' is neither"),
        ('{"tokens": ["a"], "labels": [0.5]}', "labels is float '0.5'"),
        ('{"tokens": ["a"], "labels": [""]}', "an empty labels"),
    ],
)
def test_a_malformed_record_of_tokens_is_named_with_file_and_line(write: Write, line: str, fault: str) -> None:
    path = write("a.jsonl", lines({"tokens": ["a"], "labels": ["B-PER"]}) + "\n" + line + "\n")
    with pytest.raises(TppcError, match=rf"a\.jsonl, line 3: .*({fault})"):
        read_tagged(path, PLAIN)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"text": "a"}', "no field 'label'"),
        ('{"text": null, "label": "x"}', "the text is missing, not a string"),
        ('{"text": " ", "label": "x"}', "an empty text"),
        ('{"text": "a", "label": null}', "label is missing"),
        ('{"text": "a", "label": 1.5}', "label is float '1.5'; a label is a string or a whole number"),
        ('{"text": "a", "label": ["x"]}', "label is list"),
        ('{"text": "\\udc00", "label": "x"}', "half a character"),
    ],
)
def test_a_malformed_record_of_a_text_is_named_with_file_and_line(write: Write, line: str, fault: str) -> None:
    path = write("a.jsonl", lines({"text": "a", "label": "x"}) + line + "\n")
    with pytest.raises(TppcError, match=rf"a\.jsonl, line 2: .*{fault}"):
        read_labelled(path, PLAIN)


def test_a_malformed_array_is_named_with_its_place(write: Write) -> None:
    with pytest.raises(TppcError, match=r"a\.json, line 2: not JSON"):
        read_labelled(write("a.json", '[{"text": "a", "label": "x"},\n{"text": ]\n'), PLAIN)
    with pytest.raises(TppcError, match=r"a\.json, item 2: int where an example"):
        read_labelled(write("a.json", '[{"text": "a", "label": "x"}, 3]'), PLAIN)
    with pytest.raises(TppcError, match="no labelled text"):
        read_labelled(write("a.json", "[]"), PLAIN)


def test_parquet_with_names_of_numbers(tmp_path: Path) -> None:
    names = ["O", "B-PER", "I-PER"]
    columns = {"tokens": [["Anna", "Lee"], ["ran"]], "ner_tags": [[1, 2], [0]]}
    for number, feature in enumerate(
        [
            {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "List"},
            {"feature": {"num_classes": 3, "names": names, "_type": "ClassLabel"}, "length": -1, "_type": "Sequence"},
            [{"names": names, "_type": "ClassLabel"}],  # as older versions wrote it
        ]
    ):
        path = parquet(tmp_path / f"{number}.parquet", columns, {"ner_tags": feature})
        assert [s.tags for s in read_tagged(path, PLAIN).items] == [("B-PER", "I-PER"), ("O",)]
    texts = {"text": ["good", "bad"], "label": [1, 0]}
    features = {"label": {"names": ["negative", "positive"], "_type": "ClassLabel"}}
    items = read_labelled(parquet(tmp_path / "t.parquet", texts, features), PLAIN).items
    assert [i.label for i in items] == ["positive", "negative"]


def test_parquet_without_names_keeps_numbers(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"text": ["good"], "label": [1]})
    assert read_labelled(path, PLAIN).items == [LabelledText("good", "1")]


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"text": ["a", None], "label": ["x", "y"]}, "row 2: the text is missing"),
        ({"text": ["a", "b"], "label": [0, -1]}, "row 2: label is -1, and labels go from 0 to 1"),
        ({"text": ["a"], "label": [2]}, "row 1: label is 2"),
        ({"text": [b"a"], "label": ["x"]}, "row 1: the text is bytes"),
    ],
)
def test_a_malformed_row_is_named_with_file_and_row(tmp_path: Path, columns: dict[str, Any], fault: str) -> None:
    features = {"label": {"names": ["negative", "positive"], "_type": "ClassLabel"}}
    with pytest.raises(TppcError, match=rf"a\.parquet, {fault}"):
        read_labelled(parquet(tmp_path / "a.parquet", columns, features), PLAIN)


def test_parquet_that_is_cut_or_none_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"text": ["a"] * 100, "label": ["x"] * 100})
    whole = path.read_bytes()
    for part in (whole[:-10], whole[: len(whole) // 2], b"PAR1", b""):
        path.write_bytes(part)
        with pytest.raises(TppcError, match=r"a\.parquet: cannot be read as Parquet"):
            read_labelled(path, PLAIN)
    with pytest.raises(TppcError, match="no such file"):
        read_labelled(tmp_path / "none.parquet", PLAIN)


def test_parts_of_speech_from_json(write: Write) -> None:
    path = write("a.jsonl", lines({"tokens": ["und", "geht"], "upos": ["CONJ", "VERB"], "ner_tags": ["O", "O"]}))
    reading = read_tagged(path, PLAIN, "upos")
    assert reading.items[0].tags == ("CCONJ", "VERB")
    assert "1 CONJ read as CCONJ" in reading.notes[0]
    with pytest.raises(TppcError, match="line 1: 'VB' is no universal part of speech"):
        read_tagged(write("b.jsonl", lines({"tokens": ["a"], "upos": ["VB"]})), PLAIN, "upos")
