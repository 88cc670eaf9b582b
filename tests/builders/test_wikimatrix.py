"""WikiMatrix: the traps of its lines, the archive of all pairs, and what the publishers ask."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from built import rejects, rows
from hypothesis import example, given, settings
from hypothesis import strategies as st
from servers import serving
from snapshots import matrix_rows
from typer.testing import CliRunner

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.builders.sources import blocks
from tppc.builders.sources.base import Partition, RawBatch, Refused
from tppc.builders.sources.wikimatrix import SOURCE, _parse, file_name, pairs_named
from tppc.cli import app
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair, parse_pair
from tppc.errors import TppcError, UsageError

EN_HI = [Pair("en", "hi")]


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


def test_line_separators_inside_a_text_do_not_end_it(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    folder = wikimatrix(
        [(1.2, "The sea\u2028is\x0bdeep.", "समुद्र\x85गहरा\u2029है।"), (1.1, "The sea\x1cis deep.", "समुद्र गहरा है।")]
    )
    (corpus,) = build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / "out")
    assert rows(corpus)["1"]["src_text"] == "The sea is deep."
    assert [r["source_id"] for r in rejects(corpus)["control_characters"]] == ["2"]


PIECES = [
    b"1.2", b"1.05", b"0", b"1e3", b"nan", b"inf", b"1_0", b" 1.1", b"1e39", b"123456789012", b"+1", b".5", b"1.", b"-0.0",
    b"\t", b"\t", b"\t", b"\n", b"\n", b"\r", b"\r\n", b"\0", b'"', b"\\", b"\xff", b"\xe0\xa4", b"\xed\xa0\x80", "\u2028".encode(),
    "\x85".encode(), "\ufeff".encode(), b"The sea is deep.", "\u0938\u092e\u0941\u0926\u094d\u0930".encode(), b",", b" ",
]  # fmt: skip
LINE = st.one_of(
    st.builds(
        lambda s, a, b: b"\t".join((s, a, b)) + b"\n", st.sampled_from(PIECES[:14]), *[st.sampled_from(PIECES)] * 2
    ),
    st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join),
    st.binary(max_size=8),
)


def line_by_line(data: bytes, limit: int | None) -> tuple[list[tuple[object, ...]], list[Refused]] | None:
    """What `_parse` makes of each line; None where the last one is cut."""
    lines = data.split(b"\n")
    cut = len(lines) - 1 if lines[-1] else None
    parsed = [_parse(line, number) for number, line in enumerate(lines if lines[-1] else lines[:-1], start=1)][:limit]
    if cut is not None and len(parsed) == cut + 1 and isinstance(parsed[cut], Refused):
        return None
    read = [(str(n), *p[1:], f32(p[0])) for n, p in enumerate(parsed, start=1) if not isinstance(p, Refused)]
    return read, [p for p in parsed if isinstance(p, Refused)]


def f32(value: float) -> float:
    """The value as the score column holds it."""
    found: float = struct.unpack("f", struct.pack("f", value))[0]
    return found


def read(path: Path, limit: int | None = None, pair: str = "en-hi", **options: object) -> list[RawBatch]:
    """The batches of a file."""
    return list(SOURCE.read(Partition("wikimatrix", (pair,), {"pairs": str(path)}, {}, limit, options)))


@pytest.mark.parametrize("packed", [False, True])
@settings(deadline=None)
@given(
    data=st.lists(LINE, max_size=30).map(b"".join),
    limit=st.one_of(st.none(), st.integers(1, 20)),
    piece=st.integers(1, 90),
)
@example(data=b"x\x01\0\0", limit=None, piece=1)  # begins as zlib does
@example(data=zlib.compress(b"1.5\tone\tdo\n"), limit=None, piece=90)
def test_columns_and_lines_give_the_same(
    packed: bool, data: bytes, limit: int | None, piece: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Reading by columns is reading line by line, for any bytes, wherever the blocks end."""
    path = tmp_path_factory.mktemp("wm") / "rows"
    if data[:2] in (b"\x1f\x8b", b"BZ", b"\xfd7", b"\x28\xb5"):  # what begins so is no plain text
        data = b"x" + data
    path.write_bytes(gzip.compress(data) if packed else data)
    expected = line_by_line(data, limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tppc.builders.sources.wikimatrix._BLOCK", piece)
        patch.setattr(blocks, "_READ", 1 + piece // 2)
        if expected is None:
            with pytest.raises(TppcError, match="truncated or damaged after line"):
                read(path, limit)
            return
        batches = read(path, limit)
    found = [row for b in batches for row in b.rows.select("source_id", "src_text", "tgt_text", "score").iter_rows()]
    assert found == expected[0]
    assert [r for b in batches for r in b.refused] == expected[1]


def test_what_stands_before_a_damage_is_read(wikimatrix: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is met before the damage never sees it; the error names the last line that was read."""
    monkeypatch.setattr(blocks, "_READ", 4_096)
    path = wikimatrix(matrix_rows(6_000)) / "WikiMatrix.en-hi.tsv.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert sum(b.rows.height for b in read(path, limit=500)) == 500
    kept: list[str] = []

    def read_on() -> None:
        for batch in SOURCE.read(Partition("wikimatrix", ("en-hi",), {"pairs": str(path)}, {}, None)):
            kept.extend(batch.rows["source_id"].to_list())

    with pytest.raises(TppcError, match="damaged after line") as error:
        read_on()
    assert f"after line {kept[-1]} " in str(error.value)
    assert len(kept) > 500


def archive(folder: Path, names: Sequence[str], rows_each: int = 40) -> Path:
    """A tar as the publishers pack it, members in a folder, one file for each name, and a text beside them."""
    path = folder / "WikiMatrix.v1.pairs.tar"
    with tarfile.open(path, "w") as tar:
        for number, name in enumerate(["README", *names]):
            lines = [(s, f"{a} ({number})", b) for s, a, b in matrix_rows(rows_each)]
            data = gzip.compress("".join("\t".join(map(str, r)) + "\n" for r in lines).encode(), mtime=0)
            info = tarfile.TarInfo(f"v1/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


NAMES = ["WikiMatrix.en-hi.tsv.gz", "WikiMatrix.en-simple.tsv.gz", "WikiMatrix.en-mr.tsv.gz", "WikiMatrix.en-ne.tsv.gz"]


def test_the_archive_of_all_pairs_is_read_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every pair gives the same rows as its own file does; nothing is unpacked."""
    path = archive(tmp_path, NAMES)
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path / "files", filter="data")
    recipe = load_recipe(None, language_id={"enabled": False})  # every file here is Hindi
    corpora = build("wikimatrix", None, origin=str(path), out=tmp_path / "all", recipe=recipe)
    assert [c.path.name for c in corpora] == ["en-hi", "en-mr", "en-ne"]
    assert "simple" in capsys.readouterr().err
    folder = str(tmp_path / "files" / "v1")
    (single,) = build("wikimatrix", [parse_pair("en-mr")], origin=folder, out=tmp_path / "one", recipe=recipe)
    assert rows(corpora[1]) == rows(single)
    assert corpora[1].manifest.snapshots[0].sha256 == sha256_of_file(path)
    assert "--from WikiMatrix.v1.pairs.tar" in corpora[1].manifest.command
    assert {p.name for p in tmp_path.iterdir()} == {path.name, "files", "all", "one"}


def test_one_pair_of_the_archive_and_all_of_a_folder(tmp_path: Path) -> None:
    path = archive(tmp_path, NAMES)
    (hindi,) = build("wikimatrix", [parse_pair("hi-en")], origin=str(path), out=tmp_path / "out")
    assert rows(hindi)["1"]["tgt_text"].endswith("(1)")
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path / "files", filter="data")
    found = build("wikimatrix", None, origin=str(tmp_path / "files" / "v1"), out=tmp_path / "folder")
    assert sorted(c.path.name for c in found) == ["en-hi", "en-mr", "en-ne"]


def test_an_archive_at_a_url_is_fetched_once(tmp_path: Path) -> None:
    path = archive(tmp_path, NAMES[:2])
    with serving({"/pairs.tar": path.read_bytes()}) as server:
        (corpus,) = build("wikimatrix", None, origin=server.url("/pairs.tar"), out=tmp_path / "out")
        assert sum(a.status == 200 for a in server.gets()) == 1
    assert corpus.rows("train") == 40
    assert corpus.manifest.snapshots[0].url.endswith("/pairs.tar")
    assert "--pair en-hi --from http://127.0.0.1" in corpus.manifest.command


def test_a_pair_that_loses_every_row_stops_no_other(tmp_path: Path) -> None:
    """Among 1,620 pairs some keep nothing, with language ID or without."""
    path = archive(tmp_path, ["WikiMatrix.en-ja.tsv.gz", "WikiMatrix.en-hi.tsv.gz"])
    for enabled in (True, False):
        recipe = load_recipe(None, language_id={"enabled": enabled})
        none, hindi = build("wikimatrix", None, origin=str(path), out=tmp_path / str(enabled), recipe=recipe)
        assert none.manifest.funnel.rejected == {"script": 40}
        assert hindi.rows("train") == 40


def test_an_archive_that_lacks_the_pair_or_is_none_or_is_cut(tmp_path: Path) -> None:
    path = archive(tmp_path, NAMES, rows_each=4_000)
    out = tmp_path / "out"
    with pytest.raises(TppcError, match=r"holds no WikiMatrix\.en-ja\.tsv\.gz, the file of en-ja"):
        build("wikimatrix", [parse_pair("en-ja")], origin=str(path), out=out)
    with tarfile.open(path) as tar:
        member = tar.getmember("v1/WikiMatrix.en-mr.tsv.gz")
    path.write_bytes(path.read_bytes()[: member.offset_data + member.size // 2])
    with pytest.raises(
        TppcError, match=r"WikiMatrix\.en-mr\.tsv\.gz: truncated or damaged|no tar archive, or a damaged one"
    ):
        build("wikimatrix", [parse_pair("en-mr")], origin=str(path), out=out)
    path.write_bytes(b"not a tar" * 200)
    with pytest.raises(TppcError, match="no tar archive"):
        build("wikimatrix", None, origin=str(path), out=out)
    with pytest.raises(TppcError, match=r"holds no file WikiMatrix\.<a>-<b>\.tsv\.gz"):
        build("wikimatrix", None, origin=str(out.parent), out=out)
    with pytest.raises(UsageError, match="--all-pairs reads the archive"):
        build("wikimatrix", None, origin="http://127.0.0.1:9/v1", out=out)
    assert not (out / "wikimatrix").exists()


def test_pairs_of_the_archive_have_canonical_codes(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"en-tl": "en-fil", "nds_nl-nl": "nds-NL-nl", "nds-nl": "nds-nl", "sh-sr": "sr-Latn-sr", "bs-sh": "bs-sr-Latn",
             "no-sv": "no-sv", "azb-fr": "azb-fr", "wuu-zh": "wuu-zh", "ar-arz": "ar-arz"}  # fmt: skip
    pairs = pairs_named([f"WikiMatrix.{name}.tsv.gz" for name in [*names, "en-simple"]])
    assert [str(pair) for pair in pairs] == list(names.values())
    assert [parse_pair(str(pair)) for pair in pairs] == pairs
    assert [file_name(pair) for pair in pairs] == [f"WikiMatrix.{name}.tsv.gz" for name in names]
    assert "left out: simple" in capsys.readouterr().err


def test_a_sweep_over_the_publishers_files_is_refused(tmp_path: Path) -> None:
    codes = ["ar", "bg", "bn", "bs", "ca", "cs", "da", "de", "el", "eo", "es", "et", "eu", "fa", "fi", "fr", "gl", "he"]
    codes += ["hi", "hr", "hu"]
    with pytest.raises(UsageError, match=r"21 pairs: the publishers .*--all-pairs"):
        build("wikimatrix", [Pair("en", code) for code in codes], out=tmp_path)


def test_score_flags_are_settings_of_the_filter(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    """One place decides: the flags lie over what a recipe file says of the same filter."""
    folder = wikimatrix(matrix_rows(50))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[filters.score]\nmin = 1.2971\n[filters.length]\nmax_chars = 900\n")
    arguments = ["build", "wikimatrix", "--pair", "en-hi", "--from", str(folder), "--recipe", str(recipe)]
    result = CliRunner().invoke(app, [*arguments, "--max-score", "1.2995", "--dry-run"])
    filters = json.loads(result.stdout)["recipe"]["filters"]
    assert (filters["score"]["min"], filters["score"]["max"], filters["length"]["max_chars"]) == (1.2971, 1.2995, 900)
    result = CliRunner().invoke(app, [*arguments, "--max-score", "1.2995", "--out", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    assert '"score": 25' in result.output


def test_all_pairs_and_pair_exclude_each_other() -> None:
    result = CliRunner().invoke(app, ["build", "wikimatrix", "--all-pairs", "--pair", "en-hi"])
    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match="tatoeba has no list of all pairs"):
        build("tatoeba", None)


def test_files_that_no_pair_would_be_read_from_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"WikiMatrix.{pair}.tsv.gz" for pair in ("en-hi", "hi-en", "en-en", "en-tl", "en-fil")]
    assert [str(pair) for pair in pairs_named(names)] == ["en-hi", "en-fil"]
    assert "WikiMatrix.hi-en.tsv.gz is left out" in capsys.readouterr().err


def test_limits_of_the_score_that_refuse_everything_are_a_wrong_request() -> None:
    with pytest.raises(UsageError, match="every score would be refused"):
        load_recipe(None, filters={"score": {"min": 1.1, "max": 1.0}})


@pytest.mark.parametrize(
    ("where", "pairs", "says"),
    [
        ("x.tsv.gz", ["en-hi", "en-ja"], "is one file"),
        ("WikiMatrix.en-ja.tsv.gz", ["en-hi"], "is not that of en-hi"),
        ("x", None, "--all-pairs reads the archive"),
    ],
)
def test_errors_name_an_address_without_its_secrets(
    where: str, pairs: list[str] | None, says: str, tmp_path: Path
) -> None:
    asked = None if pairs is None else [parse_pair(p) for p in pairs]
    with pytest.raises(UsageError, match=says) as error:
        build("wikimatrix", asked, origin=f"http://user:secret@127.0.0.1:9/{where}?sig=secret", out=tmp_path)
    assert "secret" not in str(error.value)
