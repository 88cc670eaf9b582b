"""Snapshots: the exact bytes of a source, from a local path or by HTTP into a cache.

A download goes into a part file beside its place in the cache, resumes with `Range` + `If-Range` after a cut, waits as
`Retry-After` asks, and takes its name in the cache only when its length is right: a good file is never overwritten by a
bad one. A file that is in the cache is revalidated (`If-None-Match`, `If-Modified-Since`) and used when unchanged.
"""

from __future__ import annotations

import email.utils
import hashlib
import json
import os
import random
import time
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from filelock import FileLock

from tppc import __version__
from tppc.builders.progress import note, progress
from tppc.corpora.files import canonical_json, sha256_of_file, write_bytes
from tppc.corpora.manifest import Snapshot
from tppc.errors import TppcError, UsageError

ATTEMPTS = 6
_TIMEOUT = (20, 60)
_CHUNK = 1 << 20
_RETRY = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_WAIT = 300.0


@dataclass(frozen=True)
class Fetched:
    """A file of a source at a local path, with its snapshot."""

    path: Path
    snapshot: Snapshot


def cache_folder() -> Path:
    """Where downloads live: `$TPPC_CACHE`, or `tppc` in the user's cache folder."""
    if value := os.environ.get("TPPC_CACHE"):
        return Path(value)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tppc"


def user_agent() -> str:
    """How tppc names itself to a server; sites ask for a contact, which is `$TPPC_CONTACT`."""
    contact = os.environ.get("TPPC_CONTACT")
    return f"tppc/{__version__} ({contact or 'no contact given'}) requests/{requests.__version__}"


def is_url(location: str) -> bool:
    """Whether a location is to be fetched by HTTP."""
    return location.startswith(("http://", "https://"))


def public_url(url: str) -> str:
    """A URL without user name, password, query values or fragment: nothing secret may reach a manifest."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if parts.port:
        host += f":{parts.port}"
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


def join(root: str, relative: str) -> str:
    """A file below a mirror root, which is a folder or a URL."""
    return f"{root.rstrip('/')}/{relative}" if is_url(root) else str(Path(root) / relative)


def fetch(location: str, *, optional: bool = False) -> Fetched | None:
    """Bring a file: a local path is used where it is, a URL goes through the cache.

    Returns None for an `optional` file that is not there. Raises `TppcError` for one that is missing or cannot be had.
    """
    if is_url(location):
        try:
            return _download(location, optional=optional)
        except ValueError as error:  # a port that is no number, a host that is none
            raise UsageError(f"{location}: not a URL that can be fetched ({error}); check --from") from error
    path = Path(location)
    if not path.exists() and optional:
        return None
    if not path.is_file():
        raise TppcError(f"{path}: no such file; check --from (a mirror root must have the source's own layout)")
    size, name = path.stat().st_size, path.name
    return Fetched(path, Snapshot(name=name, url=f"file:{name}", bytes=size, sha256=sha256_of_file(path)))


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds to wait for a `Retry-After` header, given in seconds or as an HTTP date (RFC 9110, 10.2.3); None
    without one.
    """
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    parsed = email.utils.parsedate_tz(value)
    if parsed is None:
        return None
    return max(0.0, email.utils.mktime_tz(parsed) - (time.time() if now is None else now))


def pause(attempt: int, asked: float | None, what: str) -> None:
    """Wait before attempt number `attempt` + 1: as long as the server asked, else 1, 2, 4, ... seconds with jitter.

    Raises `TppcError` if the server asks for more than five minutes.
    """
    if asked is not None and asked > _LONGEST_WAIT:
        raise TppcError(
            f"{what}: the server asks to wait {asked:.0f} s; try again then (nothing is lost, the download resumes)"
        )
    base = float(os.environ.get("TPPC_BACKOFF", "1"))
    seconds = asked if asked is not None else base * 2**attempt * random.uniform(0.5, 1.0)
    note(f"{what}: trying again in {seconds:.1f} s")
    time.sleep(seconds)


