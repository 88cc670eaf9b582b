"""Snapshots: the exact bytes of a source, from a local path or by HTTP through the cache.

A download goes into a part file, resumes after a cut or a kill, and becomes a copy in the cache only when its length,
and its published checksum where there is one, are right: a good file is never replaced by a bad one. A file that is in
the cache is revalidated (`If-None-Match`, `If-Modified-Since`) and used when unchanged; a copy that has the digest of a
pin is used without asking.
"""

from __future__ import annotations

import queue
import threading
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tppc.builders.cache import Copy, Place, lease, public_url
from tppc.builders.checksums import Checksum, digests, published
from tppc.builders.polite import Busy, Stopped, host_slot, pause, retry_after, user_agent
from tppc.builders.progress import note
from tppc.builders.transfer import ATTEMPTS, Absent, GaveUp, Received, receive, same_file, small_text
from tppc.corpora.files import cache_folder
from tppc.corpora.manifest import Snapshot
from tppc.errors import TppcError, UsageError

__all__ = [
    "ATTEMPTS",
    "Fetched",
    "Wanted",
    "cache_folder",
    "check_pins",
    "fetch",
    "fetch_all",
    "host_slot",
    "is_url",
    "join",
    "pause",
    "public_url",
    "refuse_other_schemes",
    "retry_after",
    "shown",
    "user_agent",
]

_THREADS = 8  # most of them wait for a connection that the host allows
_PATIENCE = 2.0  # seconds for the other downloads to end after a failure


@dataclass(frozen=True)
class Fetched:
    """A file of a source at a local path, with its snapshot."""

    path: Path
    snapshot: Snapshot


@dataclass(frozen=True)
class Wanted:
    """A file to fetch: a path or URL; an `optional` one may be missing."""

    location: str
    optional: bool = False


def is_url(location: str) -> bool:
    """Whether a location is to be fetched by HTTP."""
    return location[:8].lower().startswith(("http://", "https://"))


def join(root: str, relative: str) -> str:
    """A file below a mirror root, which is a folder or a URL. The query of a URL (a signature) goes with each file."""
    if not is_url(root):
        return str(Path(root) / relative)
    try:
        parts = urllib.parse.urlsplit(root)
    except ValueError as error:
        raise _no_url(root, error) from error
    return urllib.parse.urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{relative}", fragment=""))


def shown(location: str) -> str:
    """A location as people and manifests may see it: a URL without its secrets, a path as it is."""
    if not is_url(location):
        return location
    try:
        return public_url(location)
    except ValueError:  # a port that is no number, a host that is none
        scheme, _, rest = location.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


def refuse_other_schemes(location: str) -> None:
    """Raise `UsageError` for a URL that is neither http nor https, which would pass for a strange path."""
    scheme, sign, rest = location.partition("://")
    if sign and scheme.isalnum() and not is_url(location):
        raise UsageError(
            f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}: tppc reads files, http and https, not {scheme}; "
            "fetch it yourself and give the file with --from"
        )


def fetch(
    location: str, *, optional: bool = False, pin: str | None = None, pins: Mapping[str, str] | None = None
) -> Fetched | None:
    """Bring a file: a local path is used where it is, a URL goes through the cache.

    Args:
        optional: None is returned where the file is not there. pin: the SHA-256 that the file must have; a copy in the
        cache that has it is used without asking the network. pins: pins by file name or by the URL of the
        snapshot (`Request.pins`), of which the file's own is taken.

    Raises `TppcError` for a file that is missing, cannot be had, differs from its pin or from its published checksum.
    """
    return _fetch(Wanted(location, optional), pin or _pin_of(location, pins), None)


def fetch_all(wanted: Iterable[Wanted | str], *, pins: Mapping[str, str] | None = None) -> list[Fetched | None]:
    """Bring several files at once, as many connections to a host as `polite.CONNECTIONS` allows; the order is kept.

    A location that stands twice is fetched once. None stands for an optional file that is not there. The first failure
    ends the other downloads (what they have stays for the next time) and is raised, as `fetch` raises it.
    """
    asked = [w if isinstance(w, Wanted) else Wanted(w) for w in wanted]
    todo: queue.SimpleQueue[Wanted] = queue.SimpleQueue()
    for item in (different := dict.fromkeys(asked)):
        todo.put(item)
    found: dict[Wanted, Fetched | None] = {}
    failures: list[BaseException] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return
            try:
                found[item] = _fetch(item, _pin_of(item.location, pins), stop)
            except Stopped:
                return
            except BaseException as error:
                failures.append(error)
                stop.set()

    # Daemons: an interrupt must not wait for a server that is silent. A kill at any moment loses nothing.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_THREADS, len(different)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not failures:
                thread.join(0.1)
    finally:
        stop.set()
    if failures:
        for thread in threads:
            thread.join(_PATIENCE)
        raise failures[0]
    return [found[item] for item in asked]


def check_pins(files: Sequence[Fetched], pins: Mapping[str, str]) -> None:
    """Hold fetched files, wherever they came from, against the recipe's pins.

    Raises `TppcError` for a file that differs from its pin; a pin that meets no file is told.
    """
    met = set()
    for file in files:
        names = [n for n in (file.snapshot.url, file.snapshot.name) if n in pins]
        met.update(names[:1])
        if names and file.snapshot.sha256 != pins[names[0]]:
            raise _another(str(file.path), pins[names[0]], file.snapshot.sha256)
    for name in sorted(pins.keys() - met):
        note(f"the recipe pins {name}, but no file of this build is called so")


