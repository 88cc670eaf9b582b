"""One download over HTTP: requests, resumption, and what counts as progress.

Resumption: `Range` with `If-Range` under a strong validator only (RFC 9110, 13.1.5), and a 206 must begin where it was
asked to and be of the same total. The time rule: a connection that brings less than 64 KiB in a minute has stalled; it
is dropped and the download goes on from there. Six failures in a row end it, but one after which the file has grown by
64 KiB starts the count anew. So a slow line that moves is never cut off, and nothing hangs for ever.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import ssl
import threading
import time
import urllib.parse
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tppc.builders.cache import Copy, Place, public_url
from tppc.builders.polite import Stopped, contact, host_slot, http_date, pause, retry_after, user_agent
from tppc.builders.progress import progress
from tppc.corpora.files import COMPRESSED, DAMAGED, canonical_json, open_compressed, write_bytes
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    import requests

ATTEMPTS = 6
_TIMEOUT = (20, 60)  # seconds to connect, and between two reads
_CHUNK = 1 << 20
_WINDOW = 60.0
_LEAST = 1 << 16
_RETRY = {408, 425, 429, 500, 502, 503, 504}
_SMALL = 16 << 20
_ABSENT = {404, 410}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

T = TypeVar("T")


@dataclass(frozen=True)
class Received:
    """A part file that is complete. `url` is where it came from after redirects."""

    url: str
    etag: str | None
    last_modified: str | None


class Absent(Exception):
    """The server has no such file."""


class GaveUp(Exception):
    """Every attempt failed; the message says how the last one did."""


class _Again(Exception):
    """This attempt failed in a way that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Pace:
    """Watches that a connection moves: raises when a window of time brought too little."""

    def __init__(self, now: float) -> None:
        self._start, self._bytes = now, 0

    def count(self, received: int, now: float) -> None:
        """Add bytes received by `now` (seconds of a monotonic clock)."""
        self._bytes += received
        if now - self._start >= _WINDOW:
            if self._bytes < _LEAST:
                raise _Again(f"stalled: {self._bytes:,} bytes in {now - self._start:.0f} s")
            self._start, self._bytes = now, 0


def _persist(url: str, act: Callable[[], T], size: Callable[[], int], stop: threading.Event | None) -> T:
    """Call `act` until it succeeds, with pauses; `size` tells how far the download is. Raises `GaveUp`."""
    failures, furthest = 0, size()
    while True:
        try:
            return act()
        except _Again as again:
            if size() >= furthest + _LEAST:
                failures, furthest = 0, size()
            failures += 1
            if failures == ATTEMPTS:
                raise GaveUp(f"{again}, {ATTEMPTS} times") from again
            pause(failures - 1, again.wait, f"{public_url(url)}: {again}", url=url, stop=stop)


def receive(place: Place, known: Copy | None, stop: threading.Event | None) -> Received | None:
    """Bring the file of a place into its part file; None where `known` is still what the server has.

    Raises `Absent` where there is no such file, `GaveUp` when it cannot be had, `TppcError` for answers that no
    repetition mends.
    """

    def size() -> int:
        return place.part.stat().st_size if place.part.is_file() else 0

    return _persist(place.url, lambda: _attempt(place, known, stop), size, stop)


def small_text(url: str, stop: threading.Event | None) -> str | None:
    """The text of a small file such as a list of checksums, None where there is none for us. Raises `GaveUp`."""

    from urllib3.exceptions import HTTPError

    def act() -> str | None:
        with host_slot(url, stop=stop), _answer(url, {}) as answer:
            if answer.status_code in {*_ABSENT, 401, 403}:
                return None
            _refuse(answer, url)
            try:
                data: bytes = answer.raw.read(_SMALL, decode_content=False)
            except (HTTPError, OSError) as error:
                raise _Again(type(error).__name__) from error
            length = answer.headers.get("Content-Length", "")
            if length.isdigit() and len(data) < min(int(length), _SMALL):
                raise _Again("the connection broke")  # half a list would pass for one that lacks the file
            return data.decode("utf-8", "replace")

    return _persist(url, act, lambda: 0, stop)


def same_file(url: str, received: Received, length: int, stop: threading.Event | None) -> bool:
    """Whether a URL holds the file that was received, going by validators and length. Raises `GaveUp`."""

    def act() -> bool:
        with host_slot(url, stop=stop), _answer(url, {}, method="HEAD") as answer:
            if answer.status_code in {*_ABSENT, 401, 403}:
                return False
            _refuse(answer, url)
            headers = answer.headers
            if received.etag and headers.get("ETag"):
                return headers["ETag"] == received.etag
            return (headers.get("Last-Modified"), headers.get("Content-Length")) == (
                received.last_modified,
                str(length),
            )

    return _persist(url, act, lambda: 0, stop)


