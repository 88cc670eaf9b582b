"""Publishing to an S3-compatible server: real requests, kills, and publishers that race."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from commands import command
from factory import write_corpus
from s3_server import SECRET, new_bucket, s3_server, s3_variables

from tppc.corpora.manifest import read_manifest
from tppc.corpora.stores import ObjectStore
from tppc.errors import TppcError, UsageError
from tppc.manifests import publication
from tppc.manifests.catalogue import parse_catalogue
from tppc.manifests.publication import publish
from tppc.manifests.pull import pull
from tppc.manifests.verify import verify

ROWS = [(f"The house number {i} is old.", f"मकान संख्या {i} पुराना है।") for i in range(60)]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """An S3 server in a process of its own."""
    with s3_server() as url:
        yield url


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An empty bucket, which tppc finds by the usual variables."""
    for name, value in s3_variables(endpoint).items():
        monkeypatch.setenv(name, value)
    return new_bucket(endpoint, f"b{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", {"train": ROWS[:50], "test": ROWS[50:]})


def _keys(endpoint: str, bucket: str) -> list[str]:
    return sorted(ObjectStore(bucket).sizes())


def test_a_corpus_is_published_verified_and_pulled(corpus: Path, bucket: str, endpoint: str, tmp_path: Path) -> None:
    done = publish(corpus, f"{bucket}/data", catalogue=True, check=True)
    assert done.new
    assert done.address == f"{bucket}/data/made/en-hi/1.0.0"
    assert verify(done.address) == []
    keys = _keys(endpoint, bucket)
    assert [k for k in keys if not k.startswith("data/made/en-hi/1.0.0/")] == ["data/catalog.json", "data/index.html"]
    page = requests.get(f"{endpoint}/{bucket.removeprefix('s3://')}/data/index.html", timeout=10)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    folder, manifest = pull("made/en-hi", f"{bucket}/data", tmp_path / "out")
    assert verify(folder) == []
    assert manifest == read_manifest(corpus)
    again = publish(corpus, f"{bucket}/data")
    assert not again.new
    assert _keys(endpoint, bucket) == keys


