"""TSV, CSV, JSON lines and Parquet: a broken record costs itself alone, and nothing is read before it is needed."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bitext_files import EN, HI, as_csv, partitions_of, read, texts, write
from hypothesis import given
from hypothesis import strategies as st

from tppc.builders.sources.bitext import SOURCE
from tppc.builders.sources.records import Record
from tppc.builders.sources.tabular import Columns, delimited_records
from tppc.errors import TppcError, UsageError


def test_tsv_takes_quotes_as_they_are_and_a_bad_line_costs_itself_alone(tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbfid\ten\thi\tscore\r",
        '7\t"Wait\tरुको\t1.5\r'.encode(),
        b"only one column",
        b"9\t\xff\xfe\tx\t1",
        "10\tShe reads.\tवह पढ़ती है।\tbest".encode(),
        "\tWe go.\tहम जाते हैं।\t".encode(),
        b"",
        "12\tTea\tचाय\t1e39".encode(),
        "13\tMilk\tदूध\tnan\tand more".encode(),
    ]
    path = write(tmp_path, "x.tsv", b"".join(line + b"\n" for line in lines))
    rows, refused = read(path, src_column="en", tgt_column="hi", score_column="score", id_column="id")
    assert [(r["source_id"], r["src_text"], r["score"]) for r in rows] == [
        ("7", '"Wait', 1.5),
        ("6", "We go.", None),
        ("13", "Milk", None),
    ]
    assert refused == [("unreadable", n) for n in ("3", "4", "5", "8")]
    (partition,) = partitions_of(path, src_column="en", tgt_column="hi", score_column="score")
    details = {r.source_id: (r.detail, r.raw) for batch in SOURCE.read(partition) for r in batch.refused}
    assert details["3"] == ("1 columns instead of 4", b"only one column")
    assert "not UTF-8" in str(details["4"][0])


def test_csv_is_read_as_rfc_4180_says_and_an_open_quote_ends_with_its_line(tmp_path: Path) -> None:
    data = (
        'en,hi\r\n"Wait, please","रुको, ""अभी"""\r\n"two\r\nlines","दो\n\nपंक्तियाँ"\r\n5" disk,पाँच इंच\r\n'
        '"never closed,x\r\nWe go.,हम जाते हैं।\r\n"a"b,c\r\nTea,"चाय"\r\n'
    ).encode()
    rows, refused = read(write(tmp_path, "x.csv", data), header=True)
    assert texts(rows) == [
        ("Wait, please", 'रुको, "अभी"'),
        ("two\r\nlines", "दो\n\nपंक्तियाँ"),
        ('5" disk', "पाँच इंच"),
        ("We go.", "हम जाते हैं।"),
        ("Tea", "चाय"),
    ]
    assert [row["source_id"] for row in rows] == ["2", "3", "7", "9", "11"]
    assert refused == [("unreadable", "8"), ("unreadable", "10")]


cell = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(cell, cell), max_size=8), st.sampled_from([",", ";", "|"]))
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(as_csv([("en", "hi"), *rows], delimiter))
    found = list(delimited_records(path, Columns("en", "hi"), delimiter=delimiter, quoted=True, header=True))
    assert [(r.src, r.tgt) for r in found if isinstance(r, Record)] == rows
    assert len(found) == len(rows)


@given(st.binary(max_size=40).filter(lambda noise: b"\n" not in noise), st.integers(0, 4), st.booleans())
def test_no_bytes_between_two_lines_cost_another_line(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int, quoted: bool
) -> None:
    path = tmp_path_factory.mktemp("noise") / "x"
    delimiter = "," if quoted else "\t"
    lines = [f"word {i}{delimiter}शब्द {i}".encode() for i in range(4)]
    lines.insert(place, noise)
    path.write_bytes(b"line one%bline two\n" % delimiter.encode() + b"".join(line + b"\n" for line in lines))
    found = list(delimited_records(path, Columns("1", "2"), delimiter=delimiter, quoted=quoted, header=False))
    kept = [r.src for r in found if isinstance(r, Record)]
    assert [text for text in kept if text.startswith("word ")][:4] == [f"word {i}" for i in range(4)]
    assert len(found) <= 6


