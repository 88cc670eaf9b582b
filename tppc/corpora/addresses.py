"""Addresses of places that hold corpora: what of them may be shown, and which names may stand below them.

An address is what a user gives: a folder, or a URL. It may hold secrets (`https://user:password@host/x?token=...`),
which must never reach a manifest, a catalogue, a log or an error; and names of files come from manifests of
strangers, so they must never lead out of a folder.
"""

from __future__ import annotations

import os
import re
import traceback
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from tppc.errors import TppcError

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.:-]*(?=://)")  # `simplecache::s3` is one of fsspec's
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*")
# What the clients of stores read from the environment; none of these values may be printed.
_SECRET_VARIABLES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "FSSPEC_S3_KEY",
    "FSSPEC_S3_SECRET",
    "FSSPEC_S3_TOKEN",
)
_SHORTEST_SECRET = 6  # a shorter value would blank out parts of ordinary words


def scheme(address: str) -> str:
    """The scheme of a URL in small letters; the empty string for a path."""
    found = _SCHEME.match(address)
    return found.group().lower() if found else ""


def public_address(address: str) -> str:
    """An address without user name, password, query, fragment and last slash; a path stays as it is."""
    if not scheme(address):
        return address
    return re.split(r"[?#]", _USERINFO.sub("", address), maxsplit=1)[0].removesuffix("/")


def has_secrets(address: str) -> bool:
    """Whether an address holds something that must not be shown."""
    return bool(scheme(address)) and public_address(address) != address.removesuffix("/")


def scrub(text: str, address: str = "") -> str:
    """A message without secrets: those of `address`, those of the environment, and those of any URL in it."""
    found = [os.environ.get(name, "") for name in _SECRET_VARIABLES]
    if has_secrets(address):
        userinfo = _USERINFO.search(address)
        found += re.split(r"[:@]", userinfo.group()) if userinfo else []
        query = re.split(r"[?#]", address, maxsplit=1)
        found += [part.partition("=")[2] or part for part in re.split(r"[&;#]", query[1])] if len(query) > 1 else []
        text = text.replace(f"?{query[-1]}", "")
    found += [urllib.parse.unquote(secret) for secret in found]
    for secret in sorted({s for s in found if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, "***")
    text = _USERINFO.sub("", text)
    return re.sub(r"(://[^\s?'\"]*)\?[^\s'\"]*", r"\1", text)


def safe_name(name: str) -> bool:
    """Whether a relative name stays below its folder: parts of letters, digits and `._+-` that begin with a letter or
    digit.
    """
    return _NAME.fullmatch(name) is not None


@contextmanager
def told(address: str, doing: str) -> Iterator[None]:
    """Turn whatever a store's client raises into one sentence without secrets, which names the public address."""
    try:
        yield
    except TppcError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        what = scrub(f"{type(error).__name__}: {first}" if first else type(error).__name__, address)
        # --debug shows the cause, and with it every secret that it holds: then it is left out.
        everything = "".join(traceback.format_exception(error))
        cause = None if has_secrets(address) or scrub(everything, address) != everything else error
        raise TppcError(
            f"{public_address(address)}: cannot {doing} ({what}); check the address, your access and the network, and "
            "run the same command again"
        ) from cause