def test_the_manifest_is_the_last_object_of_a_corpus(
    corpus: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    write, put = ObjectStore._write, ObjectStore.put

    def seen(self: ObjectStore, name: str, *rest: Any, **more: Any) -> bool:
        order.append(name)
        return write(self, name, *rest, **more)

    def seen_put(self: ObjectStore, name: str, source: Any) -> None:
        order.append(name)
        put(self, name, source)

    monkeypatch.setattr(ObjectStore, "_write", seen)
    monkeypatch.setattr(ObjectStore, "put", seen_put)
    publish(corpus, bucket, catalogue=True)
    done = order.index("made/en-hi/1.0.0/manifest.json")
    assert [n for n in order[:done] if n.endswith(".parquet")] != []
    assert [n for n in order[done + 1 :] if n.startswith("made/")] == []
    assert order[-2:] == ["catalog.json", "index.html"]


def test_a_second_corpus_under_the_same_version_is_refused(corpus: Path, bucket: str, tmp_path: Path) -> None:
    publish(corpus, bucket, catalogue=True)
    other = write_corpus(tmp_path / "other", {"train": ROWS})
    first, second = read_manifest(corpus).build_digest, read_manifest(other).build_digest
    with pytest.raises(TppcError, match=f"build digest {first}, and this corpus has {second}.*--version"):
        publish(other, bucket)
    assert publish(other, bucket, version="2.0.0").new


def test_a_publish_that_was_killed_is_finished_by_the_next(
    corpus: Path, bucket: str, endpoint: str, tmp_path: Path
) -> None:
    # The publisher stops itself, hard, when a shard has arrived and before the manifest goes out.
    killer = f"""
import os, signal, sys
from pathlib import Path
from tppc.manifests.publication import publish
from tppc.corpora.stores import ObjectStore
put = ObjectStore.put
def once(self, name, source):
    put(self, name, source)
    if name.endswith(".parquet"):
        os.kill(os.getpid(), signal.SIGKILL)
ObjectStore.put = once
publish(Path({str(corpus)!r}), {bucket!r}, catalogue=True)
"""
    killed = subprocess.run([sys.executable, "-c", killer], capture_output=True, check=False, timeout=100)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    left = _keys(endpoint, bucket)
    assert any(k.endswith(".parquet") for k in left)
    assert not any(k.endswith(("manifest.json", "catalog.json", "index.html")) for k in left)
    with pytest.raises(TppcError, match=r"no catalog\.json"):
        pull("made/en-hi", bucket, tmp_path / "out")
    other = write_corpus(tmp_path / "other", {"train": ROWS})
    with pytest.raises(TppcError, match="another publish of this version is under way or was interrupted"):
        publish(other, bucket, catalogue=True)
    done = publish(corpus, bucket, catalogue=True, check=True)
    assert done.new
    assert verify(done.address) == []
    assert pull("made/en-hi", bucket, tmp_path / "out")[1] == read_manifest(corpus)


def test_publishers_at_the_same_time_lose_no_entry_and_share_no_version(bucket: str, tmp_path: Path) -> None:
    folders = [write_corpus(tmp_path / str(i), {"train": ROWS[i:]}, name=f"made{i}/en-hi") for i in range(3)]
    rival = write_corpus(tmp_path / "rival", {"train": ROWS[9:]}, name="made0/en-hi")  # the same version of another
    running = [
        subprocess.Popen(
            command("manifests", "publish", folder, "--to", bucket, "--catalogue"),
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for folder in (*folders, rival)
    ]
    errors = [p.communicate(timeout=100)[1].decode() for p in running]
    statuses = [p.returncode for p in running]
    assert statuses[1:3] == [0, 0], errors
    assert sorted([statuses[0], statuses[3]]) == [0, 1], errors
    store = ObjectStore(bucket)
    catalogue = parse_catalogue(store.read("catalog.json") or b"", "catalog.json")
    assert [e.name for e in catalogue.corpora] == [f"made{i}/en-hi" for i in range(3)]
    assert [verify(f"{bucket}/{e.place}") for e in catalogue.corpora] == [[], [], []]
    winner = read_manifest(folders[0] if statuses[0] == 0 else rival)
    assert catalogue.corpora[0].build_digest == winner.build_digest
    page = (store.read("index.html") or b"").decode()
    assert all(f"made{i}/en-hi" in page for i in range(3))


def test_a_catalogue_that_changed_between_reading_and_writing_is_read_again(bucket: str) -> None:
    store = ObjectStore(bucket)
    interference = iter([b"theirs", b"theirs again"])
    seen: list[bytes | None] = []

    def change(data: bytes | None) -> bytes:
        seen.append(data)
        if (other := next(interference, None)) is not None:
            store.put("catalog.json", other)  # another publisher, just between our reading and our writing
        return data if data is not None and data.endswith(b"+mine") else (data or b"") + b"+mine"

    store.update("catalog.json", change)
    assert store.read("catalog.json") == b"theirs again+mine"
    assert seen == [None, b"theirs", b"theirs again", b"theirs again+mine"]


def test_a_server_without_conditional_writes_still_loses_nothing(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(bucket)
    call = store._fs.call_s3

    def refuse(method: str, **arguments: Any) -> Any:
        if {"IfMatch", "IfNoneMatch"} & arguments.keys():
            error = OSError(22, "A header you provided implies functionality that is not implemented")
            raise error from type("Answer", (Exception,), {"response": {"Error": {"Code": "NotImplemented"}}})()
        return call(method, **arguments)

    monkeypatch.setattr(store._fs, "call_s3", refuse)
    for name in ("one", "two"):
        add = f"{name};".encode()
        store.update("list", lambda data, add=add: data if data and add in data else (data or b"") + add)
    assert store.read("list") == b"one;two;"
    assert store.create("new", b"1")
    assert not store.create("new", b"2")


def test_claims_do_not_outlive_the_publish(corpus: Path, bucket: str, tmp_path: Path) -> None:
    done = publish(corpus, bucket, catalogue=True)
    store = ObjectStore(done.address)
    store.put(publication.CLAIM, b"{}")  # killed after the manifest, before the claim was removed
    assert not publish(corpus, bucket).new
    assert publication.CLAIM not in store.sizes()
    digest, other = read_manifest(corpus).build_digest, write_corpus(tmp_path / "other", {"train": ROWS})
    later = ObjectStore(f"{bucket}/later/made/en-hi/1.0.0")
    create = ObjectStore.create

    def late(self: ObjectStore, name: str, data: bytes) -> bool:
        if name.endswith(publication.CLAIM):  # the first publisher is done between our look and our claim
            later.put("manifest.json", corpus / "manifest.json")
        return create(self, name, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectStore, "create", late)
        with pytest.raises(TppcError, match=f"published already with the build digest {digest}"):
            publish(other, f"{bucket}/later", catalogue=True)
    assert later.names() == {"manifest.json"}


def test_check_finds_what_arrived_damaged_and_the_next_publish_sends_it_again(
    corpus: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, failures = ObjectStore.put, iter(["once"])

    def damaging(self: ObjectStore, name: str, source: Any) -> None:
        if name.endswith(".parquet") and next(failures, None):
            source = bytes(len(source.read_bytes()))
        put(self, name, source)

    monkeypatch.setattr(ObjectStore, "put", damaging)
    with pytest.raises(TppcError, match="what arrived has another SHA-256; run the same command again"):
        publish(corpus, bucket, catalogue=True, check=True)
    assert not any(name.endswith("manifest.json") for name in ObjectStore(bucket).sizes())
    assert verify(publish(corpus, bucket, catalogue=True, check=True).address) == []


def test_a_damaged_object_is_found_by_verify_and_by_pull(corpus: Path, bucket: str, tmp_path: Path) -> None:
    done = publish(corpus, bucket, catalogue=True)
    store = ObjectStore(done.address)
    (shard, *_) = read_manifest(corpus).shards
    data = bytearray(store.read(shard.path) or b"")
    data[len(data) // 2] ^= 1
    store.put(shard.path, bytes(data))
    assert any(shard.path in fault for fault in verify(done.address))
    with pytest.raises(TppcError, match="its SHA-256 differs from the manifest's"):
        pull("made/en-hi", bucket, tmp_path / "out")
    assert not (tmp_path / "out" / "made" / "en-hi").exists()


def test_keys_are_never_told(corpus: Path, bucket: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="keys come from the environment") as refused:
        publish(corpus, f"s3://AKIAUSER:{SECRET}@{bucket.removeprefix('s3://')}/x")
    assert SECRET not in str(refused.value)
    with pytest.raises(TppcError, match="s3://no-such-bucket-here/x: cannot be written") as failed:
        publish(corpus, "s3://no-such-bucket-here/x")
    result = subprocess.run(
        command("manifests", "publish", corpus, "--to", "s3://no-such-bucket-here/x", "--debug"),
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 1
    publish(corpus, bucket, catalogue=True)
    written = "".join((ObjectStore(bucket).read(n) or b"").decode() for n in ("catalog.json", "index.html"))
    said = str(failed.value) + result.stderr.decode() + "".join(capfd.readouterr()) + written
    assert SECRET not in said
    assert "AKIAIOSFODNN7EXAMPLE" not in said


def test_large_files_go_in_parts_that_appear_together(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tmp_path / "big.parquet"
    big.write_bytes(os.urandom(1 << 20) * 110)
    store = ObjectStore(bucket)
    store.put("big.parquet", big)
    assert store.size("big.parquet") == big.stat().st_size
    pieces = list(store.stream("big.parquet", 105 << 20))
    assert sum(map(len, pieces)) == 5 << 20
    assert b"".join(pieces) == big.read_bytes()[105 << 20 :]


def test_a_bucket_with_other_files_does_not_become_a_corpus(corpus: Path, bucket: str) -> None:
    ObjectStore(bucket).put("x/notes.txt", b"mine")
    with pytest.raises(TppcError, match="holds files that are no published corpus"):
        publish(corpus, f"{bucket}/x")
    assert publish(corpus, f"{bucket}/x", catalogue=True).new


def test_the_command_prints_what_it_did(corpus: Path, bucket: str) -> None:
    arguments = ("manifests", "publish", corpus, "--to", f"{bucket}/plain", "--json")
    result = subprocess.run(command(*arguments), capture_output=True, check=True, timeout=100)
    assert result.stderr == b""
    found = json.loads(result.stdout)
    assert (found["address"], found["new"], found["catalogue"]) == (f"{bucket}/plain", True, False)
    assert publication.CLAIM not in ObjectStore(f"{bucket}/plain").sizes()
