"""Verify finds a single flipped bit in any file, and everything else that does not fit."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import fsspec
import pytest
from commands import command
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import serving
from typer.testing import CliRunner

from tppc.cli import app
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import canonical_json
from tppc.errors import TppcError, UsageError
from tppc.manifests import verify as module
from tppc.manifests.verify import Depth, inspect, verify

PAIRS = [(f"house {i}", f"मकान {i}") for i in range(40)]


def faults_of(place: Path | str, depth: Depth = "full") -> list[str]:
    try:
        return verify(place, depth=depth)
    except TppcError as error:  # a manifest that is no manifest any more
        return [str(error)]


@pytest.mark.parametrize("depth", ["quick", "full", "deep"])
def test_a_sound_corpus_has_no_fault(corpus: Path, depth: Depth) -> None:
    found = inspect(corpus, depth=depth)
    assert found.faults == []
    assert found.files == sum(p.is_file() for p in corpus.rglob("*"))
    assert found.rows == 80


def test_what_builders_make_is_sound(tatoeba: Corpus, wikidata: Corpus) -> None:
    assert [*verify(tatoeba.path, depth="deep"), *verify(wikidata.path, depth="deep")] == []


def test_a_flipped_bit_anywhere_in_any_file_is_found(tatoeba: Corpus, wikidata: Corpus, tmp_path: Path) -> None:
    corpora = [Path(shutil.copytree(c.path, tmp_path / c.manifest.source)) for c in (tatoeba, wikidata)]
    files = [(corpus, p) for corpus in corpora for p in sorted(corpus.rglob("*")) if p.is_file()]
    assert {p.suffix for _, p in files} == {".parquet", ".json", ".sha256", ".md", ".gz", ".cff"}
    # Every region of every file: each file is cut into 32 parts, of which one is drawn, and a bit inside it.
    places = st.tuples(st.sampled_from(files), st.integers(0, 31), st.integers(0, 2**30), st.integers(0, 7))

    @settings(max_examples=300, deadline=None)
    @given(places)
    def flip(place: tuple[tuple[Path, Path], int, int, int]) -> None:
        (corpus, path), part, inside, bit = place
        good = path.read_bytes()
        start, stop = len(good) * part // 32, max(len(good) * (part + 1) // 32, len(good) * part // 32 + 1)
        offset = min(start + inside % (stop - start), len(good) - 1)
        bad = bytearray(good)
        bad[offset] ^= 1 << bit
        path.write_bytes(bad)
        try:
            assert faults_of(corpus), (path, offset, bit)
        finally:
            path.write_bytes(good)

    flip()
    assert [verify(corpus) for corpus in corpora] == [[], []]


def test_every_bit_of_the_seal_counts(corpus: Path) -> None:
    seal = corpus / "manifest.json.sha256"
    good = seal.read_bytes()
    for offset in range(len(good)):
        bad = bytearray(good)
        bad[offset] ^= 1 << offset % 8
        seal.write_bytes(bad)
        assert faults_of(corpus, "quick") == [f"{corpus}/manifest.json: its SHA-256 is not the one in {seal.name}"]
    for other in (b"", good.rstrip(), good * 2, good.replace(b"\n", b"\r\n")):
        seal.write_bytes(other)
        assert faults_of(corpus, "quick")


def spoil_missing(corpus: Path) -> str:
    (corpus / "README.md").unlink()
    return f"{corpus}/README.md: listed in the manifest but missing"


def spoil_extra(corpus: Path) -> str:
    (corpus / "data" / ".notes.txt").write_text("mine")
    return f"{corpus}/data/.notes.txt: not listed in the manifest"


def spoil_truncated(corpus: Path) -> str:
    shard = next(corpus.rglob("train-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])
    return f"{shard}: its SHA-256 differs from the manifest's"


def spoil_appended(corpus: Path) -> str:
    rejects = corpus / "rejects.jsonl.gz"
    rejects.write_bytes(rejects.read_bytes() + gzip.compress(b""))
    return f"{rejects}: its SHA-256 differs from the manifest's"


def spoil_renamed(corpus: Path) -> str:
    shard = next(corpus.rglob("test-*.parquet"))
    shard.rename(shard.with_name("test-1.parquet"))
    return f"{shard.with_name('test-1.parquet')}: not listed in the manifest"


def spoil_swapped(corpus: Path) -> str:
    train, test = next(corpus.rglob("train-*.parquet")), next(corpus.rglob("test-*.parquet"))
    train.rename(corpus / "x")
    test.rename(train)
    (corpus / "x").rename(test)
    return f"{train}: its SHA-256 differs from the manifest's"


def spoil_linked_folder(corpus: Path) -> str:
    (corpus / "data").rename(corpus.parent / "elsewhere")
    (corpus / "data").symlink_to(corpus.parent / "elsewhere")
    return f"{corpus}/data: a link to a folder, so its files are not the corpus's own; put the folder here"


def spoil_dangling_link(corpus: Path) -> str:
    (corpus / "README.md").unlink()
    (corpus / "README.md").symlink_to(corpus / "nothing")
    return f"{corpus}/README.md: a link to a file that is not there"


def spoil_link_to_itself(corpus: Path) -> str:
    (corpus / "loop").symlink_to("loop")
    return f"{corpus}/loop: cannot be looked at (Too many levels of symbolic links)"


def spoil_pipe(corpus: Path) -> str:
    (corpus / "README.md").unlink()
    os.mkfifo(corpus / "README.md")
    return f"{corpus}/README.md: no regular file"


@pytest.mark.parametrize("spoil", [value for name, value in globals().items() if name.startswith("spoil_")])
def test_files_that_are_missing_strange_or_exchanged_are_found(corpus: Path, spoil: Callable[[Path], str]) -> None:
    expected = spoil(corpus)
    assert expected in verify(corpus)


def test_links_to_files_count_as_files(corpus: Path) -> None:
    """The cache of the Hub's client holds a corpus as links to its blobs."""
    blobs = corpus.parent / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(p for p in corpus.rglob("*") if p.is_file())):
        path.rename(blobs / str(number))
        path.symlink_to(blobs / str(number))
    assert verify(corpus) == []


