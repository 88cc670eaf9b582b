"""Tatoeba: escapes, links without ends, licences and authors, varieties of Arabic, and real rows."""

from __future__ import annotations

import bz2
import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from built import rejects, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import serving

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.builders.sources import blocks
from tppc.builders.sources.outfile import outfile_records, record_blocks
from tppc.builders.sources.tatoeba import files
from tppc.corpora.languages import Pair, parse_pair
from tppc.errors import TppcError

EN_HI = [Pair("en", "hi")]
EN_AR = [Pair("en", "ar")]


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


def test_author_names_cannot_break_the_attribution(tatoeba: Path, tmp_path: Path) -> None:
    path = tatoeba / "per_language" / "eng" / "eng_sentences_detailed.tsv.bz2"
    path.write_bytes(bz2.compress(bz2.decompress(path.read_bytes()).replace(b"\tanna\t", b"\tan\\\tna\\\n\t", 1)))
    (corpus,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    lines = gzip.decompress((corpus.path / "ATTRIBUTION.tsv.gz").read_bytes()).decode().split("\n")[:-1]
    assert {line.count("\t") for line in lines} == {3}
    assert len(lines) == 1 + corpus.manifest.licences["LicenseRef-CC-BY-2.0-FR"]


PIECES = [
    b"\\",
    b"\\N",
    b"\\\\",
    b"\\\t",
    b"\\\n",
    b"\\0",
    b"N",
    b"\t",
    b"\t",
    b"\n",
    b"\n",
    b"\r",
    b"x",
    b"12\teng\t",
    b"\xff",
]


@settings(deadline=None)
@given(
    data=st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join),
    start=st.sampled_from([None, rb"\d+\teng\t"]),
    piece=st.integers(1, 60),
)
def test_blocks_and_lines_give_the_same_records(
    data: bytes, start: bytes | None, piece: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Wherever a block ends and whatever is escaped, the records are those of reading line by line."""
    record_start = re.compile(start) if start else None
    path = tmp_path_factory.mktemp("outfile") / "sentences.tsv"
    path.write_bytes(data)
    lines = data.split(b"\n")
    expected = list(outfile_records(lines if lines[-1] else lines[:-1], record_start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK", piece)
        patch.setattr(blocks, "_READ", 1 + piece // 2)
        found = []
        for records in record_blocks(path, record_start):
            found += [*map(records.one, records.plain.tolist()), *records.others]
    assert sorted(found, key=lambda record: record[0]) == expected


def export(root: Path, name: str, lines: Sequence[str]) -> None:
    """Write one file of a mirror."""
    path = root / "per_language" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bz2.compress("".join(f"{line}\n" for line in lines).encode()))


STANDARD = [
    "\u0627\u0644\u0628\u062d\u0631 \u0639\u0645\u064a\u0642 \u062c\u062f\u0627 \u0641\u064a \u0647\u0630\u0627 \u0627\u0644\u0645\u0643\u0627\u0646."
]
EGYPTIAN = [
    "\u0623\u0646\u0627 \u0639\u0627\u064a\u0632 \u0623\u0631\u0648\u062d \u0627\u0644\u0628\u064a\u062a \u062f\u0644\u0648\u0642\u062a\u064a \u0639\u0634\u0627\u0646 \u062a\u0639\u0628\u0627\u0646."
]
MOROCCAN = [
    "\u0628\u063a\u064a\u062a \u0646\u0645\u0634\u064a \u0644\u0644\u062f\u0627\u0631 \u062f\u0627\u0628\u0627 \u062d\u064a\u062a \u0639\u064a\u064a\u062a \u0628\u0632\u0627\u0641."
]


@pytest.fixture
def arabic(tmp_path: Path) -> Path:
    """A mirror with Arabic, Egyptian and Moroccan; the other varieties are not there."""
    root = tmp_path / "arabic"
    english = [
        "The sea is very deep here.",
        "I want to go home now because I am tired.",
        "I want to go home now, I am worn out.",
    ]
    export(
        root, "eng/eng_sentences_detailed.tsv.bz2", [f"{i}\teng\t{t}\tanna\t\\N\t\\N" for i, t in enumerate(english, 1)]
    )
    for code, first, texts in (("ara", 11, STANDARD), ("arz", 12, EGYPTIAN), ("ary", 13, MOROCCAN)):
        lines = [f"{i}\t{code}\t{t}\t{code}-author\t\\N\t\\N" for i, t in enumerate(texts, first)]
        export(root, f"{code}/{code}_sentences_detailed.tsv.bz2", lines)
        export(root, f"eng/eng-{code}_links.tsv.bz2", [f"{first - 10}\t{first}", *(["oops"] if code == "ary" else [])])
        export(root, f"{code}/{code}-eng_links.tsv.bz2", [f"{first}\t{first - 10}"])
    export(root, "arz/arz-ara_links.tsv.bz2", ["12\t11"])
    export(root, "arz/arz-ary_links.tsv.bz2", ["12\t13"])
    export(root, "arz/arz_sentences_CC0.tsv.bz2", ["12\tarz\tx\t\\N"])
    export(root, "eng/eng_sentences_CC0.tsv.bz2", ["2\teng\tx\t\\N"])
    return root


def test_varieties_join_a_language_and_say_which_they_are(
    arabic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = load_recipe(None, tatoeba={"varieties": True})
    (corpus,) = build("tatoeba", EN_AR, origin=str(arabic), out=tmp_path / "out", recipe=recipe)
    kept = rows(corpus)
    assert {i: r["variety"] for i, r in kept.items()} == {"1_11": None, "2_12": "arz", "3_13": "ary"}
    assert {r["tgt_lang"] for r in kept.values()} == {"ar"}
    assert kept["2_12"]["licence"] == "CC0-1.0"  # the variety's own list counts
    assert kept["3_13"]["attribution"] == "anna; ary-author"
    assert [r["source_id"] for r in rejects(corpus)["unreadable"]] == ["links.eng-ary:2"]
    said = capsys.readouterr().err
    assert said.count("per_language/arq/arq_sentences_detailed.tsv.bz2 is not in this mirror") == 1
    (turned,) = build("tatoeba", [Pair("ar", "en")], origin=str(arabic), out=tmp_path / "out", recipe=recipe)
    assert {r["variety"] for r in rows(turned).values()} == {None, "arz", "ary"}


def test_without_varieties_a_language_is_itself_alone(arabic: Path, tmp_path: Path) -> None:
    (corpus,) = build("tatoeba", EN_AR, origin=str(arabic), out=tmp_path / "out")
    assert {i: r["variety"] for i, r in rows(corpus).items()} == {"1_11": None}
    (egyptian,) = build("tatoeba", [Pair("en", "arz")], origin=str(arabic), out=tmp_path / "out")
    assert rows(egyptian).keys() == {"2_12"}


def test_a_variety_that_is_the_other_side_is_not_joined_to_this_one(arabic: Path, tmp_path: Path) -> None:
    assert "tgt.ary" in files(parse_pair("arz-ar"), varieties=True)
    assert "tgt.arz" not in files(parse_pair("arz-ar"), varieties=True)
    recipe = load_recipe(None, tatoeba={"varieties": True})
    (corpus,) = build("tatoeba", [Pair("arz", "ar")], origin=str(arabic), out=tmp_path / "out", recipe=recipe)
    assert {i: r["variety"] for i, r in rows(corpus).items()} == {"12_11": None, "12_13": "ary"}


def test_a_limit_counts_links_over_all_their_files(arabic: Path, tmp_path: Path) -> None:
    recipe = load_recipe(None, tatoeba={"varieties": True}, limit=2)
    (corpus,) = build("tatoeba", EN_AR, origin=str(arabic), out=tmp_path / "out", recipe=recipe)
    assert rows(corpus).keys() == {"1_11", "2_12"}


def test_of_an_id_that_stands_twice_the_last_sentence_counts(tatoeba: Path, tmp_path: Path) -> None:
    path = tatoeba / "per_language" / "eng" / "eng_sentences_detailed.tsv.bz2"
    lines = bz2.decompress(path.read_bytes()).split(b"\n")[:-1]
    lines += [b"1\teng\tThe stream\\\tis long.\tbert\t\\N\t\\N", b"2\teng\tShe reads every day.\tbert\t\\N\t\\N"]
    path.write_bytes(bz2.compress(b"\n".join([*lines, b"2\teng\tbad \xff byte\tbert\t\\N\t\\N", b""])))
    (corpus,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    kept = rows(corpus)
    assert kept["1_101"]["src_text"] == kept["1_108"]["src_text"] == "The stream is long."
    assert (kept["2_102"]["src_text"], kept["2_102"]["attribution"]) == (
        "She reads every day.",
        "bert; \u092c\u0940\u0928\u093e",
    )
    detail = {r["source_id"]: r["detail"] for r in rejects(corpus)["unreadable"]}
    assert "can't decode byte 0xff" in detail["src:13"]


def test_numbers_that_are_none_are_no_links(tatoeba: Path, tmp_path: Path) -> None:
    path = tatoeba / "per_language" / "eng" / "eng-hin_links.tsv.bz2"
    odd = ["1\t" + "9" * 19, "+1\t101", "1\t101\t1", "", "\u0661\t101", "0001\t0101"]
    path.write_bytes(bz2.compress(bz2.decompress(path.read_bytes()) + "".join(f"{line}\n" for line in odd).encode()))
    (corpus,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    assert {r["source_id"] for r in rejects(corpus)["unreadable"]} == {f"links:{n}" for n in range(12, 19)} | {"src:10"}
    assert corpus.manifest.funnel.deduplicated == 1  # 0001 is 1


@pytest.mark.parametrize(
    "name", ["eng/eng-hin_links.tsv.bz2", "hin/hin_sentences_detailed.tsv.bz2", "eng/eng_sentences_CC0.tsv.bz2"]
)
def test_a_cut_export_stops_the_build(tatoeba: Path, tmp_path: Path, name: str) -> None:
    path = tatoeba / "per_language" / name
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(TppcError, match=r"\.tsv\.bz2: truncated or damaged after line \d+ .*fetch the file again"):
        build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")
    assert not (tmp_path / "out" / "tatoeba").exists()


def test_a_plain_links_file_that_ends_in_the_middle_of_a_link_is_cut(tatoeba: Path, tmp_path: Path) -> None:
    (tatoeba / "per_language" / "eng" / "eng-hin_links.tsv.bz2").write_bytes(b"1\t101\n2")
    with pytest.raises(TppcError, match=r"damaged after line 1 \(the last line is cut"):
        build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "out")


@pytest.mark.parametrize("name", ["sentences_detailed.tar.bz2", "sentences.csv", "links.csv"])
def test_exports_of_all_languages_in_one_are_told_apart(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    for origin in (tmp_path, tmp_path / name):
        with pytest.raises(TppcError, match="holds exports of all languages in one; tppc reads those by language"):
            build("tatoeba", EN_HI, origin=str(origin), out=tmp_path / "out")


def test_a_mirror_over_http_and_the_hour_of_the_new_exports(tatoeba: Path, tmp_path: Path) -> None:
    """The same rows as from the folder, what two pairs share fetched once; a file that is missing for a moment is
    named, with what to do.
    """
    (local,) = build("tatoeba", EN_HI, origin=str(tatoeba), out=tmp_path / "local")
    held = {f"/{path.relative_to(tatoeba).as_posix()}": path.read_bytes() for path in tatoeba.rglob("*.bz2")}
    with serving(held) as server:
        corpus, turned = build("tatoeba", [*EN_HI, Pair("hi", "en")], origin=server.url(), out=tmp_path / "http")
        assert rows(corpus) == rows(local)
        assert rows(turned)["101_1"]["tgt_text"] == "The river is long."
        assert sorted(a.path for a in server.gets()) == sorted(held)
        message = r"eng-jpn_links\.tsv\.bz2: the server has no such file .*each Saturday.*try again"
        with pytest.raises(TppcError, match=message):
            build("tatoeba", [Pair("en", "ja")], origin=server.url(), out=tmp_path / "http")


def test_real_exports(shared: Path, tmp_path: Path) -> None:
    """Every link of the real export is accounted for, and nearly all of them are clean."""
    exports = shared / "data" / "tatoeba" / "exports"
    (corpus,) = build("tatoeba", EN_HI, origin=str(exports), out=tmp_path / "out")
    assert corpus.manifest.source_counts == {
        "links": 3_117, "src sentences": 72_266, "src sentences with a link": 2_862,
        "tgt sentences": 3_037, "tgt sentences with a link": 3_037,
    }  # fmt: skip
    assert corpus.manifest.funnel.read == 3_117
    assert corpus.rows("train") > 2_800


def test_genuine_rows_of_all_languages_cut_as_the_site_cuts_them(shared: Path, tmp_path: Path) -> None:
    """Rows of the site's own export, dangling links and odd dates included, split by language as its scripts do."""
    sample = shared / "data" / "tatoeba" / "genuine_sample"
    sentences = (sample / "sentences_detailed.csv").read_text(encoding="utf-8").split("\n")[:-1]
    language = {line.split("\t")[0]: line.split("\t")[1] for line in sentences}
    links = [line.split("\t") for line in (sample / "links.csv").read_text(encoding="utf-8").split("\n")[:-1]]
    for code in ("eng", "fra"):
        lines = [line for line in sentences if line.split("\t")[1] == code]
        export(tmp_path / "mirror", f"{code}/{code}_sentences_detailed.tsv.bz2", lines)
    both = [(a, b) for a, b in links if language.get(a) == "eng" and language.get(b) in ("fra", None)]
    export(tmp_path / "mirror", "eng/eng-fra_links.tsv.bz2", [f"{a}\t{b}" for a, b in both])
    dangling = sum(b not in language for _, b in both)
    (corpus,) = build("tatoeba", [Pair("en", "fr")], origin=str(tmp_path / "mirror"), out=tmp_path / "out")
    funnel = corpus.manifest.funnel
    assert (funnel.read, funnel.rejected.get("dangling_link", 0)) == (len(both), dangling)
    assert corpus.rows("train") > 0
