"""The cache of downloads: every copy of a file that was ever fetched, kept by URL and digest.

    files/<digest of the URL>/url.json           the URL without its secrets
                              part, part.json    an unfinished download and what it belongs to
                              <sha256>/<name>    a copy, with snapshot.json beside it
    locks/  slots/  leases/                      who downloads, who holds a connection, who reads

A file that changed upstream becomes a second copy: the newest one is used, an older one stays for the recipe that pins
it. Locks lie outside the folders that `clean` removes: a lock on a removed file would keep nobody out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tppc.builders.polite import Stopped
from tppc.builders.progress import note
from tppc.corpora.files import cache_folder, canonical_json, sha256_of_file, write_bytes
from tppc.corpora.manifest import Snapshot
from tppc.errors import TppcError, UsageError

_OWN = {"files", "locks", "slots", "leases"}
_DAY = 86_400
_FRESH = 600  # seconds for which a folder of a source without a lock counts as in use


def public_url(url: str) -> str:
    """A URL without user name, password, query values or fragment: nothing secret may reach a manifest."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if parts.port:
        host += f":{parts.port}"
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


@dataclass(frozen=True)
class Copy:
    """A complete file in the cache. `stored` orders the copies of a URL."""

    path: Path
    snapshot: Snapshot
    stored: int


@dataclass(frozen=True)
class Place:
    """Where the copies of one URL live, and its unfinished download."""

    url: str
    folder: Path

    @classmethod
    def of(cls, url: str) -> Place:
        """The place of a URL; its folder is made."""
        folder = cache_folder() / "files" / hashlib.sha256(url.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return cls(url, folder)

    @property
    def name(self) -> str:
        """The file's name: the last part of the URL's path."""
        name = Path(urllib.parse.unquote(urllib.parse.urlsplit(self.url).path)).name
        return name if name not in ("", "..") else "index"

    @property
    def part(self) -> Path:
        """The unfinished download."""
        return self.folder / "part"

    @property
    def part_meta(self) -> Path:
        """What the unfinished download belongs to: validator and total size."""
        return self.folder / "part.json"

    @contextmanager
    def locked(self, stop: threading.Event | None = None) -> Iterator[None]:
        """Only one process or thread downloads a URL; others wait and then find the copy."""
        lock = _lock_of(self.folder)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            note(f"{public_url(self.url)}: another process downloads it; waiting for that")
            while not lock.is_locked:
                if stop is not None and stop.is_set():
                    raise Stopped from None
                try:
                    lock.acquire(timeout=1)
                except Timeout:
                    continue
        try:
            self.folder.mkdir(parents=True, exist_ok=True)  # `clean` may have been here
            write_bytes(self.folder / "url.json", canonical_json({"name": self.name, "url": public_url(self.url)}))
            yield
        finally:
            _remove_if_empty(self.folder)
            lock.release()

    def copies(self) -> list[Copy]:
        """Complete copies, the newest first; one whose bytes are no longer what was stored is removed."""
        return _copies(self.folder, mend=True)

    def copy(self, sha256: str) -> Copy | None:
        """The copy with a digest."""
        return next((c for c in self.copies() if c.snapshot.sha256 == sha256), None)

    def drop_part(self) -> None:
        """Remove the unfinished download, its bytes first: they must never meet the validator of another file."""
        self.part.unlink(missing_ok=True)
        self.part_meta.unlink(missing_ok=True)

    def store(self, *, sha256: str, etag: str | None, last_modified: str | None, checksum: str | None) -> Copy:
        """Make the finished download the newest copy.

        What is known of it is written first: a process that is killed before the file has its name finds the part file
        again.
        """
        folder = self.folder / sha256
        folder.mkdir(exist_ok=True)
        path = folder / self.name
        snapshot = Snapshot(
            name=self.name,
            url=public_url(self.url),
            bytes=self.part.stat().st_size,
            sha256=sha256,
            etag=etag,
            last_modified=last_modified,
            retrieved=datetime.now(UTC).isoformat(timespec="seconds"),
            checksum=checksum,
        )
        found = Copy(path, snapshot, max([time.time_ns(), *(c.stored + 1 for c in self.copies())]))
        _write(found, self.part)
        self.part.replace(path)
        self.part_meta.unlink(missing_ok=True)
        return found


def _write(copy: Copy, file: Path) -> None:
    value = {
        "snapshot": copy.snapshot.model_dump(mode="json"),
        "stored": copy.stored,
        "modified": file.stat().st_mtime_ns,
    }
    write_bytes(copy.path.parent / "snapshot.json", canonical_json(value))


def _copies(folder: Path, *, mend: bool) -> list[Copy]:
    found = []
    for meta in folder.glob("*/snapshot.json"):
        try:
            value: dict[str, Any] = json.loads(meta.read_bytes())
            snapshot = Snapshot.model_validate(value["snapshot"])
            copy = Copy(meta.parent / snapshot.name, snapshot, value["stored"])
        except (ValueError, KeyError, TypeError, FileNotFoundError):  # damaged, of another version, just removed
            continue
        if not mend or _sound(copy, value["modified"]):
            found.append(copy)
    return sorted(found, key=lambda c: c.stored, reverse=True)


def _sound(copy: Copy, modified: int) -> bool:
    """Whether a copy holds what was stored: by size and time, and by its digest where the time differs."""
    try:
        state = copy.path.stat()
    except FileNotFoundError:
        return False
    if state.st_size == copy.snapshot.bytes:
        if state.st_mtime_ns == modified:
            return True
        if sha256_of_file(copy.path) == copy.snapshot.sha256:
            _write(copy, copy.path)
            return True
    note(f"{copy.path}: changed since it was fetched; it is removed from the cache")
    shutil.rmtree(copy.path.parent)
    return False


def _lock_of(folder: Path) -> FileLock:
    locks = cache_folder() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"{folder.name}.lock")


