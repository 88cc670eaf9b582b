"""Shards of a corpus that lies elsewhere, one at a time on this machine: fetched ahead, verified, and let go again.

A corpus at `s3://...`, `https://...` or whatever else a store opens is read through a folder of the cache:

    <cache>/streamed/<corpus>-<digest>/data/en-hi/train-00000-of-00004.parquet

A shard appears there when it is whole and its SHA-256 is the manifest's, and no row is read before. All processes of a
machine share the folder: one fetches a shard, under a lock, the others wait for it. While a process reads a shard it
holds a shared lock on it (flock), which ends with the process; when the folder `streamed` grows beyond its limit, the
shards that were not used for longest and that nobody holds are removed. The limit is 20 GB, or `TPPC_STREAM_CACHE_GB`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import queue
import re
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from filelock import FileLock

from tppc.corpora.fetching import bring
from tppc.corpora.files import cache_folder
from tppc.corpora.manifest import NAME, SEAL, Manifest, Shard, parse_manifest
from tppc.corpora.stores import open_store
from tppc.errors import TppcError, UsageError

_LIMIT_GB = 20.0


@dataclass(frozen=True)
class HeldShard:
    """A shard on this machine that nobody removes before `release`."""

    path: Path
    lock: BufferedReader

    def release(self) -> None:
        """Let the shard go; it stays until its place is needed."""
        self.lock.close()


class RemoteShards:
    """The manifest of a corpus elsewhere, and its shards as they are asked for.

    Raises `TppcError` where there is no manifest, or it is not the one that its seal was made for; `UsageError` for an
    address that cannot be opened here.
    """

    def __init__(self, address: str) -> None:
        self._store = open_store(address.removesuffix("/").removesuffix(f"/{NAME}"))
        #: The address without secrets.
        self.address = self._store.address
        data = self._store.read(NAME)
        if data is None:
            raise TppcError(f"{self.address}: no {NAME} there; give the address of a corpus, where its {NAME} lies")
        digest, seal = hashlib.sha256(data).hexdigest(), self._store.read(SEAL)
        if seal is not None and seal.split()[:1] != [digest.encode()]:
            raise TppcError(f"{self.address}/{NAME}: its SHA-256 is not the one in {SEAL}; it was changed or damaged")
        self.manifest: Manifest = parse_manifest(data, f"{self.address}/{NAME}")
        self._root = cache_folder() / "streamed"
        self._limit = _limit()
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.manifest.name)
        #: Where the shards appear.
        self.folder = self._root / f"{name}-{digest[:16]}"
        self._sound: set[tuple[str, int]] = set()
        self._wanted: queue.SimpleQueue[Shard] = queue.SimpleQueue()
        self._fetcher: threading.Thread | None = None
        self._starting = threading.Lock()

    def hold(self, shard: Shard) -> HeldShard:
        """The shard, fetched if need be. Raises `TppcError` where its bytes cannot be had or are others."""
        path = self.folder / shard.path
        while True:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                self._fetch(shard)
                continue
            fcntl.flock(file, fcntl.LOCK_SH)
            # Between the opening and the lock another process may have removed it.
            if _is_at(file, path) and self._is_sound(file, path, shard):
                os.utime(path)
                return HeldShard(path, file)
            file.close()

    def _is_sound(self, file: BufferedReader, path: Path, shard: Shard) -> bool:
        """Whether a held file has the shard's bytes, looked at once: another process may have put it there long ago.
        What has other bytes is removed.
        """
        this = (shard.sha256, os.fstat(file.fileno()).st_ino)
        if this not in self._sound:
            if hashlib.file_digest(file, "sha256").hexdigest() != shard.sha256:
                with FileLock(_lock_of(path)):
                    if _is_at(file, path):
                        path.unlink()
                return False
            self._sound.add(this)
        return True

    def expect(self, shards: Iterable[Shard]) -> None:
        """Fetch these in the background, one after the other: they will be asked for next."""
        for shard in shards:
            self._wanted.put(shard)
        with self._starting:
            if self._fetcher is None:
                self._fetcher = threading.Thread(target=self._fetch_wanted, name="tppc-shards", daemon=True)
                self._fetcher.start()

    def _fetch_wanted(self) -> None:
        while True:
            shard = self._wanted.get()
            try:
                self._fetch(shard, quiet=True)
            except (TppcError, OSError):
                continue  # whoever needs the shard asks again, and gets the error if it is still one

    def _fetch(self, shard: Shard, *, quiet: bool = False) -> None:
        path = self.folder / shard.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock_of(path)):
            if path.is_file():
                return
            if not quiet:
                sys.stderr.write(f"tppc: fetching {self.address}/{shard.path} ({shard.bytes / 1e6:,.1f} MB)\n")
            self._make_room(shard.bytes)
            bring(self._store, shard.path, path, shard.sha256)

    def _make_room(self, size: int) -> None:
        """Remove the shards that were not used for longest until `size` more bytes fit, or all others are in use."""
        with FileLock(self._root / ".lock"):
            found = []
            for path in self._root.rglob("*.parquet"):
                with suppress(FileNotFoundError):
                    found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
            size += sum(taken for _, taken, _ in found)
            for _, taken, path in sorted(found):
                if size > self._limit and _removed(path):
                    size -= taken


def _lock_of(path: Path) -> Path:
    """Who holds it fetches the shard."""
    return path.with_name(f"{path.name}.lock")


def _removed(path: Path) -> bool:
    """Remove a shard, unless somebody holds it; whether it is gone."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
    return True


def _is_at(file: BufferedReader, path: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _limit() -> float:
    """Bytes that all shards on this machine may take."""
    value = os.environ.get("TPPC_STREAM_CACHE_GB")
    try:
        limit = float(value) if value else _LIMIT_GB
    except ValueError:
        limit = -1.0
    if not limit >= 0:
        raise UsageError(f"TPPC_STREAM_CACHE_GB={value!r} is no size: give gigabytes, such as 20")
    return limit * 1e9