def _download(url: str, *, optional: bool) -> Fetched | None:
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name or "index"
    folder = cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    path, meta_path = folder / "file" / name, folder / "snapshot.json"
    path.parent.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        known: dict[str, Any] = json.loads(meta_path.read_bytes()) if meta_path.is_file() and path.is_file() else {}
        failure = ""
        for attempt in range(ATTEMPTS):
            try:
                found, meta = _attempt(url, path, known)
                if not found:
                    if optional:
                        return None
                    raise TppcError(f"{public_url(url)}: the server has no such file (404); check --pair and --from")
                if meta is not None:
                    write_bytes(meta_path, canonical_json(meta))
                    known = meta
                return Fetched(path, Snapshot(name=name, url=public_url(url), **known))
            except _Again as again:
                failure = str(again)
                if attempt + 1 < ATTEMPTS:
                    pause(attempt, again.wait, f"{public_url(url)}: {failure}")
        if known:
            note(f"{public_url(url)}: {failure}; using the copy in the cache of {known['retrieved']}")
            return Fetched(path, Snapshot(name=name, url=public_url(url), **known))
    raise TppcError(
        f"{public_url(url)}: {failure}, {ATTEMPTS} times; check the network, then run the same command again"
    )


class _Again(Exception):
    """This attempt failed in a way that may pass."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def _attempt(url: str, path: Path, known: dict[str, Any]) -> tuple[bool, dict[str, Any] | None]:
    """One request. Returns (found, new snapshot data or None when the copy in the cache is still right)."""
    part, part_meta = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
    headers = {"User-Agent": user_agent(), "Accept-Encoding": "identity"}
    have = 0
    if known:
        if known.get("etag"):
            headers["If-None-Match"] = known["etag"]
        elif known.get("last_modified"):
            headers["If-Modified-Since"] = known["last_modified"]
    elif part.is_file() and part_meta.is_file():
        validator = json.loads(part_meta.read_bytes()).get("validator")
        have = part.stat().st_size
        if validator and have:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        else:
            have = 0
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 304 and known:
                return True, None
            if answer.status_code in (404, 410):
                return False, None
            if answer.status_code == 416:
                part.unlink()
                raise _Again("the partial download no longer fits the file; starting over", 0.0)
            if answer.status_code in _RETRY:
                raise _Again(f"HTTP {answer.status_code}", retry_after(answer.headers.get("Retry-After")))
            if answer.status_code not in (200, 206):
                raise TppcError(
                    f"{public_url(url)}: HTTP {answer.status_code} {answer.reason}; check the address and your access"
                )
            if answer.status_code == 200:
                have = 0
            return True, _receive(answer, url, path, part, part_meta, have)
    except requests.exceptions.SSLError as error:
        raise TppcError(f"{public_url(url)}: TLS verification failed ({error}); check REQUESTS_CA_BUNDLE") from error
    except (requests.RequestException, ConnectionError, TimeoutError) as error:
        raise _Again(f"{type(error).__name__}") from error


def _receive(answer: requests.Response, url: str, path: Path, part: Path, part_meta: Path, have: int) -> dict[str, Any]:
    """Write the body to the part file, check its length, and move it into place."""
    etag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
    # Only a strong validator may guard a byte range (RFC 9110, 13.1.5).
    validator = etag if etag and not etag.startswith("W/") else modified
    write_bytes(part_meta, canonical_json({"validator": validator}))
    length = answer.headers.get("Content-Length")
    expected = have + int(length) if length else None
    with part.open("r+b" if have else "wb") as file, progress(path.name, expected, "bytes") as advance:
        file.seek(have)
        advance(have)
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)
            advance(len(chunk))
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    size = part.stat().st_size
    if expected is not None and size != expected:
        raise _Again(f"the connection broke after {size} of {expected} bytes", 0.0)
    meta = {
        "bytes": size,
        "sha256": sha256_of_file(part),
        "etag": etag,
        "last_modified": modified,
        "retrieved": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    part.replace(path)
    part_meta.unlink()
    return meta