def _answer(url: str, headers: Mapping[str, str], method: str = "GET") -> requests.Response:
    """Send one request; failures of the network become `_Again`."""
    import requests
    from requests.exceptions import InvalidProxyURL, InvalidSchema, InvalidURL, MissingSchema, SSLError

    # Without a content coding: a snapshot is the file's own bytes.
    sent = {"User-Agent": user_agent(), "Accept-Encoding": "identity", **headers}
    try:
        answer = requests.request(method, url, headers=sent, stream=True, timeout=_TIMEOUT, allow_redirects=True)
    except SSLError as error:
        if (reason := _unverified(error)) is None:
            raise _Again(type(error).__name__) from error
        raise TppcError(
            f"{public_url(url)}: TLS verification failed ({reason}); if a certificate of your own network is meant, "
            "name its file in REQUESTS_CA_BUNDLE"
        ) from error
    except InvalidProxyURL as error:
        raise UsageError("the proxy in http_proxy or https_proxy is not a URL; check it, or unset it") from error
    except requests.TooManyRedirects as error:
        raise TppcError(f"{public_url(url)}: the server redirects in a circle; check the address") from error
    except (InvalidURL, MissingSchema, InvalidSchema, UnicodeError) as error:
        raise UsageError(f"{public_url(url)}: not a URL that can be fetched; check --from") from error
    except (requests.RequestException, ConnectionError, TimeoutError) as error:
        raise _Again(type(error).__name__) from error
    except ValueError as error:  # of urllib and urllib3, for an address that a redirect led to
        raise TppcError(f"{public_url(url)}: leads to an address that is none; check --from") from error
    hops = [*(hop.url for hop in answer.history), answer.url]
    if any(a.startswith("https:") and b.startswith("http:") for a, b in itertools.pairwise(hops)):
        answer.close()
        raise TppcError(
            f"{public_url(url)}: the server redirects from https to http ({public_url(answer.url)}), which is refused; "
            "give that address yourself if you trust it"
        )
    return answer


def _unverified(error: BaseException | None) -> str | None:
    """What is wrong with a certificate, None where TLS failed otherwise. The error's own text repeats the URL, whose
    query may be secret.
    """
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__context__
    return None


def _refuse(answer: requests.Response, url: str) -> None:
    """Raise for an answer that brings nothing."""
    if answer.status_code in _RETRY:
        raise _Again(f"HTTP {answer.status_code}", retry_after(answer.headers.get("Retry-After")))
    if answer.status_code not in (200, 206):
        nameless = answer.status_code == 403 and contact() is None
        hint = "; set TPPC_CONTACT to a mail address or URL" if nameless else ""
        raise TppcError(
            f"{public_url(url)}: HTTP {answer.status_code} {answer.reason}; check the address and your access{hint}"
        )


def _attempt(place: Place, known: Copy | None, stop: threading.Event | None) -> Received | None:
    """One request for the file of a place."""
    headers: dict[str, str] = {}
    if known is not None and known.snapshot.etag:
        headers["If-None-Match"] = known.snapshot.etag
    elif known is not None and known.snapshot.last_modified:
        headers["If-Modified-Since"] = known.snapshot.last_modified
    have, part = _resumable(place)
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": part["validator"]}
    with host_slot(place.url, stop=stop), _answer(place.url, headers) as answer:
        if answer.status_code == 304 and known is not None:
            place.drop_part()  # of another version, which is gone
            return None
        if answer.status_code in _ABSENT:
            raise Absent
        if answer.status_code == 416 and have:
            place.drop_part()
            raise _Again("the partial download no longer fits the file; starting over")
        _refuse(answer, place.url)
        total = _total(place, answer, have, part)
        if answer.status_code == 200:
            have = 0
            _refuse_page(place, answer)
        try:
            return _receive(place, answer, have, total, stop)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise TppcError(
                f"{public_url(place.url)}: {place.folder} cannot take it ({error.strerror}); free some space "
                "(`tppc cache clean`) or set TPPC_CACHE to another disk, and run the same command again"
            ) from error


def _resumable(place: Place) -> tuple[int, dict[str, Any]]:
    """Where to go on (0: from the start) and what the part file belongs to.

    A part that is complete already, since the process ended before it was stored, is asked for its last byte: only an
    answer tells whether it is still the file.
    """
    if not (place.part.is_file() and place.part_meta.is_file()):
        return 0, {}
    try:
        part: dict[str, Any] = json.loads(place.part_meta.read_bytes())
        size, total = place.part.stat().st_size, part["total"]
        fits = bool(part["validator"]) and (total is None or size <= total)
    except (ValueError, KeyError, TypeError):  # damaged
        return 0, {}
    if not fits:
        return 0, {}
    return (size - 1 if size and size == part["total"] else size), part