def test_quick_sees_sizes_and_footers_but_reads_no_row(corpus: Path) -> None:
    shard = next(corpus.rglob("train-*.parquet"))
    good = shard.read_bytes()
    bad = bytearray(good)
    bad[200] ^= 1
    shard.write_bytes(bad)
    assert verify(corpus, depth="quick") == []
    shard.write_bytes(good[:100])
    assert any("100 bytes, but the manifest says" in fault for fault in verify(corpus, depth="quick"))
    assert any("not readable as Parquet" in fault for fault in verify(corpus, depth="quick"))


@pytest.mark.parametrize("depth", ["full", "deep"])
def test_workers_change_nothing(corpus: Path, monkeypatch: pytest.MonkeyPatch, depth: Depth) -> None:
    spoil_swapped(corpus)
    alone = inspect(corpus, depth=depth, workers=1)
    monkeypatch.setattr(module, "_WORTH_A_POOL", 0)
    read: list[int] = []
    assert inspect(corpus, depth=depth, workers=2, watch=lambda size: nullcontext(read.append)) == alone
    assert sum(read) == alone.bytes


@pytest.mark.parametrize("ranges", [True, False])
def test_a_corpus_at_a_url_is_verified_and_not_kept(corpus: Path, tmp_path: Path, ranges: bool) -> None:
    files = {f"/c/{p.relative_to(corpus).as_posix()}": p.read_bytes() for p in corpus.rglob("*") if p.is_file()}
    kept = sorted(tmp_path.rglob("*"))
    with serving(files) as server:
        for depth in ("quick", "full"):
            server.faults = [] if ranges else ["whole"] * 100
            assert inspect(server.url("/c"), depth=depth).faults == []
        assert verify(server.url("/c/manifest.json")) == []
        server.faults_at["/c/README.md"] = ["damage"] * 2
        assert verify(server.url("/c?token=secret-token")) == [
            f"{server.url('/c')}/README.md: its SHA-256 differs from the manifest's"
        ]
        del server.files["/c/rejects.jsonl.gz"]
        assert verify(server.url("/c")) == [f"{server.url('/c')}/rejects.jsonl.gz: listed in the manifest but missing"]
        with pytest.raises(TppcError, match=r"no manifest\.json there"):
            verify(server.url("/d"))
    assert sorted(tmp_path.rglob("*")) == kept


def test_a_corpus_in_an_object_store_is_verified(corpus: Path) -> None:
    store = fsspec.filesystem("memory")
    store.put(str(corpus), "/bucket/c", recursive=True)
    try:
        for depth in ("quick", "full", "deep"):
            assert verify("memory://bucket/c", depth=depth) == []
        store.pipe("/bucket/c/data/more.txt", b"x")
        assert verify("memory://bucket/c") == ["memory://bucket/c/data/more.txt: not listed in the manifest"]
    finally:
        store.rm("/bucket", recursive=True)


def test_exit_status_and_json_are_for_scripts(corpus: Path) -> None:
    def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command("manifests", "verify", *arguments), capture_output=True, timeout=60, check=False)

    sound = run(corpus, "--json")
    assert sound.returncode == 0
    (found,) = json.loads(sound.stdout)
    assert found["faults"] == []
    assert found["build_digest"] == Corpus(corpus).digest
    (corpus / "notes.txt").write_text("mine")
    faulty = run(corpus, corpus.parent / "nothing", "--quick")
    assert faulty.returncode == 1
    assert f"{corpus}/notes.txt: not listed in the manifest" in faulty.stdout.decode()
    assert "nothing: no such folder" in faulty.stdout.decode()
    both = CliRunner().invoke(app, ["manifests", "verify", str(corpus), "--quick", "--deep"])
    assert isinstance(both.exception, UsageError)


def test_old_and_broken_manifests_are_named(corpus: Path) -> None:
    path = corpus / "manifest.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "format": "tppc-manifest/9"}))
    with pytest.raises(TppcError, match="format 'tppc-manifest/9', but this version of tppc reads"):
        Corpus(corpus)
    path.write_bytes(canonical_json({**value, "files": {"../x": "0" * 64}}))
    with pytest.raises(TppcError, match=r"not a manifest \(files\.\.\./x.*no path below the corpus folder"):
        verify(corpus)
    path.write_text("[" * 200_000)
    with pytest.raises(TppcError, match=r"manifest\.json: not a manifest"):
        verify(corpus)
    path.write_text("{")
    with pytest.raises(TppcError, match=r"manifest\.json: not a manifest"):
        Corpus(corpus)
