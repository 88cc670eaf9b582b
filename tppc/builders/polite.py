"""Politeness to servers: who we are, how many connections at once, how long to wait.

The limits hold for all processes of a user together: a connection is a *slot*, a locked file in the cache folder, and a
time until which a host asked to be left alone is written down beside them. Whatever asks a server goes through
`host_slot`.
"""

from __future__ import annotations

import email.utils
import os
import random
import threading
import time
import tomllib
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tppc import __version__
from tppc.builders.progress import note
from tppc.corpora.files import cache_folder, write_bytes
from tppc.errors import TppcError, UsageError

#: Connections at once to a host that is not in `CONNECTIONS`: one file's waiting overlaps another one's bytes, and no
#: small server feels more than a person with a browser.
DEFAULT_CONNECTIONS = 2
#: Connections at once by host, and why.
CONNECTIONS = {
    "dumps.wikimedia.org": 2,  # the site's own cap for an address; more are refused
    "query.wikidata.org": 1,  # 60 s of processing a minute for an address and agent: a second query only takes from it
    "query-scholarly.wikidata.org": 1,  # the same policy
    "qlever.dev": 1,  # a university's machine; no published limit
    "opus.nlpl.eu": 1,  # answers of the catalogue are small
    "downloads.tatoeba.org": 2,  # one server of a volunteer project
    "dl.fbaipublicfiles.com": 2,  # the publishers of WikiMatrix ask not to sweep over all files
}
_LONGEST_WAIT = 300.0
_LONGEST_BAN = 86_400.0  # no host keeps us away longer than a day, whatever it asks
_POLL = 0.05
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_warned = threading.Event()


class Busy(TppcError):
    """A host asked to be left alone for longer than we wait."""


class Stopped(Exception):
    """Another download of the same call failed, or the user interrupted; this one ends early."""


def config_file() -> Path:
    """The user's settings: `tppc/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "tppc" / "config.toml"


def contact() -> str | None:
    """A mail address or URL under which a server's owner finds the user: `$TPPC_CONTACT`, or `contact` in the config
    file.

    Raises `UsageError` for a config file that cannot be read, or a contact that does not fit into an HTTP header.
    """
    value, where = os.environ.get("TPPC_CONTACT"), "TPPC_CONTACT"
    path = config_file()
    if not value and path.is_file():
        try:
            value, where = tomllib.loads(path.read_text("utf-8")).get("contact"), str(path)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f'{path}: not TOML ({error}); write a line such as contact = "me@example.org"') from error
    if not value:
        return None
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()) or set(value) & set("()\\"):
        raise UsageError(f"{where}: the contact must be one line of ASCII without brackets: a mail address or a URL")
    return value.strip()


def user_agent() -> str:
    """How tppc names itself to a server; sites ask for a contact (Wikimedia's policy: or be refused)."""
    import requests

    return f"tppc/{__version__} ({contact() or 'no contact given'}) requests/{requests.__version__}"


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Seconds to wait for a `Retry-After` header, given in seconds or as an HTTP date (RFC 9110, 10.2.3); None
    without one.
    """
    if not value:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    until = http_date(value)
    return None if until is None else max(0.0, until - (time.time() if now is None else now))


def http_date(value: str) -> float | None:
    """The Unix time of an HTTP date; None for what is none."""
    parsed = email.utils.parsedate_tz(value)
    try:
        return None if parsed is None else float(email.utils.mktime_tz(parsed))
    except (ValueError, OverflowError):  # the 99th of a month, the year 99999
        return None


def pause(
    attempt: int, asked: float | None, what: str, *, url: str | None = None, stop: threading.Event | None = None
) -> None:
    """Wait before attempt number `attempt` + 1: as long as the server asked, else 1, 2, 4, ... seconds with jitter.

    Args:
        asked: seconds, from `retry_after`. url: where it was asked; then no process asks that host before the time.

    Raises `Busy` if the server asks for more than five minutes.
    """
    if asked and url:
        _leave_alone(url, asked)
    if asked is not None and asked > _LONGEST_WAIT:
        raise Busy(
            f"{what}: the server asks to wait {asked:.0f} s; try again then (nothing is lost, the download resumes)"
        )
    base = float(os.environ.get("TPPC_BACKOFF", "1"))
    seconds = asked if asked is not None else base * 2**attempt * random.uniform(0.5, 1.0)
    note(f"{what}: trying again in {seconds:.1f} s")
    _sleep(seconds, stop)


def connections(url: str) -> int:
    """How many connections to the host of a URL may be open at once."""
    return CONNECTIONS.get(urllib.parse.urlsplit(url).hostname or "", DEFAULT_CONNECTIONS)


@contextmanager
def host_slot(url: str, *, stop: threading.Event | None = None) -> Iterator[None]:
    """Hold one of the connections that the host of `url` allows, over all processes of the user, while the block runs.

    Wrap it around one request with its answer, not around the pause after it, and do not nest it: where one connection
    is allowed, a second one inside would wait for the first for ever. Before the block it waits until a slot is free
    and until the time that the host last asked for (`pause` with `url`).

    Raises `Busy` where the host asked for more than five minutes that are not over.
    """
    _warn_without_contact(url)
    host = _host(url)
    _slot(url, "").parent.mkdir(parents=True, exist_ok=True)
    locks = [FileLock(_slot(url, f"-{i}.lock")) for i in range(connections(url))]
    told = False
    while (held := _first_free(locks)) is None:
        if not told:
            told = True
            note(f"{host}: {len(locks)} connection{'s' * (len(locks) > 1)} open already; waiting for one to end")
        _sleep(_POLL * random.uniform(0.5, 1.5), stop)
    try:
        while (left := _time_left(url)) > 0:
            if left > _LONGEST_WAIT:
                until = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + left))
                raise Busy(
                    f"{host}: this server asked to be left alone for another {left:.0f} s; try again after {until}"
                )
            if left > 1:
                note(f"{host}: waiting {left:.0f} s, as this server asked")
            _sleep(left, stop)
        yield
    finally:
        held.release()


def _first_free(locks: list[FileLock]) -> FileLock | None:
    for lock in locks:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return lock
    return None


def _host(url: str) -> str:
    """Host and port of a URL, for people."""
    parts = urllib.parse.urlsplit(url)
    return (parts.hostname or "") + (f":{parts.port}" if parts.port else "")


def _slot(url: str, suffix: str) -> Path:
    """A file of the host of a URL."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "_" for c in _host(url))
    return cache_folder() / "slots" / f"{name}{suffix}"


def _leave_alone(url: str, seconds: float) -> None:
    seconds = max(min(seconds, _LONGEST_BAN), _time_left(url))
    write_bytes(_slot(url, ".until"), f"{time.time() + seconds:.6f}\n".encode())


def _time_left(url: str) -> float:
    """Seconds until the host of a URL may be asked again."""
    try:
        until = float(_slot(url, ".until").read_text())
    except (FileNotFoundError, ValueError):
        return 0.0
    left = until - time.time()
    return left if left <= _LONGEST_BAN else 0.0  # a clock that was wrong


def _sleep(seconds: float, stop: threading.Event | None) -> None:
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise Stopped


def _warn_without_contact(url: str) -> None:
    if (urllib.parse.urlsplit(url).hostname or "") in _LOCAL or _warned.is_set() or contact() is not None:
        return
    _warned.set()
    note(
        "no contact is set, and servers such as Wikimedia's refuse or throttle nameless programs; set TPPC_CONTACT to "
        f'a mail address or URL, or write contact = "..." into {config_file()}'
    )