def _pin_of(location: str, pins: Mapping[str, str] | None) -> str | None:
    if not pins:
        return None
    if not is_url(location):
        name = Path(location).name
        return pins.get(f"file:{name}") or pins.get(name)
    try:
        address = public_url(location)
    except ValueError as error:
        raise _no_url(location, error) from error
    return pins.get(address) or pins.get(Place(location, Path()).name)


def _another(what: str, pin: str, have: str) -> TppcError:
    return TppcError(
        f"{what}: the recipe pins SHA-256 {pin}, but this file has {have}; give the pinned file with --from (a dated "
        "address stays the same), or take the pin out of the recipe"
    )


def _no_url(location: str, error: ValueError) -> UsageError:
    return UsageError(f"{shown(location)}: not a URL that can be fetched ({type(error).__name__}); check --from")


def _fetch(wanted: Wanted, pin: str | None, stop: threading.Event | None) -> Fetched | None:
    location = wanted.location
    if is_url(location):
        try:
            public_url(location)
        except ValueError as error:  # a port that is no number, a host that is none
            raise _no_url(location, error) from error
        copy = _download(location, wanted.optional, pin, stop)
        if copy is None:
            return None
        lease(copy.path)
        return Fetched(copy.path, copy.snapshot)
    path = Path(location)
    if not path.exists() and wanted.optional:
        return None
    if path.is_dir():
        raise TppcError(f"{path}: a folder, but a file is wanted here; check --from")
    if not path.is_file():
        raise TppcError(f"{path}: no such file; check --from (a mirror root must have the source's own layout)")
    checksum = published(str(path.resolve()), _local_text)  # `latest` may be a link to a dated file
    found = digests(path, ["sha256", *([checksum.algorithm] if checksum else [])])
    if checksum and found[checksum.algorithm] != checksum.digest:
        raise _damaged(str(path), checksum, found[checksum.algorithm], "fetch the file again")
    if pin and found["sha256"] != pin:
        raise _another(str(path), pin, found["sha256"])
    lease(path)
    snapshot = Snapshot(
        name=path.name,
        url=f"file:{path.name}",
        bytes=path.stat().st_size,
        sha256=found["sha256"],
        checksum=str(checksum) if checksum else None,
    )
    return Fetched(path, snapshot)


def _local_text(location: str) -> str | None:
    path = Path(location)
    return path.read_text("utf-8", "replace") if path.is_file() else None


def _damaged(what: str, checksum: Checksum, have: str, remedy: str) -> TppcError:
    return TppcError(
        f"{what}: damaged: its {checksum.algorithm} is {have}, but {checksum.origin.rsplit('/', 1)[-1]} beside it says "
        f"{checksum.digest}; {remedy}"
    )


def _download(url: str, optional: bool, pin: str | None, stop: threading.Event | None) -> Copy | None:
    place = Place.of(url)
    if pin and (copy := place.copy(pin)):
        return copy
    with place.locked(stop):
        if pin and (copy := place.copy(pin)):  # another process brought it meanwhile
            return copy
        known = next(iter(place.copies()), None)
        try:
            found = _bring(place, known, stop)
        except Absent:
            if known is None and optional:
                return None
            if known is None:
                raise TppcError(
                    f"{public_url(url)}: the server has no such file (404); check --pair and --from"
                ) from None
            note(f"{public_url(url)}: gone from the server; using the copy in the cache of {known.snapshot.retrieved}")
            found = known
        except (GaveUp, Busy) as failure:
            if known is None and isinstance(failure, Busy):
                raise
            if known is None:
                raise TppcError(
                    f"{public_url(url)}: {failure}; check the network, then run the same command again"
                ) from failure
            note(f"{public_url(url)}: {failure}; using the copy in the cache of {known.snapshot.retrieved}")
            found = known
    if pin and found.snapshot.sha256 != pin:
        raise _another(public_url(url), pin, found.snapshot.sha256)
    return found


def _bring(place: Place, known: Copy | None, stop: threading.Event | None) -> Copy:
    """The newest copy of a file: `known` where it is unchanged, else what the server sends.

    A download that its published checksum belies is removed and fetched anew once.
    """
    for last in (False, True):
        received = receive(place, known, stop)
        if received is None:
            assert known is not None, "only what is known can be unchanged"
            return known
        checksum = _published(received, place.part.stat().st_size, stop)
        found = digests(place.part, ["sha256", *([checksum.algorithm] if checksum else [])], place.name)
        if checksum is None or found[checksum.algorithm] == checksum.digest:
            return place.store(
                sha256=found["sha256"],
                etag=received.etag,
                last_modified=received.last_modified,
                checksum=str(checksum) if checksum else None,
            )
        place.drop_part()
        remedy = "try again later, or another mirror with --from" if last else "it is removed and fetched anew"
        error = _damaged(public_url(place.url), checksum, found[checksum.algorithm], remedy)
        if last:
            raise error
        note(str(error))
    raise AssertionError("the last round returns or raises")


def _published(received: Received, length: int, stop: threading.Event | None) -> Checksum | None:
    """What the publisher says about a file that was received."""
    return published(
        received.url,
        lambda location: small_text(location, stop),
        lambda location: same_file(location, received, length, stop),
    )