# What this process reads, by cache folder: a locked file that names the paths. Its lock ends with the process.
_leases: dict[Path, tuple[FileLock, set[str]]] = {}
_lease_guard = threading.Lock()


def lease(path: Path) -> None:
    """Keep a file of the cache from `clean` as long as this process lives; other files are none of its business."""
    root = cache_folder().resolve()
    if not path.resolve().is_relative_to(root):
        return
    with _lease_guard:
        if root not in _leases:
            _living_leases(root)  # removes those of processes that ended
            name = f"{os.getpid()}-{os.urandom(4).hex()}"
            (root / "leases").mkdir(parents=True, exist_ok=True)
            lock = FileLock(root / "leases" / f"{name}.lock", thread_local=False)
            lock.acquire()
            _leases[root] = (lock, set())
        lock, paths = _leases[root]
        paths.add(str(path.resolve()))
        write_bytes(Path(lock.lock_file).with_suffix(".json"), canonical_json(sorted(paths)))
    snapshot = path.parent / "snapshot.json"
    if snapshot.is_file():
        os.utime(snapshot)  # when it was last used


def _living_leases(root: Path) -> list[Path]:
    """Paths that running processes read."""
    found: list[Path] = []
    for path in (root / "leases").glob("*.lock"):
        names, mine = path.with_suffix(".json"), _leases.get(root)
        if mine is None or Path(mine[0].lock_file) != path:
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                pass  # alive
            else:
                names.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                lock.release()
                continue
        if names.is_file():
            found += [Path(p) for p in json.loads(names.read_bytes())]
    return found


@dataclass(frozen=True)
class Entry:
    """Something in the cache that can be removed on its own.

    Attributes:
        kind: `file`, `partial` (an unfinished download), or `other` (what a source keeps: answers of an endpoint,
        standard input). newest: the copy that is used where nothing is pinned.
        total: bytes that a partial download will have. used: when it was last fetched, confirmed or read (Unix time).
    """

    kind: str
    path: Path
    name: str
    bytes: int
    used: float
    url: str | None = None
    total: int | None = None
    sha256: str | None = None
    retrieved: str | None = None
    newest: bool = False

    def facts(self, now: float) -> dict[str, Any]:
        """What `tppc cache list --json` prints; `unused_days` since it was last used."""
        names = ("kind", "url", "name", "bytes", "total", "sha256", "retrieved", "newest")
        return {**{n: getattr(self, n) for n in names}, "unused_days": round(max(0.0, now - self.used) / _DAY, 3)}


