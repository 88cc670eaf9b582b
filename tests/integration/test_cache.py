"""The cache: copies by URL and digest, pins, what may be removed and what may not."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import FileServer, serving

from tppc.builders.build import build
from tppc.builders.cache import clean, entries
from tppc.builders.download import cache_folder, check_pins, fetch
from tppc.builders.recipe import load_recipe
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

OLD, NEW = b"old " * 1000, b"new " * 1500
PATH = "/file.bin"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def elsewhere(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, so that what it reads is not in use any more afterwards."""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)


def bring_elsewhere(*urls: str) -> None:
    elsewhere("import sys; from tppc.builders.download import fetch\nfor u in sys.argv[1:]: fetch(u)", *urls)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving({PATH: OLD}) as running:
        yield running


def test_a_changed_file_is_a_second_copy_and_a_pin_takes_the_old_one_without_asking(server: FileServer) -> None:
    old = fetch(server.url(PATH))
    server.files[PATH] = NEW
    new = fetch(server.url(PATH))
    assert old is not None
    assert new is not None
    assert (old.path.read_bytes(), new.path.read_bytes()) == (OLD, NEW)
    asked = len(server.asked)
    assert fetch(server.url(PATH), pin=sha(OLD)) == old
    assert fetch(server.url(PATH), pins={"file.bin": sha(OLD)}) == old
    assert fetch(server.url(PATH), pins={server.url(PATH): sha(NEW), "file.bin": sha(OLD)}) == new
    assert fetch(server.url(PATH), pins={"other.bin": "0" * 64}, pin=sha(NEW)) == new
    assert len(server.asked) == asked
    assert fetch(server.url(PATH)) == new


def test_a_file_that_returns_to_an_older_state_is_the_newest_again(server: FileServer) -> None:
    for data in (OLD, NEW, OLD):
        server.files[PATH] = data
        found = fetch(server.url(PATH))
        assert found is not None
        assert found.path.read_bytes() == data
    assert [(e.sha256, e.newest) for e in entries()] == [(sha(OLD), True), (sha(NEW), False)]


def test_a_server_without_validators_is_asked_again_and_one_copy_is_kept(server: FileServer) -> None:
    server.etags = None
    assert fetch(server.url(PATH)) is not None
    assert fetch(server.url(PATH)) is not None
    assert [a.status for a in server.asked] == [200, 200]
    assert len(entries()) == 1


def test_a_pin_that_the_server_cannot_meet_is_an_error_with_both_digests(server: FileServer) -> None:
    with pytest.raises(TppcError, match=rf"file\.bin: the recipe pins SHA-256 {sha(NEW)}, .* has {sha(OLD)}; .*--from"):
        fetch(server.url(PATH), pin=sha(NEW))
    with pytest.raises(TppcError, match="the recipe pins"):  # unchanged on the server: still another file
        fetch(server.url(PATH), pin=sha(NEW))
    assert [a.status for a in server.asked] == [200, 304]
    server.files[PATH] = NEW
    assert fetch(server.url(PATH), pin=sha(NEW)) is not None
    server.faults = ["status 503"] * 6
    with pytest.raises(TppcError, match="the recipe pins"):  # a copy that is not the pinned one stands in for nothing
        fetch(server.url(PATH), pin=sha(b"third"))


def test_a_pin_holds_for_local_files_too(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(OLD)
    assert fetch(str(path), pins={"file.bin": sha(OLD)}) is not None
    with pytest.raises(
        TppcError, match=rf"file\.bin: the recipe pins SHA-256 {sha(NEW)}, but this file has {sha(OLD)}"
    ):
        fetch(str(path), pins={"file.bin": sha(NEW)})


def test_a_build_refuses_a_file_that_differs_from_the_pin_of_its_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "WikiMatrix.en-hi.tsv.gz"
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(30))
    (tmp_path / name).write_bytes(gzip.compress(lines.encode()))
    recipe = load_recipe(None, pins={name: "0" * 64, "typo.gz": "1" * 64})
    with pytest.raises(TppcError, match=rf"{name}: the recipe pins SHA-256 0000"):
        build("wikimatrix", [Pair("en", "hi")], origin=str(tmp_path), out=tmp_path / "out", recipe=recipe)
    assert not (tmp_path / "out" / "wikimatrix").exists()
    found = fetch(str(tmp_path / name))
    assert found is not None
    check_pins([found], {name: found.snapshot.sha256, "typo.gz": "1" * 64})
    assert "the recipe pins typo.gz, but no file of this build is called so" in capsys.readouterr().err


