"""The user's own files: every format gives the same pairs, and a broken record costs itself alone."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from bitext_files import EN, HI, as_csv, as_tmx, partitions_of, read, texts, variant, write

from tppc.builders.build import build
from tppc.builders.clean import LONGEST
from tppc.builders.recipe import load_recipe
from tppc.builders.sources.base import RAW
from tppc.builders.sources.bitext import SOURCE
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import parse_pair
from tppc.errors import TppcError, UsageError

SCORES = [1.25, 1.2, 1.15, 1.1, 1.05]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


@pytest.fixture
def in_format(tmp_path: Path) -> Callable[[str, str], tuple[list[Path], dict[str, Any]]]:
    """The same five pairs in a format, compressed: their files and the settings that read them."""

    def make(kind: str, compression: str) -> tuple[list[Path], dict[str, Any]]:
        rows = list(zip(EN, HI, SCORES, strict=True))
        squeeze = COMPRESS[compression]
        named = {"src_column": "english", "tgt_column": "hindi", "score_column": "margin"}
        if kind == "lines":
            sides = [("train.en", EN), ("train.hi", HI)]
            return [
                write(tmp_path, n + compression, squeeze("".join(f"{t}\n" for t in s).encode())) for n, s in sides
            ], {}
        if kind == "parquet":
            table = pa.table({"english": EN, "n": list(range(5)), "hindi": HI, "margin": SCORES})
            pq.write_table(table, tmp_path / "p.parquet", row_group_size=2)
            return [tmp_path / "p.parquet"], named
        data = {
            "tsv": "".join(f"{a}\t{b}\t{s}\n" for a, b, s in rows).encode(),
            "csv": as_csv([("english", "hindi", "margin"), *rows]),
            "jsonl": "".join(
                json.dumps({"english": a, "hindi": b, "margin": s}, ensure_ascii=s > 1.1) + "\n" for a, b, s in rows
            ).encode(),
            "tmx": as_tmx([variant("en", escape(a)) + variant("hi", b) for a, b, _ in rows]),
        }[kind]
        path = write(tmp_path, f"pairs.{kind}{compression}", squeeze(data))
        return [path], {"tsv": {"score_column": 3}, "tmx": {}}.get(kind, named)

    return make


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "tmx", "lines", "parquet"])
def test_every_format_and_compression_gives_the_same_pairs(
    kind: str, compression: str, in_format: Callable[[str, str], tuple[list[Path], dict[str, Any]]]
) -> None:
    files, options = in_format(kind, compression)
    rows, refused = read(*files, **options)
    assert texts(rows) == list(zip(EN, HI, strict=True))
    assert refused == []
    first = {"csv": 2}.get(kind, 1)  # a header is a line too
    assert [row["source_id"] for row in rows] == [str(n) for n in range(first, first + 5)]
    scored = kind not in ("tmx", "lines")
    assert (
        [row["score"] for row in rows] == pytest.approx(SCORES)
        if scored
        else [row["score"] for row in rows] == [None] * 5
    )
    assert {row["licence"] for row in rows} == {"MIT"}
    assert set(rows[0]) == set(RAW)


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "tmx"])
def test_the_format_is_told_by_the_content_where_the_name_does_not(
    kind: str, in_format: Callable[[str, str], tuple[list[Path], dict[str, Any]]], tmp_path: Path
) -> None:
    (file,), options = in_format(kind, ".gz")
    renamed = file.rename(tmp_path / "data.bin")
    if kind == "csv":  # nothing marks a comma as one
        with pytest.raises(UsageError, match=r"data\.bin: neither its name nor its first line tells the format"):
            read(renamed, **options)
        options["format"] = "csv"
    assert len(read(renamed, **options)[0]) == 5


def test_tmx_languages_inline_codes_and_missing_sides(tmp_path: Path) -> None:
    units = [
        variant("fr", "Thé") + variant("EN-us", "Tea") + variant("hi-IN", "चाय"),
        variant("en-GB", "Lift") + variant("en", "Elevator") + variant("hin", "लिफ़्ट"),
        variant("en", "No Hindi") + variant("bho", "ना"),
        variant("hi", "अंग्रेज़ी नहीं"),
        variant(
            "en",
            '<bpt i="1">&lt;b&gt;</bpt>Click <hi>here</hi><ept i="1">&lt;/b&gt;<sub>title</sub></ept> &amp; <ph>{0}</ph>wait',
        )
        + variant("hi", "यहाँ<it>x</it> क्लिक करें"),
        variant("en", "old", "lang") + variant("hi", "पुराना", "lang"),
        variant("en", ""),
    ]
    path = write(tmp_path, "x.tmx", as_tmx(units, '<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'))
    rows, refused = read(path)
    assert texts(rows) == [
        ("Tea", "चाय"),
        ("Elevator", "लिफ़्ट"),
        ("Click here & wait", "यहाँ क्लिक करें"),
        ("old", "पुराना"),
    ]
    assert [r["source_id"] for r in rows] == ["1", "2", "5", "6"]
    assert refused == [("no_tgt", "3"), ("no_src", "4"), ("no_tgt", "7")]


def test_one_tmx_file_serves_several_pairs_and_a_region_is_not_its_language(tmp_path: Path) -> None:
    units = [variant("en", "bus") + variant("pt-PT", "autocarro") + variant("pt_br", "ônibus") + variant("de", "Bus")]
    path = write(tmp_path, "x.tmx", as_tmx(units))
    found = {p.pairs: next(iter(SOURCE.read(p))) for p in partitions_of(path, pairs=("en-pt-BR", "de-pt", "en-de-AT"))}
    assert {names[0]: texts(batch.rows.to_dicts()) for names, batch in found.items()} == {
        "en-pt-BR": [("bus", "ônibus")],
        "de-pt": [("Bus", "autocarro")],
        "en-de-AT": [],
    }


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            as_tmx([variant("en", f"word {i}") + variant("hi", "शब्द") for i in range(50)])[:-900],
            r"x\.tmx, line \d+: not well",
        ),
        (as_tmx([variant("en", "a < b")]), r"x\.tmx, line 3: not well-formed XML"),
        (b"<html><p>Please log in</p></html>", r"x\.tmx: not TMX, its first element is <html>"),
        (
            as_tmx([variant("en", "&a;")], '<!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'),
            "declares the XML entity 'a'",
        ),
    ],
)
def test_a_tmx_file_that_is_none_is_one_sentence(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(TppcError, match=says):
        read(write(tmp_path, "x.tmx", data))


def test_two_files_stay_aligned_and_unequal_ones_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path, "t.en", b"one\ntwo\r\n\xff\nfour")
    target = write(tmp_path, "t.hi", "एक\nदो\nतीन\nचार\n".encode())
    rows, refused = read(source, target)
    assert [(r["source_id"], r["src_text"].strip(), r["tgt_text"]) for r in rows] == [
        ("1", "one", "एक"),
        ("2", "two", "दो"),
        ("4", "four", "चार"),
    ]
    assert refused == [("unreadable", "3")]
    write(tmp_path, "t.hi", "एक\nदो\n".encode())
    with pytest.raises(
        TppcError, match=r"t\.en has 4 lines, .*t\.hi has 2 lines: line-aligned files must have the same"
    ):
        read(source, target)
    with pytest.raises(UsageError, match=r"t\.hi and t\.en look exchanged"):
        read(target, source)


TSV, CSV = "Tea\tचाय\n".encode(), "english,hindi\nTea,चाय\n".encode()


@pytest.mark.parametrize(
    ("name", "data", "options", "says"),
    [
        ("x.tsv", TSV, {"tgt_column": 3}, r"no column 3; it has 1, 2: name them with --src-column"),
        ("x.csv", CSV, {"src_column": "en", "tgt_column": "hindi"}, r"no column en; it has english, hindi"),
        ("x.csv", CSV, {"header": True}, r"no column en, hi; it has english, hindi"),
        (
            "x.csv",
            CSV,
            {"src_column": "english", "header": False},
            "english is asked for by name, but without a header",
        ),
        ("x.jsonl", b'{"a": {"b": "Tea"}, "c": "x"}\n', {}, r"no column en, hi; it has a\.b, c"),
        ("x.json", b'[\n{"en": "Tea", "hi": "x"}\n]', {}, "a JSON array, but JSON lines hold one object a line"),
        ("x.tmx", as_tmx([]), {"src_column": "en"}, "tmx files have none; leave them out"),
        ("x.jsonl", b"{}\n", {"delimiter": ";"}, "--delimiter are for tsv and csv"),
        ("x.tsv", TSV.decode().encode("utf-16"), {}, "UTF-16, but tppc reads UTF-8"),
        ("x.tsv", TSV, {"format": "lines"}, "--format lines: two files"),
    ],
)
def test_settings_that_do_not_fit_the_file_are_named(
    name: str, data: bytes, options: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        read(write(tmp_path, name, data), **options)


def test_several_pairs_need_columns_named_after_their_languages(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its columns are those of one pair, but 2 are asked for"):
        partitions_of(write(tmp_path, "x.tsv", TSV), pairs=("en-hi", "en-ja"))
    named = write(tmp_path, "y.csv", "en,hi,ja\nTea,चाय,お茶\n".encode())
    found = [
        next(iter(SOURCE.read(p))).rows.to_dicts() for p in partitions_of(named, pairs=("en-hi", "ja-en"), header=True)
    ]
    assert [texts(rows) for rows in found] == [[("Tea", "चाय")], [("お茶", "Tea")]]


def test_a_header_that_no_one_announced_is_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, "x.csv", "English,hi\nTea,चाय\n".encode())
    assert texts(read(path)[0]) == [("English", "hi"), ("Tea", "चाय")]
    assert "the first line looks like a header (English, hi)" in " ".join(capsys.readouterr().err.split())
    assert texts(read(path, src_column="English", tgt_column="hi")[0]) == [("Tea", "चाय")]
    assert "looks like" not in capsys.readouterr().err


@pytest.mark.parametrize("licence", ["CC BY", "MIT OR", "(MIT", "", "MIT;rm"])
def test_a_licence_is_an_spdx_expression(licence: str) -> None:
    with pytest.raises(UsageError, match=r"bitext: licence: .*SPDX licence expression"):
        load_recipe(None, bitext={"licence": licence})
    for sound in ("CC-BY-SA-4.0", "(MIT OR Apache-2.0) AND LicenseRef-Terms", "GPL-2.0+ WITH Classpath-exception-2.0"):
        load_recipe(None, bitext={"licence": sound})


def test_corpora_of_one_pair_stand_side_by_side_and_say_whose_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [parse_pair("en-hi")]
    lines = [f"The house number {i} is old.\tमकान संख्या {i} पुराना है।" for i in range(9)]
    file = write(tmp_path, "ui.tsv", "".join(f"{line}\n" for line in lines).encode())
    recipe = load_recipe(None, limit=7, bitext={"name": "ui", "licence": "MPL-2.0", "attribution": "the translators"})
    (named,) = build("bitext", pairs, origin=str(file), out=tmp_path / "out", recipe=recipe)
    assert capsys.readouterr().err.count("no licence is given") == 0
    sides = [write(tmp_path, f"ui.{i}", "".join(line.split("\t")[i] + "\n" for line in lines).encode()) for i in (0, 1)]
    (plain,) = build("bitext", pairs, origin=str(sides[0]), companion=str(sides[1]), out=tmp_path / "out")
    assert "rows are marked LicenseRef-unknown; give --licence" in capsys.readouterr().err
    assert [c.path.relative_to(tmp_path / "out").as_posix() for c in (named, plain)] == [
        "bitext/ui/en-hi",
        "bitext/en-hi",
    ]
    assert named.name == "bitext/ui/en-hi"
    assert named.manifest.funnel.read == 7
    assert plain.manifest.funnel.read == 9
    assert "--from ui.0 --companion ui.1" in plain.manifest.command
    row = Corpus(named.path).scan("train").head(1).collect().to_dicts()[0]
    assert (row["source"], row["licence"], row["attribution"]) == ("bitext", "MPL-2.0", "the translators")
    assert plain.scan("train").select("licence").unique().collect().to_series().to_list() == ["LicenseRef-unknown"]


def test_a_companion_goes_with_bitext_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="for `tppc build bitext --from FILE`"):
        build("tatoeba", [parse_pair("en-hi")], origin="sample", companion="x", out=tmp_path)
    with pytest.raises(UsageError, match="bitext reads a file of yours: name it with --from FILE"):
        build("bitext", [parse_pair("en-hi")], out=tmp_path)


@pytest.mark.parametrize(
    ("files", "pair", "options", "count"),
    [
        (["libreoffice_ui/en-hi.tsv"], "en-hi", {}, 7_191),
        (["iso_codes/en-ja.tsv"], "en-ja", {"src_column": 2, "tgt_column": 3}, None),
        (["small_parallel_enja/train.en", "small_parallel_enja/train.ja"], "en-ja", {}, 50_000),
    ],
)
def test_real_files(files: list[str], pair: str, options: dict[str, Any], count: int | None, shared: Path) -> None:
    paths = [shared / "data" / "bitext" / file for file in files]
    (partition,) = partitions_of(*paths, pairs=(pair,), **options)
    batches = list(SOURCE.read(partition))
    assert sum(b.rows.height for b in batches) == (count or len(paths[0].read_bytes().splitlines()))
    assert [r for b in batches for r in b.refused] == []


@pytest.mark.parametrize("encoding", ["Shift_JIS", "nosuch"])
def test_a_tmx_file_in_an_encoding_that_cannot_be_read_is_one_sentence(encoding: str, tmp_path: Path) -> None:
    data = f'<?xml version="1.0" encoding="{encoding}"?><tmx version="1.4"><body/></tmx>'.encode()
    with pytest.raises(TppcError, match=r"a\.tmx: its XML declaration names an encoding"):
        read(write(tmp_path, "a.tmx", data))


def test_one_file_is_not_both_sides_and_a_folder_is_no_file(tmp_path: Path) -> None:
    path = write(tmp_path, "train.en", "".join(f"{t}\n" for t in EN).encode())
    with pytest.raises(UsageError, match="are the same file"):
        read(path, path)
    with pytest.raises(TppcError, match="a folder, but a file is wanted"):
        read(tmp_path)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(EN), pa.array(HI), pa.array(HI)], names=["en", "hi", "hi"])
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(UsageError, match="several columns are called hi"):
        read(tmp_path / "p.parquet")


def test_a_text_that_is_no_sentence_costs_itself_alone_and_rejects_stay_small(tmp_path: Path) -> None:
    rows = [*zip(EN, HI, strict=True), ("x" * (LONGEST + 1), "y"), ("long " * 10_000, HI[0])]
    path = write(tmp_path, "a.tsv", "".join(f"{a}\t{b}\n" for a, b in rows).encode())
    recipe = load_recipe(None, bitext={"licence": "MIT"})
    (corpus,) = build("bitext", [parse_pair("en-hi")], origin=str(path), out=tmp_path / "out", recipe=recipe)
    assert corpus.manifest.funnel.read == len(rows)
    assert corpus.manifest.funnel.rejected["unreadable"] == 1
    with gzip.open(corpus.path / "rejects.jsonl.gz") as file:
        found = {r["source_id"]: r for r in map(json.loads, file)}
    assert found["6"]["detail"] == "a text of 1,048,577 bytes, more than 1 MiB"
    assert len(found["7"]["src_text"]) == 4_000


def test_no_corpus_is_built_inside_another(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "".join(f"{a}\t{b}\n" for a, b in zip(EN, HI, strict=True)).encode())
    pair = [parse_pair("en-hi")]
    (corpus,) = build("bitext", pair, origin=str(path), out=tmp_path / "out")
    before = sorted(corpus.path.rglob("*"))
    with pytest.raises(TppcError, match="lies inside the corpus"):
        build(
            "bitext", pair, origin=str(path), out=tmp_path / "out", recipe=load_recipe(None, bitext={"name": "en-hi"})
        )
    with pytest.raises(TppcError, match="lies inside the corpus"):
        build("bitext", pair, origin=str(path), out=corpus.path)
    assert sorted(corpus.path.rglob("*")) == before


def test_a_limit_beyond_every_file_is_a_setting_that_does_not_fit() -> None:
    assert load_recipe(None, limit=2**63 - 1).limit == 2**63 - 1
    with pytest.raises(UsageError, match="limit"):
        load_recipe(None, limit=2**63)


@pytest.mark.parametrize("text", ["filters = 1", "[filters]\nscore = 1", "bitext = 1"])
def test_flags_over_a_recipe_that_has_no_table_there(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, "r.toml", text.encode())
    with pytest.raises(UsageError, match=r"r\.toml: "):
        load_recipe(path, filters={"score": {"min": 1.0}}, bitext={"licence": "MIT"})
