"""Published checksums: where publishers put them, and what a download or a local file makes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import FileServer, serving

from tppc.builders.checksums import parse_sums, published
from tppc.builders.download import fetch
from tppc.errors import TppcError

DATA = hashlib.shake_256(b"dump").digest(300_000)
ENTITIES = "/wikidatawiki/entities"
DUMP = f"{ENTITIES}/20260101/wikidata-20260101-all.json.gz"
SUMS = f"{ENTITIES}/20260101/wikidata-20260101-%ssums.txt"


def line(algorithm: str, data: bytes, name: str = "wikidata-20260101-all.json.gz") -> bytes:
    return f"{hashlib.new(algorithm, data).hexdigest()}  {name}\n".encode()


@pytest.fixture
def server() -> Iterator[FileServer]:
    other = line("sha1", b"x", "wikidata-20260101-all.json.bz2")
    files = {DUMP: DATA, SUMS % "sha1": other + line("sha1", DATA), SUMS % "md5": line("md5", DATA)}
    with serving(files) as running:
        yield running


def test_a_dated_dump_is_held_against_the_stronger_sum_and_the_snapshot_says_so(server: FileServer) -> None:
    found = fetch(server.url(DUMP))
    assert found is not None
    assert found.snapshot.checksum == f"sha1:{hashlib.sha1(DATA).hexdigest()}"
    del server.files[SUMS % "sha1"]
    server.files[DUMP] = DATA[1:]
    server.files[SUMS % "md5"] = line("md5", DATA[1:])
    found = fetch(server.url(DUMP))
    assert found is not None
    assert found.snapshot.checksum == f"md5:{hashlib.md5(DATA[1:]).hexdigest()}"


def test_a_file_that_its_publisher_lists_nowhere_has_no_checksum(server: FileServer) -> None:
    server.files |= {SUMS % "sha1": b"", SUMS % "md5": b"", "/plain.gz": DATA}
    for path in (DUMP, "/plain.gz"):
        found = fetch(server.url(path))
        assert found is not None
        assert found.snapshot.checksum is None
    assert len(server.gets()) == 4  # nothing is looked for beside a file whose place has no such custom


def test_a_damaged_download_is_removed_and_fetched_anew_once(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults_at[DUMP] = ["damage"]
    found = fetch(server.url(DUMP))
    assert found is not None
    assert found.path.read_bytes() == DATA
    assert [a.status for a in server.gets(DUMP)] == [200, 200]
    assert "removed and fetched anew" in capsys.readouterr().err


def test_a_wrong_checksum_is_an_error_with_both_digests_and_a_good_copy_stays(server: FileServer) -> None:
    good = fetch(server.url(DUMP))
    assert good is not None
    bad = DATA[::-1]
    server.files[DUMP] = bad
    says, has = hashlib.sha1(DATA).hexdigest(), hashlib.sha1(bad).hexdigest()
    with pytest.raises(TppcError, match=rf"all\.json\.gz: damaged: its sha1 is {has}, .*sha1sums\.txt .*{says}; try"):
        fetch(server.url(DUMP))
    assert len(server.gets(DUMP)) == 3
    assert good.path.read_bytes() == DATA
    assert not list(good.path.parents[1].glob("part*"))


def test_half_a_list_is_asked_for_again(server: FileServer) -> None:
    server.faults_at[SUMS % "sha1"] = ["cut 70"]  # before the line of our file
    found = fetch(server.url(DUMP))
    assert found is not None
    assert found.snapshot.checksum == f"sha1:{hashlib.sha1(DATA).hexdigest()}"


def test_a_list_that_cannot_be_had_costs_no_download(server: FileServer) -> None:
    server.faults_at[SUMS % "sha1"] = ["status 503"] * 6
    with pytest.raises(TppcError, match="HTTP 503, 6 times"):
        fetch(server.url(DUMP))
    assert fetch(server.url(DUMP)) is not None
    assert [a.sent for a in server.gets(DUMP)] == [len(DATA), 1]


@pytest.mark.parametrize("dated", ["wikidata-20260101-truthy-BETA.nt.gz", "wikidata-20260101-truthy.nt.gz"])
def test_the_latest_dump_has_the_sum_of_the_dated_file_that_it_links_to(server: FileServer, dated: str) -> None:
    latest = f"{ENTITIES}/latest-truthy.nt.gz"
    newer = f"{ENTITIES}/20260108/wikidata-20260108-truthy.nt.gz"
    server.files |= {
        f"{ENTITIES}/": b'<a href="20251225/">20251225/</a> <a href="20260101/">a</a> <a href="20260108/">b</a>',
        latest: DATA,
        f"{ENTITIES}/20260101/{dated}": DATA,
        SUMS % "sha1": line("sha1", DATA, dated),
        newer: DATA + b"newer: the link does not point to it yet",
        f"{ENTITIES}/20260108/wikidata-20260108-sha1sums.txt": line("sha1", b"?", newer.rsplit("/", 1)[1]),
    }
    found = fetch(server.url(latest))
    assert found is not None
    assert found.snapshot.checksum == f"sha1:{hashlib.sha1(DATA).hexdigest()}"


def test_a_redirect_to_the_dated_file_finds_its_sum(server: FileServer) -> None:
    server.faults = [f"redirect {DUMP}"]
    found = fetch(server.url("/short"))
    assert found is not None
    assert found.snapshot.checksum is not None


def test_a_local_dump_with_its_sums_beside_it_is_verified(tmp_path: Path) -> None:
    folder = tmp_path / "20260101"
    folder.mkdir()
    dump = folder / "wikidata-20260101-all.json.gz"
    dump.write_bytes(DATA)
    (folder / "wikidata-20260101-sha1sums.txt").write_bytes(line("sha1", DATA))
    found = fetch(str(dump))
    assert found is not None
    assert found.snapshot.checksum == f"sha1:{hashlib.sha1(DATA).hexdigest()}"
    dump.write_bytes(DATA[:-1])
    with pytest.raises(TppcError, match=r"all\.json\.gz: damaged: its sha1 is"):
        fetch(str(dump))
    assert dump.exists()


def test_sums_are_read_as_sha1sum_writes_them() -> None:
    digest = "AB" * 20
    text = f"{digest} *a b.gz\n{digest}  ./dir/c.gz\r\n# note\n{'0' * 32}  md5.gz\n\n"
    assert parse_sums(text, "sha1") == {"a b.gz": digest.lower(), "c.gz": digest.lower()}


def test_the_places_of_sums_follow_the_layout_and_not_the_host() -> None:
    asked: list[str] = []
    for url in (
        "https://mirror.example/x/enwiki/20260101/enwiki-20260101-pages-articles.xml.bz2?key=1",
        "https://mirror.example/20260101/wikidata-20260102-all.json.gz",
    ):
        assert published(url, asked.append) is None  # type: ignore[func-returns-value]
    root = "https://mirror.example/x/enwiki/20260101/enwiki-20260101"
    assert asked == [f"{root}-sha1sums.txt", f"{root}-md5sums.txt"]
