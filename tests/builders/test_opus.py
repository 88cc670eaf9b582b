"""OPUS: the catalogue's service, mirrors of its files, Moses zips and TMX, in the layouts of the real ones."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from servers import FileServer, serving

from tppc.builders.build import build, catalogue
from tppc.builders.recipe import load_recipe
from tppc.builders.sources.opus import SOURCE
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import language, parse_pair
from tppc.errors import TppcError, UsageError

EN_HI = [parse_pair("en-hi")]
ENGLISH = [f"The house number {i} is old." for i in range(12)]
HINDI = [f"मकान संख्या {i} पुराना है।" for i in range(12)]


def moses(corpus: str = "Books", codes: tuple[str, str] = ("en", "hi"), **members: bytes) -> bytes:
    """A Moses zip as OPUS packs it; `members` replace the two sides (`src`, `tgt`) or add others by their ending."""
    found = {
        f"{corpus}.{'-'.join(codes)}.{codes[0]}": members.pop("src", "".join(f"{t}\n" for t in ENGLISH).encode()),
        f"{corpus}.{'-'.join(codes)}.{codes[1]}": members.pop("tgt", "".join(f"{t}\n" for t in HINDI).encode()),
        f"{corpus}.{'-'.join(codes)}.ids": b"en/1.xml\thi/1.xml\t1\t1\n",
        "README": b"Corpus Name: Books\n",
        "LICENSE": b"Free to use\n  for research.\n",
        **{f"{corpus}.{'-'.join(codes)}.{ending}": data for ending, data in members.items()},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return file.getvalue()


def tmx() -> bytes:
    """The same pairs as OPUS's TMX has them."""
    units = "".join(
        f'    <tu>\n      <tuv xml:lang="en"><seg>{a}</seg></tuv>\n      <tuv xml:lang="hi"><seg>{b}</seg></tuv>\n    </tu>\n'
        for a, b in zip(ENGLISH, HINDI, strict=True)
    )
    head = '<header creationtool="Uplug" o-tmf="unknown" segtype="sentence" srclang="en" adminlang="en" datatype="PlainText"/>'
    return gzip.compress(
        f'<?xml version="1.0" encoding="utf-8"?>\n<tmx version="1.4">\n{head}\n  <body>\n{units}  </body>\n</tmx>\n'.encode()
    )


FILES = {
    "/OPUS-Books/v1/moses/en-hi.txt.zip": moses(),
    "/OPUS-Books/v2/moses/en-hi.txt.zip": moses(src="".join(f"{t} Yes.\n" for t in ENGLISH).encode()),
    "/OPUS-Books/v1/tmx/en-hi.tmx.gz": tmx(),
    "/OPUS-QED/v2.0a/moses/en-hi.txt.zip": moses("QED"),
    "/OPUS-GNOME/v1/moses/en-zh_CN.txt.zip": moses("GNOME", ("en", "zh_CN")),
}


def entry(root: str, path: str, **more: Any) -> dict[str, Any]:
    """One entry of the service's answer."""
    corpus, version, preprocessing, name = path.removeprefix("/OPUS-").split("/")
    first, second = name.split(".")[0].split("-")
    return {
        "alignment_pairs": 12,
        "corpus": corpus,
        "documents": "",
        "id": 31736,
        "latest": "True",
        "preprocessing": preprocessing,
        "size": 328,
        "source": first,
        "source_tokens": 73463,
        "target": second,
        "target_tokens": "",
        "url": root + path,
        "version": version,
        **more,
    }


@pytest.fixture
def opus() -> Iterator[FileServer]:
    """The object store, and the service at `/opusapi/`; the latest version of Books is v1."""
    with serving(FILES) as server:
        answer(server)
        yield server