def entries() -> list[Entry]:
    """Everything in the cache: files by URL, the newest copy first, then what sources keep."""
    root = cache_folder()
    found: list[Entry] = []
    for folder in (root / "files").glob("*"):
        with suppress(FileNotFoundError):  # another process is done with it this moment
            found += _entries_of(folder)
    for path in root.glob("*"):
        if path.name not in _OWN:
            with suppress(FileNotFoundError):
                inside = [p.stat() for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file()]
                used = max([path.stat().st_mtime, *(s.st_mtime for s in inside)])
                found.append(Entry("other", path, path.name, sum(s.st_size for s in inside), used))
    return sorted(found, key=lambda e: (e.kind == "other", e.url or "", e.kind, not e.newest, e.path))


def _entries_of(folder: Path) -> Iterator[Entry]:
    """The copies of one URL and its unfinished download."""
    for i, copy in enumerate(_copies(folder, mend=False)):
        s, used = copy.snapshot, (copy.path.parent / "snapshot.json").stat().st_mtime
        yield Entry("file", copy.path.parent, s.name, s.bytes, used, s.url, None, s.sha256, s.retrieved, i == 0)
    part, meta = folder / "part", folder / "part.json"
    if part.is_file():
        known, state = _known(folder / "url.json"), part.stat()
        name, url, total = known.get("name", part.parent.name), known.get("url"), _known(meta).get("total")
        yield Entry("partial", part, name, state.st_size, state.st_mtime, url, total)


def _known(file: Path) -> dict[str, Any]:
    """What a small JSON file says; nothing where it is missing or damaged."""
    try:
        value = json.loads(file.read_bytes())
    except (ValueError, FileNotFoundError):
        return {}
    return value if isinstance(value, dict) else {}


def clean(
    *,
    older_than: float | None = None,
    partial: bool = False,
    everything: bool = False,
    urls: Sequence[str] = (),
    dry_run: bool = False,
) -> list[tuple[Entry, str | None]]:
    """Remove entries of the cache; each with None, or the reason why it stays.

    Args:
        older_than: days since the last use. partial: only unfinished downloads. urls: only these. Several conditions
        must all hold; `everything` stands alone.

    What another process downloads or reads stays. Raises `UsageError` without a condition, or for a number of days
    below zero; `TppcError` for a URL that is not in the cache.
    """
    if everything == bool(older_than is not None or partial or urls):
        raise UsageError(
            "say what to remove: --older-than DAYS, --partial, or URLs (what meets all of them goes), or --all alone"
        )
    if older_than is not None and not older_than >= 0:
        raise UsageError(f"--older-than {older_than}: give a number of days, such as 30")
    try:
        now, wanted = time.time(), {public_url(u) for u in urls}
    except ValueError as error:
        raise UsageError(f"not a URL ({error}); `tppc cache list` prints those in the cache") from error
    have = entries()
    if unknown := wanted - {e.url for e in have}:
        raise TppcError(f"{sorted(unknown)[0]}: not in the cache; `tppc cache list` prints what is")
    chosen = [
        e
        for e in have
        if (older_than is None or now - e.used >= older_than * _DAY)
        and (not partial or e.kind == "partial")
        and (not urls or e.url in wanted)
    ]
    read = _living_leases(cache_folder().resolve())
    return [(entry, _remove(entry, read, now, dry_run)) for entry in chosen]


def _remove(entry: Entry, read: Sequence[Path], now: float, dry_run: bool) -> str | None:
    """Remove an entry, or say why not."""
    if any(p.is_relative_to(entry.path.resolve()) for p in read):
        return "a running process reads it"
    own = entry.path / "lock"
    if entry.kind == "other" and not own.is_file():
        if now - entry.used < _FRESH:
            return "written a moment ago; another process may be at it"
        lock = _lock_of(entry.path)
    else:
        lock = FileLock(own) if entry.kind == "other" else _lock_of(entry.path.parent)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return "another process downloads it"
    try:
        if dry_run:
            return None
        if entry.path.is_dir() and not entry.path.is_symlink():
            shutil.rmtree(entry.path)
        else:
            entry.path.unlink(missing_ok=True)
        if entry.kind != "other":
            _remove_if_empty(entry.path.parent)
    finally:
        lock.release()
    return None


def _remove_if_empty(folder: Path) -> None:
    """Remove the folder of a URL that holds neither a copy nor a partial download."""
    if folder.is_dir() and not any(folder.glob("*/snapshot.json")) and not (folder / "part").exists():
        shutil.rmtree(folder)
