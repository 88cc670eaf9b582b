"""A corpus elsewhere is read like one here: fetched ahead, verified before a row is used, and bounded on the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from factory import write_corpus
from servers import FileServer, serving

from tppc.corpora import shards
from tppc.corpora.corpus import Corpus
from tppc.corpora.remote import RemoteShards
from tppc.corpora.stream import PairStream
from tppc.errors import TppcError, UsageError

ROWS = [(f"the house number {i} is {'very ' * (i % 7)}old", f"मकान {i}") for i in range(700)]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """700 pairs in seven shards, and a test split."""
    patch = pytest.MonkeyPatch()
    patch.setattr(shards, "ROWS_PER_GROUP", 50)
    patch.setattr(shards, "ROWS_PER_SHARD", 100)
    splits = {"train": ROWS, "test": [(f"test {i}", f"परीक्षा {i}") for i in range(9)]}
    folder = write_corpus(tmp_path_factory.mktemp("corpus") / "c", splits)
    patch.undo()
    return Corpus(folder)


@pytest.fixture
def server(here: Corpus) -> Iterator[FileServer]:
    files = {f"/c/{p.relative_to(here.path)}": p.read_bytes() for p in here.path.rglob("*") if p.is_file()}
    with serving(files) as running:
        yield running


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """Where shards of corpora elsewhere appear."""
    return tmp_path / "cache" / "streamed"


def shards_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def order(corpus: Corpus, steps: int = 45) -> list[list[str]]:
    """45 batches of 32 are a little more than two epochs."""
    stream = PairStream([corpus], batch_size=32, seed=3, window=3)
    return [stream.batch(step).ids for step in range(steps)]


def paths_of(server: FileServer) -> list[str]:
    return [a.path for a in server.gets() if a.path.endswith(".parquet")]


def test_the_order_is_that_of_the_corpus_here_and_each_shard_is_fetched_once(
    here: Corpus, server: FileServer, cached: Path
) -> None:
    there = Corpus(server.url("/c"))
    assert (there.digest, there.address, there.pairs) == (here.digest, server.url("/c"), here.pairs)
    assert paths_of(server) == []  # nothing but the manifest
    there.check_shards("train")
    assert order(there) == order(here)
    assert sorted(paths_of(server)) == sorted(f"/c/{s.path}" for s in here.shards("train"))
    for path in shards_in(cached):
        assert path.read_bytes() == (here.path / "data" / "en-hi" / path.name).read_bytes()
    assert order(Corpus(server.url("/c/manifest.json"))) == order(here)  # from the cache
    assert len(paths_of(server)) == 7


def test_the_next_shards_are_fetched_while_one_is_read(server: FileServer, here: Corpus) -> None:
    PairStream([Corpus(server.url("/c"))], batch_size=8, seed=3, window=2).batch(0)
    deadline = time.monotonic() + 30
    while len(paths_of(server)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(set(paths_of(server))) == 3


def test_other_splits_and_heads_fetch_what_they_need(server: FileServer, here: Corpus) -> None:
    there = Corpus(server.url("/c"))
    assert there.scan("test").collect().equals(here.scan("test").collect())
    assert there.head("train", 150, ["src_text"]).equals(here.head("train", 150, ["src_text"]))
    assert [Path(p).name[:11] for p in paths_of(server)] == ["test-00000-", "train-00000", "train-00001"]
    assert sum(g.rows for g in there.row_groups("train")) == 700


@pytest.mark.parametrize(
    "faults",
    [
        ["status 503", "status 503 0"],
        ["cut 1000", "cut 2000"],
        ["cut 0", "status 500", "cut 10"],
        ["long 40"],
        ["whole"],
    ],
)
def test_a_server_that_fails_a_few_times_is_asked_again(faults: list[str], server: FileServer, here: Corpus) -> None:
    there = Corpus(server.url("/c"))
    for shard in here.shards("train"):
        server.faults_at[f"/c/{shard.path}"] = list(faults)
    assert order(there) == order(here)
    assert not any(server.faults_at.values())


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-500], lambda data: data[:99] + b"!" + data[100:], lambda data: b""]
)
def test_a_truncated_or_changed_shard_is_refused_before_a_row_of_it_is_used(
    damage: object, server: FileServer, here: Corpus, cached: Path
) -> None:
    there = Corpus(server.url("/c"))
    name = f"/c/{here.shards('train')[2].path}"
    assert callable(damage)
    server.files[name] = damage(server.files[name])
    with pytest.raises(
        TppcError, match=r"http://.*/c/data/en-hi/train-00002-.*: its SHA-256 differs from the manifest's"
    ):
        order(there)
    assert "train-00002" not in " ".join(map(str, shards_in(cached)))
    server.files[name] = (here.path / name.removeprefix("/c/")).read_bytes()
    assert order(there) == order(here)  # when it is mended, the same stream goes on


def test_a_shard_that_is_gone_is_named(server: FileServer, here: Corpus) -> None:
    there = Corpus(server.url("/c"))
    del server.files[f"/c/{here.shards('train')[0].path}"]
    with pytest.raises(TppcError, match=r"/c/data/en-hi/train-00000-of-00007\.parquet: the server has no such file"):
        order(there)


def test_what_is_no_corpus_or_a_changed_manifest_is_refused(server: FileServer) -> None:
    with pytest.raises(TppcError, match=r"/nothing: no manifest\.json there; give the address of a corpus"):
        Corpus(server.url("/nothing"))
    with pytest.raises(UsageError, match="gopher:// cannot be opened here"):
        Corpus("gopher://example.org/c")
    server.files["/c/manifest.json"] += b" "
    with pytest.raises(TppcError, match=r"manifest\.json: its SHA-256 is not the one in manifest\.json\.sha256"):
        Corpus(server.url("/c"))


def test_no_message_shows_a_password(server: FileServer, here: Corpus) -> None:
    server.password = "me:s3cretword"
    address = server.url("/c").replace("://", "://me:s3cretword@")
    there = Corpus(address)
    assert there.address == server.url("/c")
    server.files[f"/c/{here.shards('train')[1].path}"] = b""
    with pytest.raises(TppcError) as told:
        order(there)
    assert "s3cret" not in str(told.value)


def bytes_in(cached: Path) -> int:
    """Of the shards that are there; the stream's own thread may remove one while they are counted."""
    total = 0
    for path in shards_in(cached):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_the_cache_stays_within_its_limit_and_forgets_the_longest_unused(
    server: FileServer, here: Corpus, cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = here.shards("train")[0].bytes
    monkeypatch.setenv("TPPC_STREAM_CACHE_GB", str(4.5 * size / 1e9))
    there = Corpus(server.url("/c"))
    stream = PairStream([there], batch_size=32, seed=3, window=3)
    expected = order(here)
    for step in range(45):
        assert stream.batch(step).ids == expected[step]
        # One shard more than the limit: room is made before a shard comes.
        assert bytes_in(cached) <= 5.5 * size
    assert len(paths_of(server)) > 7  # some had to come again
    monkeypatch.setenv("TPPC_STREAM_CACHE_GB", "much")
    with pytest.raises(UsageError, match="TPPC_STREAM_CACHE_GB='much' is no size"):
        Corpus(server.url("/c"))


def test_a_shard_that_is_held_is_not_removed(server: FileServer, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPPC_STREAM_CACHE_GB", "0")
    remote, another = RemoteShards(server.url("/c")), RemoteShards(server.url("/c"))
    first, second, third, *_ = remote.manifest.shards
    held = remote.hold(first)
    another.hold(second).release()
    assert [p.name for p in shards_in(cached)] == sorted(Path(s.path).name for s in (first, second))
    held.release()
    another.hold(third).release()
    assert [p.name for p in shards_in(cached)] == [Path(third.path).name]


def test_a_shard_that_went_bad_in_the_cache_is_fetched_again(server: FileServer, here: Corpus, cached: Path) -> None:
    order(Corpus(server.url("/c")))
    for path in shards_in(cached)[:2]:
        path.write_bytes(path.read_bytes()[:-7])
    assert order(Corpus(server.url("/c"))) == order(here)
    assert len(paths_of(server)) == 9


_READ = """
import sys
from tppc.corpora.corpus import Corpus
from tppc.corpora.stream import PairStream
stream = PairStream([Corpus(sys.argv[1])], batch_size=32, seed=3, window=3)
print([stream.batch(step).ids for step in range(45)])
"""


def test_processes_of_a_machine_fetch_a_shard_once(server: FileServer, here: Corpus) -> None:
    for shard in here.shards("train"):
        server.faults_at[f"/c/{shard.path}"] = ["slow"]
    readers = [
        subprocess.Popen([sys.executable, "-c", _READ, server.url("/c")], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [reader.communicate(timeout=60)[0] for reader in readers]
    assert told[0] == told[1] == f"{order(here)}\n"
    assert sorted(paths_of(server)) == sorted(f"/c/{s.path}" for s in here.shards("train"))


def test_a_killed_reader_leaves_nothing_that_is_not_whole_and_the_next_goes_on(
    server: FileServer, here: Corpus, cached: Path
) -> None:
    for shard in here.shards("train"):
        server.faults_at[f"/c/{shard.path}"] = ["hold"]
    reader = subprocess.Popen([sys.executable, "-c", _READ, server.url("/c")], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not paths_of(server) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(reader.pid, signal.SIGKILL)
    assert reader.wait() == -signal.SIGKILL
    assert shards_in(cached) == []
    server.release.set()
    assert order(Corpus(server.url("/c"))) == order(here)


def test_half_a_shard_of_a_killed_reader_is_gone_on_with(server: FileServer, here: Corpus, cached: Path) -> None:
    remote = RemoteShards(server.url("/c"))
    shard = here.shards("train")[3]
    part = remote.folder / f"{shard.path}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes((here.path / shard.path).read_bytes()[:1000])
    remote.hold(shard).release()
    assert [a.start for a in server.gets(f"/c/{shard.path}")] == [1000]
    part.write_bytes(b"of another file")
    (remote.folder / shard.path).unlink()
    remote.hold(shard).release()
    assert (remote.folder / shard.path).read_bytes() == (here.path / shard.path).read_bytes()


def test_a_file_address_is_a_folder(here: Corpus) -> None:
    assert Corpus(f"file://{here.path}").path == here.path
