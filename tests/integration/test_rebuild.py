"""Rebuilding from a manifest, and the session of docs/publishing.md as a new user would type it."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import command
from factory import write_corpus
from servers import serving

from tppc.builders.build import build
from tppc.builders.mixture.mix import mix
from tppc.builders.mixture.shares import MixSettings
from tppc.builders.rebuild import pip_line, rebuild
from tppc.builders.recipe import load_recipe
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import read_manifest, write_manifest
from tppc.errors import TppcError, UsageError
from tppc.manifests.rules import build_digest_of

PAGE = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text()
LINES = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(60))
NAME = "WikiMatrix.en-hi.tsv.gz"
EN_HI = [Pair("en", "hi")]


def test_the_documented_session_works_as_it_stands(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    script = "set -e\n" + f'tppc() {{ "{sys.executable}" -m tppc "$@"; }}\n' + "".join(blocks)
    assert script.count("\ntppc ") == 6
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    said = result.stdout
    assert "tatoeba/en-hi@1.0.0 published: public/tatoeba/en-hi/1.0.0" in said
    assert "corpora/tatoeba/en-hi: sound" in said
    first, second = (read_manifest(tmp_path / p) for p in ("mine/tatoeba/en-hi", "elsewhere/rebuilt/tatoeba/en-hi"))
    assert first.build_digest == second.build_digest
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    for line in shown.group(1).splitlines():
        assert re.sub(r" [0-9a-f]{16}\.\.\.", f" {first.build_digest}", line) in said


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / NAME).write_bytes(gzip.compress(LINES.encode(), mtime=0))
    return folder


@pytest.mark.parametrize("source", ["tatoeba", "wikimatrix", "wikidata"])
def test_every_sample_is_rebuilt_alike_from_its_manifest_alone(source: str, tmp_path: Path) -> None:
    recipe = load_recipe(None, limit=400, holdout={"test": 3})
    (made,) = build(source, EN_HI, origin="sample", out=tmp_path / "out", recipe=recipe)
    copy = tmp_path / f"{source}.json"
    copy.write_bytes((made.path / "manifest.json").read_bytes())
    done = rebuild(str(copy), out=tmp_path / "again")
    assert done.same
    assert done.differences == []
    assert done.corpus.path == tmp_path / "again" / source / "en-hi"


def test_a_local_file_is_found_by_its_digest_under_any_name(mirror: Path, tmp_path: Path) -> None:
    (made,) = build("wikimatrix", EN_HI, origin=str(mirror / NAME), out=tmp_path / "out")
    with pytest.raises(
        UsageError, match=rf"was built from local files, {NAME} \(SHA-256 .*\); say where they are with --from"
    ):
        rebuild(str(made.path), out=tmp_path / "again")
    moved = tmp_path / "elsewhere" / "renamed.bin"
    moved.parent.mkdir()
    moved.write_bytes((mirror / NAME).read_bytes())
    assert rebuild(str(made.path), origin=str(moved), out=tmp_path / "again").same
    assert rebuild(str(made.path / "manifest.json"), origin=str(mirror), out=tmp_path / "root").same
    moved.write_bytes(gzip.compress(LINES.encode() + b"1.0\tMore.\t\xe0\xa4\x94\xe0\xa4\xb0\n"))
    with pytest.raises(TppcError, match=r"its SHA-256 is .*, but wikimatrix/en-hi was built from WikiMatrix\.en-hi"):
        rebuild(str(made.path), origin=str(moved), out=tmp_path / "other")
    (mirror / NAME).write_bytes(moved.read_bytes())
    with pytest.raises(TppcError, match="the recipe pins SHA-256"):
        rebuild(str(made.path), origin=str(mirror), out=tmp_path / "other")
    assert not (tmp_path / "other" / "wikimatrix").exists()


def test_two_aligned_files_are_both_asked_for(tmp_path: Path) -> None:
    for code, column in (("en", 1), ("hi", 2)):
        texts = [line.split("\t")[column] for line in LINES.splitlines()]
        (tmp_path / f"own.{code}").write_text("\n".join(texts) + "\n")
    recipe = load_recipe(None, bitext={"licence": "CC0-1.0"})
    english, hindi = (str(tmp_path / f"own.{code}") for code in ("en", "hi"))
    (made,) = build("bitext", EN_HI, origin=english, companion=hindi, out=tmp_path / "out", recipe=recipe)
    with pytest.raises(UsageError, match="say where they are with --companion"):
        rebuild(str(made.path), origin=english, out=tmp_path / "again")
    (tmp_path / "second.txt.v2").write_bytes((tmp_path / "own.hi").read_bytes())
    done = rebuild(str(made.path), origin=english, companion=str(tmp_path / "second.txt.v2"), out=tmp_path / "again")
    assert done.same


def test_a_snapshot_that_changed_upstream_is_taken_from_the_cache_or_refused(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({f"/{NAME}": (mirror / NAME).read_bytes()}) as server:
        (made,) = build("wikimatrix", EN_HI, origin=server.url("/"), out=tmp_path / "out")
        server.files["/c/manifest.json"] = (made.path / "manifest.json").read_bytes()
        assert rebuild(server.url("/c/manifest.json"), out=tmp_path / "by-url").same
        server.files[f"/{NAME}"] = gzip.compress(LINES.encode() * 2, mtime=0)
        assert rebuild(str(made.path), out=tmp_path / "again").same
        monkeypatch.setenv("TPPC_CACHE", str(tmp_path / "empty"))
        with pytest.raises(TppcError, match="pins SHA-256"):
            rebuild(str(made.path), out=tmp_path / "third")


def changed(folder: Path, **values: object) -> None:
    """Write a manifest as a build of other versions or data would have."""
    manifest = read_manifest(folder).model_copy(update=values)
    write_manifest(manifest.model_copy(update={"build_digest": build_digest_of(manifest)}), folder)


def test_a_manifest_that_was_changed_is_not_repeated(mirror: Path, tmp_path: Path) -> None:
    (made,) = build("wikimatrix", EN_HI, origin=str(mirror / NAME), out=tmp_path / "out")
    manifest = read_manifest(made.path)
    write_manifest(manifest.model_copy(update={"versions": {"polars": "0.20.31"}}), made.path)
    with pytest.raises(TppcError, match=r"build digest is not that of .* changed since the corpus was built"):
        rebuild(str(made.path), origin=str(mirror / NAME), out=tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    parent = Corpus(write_corpus(tmp_path / "corpora" / "made" / "en-hi", {"train": [("cat", "बिल्ली")]}))
    mixed = mix([parent], tmp_path / "all")
    changed(mixed.path, name="../../evil")
    with pytest.raises(TppcError, match=r"'\.\./\.\./evil' is no path below a folder"):
        rebuild(str(mixed.path), origin=str(tmp_path / "corpora"), out=tmp_path / "a" / "b")
    assert not (tmp_path / "evil").exists()


def test_other_versions_are_told_with_the_line_that_installs_them(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = build("wikimatrix", EN_HI, origin=str(mirror / NAME), out=tmp_path / "out")
    manifest = read_manifest(made.path)
    old = {**manifest.versions, "polars": "0.20.31"}
    changed(made.path, versions=old)
    done = rebuild(str(made.path), origin=str(mirror / NAME), out=tmp_path / "again")
    assert not done.same
    here = manifest.versions["polars"]
    assert done.differences == [
        f"version: polars 0.20.31 there, {here} here",
        "every shard has the same bytes: the rows are the same",
    ]
    line = pip_line(done.expected)
    assert "polars==0.20.31" in line
    assert "unicode" not in line
    assert line in capsys.readouterr().err


def test_what_differs_is_said_and_the_exit_status_is_1(mirror: Path, tmp_path: Path) -> None:
    (made,) = build("wikimatrix", EN_HI, origin=str(mirror / NAME), out=tmp_path / "out")
    manifest = read_manifest(made.path)
    shard = manifest.shards[0].model_copy(update={"sha256": "1" * 64, "rows": 7})
    changed(made.path, shards=[shard])
    arguments = ("rebuild", made.path, "--from", mirror / NAME, "--out", tmp_path / "again")
    result = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=100)
    assert result.returncode == 1
    rows = made.manifest.rows("train")
    assert f"shard: {shard.path} has other bytes (7 rows then, {rows} now)" in result.stdout
    again = subprocess.run(command(*arguments, "--json"), capture_output=True, text=True, check=False, timeout=100)
    assert again.returncode == 1
    assert "is there already, and a rebuild starts from nothing" in again.stderr


def test_a_mixture_is_mixed_again_from_its_parents(tmp_path: Path) -> None:
    recipe, home = load_recipe(None, limit=300), tmp_path / "corpora"
    parents = [build(source, EN_HI, origin="sample", out=home, recipe=recipe)[0] for source in ("wikidata", "tatoeba")]
    mixed = mix(parents, tmp_path / "all", MixSettings(method="equal", rows=60), name="all/en-hi")
    with pytest.raises(
        UsageError, match=rf"made from the corpora wikidata/en-hi@1\.0\.0 .*{parents[1].digest}.*--from"
    ):
        rebuild(str(mixed.path), out=tmp_path / "again")
    done = rebuild(str(mixed.path), origin=str(home), out=tmp_path / "again")
    assert done.same
    assert done.corpus.path == tmp_path / "again" / "all" / "en-hi"
    shutil.rmtree(parents[0].path)
    with pytest.raises(TppcError, match="wikidata/en-hi: no corpus; all/en-hi was made from"):
        rebuild(str(mixed.path), origin=str(home), out=tmp_path / "third")
    build("wikidata", EN_HI, origin="sample", out=home, recipe=load_recipe(None, limit=299))
    with pytest.raises(TppcError, match=f"but all/en-hi was made from .* with {parents[0].digest}"):
        rebuild(str(mixed.path), origin=str(home), out=tmp_path / "third")


def test_manifests_that_no_command_made_are_refused(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "made", {"train": [("A cat.", "एक बिल्ली।")]})
    with pytest.raises(UsageError, match=r"its command \(tests\) is no `tppc build`"):
        rebuild(str(folder), out=tmp_path / "again")
    with pytest.raises(TppcError, match="no such folder"):
        rebuild(str(tmp_path / "nowhere"), out=tmp_path / "again")
    (tmp_path / "x.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(TppcError, match="format 'other'"):
        rebuild(str(tmp_path / "x.json"), out=tmp_path / "again")