def test_a_record_comes_before_the_rest_of_the_file_is_read(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"word {i}\tशब्द {i}\n" for i in range(100_000)).encode())
    path = write(tmp_path, "cut.tsv.gz", whole[: len(whole) // 2])
    records = delimited_records(path, Columns("1", "2"), delimiter="\t", quoted=False, header=False)
    assert [r.src for r in islice(records, 3) if isinstance(r, Record)] == ["word 0", "word 1", "word 2"]
    with pytest.raises(TppcError, match=r"cut\.tsv\.gz: truncated or damaged after line \d+"):
        list(records)


def test_json_lines_with_objects_inside(tmp_path: Path) -> None:
    lines: list[Any] = [
        {"id": 7, "translation": {"en": "Tea", "hi": "चाय"}, "s": 0.5},
        {"id": "a", "translation": {"en": "Milk", "hi": None}},
        {"translation": {"hi": "दूध"}},
        {"translation": {"en": "Go", "hi": 5}},
        {"translation": {"en": "Go", "hi": "जाओ"}, "s": "0.25"},
        {"translation": {"en": "Stop", "hi": "रुको"}, "s": True},
        {"translation": {"en": "Stop", "hi": "रुको"}, "s": 10**400},
        ["en", "hi"],
    ]
    broken = [b'{"translation": {"en": "cu', b"[" * 100_000]
    data = b"".join(line + b"\n" for line in (*(json.dumps(line).encode() for line in lines), *broken))
    path = write(tmp_path, "x.jsonl", data)
    options = {"src_column": "translation.en", "tgt_column": "translation.hi", "id_column": "id", "score_column": "s"}
    rows, refused = read(path, **options)
    assert [(r["source_id"], r["src_text"], r["tgt_text"], r["score"]) for r in rows] == [
        ("7", "Tea", "चाय", 0.5),
        ("5", "Go", "जाओ", 0.25),
    ]
    assert refused == [("no_tgt", "2"), ("no_src", "3"), *(("unreadable", n) for n in ("4", "6", "7", "8", "9", "10"))]


def test_json_lines_with_arrays_inside_as_the_published_tpp_code_has_them(tmp_path: Path) -> None:
    lines = [{"id": f"Q{i}", "unique_label_desc": pair} for i, pair in enumerate(zip(EN, HI, strict=True))]
    path = write(tmp_path, "x.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in (*lines, {"id": "Q9"})))
    rows, refused = read(path, src_column="unique_label_desc.0", tgt_column="unique_label_desc.1", id_column="id")
    assert texts(rows) == list(zip(EN, HI, strict=True))
    assert refused == [("no_src", "6")]
    with pytest.raises(UsageError, match=r"no column unique_label_desc\.2; it has id, unique_label_desc\.0, unique_"):
        read(path, src_column="unique_label_desc.2", tgt_column="unique_label_desc.1")


def test_parquet_with_structs_nulls_and_broken_text(tmp_path: Path) -> None:
    broken = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    english = pa.chunked_array([pa.array(["Tea", None, "Milk"]), broken])
    inner = pa.StructArray.from_arrays([english.combine_chunks(), pa.array(["चाय", "x", None, "y"])], ["en", "hi"])
    pq.write_table(pa.table({"translation": inner, "key": [11, 12, 13, 14]}), tmp_path / "x.parquet")
    options = {"src_column": "translation.en", "tgt_column": "translation.hi", "id_column": "key"}
    rows, refused = read(tmp_path / "x.parquet", **options)
    assert texts(rows) == [("Tea", "चाय")]
    assert rows[0]["source_id"] == "11"
    assert refused == [("no_src", "2"), ("no_tgt", "3"), ("unreadable", "4")]
    with pytest.raises(UsageError, match="column key holds int64, not text"):
        read(tmp_path / "x.parquet", src_column="translation.en", tgt_column="key")
    data = (tmp_path / "x.parquet").read_bytes()
    with pytest.raises(TppcError, match=r"cut\.parquet: not a sound Parquet file after row 0"):
        read(write(tmp_path, "cut.parquet", data[:-20]), **options)
