"""What is exported is what other tools read: the same rows, and who must be credited for them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from commands import command
from factory import write_corpus, write_mixture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tppc.builders.sources.compressed import lines_of
from tppc.builders.sources.moses import aligned_records
from tppc.builders.sources.records import Record
from tppc.builders.sources.tabular import Columns, delimited_records, json_records
from tppc.builders.sources.tmx import tmx_records
from tppc.corpora.corpus import Corpus
from tppc.corpora.export import FORMATS, TSV_COLUMNS, export
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

PAIRS = [
    ('"Quoted" & <b>bold</b>', "उद्धृत 'और' मोटा"),
    ("Tom's #1, 100% sure?", "टॉम \\ का ]]> अंत"),
    ("A family: 👨‍👩‍👧", "एक परिवार"),
    ("=SUM(A1)", "— योग —"),
]


def credited(rows: pa.Table) -> pa.Table:
    """Rows under CC-BY with authors and a score; every fourth is free and has none."""
    count = rows.num_rows
    free = [i % 4 == 3 for i in range(count)]
    new = {
        "licence": pa.array(["CC0-1.0" if f else "CC-BY-4.0" for f in free]),
        "attribution": pa.array([None if f else f'"ann" <{i}>; bob & co' for i, f in enumerate(free)]),
        "score": pa.array([None if f else i / 7 for i, f in enumerate(free)], pa.float32()),
    }
    for name, values in new.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)
    return rows


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(write_corpus(tmp_path / "corpus", {"train": PAIRS, "test": PAIRS[:1]}, change=credited))


def rows_of(corpus: Corpus, split: str = "train") -> list[dict[str, Any]]:
    return corpus.scan(split).collect().to_dicts()


def plain(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return bytes(pa.input_stream(path, compression="zstd").read()) if path.suffix == ".zst" else data


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_tsv_holds_texts_ids_licences_and_authors(corpus: Corpus, tmp_path: Path, suffix: str) -> None:
    (made,) = export(corpus, str(tmp_path / f"x.tsv{suffix}"), "tsv")
    assert [p.name for p in made.files] == [f"x.tsv{suffix}", f"x.tsv{suffix}.licences.json"]
    read = list(csv.reader(io.StringIO(plain(made.files[0]).decode()), delimiter="\t", quoting=csv.QUOTE_NONE))
    expected = [["" if (v := row[name]) is None else str(v) for name in TSV_COLUMNS] for row in rows_of(corpus)]
    score = TSV_COLUMNS.index("score")
    for found, row in zip(read, rows_of(corpus), strict=True):
        assert (float(found[score]) if found[score] else None) == (
            row["score"] and pytest.approx(row["score"], rel=1e-6)
        )
    assert [r[:score] + r[score + 1 :] for r in read] == [r[:score] + r[score + 1 :] for r in expected]
    note = json.loads(made.files[1].read_text())
    assert note["licences"] == {"CC-BY-4.0": 3, "CC0-1.0": 1} == made.licences
    assert note["duties"]["CC-BY-4.0"].startswith("Credit the authors")
    assert note["build_digest"] == corpus.digest
    assert note["columns"] == list(TSV_COLUMNS)


def test_json_lines_hold_every_column(corpus: Corpus, tmp_path: Path) -> None:
    (made,) = export(corpus, str(tmp_path / "x.jsonl"), "jsonl")
    assert [json.loads(line) for line in made.files[0].read_text().splitlines()] == [
        {k: pytest.approx(v, rel=1e-6) if k == "score" and v is not None else v for k, v in row.items()}
        for row in rows_of(corpus)
    ]


def test_the_form_of_the_published_code(corpus: Corpus, tmp_path: Path) -> None:
    (made,) = export(corpus, str(tmp_path / "x.jsonl"), "tpp-jsonl")
    assert [p.name for p in made.files] == ["x.jsonl", "x.jsonl.rows.tsv", "x.jsonl.licences.json"]
    rows = rows_of(corpus)
    assert [json.loads(line) for line in made.files[0].read_text().splitlines()] == [
        {"id": r["source_id"], "unique_label_desc": [r["src_text"], r["tgt_text"]]} for r in rows
    ]
    authors = [line.split("\t")[-1] for line in made.files[1].read_text().split("\n")[:-1]]
    assert authors == [r["attribution"] or "" for r in rows]


def test_moses_files_are_aligned(corpus: Corpus, tmp_path: Path) -> None:
    (made,) = export(corpus, str(tmp_path / "x.gz"), "moses")
    assert [p.name for p in made.files] == ["x.en.gz", "x.hi.gz", "x.rows.tsv.gz", "x.licences.json"]
    src, tgt, about = (plain(p).decode().split("\n")[:-1] for p in made.files[:3])
    rows = rows_of(corpus)
    assert list(zip(src, tgt, strict=True)) == [(r["src_text"], r["tgt_text"]) for r in rows]
    assert [a.split("\t")[3:] for a in about] == [[r["licence"], r["attribution"] or ""] for r in rows]


def test_tmx_is_well_formed_and_keeps_the_credit(corpus: Corpus, tmp_path: Path) -> None:
    (made,) = export(corpus, str(tmp_path / "x.tmx"), "tmx")
    root = ET.fromstring(made.files[0].read_text())
    header = root.find("header")
    assert root.attrib == {"version": "1.4"}
    assert header is not None
    assert {k: header.attrib[k] for k in ("srclang", "segtype", "datatype", "creationdate")} == {
        "srclang": "en", "segtype": "sentence", "datatype": "plaintext", "creationdate": "20260101T000000Z",
    }  # fmt: skip
    units = root.findall("body/tu")
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    for unit, row in zip(units, rows_of(corpus), strict=True):
        assert unit.attrib["tuid"] == row["source_id"]
        assert [(v.attrib[language], v.findtext("seg")) for v in unit.findall("tuv")] == [
            ("en", row["src_text"]),
            ("hi", row["tgt_text"]),
        ]
        props = {p.attrib["type"]: p.text for p in unit.findall("prop")}
        assert props.get("x-attribution") == row["attribution"]
        assert props["x-licence"] == row["licence"]


def test_what_xml_cannot_hold_is_replaced_and_counted(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", {"train": [("bell \x07 rings", "घंटी"), ("plain", "सादा")]})
    (made,) = export(Corpus(folder), str(tmp_path / "x.tmx"), "tmx")
    segments = {s.text for s in ET.fromstring(made.files[0].read_text()).iter("seg")}
    assert segments == {"bell \ufffd rings", "घंटी", "plain", "सादा"}
    assert made.replaced == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    texts=st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=30)] * 2),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_the_projects_own_readers_get_every_text_back(tmp_path_factory: pytest.TempPathFactory, texts: Any) -> None:
    folder = tmp_path_factory.mktemp("texts")
    corpus = Corpus(write_corpus(folder / "c", {"train": texts}))
    rows = rows_of(corpus)
    expected = [(r["src_text"], r["tgt_text"]) for r in rows]
    pair = Pair("en", "hi")
    files = {form: export(corpus, f"{folder}/{form}/x{ending}.gz", form)[0].files for form, ending in FORMATS.items()}
    by_number = Columns("1", "2", identifier="4")
    named = Columns("src_text", "tgt_text", identifier="source_id")
    read = {
        "tsv": delimited_records(files["tsv"][0], by_number, delimiter="\t", quoted=False, header=False),
        "jsonl": json_records(files["jsonl"][0], named),
        "moses": aligned_records({str(p): lines_of(p) for p in files["moses"][:2]}),
        "tmx": tmx_records(files["tmx"][0], pair),
    }
    for form, records in read.items():
        found = [r for r in records if isinstance(r, Record)]
        assert [(r.src, r.tgt) for r in found] == expected, form
        if form in ("tsv", "jsonl"):
            assert [r.source_id for r in found] == [r["source_id"] for r in rows]


def test_a_folder_gets_a_file_for_each_split_and_pair(tmp_path: Path) -> None:
    other = [("Hello", "こんにちは")]
    folder = write_mixture(tmp_path / "c", {"en-hi": {"train": PAIRS, "test": PAIRS[:1]}, "en-ja": {"train": other}})
    made = export(Corpus(folder), f"{tmp_path}/out/", "tsv")
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tsv")) == [
        "test.en-hi.tsv", "train.en-hi.tsv", "train.en-ja.tsv",
    ]  # fmt: skip
    assert {(m.split, m.pair): m.rows for m in made} == {
        ("train", "en-hi"): 4,
        ("train", "en-ja"): 1,
        ("test", "en-hi"): 1,
    }
    with pytest.raises(UsageError, match="holds 2 pairs"):
        export(Corpus(folder), str(tmp_path / "one.tsv"), "tsv")
    (only,) = export(Corpus(folder), str(tmp_path / "one.tsv"), "tsv", pair="en-ja")
    assert (tmp_path / "one.tsv").read_text().startswith("Hello\tこんにちは\t")
    assert only.rows == 1


def test_refusals_leave_nothing_behind(corpus: Corpus, tmp_path: Path) -> None:
    target = tmp_path / "out" / "x.tsv"
    for arguments, error, says in (
        ({"form": "xml"}, UsageError, "unknown format"),
        ({"form": "tsv", "split": "dev"}, TppcError, "no dev split"),
        ({"form": "tsv", "pair": "en-ja"}, TppcError, "no pair en-ja"),
    ):
        with pytest.raises(error, match=says):
            export(corpus, str(target), **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"cannot write \.xz"):
        export(corpus, str(target) + ".xz", "tsv")
    with pytest.raises(UsageError, match="inside the corpus"):
        export(corpus, str(corpus.path / "x.tsv"), "tsv")
    other = write_corpus(tmp_path / "other", {"train": [("cat", "बिल्ली")]})
    for place in (other / "x.tsv", other, other / "data" / "new" / "x.tsv"):
        with pytest.raises(UsageError, match=f"inside the corpus {other}"):
            export(corpus, str(place), "tsv")
    shard = next(corpus.path.rglob("train-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-9] + b"damaged!!")
    with pytest.raises(TppcError, match="SHA-256 differs"):
        export(Corpus(corpus.path), str(target), "tsv")
    assert not target.parent.exists()


def test_an_interrupted_export_leaves_the_old_files(corpus: Corpus, tmp_path: Path) -> None:
    target = tmp_path / "x"
    export(corpus, str(target), "moses")
    before = {p.name: sha256_of_file(p) for p in tmp_path.glob("x.*")}

    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(corpus, str(target), "moses", split="test", advance=stop)
    assert {p.name: sha256_of_file(p) for p in tmp_path.iterdir() if p.is_file()} == before


@pytest.mark.parametrize(("form", "ending"), FORMATS.items())
def test_the_same_corpus_gives_the_same_bytes(corpus: Corpus, tmp_path: Path, form: str, ending: str) -> None:
    one, other = (export(corpus, f"{tmp_path}/{n}/x{ending}.gz", form)[0].files for n in ("one", "other"))
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in other]


def test_the_command_takes_the_format_from_the_name(corpus: Corpus, tmp_path: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        words = command("corpora", "export", corpus.path, "--to", *arguments)
        return subprocess.run(words, capture_output=True, timeout=60, check=False)

    (made,) = json.loads(run(tmp_path / "x.tmx.gz", "--json").stdout)
    assert made["files"] == [str(tmp_path / "x.tmx.gz"), str(tmp_path / "x.tmx.gz.licences.json")]
    assert len(ET.fromstring(plain(tmp_path / "x.tmx.gz").decode()).findall("body/tu")) == 4
    untold = run(tmp_path / "x")
    assert untold.returncode == 2
    assert b"its name does not tell the format" in untold.stderr