def answer(server: FileServer, latest: str = "v1", **more: Any) -> None:
    """Let the service answer with all there is."""
    root = server.url("")
    entries = [entry(root, path, latest=str("Books" not in path or f"/{latest}/" in path), **more) for path in FILES]
    server.files["/opusapi/"] = json.dumps({"corpora": entries}).encode()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder in the layout of the object store, with a saved answer of the service."""
    root = tmp_path / "mirror"
    for path, data in FILES.items():
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (root / path[1:]).write_bytes(data)
    entries = [entry("https://object.pouta.csc.fi", path, latest=str("v2/" not in path)) for path in FILES]
    (root / "opusapi.json").write_text(json.dumps({"corpora": entries}))
    return root


def make(origin: str | Path, out: Path, pairs: str = "en-hi", **options: Any) -> Corpus:
    recipe = load_recipe(None, opus={"corpus": "Books", **options})
    (corpus,) = build("opus", [parse_pair(pairs)], origin=str(origin), out=out, recipe=recipe)
    return corpus


def pairs_of(corpus: Corpus) -> set[tuple[str, str, str]]:
    rows = corpus.scan("train").collect().to_dicts()
    return {(r["source_id"], r["src_text"], r["tgt_text"]) for r in rows}


ALL = {(str(i), a, b) for i, (a, b) in enumerate(zip(ENGLISH, HINDI, strict=True), start=1)}


def test_the_catalogue_is_asked_in_alphabetical_order_and_lists_the_latest(opus: FileServer) -> None:
    found = catalogue("opus", [parse_pair("hi-en")], origin=opus.url("/opusapi/"))
    assert [(row["corpus"], row["version"], row["pair"], row["pairs"], row["bytes"]) for row in found] == [
        ("Books", "v1", "hi-en", 12, 328 * 1024),
        ("QED", "v2.0a", "hi-en", 12, 328 * 1024),
    ]
    (asked,) = opus.gets("/opusapi/")
    assert parse_qs(asked.query) == {
        "source": ["en"],
        "target": ["hi"],
        "preprocessing": ["moses"],
        "version": ["latest"],
    }
    every = catalogue("opus", EN_HI, origin=opus.url("/opusapi/"), recipe=load_recipe(None, opus={"corpus": "Books"}))
    assert [row["version"] for row in every] == ["v1", "v2"]
    assert "version" not in parse_qs(opus.gets("/opusapi/")[-1].query)


def test_numbers_that_the_service_does_not_know_are_empty_texts(opus: FileServer) -> None:
    answer(opus, alignment_pairs="", size="")
    found = catalogue("opus", EN_HI, origin=opus.url("/opusapi/"))
    assert {(row["pairs"], row["bytes"]) for row in found} == {(None, None)}


def test_the_latest_version_is_recorded_and_built_again_when_there_is_a_newer_one(
    opus: FileServer, tmp_path: Path
) -> None:
    first = make(opus.url("/opusapi/"), tmp_path / "one")
    assert first.path == tmp_path / "one" / "opus" / "Books" / "en-hi"
    assert first.manifest.recipe["opus"]["version"] == "v1"
    assert pairs_of(first) == ALL
    assert first.manifest.snapshots[0].url.endswith("/OPUS-Books/v1/moses/en-hi.txt.zip")
    answer(opus, latest="v2")
    again = load_recipe(first.path / "manifest.json")
    (rebuilt,) = build("opus", EN_HI, origin=opus.url("/opusapi/"), out=tmp_path / "two", recipe=again)
    assert rebuilt.digest == first.digest
    newer = make(opus.url("/opusapi/"), tmp_path / "three")
    assert newer.manifest.recipe["opus"]["version"] == "v2"
    assert newer.digest != first.digest


def test_service_folder_and_url_give_the_same_corpus(opus: FileServer, mirror: Path, tmp_path: Path) -> None:
    opus.files["/opusapi.json"] = (mirror / "opusapi.json").read_bytes()
    origins: list[str | Path] = [opus.url("/opusapi/"), mirror, opus.url()]
    assert len({make(origin, tmp_path / str(n)).digest for n, origin in enumerate(origins)}) == 1


def test_a_mirror_without_a_catalogue_needs_the_version(mirror: Path, tmp_path: Path) -> None:
    (mirror / "opusapi.json").unlink()
    with pytest.raises(TppcError, match=r"opusapi\.json: no catalogue here; name the version with --version"):
        make(mirror, tmp_path / "out")
    assert pairs_of(make(mirror, tmp_path / "out", version="v1")) == ALL


def test_moses_and_tmx_hold_the_same_pairs_and_turn_round(mirror: Path, tmp_path: Path) -> None:
    assert pairs_of(make(mirror, tmp_path / "a", preprocessing="tmx")) == ALL
    turned = {(i, b, a) for i, a, b in ALL}
    assert pairs_of(make(mirror, tmp_path / "b", "hi-en")) == turned
    assert pairs_of(make(mirror, tmp_path / "c", "hi-en", preprocessing="tmx")) == turned


def test_two_corpora_of_one_pair_stand_side_by_side_each_under_its_own_terms(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    books = make(mirror, tmp_path / "out")
    said = " ".join(capsys.readouterr().err.split())
    assert "rows are marked LicenseRef-OPUS-Books, since" in said
    assert "its LICENSE begins: Free to use for research." in said
    other = make(mirror, tmp_path / "out", corpus="QED", licence="CC-BY-NC-ND-4.0")
    assert "rows are marked" not in capsys.readouterr().err
    assert [c.name for c in (books, other)] == ["opus/Books/en-hi", "opus/QED/en-hi"]
    licences = [c.scan("train").select("licence").unique().collect().item() for c in (books, other)]
    assert licences == ["LicenseRef-OPUS-Books", "CC-BY-NC-ND-4.0"]
    assert "has a licence of its own, which the catalogue does not state" in books.manifest.limits[0]


def read(mirror: Path, data: bytes, **options: Any) -> list[dict[str, Any]]:
    """Rows of a Moses zip as they are read, before cleaning."""
    (mirror / "OPUS-Books/v1/moses/en-hi.txt.zip").write_bytes(data)
    recipe = load_recipe(None, opus={"corpus": "Books", "version": "v1", **options})
    from tppc.builders.sources.base import Request

    request = Request(tuple(EN_HI), str(mirror), None, None, recipe.options(SOURCE).model_dump(mode="json"))
    (partition,) = SOURCE.fetch(request)[0]
    return [row for batch in SOURCE.read(partition) for row in batch.rows.to_dicts()]


def test_scores_of_mined_corpora_are_kept(mirror: Path) -> None:
    scores = b"1.25\n1.5\tx\n?\n" + b"1\n" * 9
    assert [row["score"] for row in read(mirror, moses(scores=scores))][:4] == [1.25, 1.5, None, 1.0]
    with pytest.raises(TppcError, match=r"Books\.en-hi\.scores has 3 lines"):
        read(mirror, moses(scores=b"1\n2\n3\n"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (moses(tgt=b"x\n" * 15), r"Books\.en-hi\.en has 12 lines, .*Books\.en-hi\.hi has 15 lines: line-aligned files"),
        (moses(codes=("en", "ja")), r"0 members end in \.hi \(it holds Books\.en-ja\.en, Books\.en-ja\.ja, "),
        (moses()[:-40], "not a sound zip archive"),
        (moses().replace(b"Books.en-hi.hi", b"Books.en-hi.hX", 1), "not a sound zip archive"),
        (b"<html>Please log in</html>", "not a sound zip archive"),
    ],
)
def test_a_zip_that_does_not_hold_the_pair_is_one_sentence(data: bytes, says: str, mirror: Path) -> None:
    with pytest.raises(TppcError, match=says):
        read(mirror, data)


def test_a_changed_byte_inside_the_zip_is_found(mirror: Path) -> None:
    data = bytearray(moses())
    data[len(b"PK") + 28 + len("Books.en-hi.en") + 20] ^= 0xFF
    with pytest.raises(TppcError, match="not a sound zip archive"):
        read(mirror, bytes(data))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"corpus": None}, "no corpus: name one with --corpus; `tppc build opus --list --pair en-hi`"),
        ({"corpus": "Boks"}, "OPUS has no Boks latest of en-hi as moses; `tppc build opus --list"),
        ({"version": "v9"}, "OPUS has no Books v9 of en-hi as moses; there is v1, v2; `tppc"),
    ],
)
def test_what_opus_does_not_have_is_a_wrong_request(
    options: dict[str, Any], says: str, opus: FileServer, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        make(opus.url("/opusapi/"), tmp_path / "out", **options)
    with pytest.raises(UsageError, match="opus: corpus: string should match"):
        load_recipe(None, opus={"corpus": "../../x"})


def test_an_answer_that_is_no_catalogue_and_one_that_names_a_local_file(opus: FileServer, tmp_path: Path) -> None:
    opus.files["/opusapi/"] = b"<html>We are down</html>"
    with pytest.raises(TppcError, match="no answer of the OPUS catalogue"):
        make(opus.url("/opusapi/"), tmp_path / "out")
    answer(opus, url="/etc/passwd")
    with pytest.raises(TppcError, match="the OPUS catalogue gives '/etc/passwd' for en-hi, which is no URL"):
        make(opus.url("/opusapi/"), tmp_path / "out")


def test_a_corpus_may_spell_a_language_in_its_own_way(mirror: Path, tmp_path: Path) -> None:
    assert [language(c).opus for c in ("en", "zh", "zh-Hans", "zh-TW", "pt-BR", "arz", "fil", "sr-Latn")] == [
        "en",
        "zh",
        "zh_cn",
        "zh_tw",
        "pt_br",
        "arz",
        "tl",
        "sr",
    ]
    with pytest.raises(TppcError, match=r"en-zh_cn\.txt\.zip: no such file"):
        make(mirror, tmp_path / "out", "en-zh-Hans", corpus="GNOME", version="v1")
    corpus = make(mirror, tmp_path / "out", "en-zh-Hans", corpus="GNOME", version="v1", tgt_code="zh_CN")
    assert corpus.manifest.funnel.read == 12
    asked = [parse_pair("en-zh-Hans"), parse_pair("en-hi")]
    with pytest.raises(UsageError, match="spell the languages of one pair, but several are asked for"):
        catalogue("opus", asked, origin=str(mirror), recipe=load_recipe(None, opus={"tgt_code": "zh_CN"}))


def test_the_command_line_lists(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from tppc.cli import app

    asked = ["build", "opus", "--list", "--pair", "en-hi", "--from", str(mirror)]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert re.search(
        r"^Books +v1 +en-hi +12 +0\.3  https://.*/OPUS-Books/v1/moses/en-hi\.txt\.zip$", shown.stdout, re.MULTILINE
    )
    found = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert [row["corpus"] for row in found] == ["Books", "QED"]
    plan = json.loads(
        CliRunner().invoke(app, ["build", "opus", "--pair", "en-hi", "--corpus", "QED", "--dry-run"]).stdout
    )
    assert plan["out"] == ["corpora/opus/QED/en-hi"]
    assert plan["recipe"]["opus"]["version"] == "latest"


def test_a_licence_text_does_not_steer_the_terminal(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = io.BytesIO(moses())
    path = mirror / "OPUS-Books/v1/moses/en-hi.txt.zip"
    with zipfile.ZipFile(path, "w") as archive, zipfile.ZipFile(data) as source:
        for name in source.namelist():
            archive.writestr(name, b"Free\x1b[2J\x07 to use" if name == "LICENSE" else source.read(name))
    make(mirror, tmp_path / "out", corpus="Books", version="v1")
    told = capsys.readouterr().err
    assert "its LICENSE begins: Free[2J to use" in told
    assert "\x1b" not in told
