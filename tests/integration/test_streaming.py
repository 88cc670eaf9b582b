"""A corpus in an object store is streamed from there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from factory import write_corpus
from s3_server import new_bucket, s3_server, s3_variables

from tppc.corpora import shards
from tppc.corpora.corpus import Corpus
from tppc.corpora.remote import RemoteShards
from tppc.corpora.stores import ObjectStore
from tppc.corpora.stream import PairStream
from tppc.errors import TppcError


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server in a process of its own."""
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """300 pairs in three shards."""
    patch = pytest.MonkeyPatch()
    patch.setattr(shards, "ROWS_PER_GROUP", 50)
    patch.setattr(shards, "ROWS_PER_SHARD", 100)
    rows = [(f"text {i}", f"पाठ {i}") for i in range(300)]
    folder = write_corpus(tmp_path_factory.mktemp("corpus") / "c", {"train": rows})
    patch.undo()
    return Corpus(folder)


@pytest.fixture
def address(endpoint: str, here: Corpus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The corpus in a bucket."""
    for name, value in s3_variables(endpoint).items():
        monkeypatch.setenv(name, value)
    address = f"{new_bucket(endpoint, f'b{abs(hash(tmp_path)) % 10**12}')}/c"
    store = ObjectStore(address)
    for path in here.path.rglob("*"):
        if path.is_file():
            store.put(str(path.relative_to(here.path)), path)
    return address


def order(corpus: Corpus) -> list[list[str]]:
    stream = PairStream([corpus], batch_size=20, seed=3, window=3)
    return [stream.batch(step).ids for step in range(32)]


def test_a_corpus_in_a_bucket_has_the_order_of_the_one_here(address: str, here: Corpus) -> None:
    there = Corpus(address)
    assert there.address == address
    assert order(there) == order(here)


def test_a_connection_that_breaks_is_taken_up_again(
    address: str, here: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteShards(address)
    shard = remote.manifest.shards[0]
    assert isinstance(remote._store, ObjectStore)
    monkeypatch.setattr("tppc.corpora.stores.CHUNK", 500)
    opened, failures, starts = remote._store._fs.open, [2], []

    class Breaking(io.BytesIO):
        def seek(self, place: int, whence: int = 0) -> int:
            starts.append(place)
            return super().seek(place, whence)

        def read(self, size: int | None = -1) -> bytes:
            if failures[0] and self.tell() >= 1000:
                failures[0] -= 1
                raise ConnectionResetError("the other side went away")
            return super().read(size)

    def broken(path: str, mode: str) -> Any:
        with opened(path, mode) as file:
            return Breaking(file.read())

    monkeypatch.setattr(remote._store._fs, "open", broken)
    held = remote.hold(shard)
    assert held.path.read_bytes() == (here.path / shard.path).read_bytes()
    assert (failures, starts) == ([0], [0, 1000, 1000])


def test_a_shard_that_was_replaced_in_the_bucket_is_refused(address: str, here: Corpus) -> None:
    first, second, _ = here.shards("train")
    ObjectStore(address).put(second.path, here.path / first.path)
    with pytest.raises(
        TppcError, match=r"s3://.*train-00001-of-00003\.parquet: its SHA-256 differs from the manifest's"
    ):
        order(Corpus(address))
    ObjectStore(address).remove(second.path)
    with pytest.raises(TppcError, match=r"s3://.*cannot be read at data/en-hi/train-00001-of-00003\.parquet"):
        order(Corpus(address))