def _total(place: Place, answer: requests.Response, have: int, part: dict[str, Any]) -> int | None:
    """The size that the file will have, None where the server does not say; checks that a 206 fits the part file."""
    if answer.status_code == 200:
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
    told = answer.headers.get("Content-Range", "")
    try:
        unit, _, rest = told.partition(" ")
        span, _, whole = rest.partition("/")
        first, total = int(span.split("-")[0]), None if whole == "*" else int(whole)
    except ValueError:
        unit, first, total = "", -1, None
    etag = answer.headers.get("ETag")
    fits = unit == "bytes" and first == have and have > 0 and (part["total"] is None or total in (None, part["total"]))
    if not fits or (etag and part["validator"].startswith('"') and etag != part["validator"]):
        place.drop_part()
        raise _Again(f"the server sent another range than asked for ({told or 'no Content-Range'}); starting over")
    return total if total is not None else part["total"]


def _refuse_page(place: Place, answer: requests.Response) -> None:
    """A web page in place of a data file comes from a login wall or a proxy, and must not become the newest copy."""
    kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if kind == "text/html" and "." in place.name and not place.name.lower().endswith((".html", ".htm")):
        raise _Again("the server sent a web page in place of the file")


def _strong(answer: requests.Response) -> str | None:
    """A validator that may guard a byte range: a strong `ETag`, or a `Last-Modified` at least a second before `Date`
    (RFC 9110, 8.8.2.2).
    """
    etag = answer.headers.get("ETag")
    if etag:
        return None if etag.startswith("W/") else etag
    modified, date = answer.headers.get("Last-Modified"), answer.headers.get("Date")
    if modified and date:
        changed, sent = http_date(modified), http_date(date)
        if changed is not None and sent is not None and sent - changed >= 1:
            return modified
    return None


def _receive(
    place: Place, answer: requests.Response, have: int, total: int | None, stop: threading.Event | None
) -> Received:
    """Write the body to the part file and check its length."""
    from urllib3.exceptions import HTTPError

    about = {"etag": answer.headers.get("ETag"), "last_modified": answer.headers.get("Last-Modified")}
    if have:  # a 206 under If-Range need not repeat them (RFC 9110, 15.3.7)
        kept = json.loads(place.part_meta.read_bytes())
        about = {name: value or kept[name] for name, value in about.items()}
    else:
        place.drop_part()
        write_bytes(place.part_meta, canonical_json({"validator": _strong(answer), "total": total, **about}))
    free = shutil.disk_usage(place.folder).free
    if total is not None and total - have > free:
        raise TppcError(
            f"{public_url(place.url)}: {total - have:,} bytes to come, but {place.folder} has room for {free:,}; "
            "free some (`tppc cache clean`) or set TPPC_CACHE to another disk"
        )
    broken = ""
    with place.part.open("r+b" if have else "wb") as file, progress(place.name, total, "bytes", done=have) as advance:
        file.seek(have)
        pace = Pace(time.monotonic())
        try:
            # read1 gives what has come: a trickle would keep read() waiting for a full chunk.
            while chunk := answer.raw.read1(_CHUNK, decode_content=False):
                file.write(chunk)
                advance(len(chunk))
                if stop is not None and stop.is_set():
                    raise Stopped
                pace.count(len(chunk), time.monotonic())
        except (HTTPError, OSError) as error:
            if getattr(error, "errno", None) in _FULL:
                raise
            broken = type(error).__name__
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    if broken or (total is not None and size != total):
        raise _Again(f"the connection broke after {size:,} of {'?' if total is None else f'{total:,}'} bytes")
    if size == 0 and Path(place.name).suffix.lower() in (*COMPRESSED, ".zip"):
        place.drop_part()  # no file of these formats is empty, and a good copy must not give way to this
        raise _Again("the server sent an empty file")
    if total is None and (why := _not_whole(place)):
        place.drop_part()
        raise _Again(f"the server told no length, and the file is not whole ({why})")
    return Received(urllib.parse.urldefrag(answer.url).url, about["etag"], about["last_modified"])


def _not_whole(place: Place) -> str | None:
    """Why a compressed file is not whole, of which the server did not tell the length: its own end must show a cut."""
    suffix = Path(place.name).suffix.lower()
    try:
        if suffix == ".zip":
            zipfile.ZipFile(place.part).close()
        elif suffix in COMPRESSED:
            with open_compressed(place.part) as file:
                while file.read(_CHUNK):
                    continue
    except (*DAMAGED, zipfile.BadZipFile) as error:
        return str(error)
    return None
