"""The store of a web server (`http://`, `https://`): published corpora to read, nothing to write."""

from __future__ import annotations

from collections.abc import Iterator

import requests
import urllib3

from tppc import __version__
from tppc.corpora.addresses import public_address, told
from tppc.corpora.transfers import ATTEMPTS, CHUNK, pause
from tppc.errors import TppcError


class WebStore:
    """What a web server shows below an address; a broken answer is asked for again from where it broke."""

    attempts = ATTEMPTS

    def __init__(self, address: str) -> None:
        self._given, self.address = address, public_address(address)

    def _get(self, name: str, start: int = 0) -> requests.Response | None:
        """The answer for a file, None where there is none."""
        base, _, query = self._given.partition("?")
        url = f"{base.rstrip('/')}/{name}" + (f"?{query}" if query else "")
        headers = {"User-Agent": f"tppc/{__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        answer = requests.get(url, headers=headers, stream=True, timeout=(20, 60))
        if answer.status_code in (404, 410):
            answer.close()
            return None
        answer.raise_for_status()
        return answer

    def read(self, name: str) -> bytes | None:
        """The bytes of a small file; None where there is none."""
        with told(self._given, f"be read at {name}"):
            for attempt in range(self.attempts):
                try:
                    if (answer := self._get(name)) is None:
                        return None
                    with answer:
                        return answer.content
                except _PASSING as error:
                    pause(attempt, self.attempts, error)
        raise AssertionError("the last attempt raises")

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with told(self._given, f"be asked for {name}"):
            answer = self._get(name)
            if answer is None:
                return None
            with answer:
                return int(answer.headers["Content-Length"])

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        """A file's bytes from `start` on, in pieces; the caller compares the digest of the whole."""
        with told(self._given, f"be read at {name}"):
            failures = 0
            while True:
                try:
                    if (answer := self._get(name, start)) is None:
                        raise TppcError(f"{self.address}/{name}: the server has no such file (404)")
                    for piece in _pieces(answer, start):
                        yield piece
                        start, failures = start + len(piece), 0
                    return
                except _PASSING as error:
                    pause(failures, self.attempts, error)
                    failures += 1


def _pieces(answer: requests.Response, start: int) -> Iterator[bytes]:
    """What comes of a body from the byte `start` of the file on. Raises one of `_PASSING` where it ends too early."""
    with answer:
        ranged = answer.status_code == 206
        span = answer.headers.get("Content-Range", "")
        if ranged and not span.startswith(f"bytes {start}-"):
            raise requests.ConnectionError(f"asked for bytes from {start} on, got {span!r}")
        skip = 0 if ranged else start  # a server without ranges sends the beginning again
        length = answer.headers.get("Content-Length")
        left = int(length) if length else None
        while piece := answer.raw.read1(CHUNK, decode_content=False):  # what has come, however little
            left = None if left is None else left - len(piece)
            if skip < len(piece):
                yield piece[skip:]
            skip = max(0, skip - len(piece))
        if left:
            raise requests.ConnectionError(f"the connection broke {left} bytes before the end")


_PASSING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.HTTPError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
)