def test_a_copy_whose_bytes_changed_on_the_disk_is_not_used(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = fetch(server.url(PATH))
    assert found is not None
    os.utime(found.path, (1, 1))  # touched, and still the same
    assert fetch(server.url(PATH)) == found
    found.path.write_bytes(OLD[:-1] + b"?")
    assert fetch(server.url(PATH), pin=sha(OLD)) is not None
    assert found.path.read_bytes() == OLD
    assert "changed since it was fetched" in capsys.readouterr().err
    assert [a.status for a in server.asked] == [200, 304, 200]


def test_the_list_names_copies_and_partial_downloads_without_secrets(server: FileServer) -> None:
    url = server.url(PATH).replace("http://", "http://me:s3cret@") + "?token=t0ken"
    bring_elsewhere(url)
    server.files[PATH] = NEW
    server.faults = ["cut 2500", "status 400"]
    with pytest.raises(TppcError):
        fetch(url)
    facts = [e.facts(time.time()) for e in entries()]
    assert [(f["kind"], f["url"], f["bytes"], f["total"]) for f in facts] == [
        ("file", server.url(PATH), len(OLD), None),
        ("partial", server.url(PATH), 2500, len(NEW)),
    ]
    assert facts[0]["sha256"] == sha(OLD)
    assert facts[0]["retrieved"].endswith("+00:00")
    assert 0 <= facts[0]["unused_days"] < 1
    kept = b"".join(str(p).encode() + p.read_bytes() for p in cache_folder().rglob("*") if p.is_file())
    assert b"s3cret" not in kept
    assert b"t0ken" not in kept


def test_clean_removes_what_all_its_conditions_meet(server: FileServer) -> None:
    server.files |= {"/two.bin": OLD, "/three.bin": OLD}
    bring_elsewhere(*map(server.url, (PATH, "/two.bin", "/three.bin")))
    server.faults = ["cut 2500", "status 400"]
    server.files["/four.bin"] = OLD
    with pytest.raises(TppcError):
        fetch(server.url("/four.bin"))
    old = next(e for e in entries() if e.name == "two.bin")
    os.utime(old.path / "snapshot.json", (time.time() - 40 * 86_400,) * 2)
    assert [e.name for e, _ in clean(older_than=30, dry_run=True)] == ["two.bin"]
    assert len(entries()) == 4
    assert clean(older_than=30, partial=True) == []
    assert [(e.name, why) for e, why in clean(older_than=30)] == [("two.bin", None)]
    assert [(e.name, why) for e, why in clean(partial=True)] == [("four.bin", None)]
    assert [e.name for e, _ in clean(urls=[server.url(PATH)])] == ["file.bin"]
    assert [e.name for e in entries()] == ["three.bin"]
    clean(everything=True)
    assert entries() == []
    assert list((cache_folder() / "files").iterdir()) == []
    assert fetch(server.url(PATH)) is not None


def test_clean_needs_to_be_told_what(server: FileServer) -> None:
    for conditions in ({}, {"everything": True, "partial": True}, {"older_than": -1.0}, {"older_than": float("nan")}):
        with pytest.raises(UsageError):
            clean(**conditions)  # type: ignore[arg-type]
    with pytest.raises(TppcError, match="not in the cache"):
        clean(urls=[server.url(PATH)])


def test_clean_leaves_what_another_process_downloads_or_this_one_reads(server: FileServer) -> None:
    found = fetch(server.url(PATH))
    server.files["/slow.bin"] = NEW * 100
    server.faults = ["cut 5000", "hold"]
    code = "import sys; from tppc.builders.download import fetch; print(fetch(sys.argv[1]).snapshot.sha256)"
    process = subprocess.Popen([sys.executable, "-c", code, server.url("/slow.bin")], stdout=subprocess.PIPE, text=True)
    until(lambda: len(server.gets("/slow.bin")) == 2)
    kept = {e.name: why for e, why in clean(everything=True)}
    assert kept == {"file.bin": "a running process reads it", "slow.bin": "another process downloads it"}
    assert found is not None
    assert found.path.read_bytes() == OLD
    server.release.set()
    assert process.communicate(timeout=60)[0].strip() == sha(NEW * 100)
    assert server.gets("/slow.bin")[1].start == 5000
    assert {e.name: why for e, why in clean(everything=True)} == {"file.bin": kept["file.bin"], "slow.bin": None}


def test_what_a_running_process_reads_stays_until_it_ends(server: FileServer) -> None:
    code = (
        "import sys; from tppc.builders.download import fetch; fetch(sys.argv[1]); print('read', flush=True); "
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, server.url(PATH)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "read\n"
    ((_, why),) = clean(everything=True)
    assert why == "a running process reads it"
    process.kill()
    process.communicate(timeout=60)
    ((_, why),) = clean(everything=True)
    assert why is None


def test_what_sources_keep_is_listed_and_cleaned_unless_in_use(server: FileServer) -> None:
    from filelock import FileLock

    answers = cache_folder() / "sparql-1234"
    answers.mkdir(parents=True)
    (answers / "part.jsonl").write_bytes(b"12345")
    (answer,) = entries()
    assert (answer.kind, answer.name, answer.bytes) == ("other", "sparql-1234", 5)
    ((_, why),) = clean(everything=True)
    assert why is not None
    assert "a moment ago" in why
    with FileLock(answers / "lock"):
        ((_, why),) = clean(everything=True)
        assert why == "another process downloads it"
    ((_, why),) = clean(everything=True)
    assert why is None
    assert not answers.exists()


def test_a_damaged_note_of_a_copy_only_costs_a_new_download(server: FileServer) -> None:
    found = fetch(server.url(PATH))
    assert found is not None
    (found.path.parent / "snapshot.json").write_bytes(b"{")
    assert fetch(server.url(PATH)) is not None
    assert json.loads((found.path.parent / "snapshot.json").read_bytes())["snapshot"]["sha256"] == sha(OLD)


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"3", b"null", b'{"a": 1}', b"\xff"])
@pytest.mark.parametrize("name", ["part.json", "url.json", "snapshot.json"])
def test_no_damaged_note_stops_a_download_or_the_list(server: FileServer, name: str, junk: bytes) -> None:
    place = fetch(server.url(PATH)).path.parent.parent  # type: ignore[union-attr]
    server.files[PATH] = NEW
    (place / "part").write_bytes(b"begun")
    for note in [place / name] if name != "snapshot.json" else place.glob("*/snapshot.json"):
        note.write_bytes(junk)
    assert any(e.kind == "partial" for e in entries())
    found = fetch(server.url(PATH))
    assert found is not None
    assert found.path.read_bytes() == NEW


def test_clean_removes_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"mine")
    cache_folder().mkdir()
    (cache_folder() / "link").symlink_to(tmp_path / "mine")
    os.utime(tmp_path / "mine" / "file", (1, 1))
    os.utime(tmp_path / "mine", (1, 1))
    assert [why for _, why in clean(everything=True)] == [None]
    assert not (cache_folder() / "link").is_symlink()
    assert (tmp_path / "mine" / "file").read_bytes() == b"mine"


def test_clean_of_what_is_no_url_is_a_wrong_request() -> None:
    with pytest.raises(UsageError, match="not a URL"):
        clean(urls=["http://[::1"])
