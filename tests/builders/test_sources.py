"""The three sources, with the traps of their formats."""

from __future__ import annotations

import bz2
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import ENTITIES, matrix_rows

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.builders.sources.tatoeba import outfile_records
from tppc.builders.sources.wikimatrix import file_name
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair, parse_pair
from tppc.errors import TppcError, UsageError

EN_HI = [Pair("en", "hi")]


def rejects(corpus: Corpus) -> dict[str, list[dict[str, Any]]]:
    """Rejects by reason."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in gzip.decompress((corpus.path / "rejects.jsonl.gz").read_bytes()).decode().split("\n")[:-1]:
        row = json.loads(line)
        found.setdefault(row["reason"], []).append(row)
    return found


def rows(corpus: Corpus) -> dict[str, dict[str, Any]]:
    """Kept train rows by source id."""
    return {r["source_id"]: r for r in corpus.scan("train").collect().to_dicts()}


def test_tatoeba(tatoeba: Path, tmp_path: Path) -> None:
    (corpus,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    kept = rows(corpus)
    assert kept.keys() == {"1_101", "2_102", "3_103", "4_104", "5_105", "6_106", "7_107", "1_108"}
    assert kept["4_104"]["src_text"] == '"Wait'  # a lone quote swallows nothing
    assert kept["7_107"]["src_text"] == "A tab here, a \\ and a line break are fine."
    assert kept["1_101"]["licence"] == "CC0-1.0"  # both sides are CC0
    assert kept["2_102"]["licence"] == "LicenseRef-CC-BY-2.0-FR"  # one side is
    assert kept["2_102"]["attribution"] == "anna; बीना"
    assert kept["7_107"]["attribution"] == "unknown; unknown"
    refused = rejects(corpus)
    assert {r["source_id"] for r in refused["dangling_link"]} == {"1_999", "998_101", "9_101"}
    assert {r["source_id"] for r in refused["unreadable"]} == {"links:12", "links:13", "src:10"}
    assert corpus.manifest.funnel.read == 14
    attribution = gzip.decompress((corpus.path / "ATTRIBUTION.tsv.gz").read_bytes()).decode()
    assert "2_102\tLicenseRef-CC-BY-2.0-FR\tanna; बीना\n" in attribution


def test_tatoeba_the_other_way_round_is_its_own_corpus(tatoeba: Path, tmp_path: Path) -> None:
    (corpus,) = build("tatoeba", [Pair("hi", "en")], origin=str(tatoeba), out=tmp_path / "out")
    assert rows(corpus)["101_1"]["src_text"] == "नदी लंबी है।"
    assert corpus.path.name == "hi-en"


def test_tatoeba_without_the_cc0_lists_is_all_cc_by(
    tatoeba: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in tatoeba.rglob("*CC0*"):
        path.unlink()
    (corpus,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    assert corpus.manifest.licences == {"LicenseRef-CC-BY-2.0-FR": 8}
    assert "eng_sentences_CC0.tsv.bz2 is not in this mirror" in capsys.readouterr().err


def test_tatoeba_sentence_whose_continuation_is_elsewhere_swallows_nothing(tatoeba: Path, tmp_path: Path) -> None:
    """The per-language files are split by line: the second line of a sentence is not there."""
    path = tatoeba / "per_language" / "eng" / "eng_sentences_detailed.tsv.bz2"
    lines = bz2.decompress(path.read_bytes()).split(b"\n")
    lines.insert(2, b"50\teng\tThis goes on in a line that is not here\\")
    path.write_bytes(bz2.compress(b"\n".join(lines)))
    (corpus,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    assert "3_103" in rows(corpus)
    assert "src:3" in {r["source_id"] for r in rejects(corpus)["unreadable"]}


@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.text().filter(lambda t: "\r" not in t)), min_size=2, max_size=4), max_size=5
    )
)
def test_outfile_escapes_round_trip(table: list[list[str | None]]) -> None:
    """What MySQL writes is what we read, for any text with tabs, newlines, backslashes and NULs."""

    def escape(value: str | None) -> str:
        if value is None:
            return "\\N"
        return "".join(f"\\{c}" if c in "\\\t\n" else "\\0" if c == "\0" else c for c in value)

    data = "".join("\t".join(map(escape, row)) + "\n" for row in table).encode()
    read = [
        [f if f is None else f.decode() for f in fields] for _, fields, _ in outfile_records(data.split(b"\n")[:-1])
    ]
    assert read == table


def test_wikimatrix_names_are_alphabetical_whatever_the_pair() -> None:
    names = {p: file_name(parse_pair(p)) for p in ("en-hi", "hi-en", "en-ar", "ar-en", "en-ja")}
    assert names == {
        "en-hi": "WikiMatrix.en-hi.tsv.gz",
        "hi-en": "WikiMatrix.en-hi.tsv.gz",
        "en-ar": "WikiMatrix.ar-en.tsv.gz",
        "ar-en": "WikiMatrix.ar-en.tsv.gz",
        "en-ja": "WikiMatrix.en-ja.tsv.gz",
    }


def test_wikimatrix_rows_scores_and_broken_lines(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    folder = wikimatrix(
        [
            (1.2, "The sea is deep.", "समुद्र गहरा है।", "a fourth column"),
            (1.1, "two columns"),
            b"1.1\tbad \xff byte\t\xe0\xa4",
            ("high", "The sky is blue.", "आसमान नीला है।"),
            ("nan", "The sky is blue.", "आसमान नीला है।"),
            b"",
            (1.05, "An empty target.", ""),
            (1.04, "The sky is blue.", "आसमान नीला है।"),
        ]
    )
    (corpus,) = build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / "out")
    kept = rows(corpus)
    assert {k: round(v["score"], 2) for k, v in kept.items()} == {"1": 1.2, "8": 1.04}
    refused = rejects(corpus)
    assert {r["source_id"]: r["detail"] for r in refused["unreadable"]} == {
        "2": "2 columns instead of 3",
        "3": "not UTF-8: invalid start byte at byte 4 of a field",
        "4": "the score is not a number",
        "5": "the score is not a number that a float32 holds",
        "6": "1 columns instead of 3",
    }
    assert [r["source_id"] for r in refused["empty"]] == [
        "7"
    ]  # a blank third column is a row, a blank line does not end the file
    assert corpus.manifest.funnel.model_dump() == {
        "read": 8, "rejected": {"empty": 1, "unreadable": 5}, "deduplicated": 0, "dropped": {}, "kept": {"train": 2},
    }  # fmt: skip


def test_wikimatrix_exchanges_columns_for_the_other_order(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    folder = wikimatrix([(1.2, "البحر عميق جدا.", "The sea is very deep.")], "WikiMatrix.ar-en.tsv.gz")
    (en_ar,) = build("wikimatrix", [Pair("en", "ar")], origin=str(folder), out=tmp_path / "out")
    (ar_en,) = build("wikimatrix", [Pair("ar", "en")], origin=str(folder), out=tmp_path / "out")
    assert rows(en_ar)["1"]["src_text"] == rows(ar_en)["1"]["tgt_text"] == "The sea is very deep."


def test_wikimatrix_score_filter_and_limit(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    folder = wikimatrix(matrix_rows(50))
    recipe = load_recipe(None, filters={"score": {"min": 1.2971, "max": 1.2995}}, limit=40)
    (corpus,) = build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / "out", recipe=recipe)
    assert sorted(map(int, rows(corpus))) == list(range(6, 31))
    assert corpus.manifest.funnel.read == 40


def test_wikidata_dump(dump: Path, tmp_path: Path) -> None:
    corpus, arabic = build("wikidata", [Pair("en", "hi"), Pair("en", "ar")], origin=str(dump), out=tmp_path / "out")
    kept = rows(corpus)
    assert kept.keys() == {"Q1", "Q4", "Q8"}
    assert kept["Q1"]["src_text"] == "universe totality of space and time"
    assert kept["Q1"]["instance_of"] == "Q36906466"
    assert kept["Q8"]["tgt_text"] == "प्रसन्नता मानसिक अवस्था"
    assert (kept["Q4"]["label_from_mul"], kept["Q1"]["label_from_mul"]) == ("tgt", None)
    reasons = {r["source_id"]: reason for reason, found in rejects(corpus).items() for r in found}
    assert reasons == {
        "Q2": "no_tgt_label" if "hi" not in ENTITIES[1]["labels"] else "no_tgt_description",
        "Q3": "no_tgt_label",
        "Q5": "both_labels_mul",
        "Q6": "wikimedia_internal",
        "Q7": "no_src_label",
        "P31": "not_an_item",
        "line:5": "unreadable",
    }
    counts = corpus.manifest.source_counts
    assert counts["items"] == 8
    assert counts["items with no hi label"] == 2
    assert counts["items with no hi description"] == 2
    assert rows(arabic).keys() == {"Q8"}  # one pass served both pairs


@pytest.mark.parametrize("suffix", [".json", ".json.bz2", ".json.xz"])
def test_wikidata_compressions_and_wrappers(dump: Path, tmp_path: Path, suffix: str) -> None:
    import lzma

    lines = [json.dumps(e) for e in ENTITIES[:2]] + [json.dumps({"entities": {e["id"]: e for e in ENTITIES[2:]}})]
    data = "\n".join(lines).encode()
    path = tmp_path / f"stream{suffix}"
    path.write_bytes({".json": bytes, ".json.bz2": bz2.compress, ".json.xz": lzma.compress}[suffix](data))
    (corpus,) = build("wikidata", EN_HI, origin=str(path), out=tmp_path / "out")
    assert rows(corpus).keys() == {"Q1", "Q4", "Q8"}


@pytest.mark.parametrize("cut", [20, 60, -9, -1])
def test_a_truncated_gzip_stops_the_build_and_leaves_nothing(
    wikimatrix: Callable[..., Path], tmp_path: Path, cut: int
) -> None:
    folder = wikimatrix(matrix_rows(500))
    path = folder / "WikiMatrix.en-hi.tsv.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(
        TppcError, match=r"WikiMatrix\.en-hi\.tsv\.gz: truncated or damaged after line \d+ .*fetch the file again"
    ):
        build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / "out")
    assert not (tmp_path / "out" / "wikimatrix").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "pretty.json",
            json.dumps({"type": "item", "id": "Q1"}, indent=2).encode() + b"\n",
            "no readable record among 4",
        ),
        ("empty.json", b"", "no record at all"),
        ("brackets.json", b"[\n]\n", "no record at all"),
        (
            "cut.json",
            b'{"type":"item","id":"Q1"}\n{"type":"item","id":"Q2","labels":{"en',
            "truncated or damaged after line 1",
        ),
        ("gibberish.json", bytes(range(1, 200)) * 3 + b"\n", "no readable record"),
    ],
)
def test_a_file_that_is_no_dump_stops_the_build(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TppcError, match=says):
        build("wikidata", EN_HI, origin=str(tmp_path / name), out=tmp_path / "out")
    assert not (tmp_path / "out" / "wikidata").exists()


def test_compression_is_told_by_content_and_an_array_may_stand_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"  # a name that says plain
    path.write_bytes(gzip.compress(json.dumps(ENTITIES).encode()))
    (corpus,) = build("wikidata", EN_HI, origin=str(path), out=tmp_path / "out")
    assert rows(corpus).keys() == {"Q1", "Q4", "Q8"}


def test_a_plain_file_that_ends_in_the_middle_of_a_row_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_bytes("1.2\tThe sea is deep.\tसमुद्र गहरा है।\n1.1\tThe sky".encode())
    with pytest.raises(TppcError, match="truncated or damaged after line 1"):
        build("wikimatrix", EN_HI, origin=str(path), out=tmp_path / "out")


def test_scores_that_no_float32_holds_are_unreadable(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    folder = wikimatrix([("1e39", "The sea is deep.", "समुद्र गहरा है।"), (1.1, "The sky is blue.", "आसमान नीला है।")])
    (corpus,) = build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / "out")
    assert corpus.manifest.funnel.rejected == {"unreadable": 1}


def test_one_url_serves_one_pair_and_its_own(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/WikiMatrix.en-hi.tsv.gz"
    with pytest.raises(UsageError, match="is one file, but 2 pairs"):
        build("wikimatrix", [*EN_HI, Pair("en", "ja")], origin=url, out=tmp_path)
    with pytest.raises(UsageError, match="name is not that of en-ja"):
        build("wikimatrix", [Pair("en", "ja")], origin=url, out=tmp_path)


def test_author_names_cannot_break_the_attribution(tatoeba: Path, tmp_path: Path) -> None:
    path = tatoeba / "per_language" / "eng" / "eng_sentences_detailed.tsv.bz2"
    path.write_bytes(bz2.compress(bz2.decompress(path.read_bytes()).replace(b"\tanna\t", b"\tan\\\tna\\\n\t", 1)))
    (corpus,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    lines = gzip.decompress((corpus.path / "ATTRIBUTION.tsv.gz").read_bytes()).decode().split("\n")[:-1]
    assert {line.count("\t") for line in lines} == {2}
    assert len(lines) == 1 + corpus.rows("train")


def test_missing_files_and_foreign_names_are_errors(
    wikimatrix: Callable[..., Path], tatoeba: Path, tmp_path: Path
) -> None:
    folder = wikimatrix([(1.2, "The sea is deep.", "समुद्र गहरा है।")])
    with pytest.raises(TppcError, match=r"WikiMatrix\.en-ja\.tsv\.gz: no such file; check --from"):
        build("wikimatrix", [Pair("en", "ja")], origin=str(folder), out=tmp_path / "out")
    with pytest.raises(UsageError, match="name is not that of en-ja"):
        build("wikimatrix", [Pair("en", "ja")], origin=str(folder / "WikiMatrix.en-hi.tsv.gz"), out=tmp_path / "out")
    shutil.rmtree(tatoeba / "per_language" / "hin")
    with pytest.raises(TppcError, match=r"hin_sentences_detailed\.tsv\.bz2: no such file"):
        build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_line_separators_inside_a_text_do_not_end_it(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    folder = wikimatrix(
        [(1.2, "The sea\u2028is\x0bdeep.", "समुद्र\x85गहरा\u2029है।"), (1.1, "The sea\x1cis deep.", "समुद्र गहरा है।")]
    )
    (corpus,) = build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / "out")
    assert rows(corpus)["1"]["src_text"] == "The sea is deep."
    assert [r["source_id"] for r in rejects(corpus)["control_characters"]] == ["2"]


def test_schema_of_what_comes_out(dump: Path, tmp_path: Path) -> None:
    from tppc.corpora.schema import schema_of

    (corpus,) = build("wikidata", EN_HI, origin=str(dump), out=tmp_path / "out")
    assert corpus.scan("train").collect().columns == schema_of(corpus.manifest.extra_columns).names
    assert corpus.scan("train").collect_schema()["src_key"] == pl.Int64
