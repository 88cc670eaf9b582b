"""One SPARQL endpoint, asked politely: one query at a time over all processes, with pauses, and never after a refusal.

The rules are those of the Wikidata Query Service, the strictest known: a query may take 60 seconds, a client may use
60 seconds of processing a minute and make 30 errors a minute; `Retry-After` of a 429 must be kept to, and whoever goes
on regardless is shut out for a day. A query that is too large shows itself in many ways (a client-side timeout, 504,
500 with a Java trace, 200 with half an answer and a trace behind it, QLever's 429 without `Retry-After`): all of them
are `TooMuch`, and the caller asks for less.
"""

from __future__ import annotations

import ast
import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.parse
from collections import deque
from typing import Any

from filelock import FileLock
from SPARQLWrapper import JSON, POST, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import SPARQLWrapperException

from tppc.builders.download import ATTEMPTS, public_url
from tppc.builders.polite import host_slot, pause, retry_after, user_agent
from tppc.builders.progress import note
from tppc.corpora.files import cache_folder
from tppc.errors import TppcError

KEPT = "finished slices are kept, run the same command again"
_SILENCE = 70  # seconds without a byte: the public endpoint gives up after 60
_DEADLINE = 150  # seconds for a whole answer, which may trickle
_ERRORS_A_MINUTE = 15  # the public endpoint allows 30; two processes may share an address
_REST = 0.25  # of the time a query took: at most 80% of a minute are spent on processing
_BUSY = (5, 8)  # a 429 without `Retry-After` waits as the sixth to ninth failure in a row would: 16 to 256 s
_EXHAUSTED = re.compile(r"time[ds]?[ -]?out|time limit|deadline|OutOfMemory|memory limit|tried to allocate", re.I)

Row = dict[str, dict[str, str]]


class TooMuch(Exception):
    """The endpoint ran out of time or memory over one query: ask for less."""


class _Again(Exception):
    """This attempt failed in a way that may pass."""

    def __init__(self, message: str, asked: float | None = None, busy: bool = False) -> None:
        super().__init__(message)
        self.asked, self.busy = asked, busy


class Endpoint:
    """An endpoint at a URL; remembers its errors of the last minute."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = public_url(url)
        self._errors: deque[float] = deque()
        host = urllib.parse.quote(urllib.parse.urlsplit(url).netloc.rpartition("@")[2], safe="")
        self._turn = cache_folder() / "slots" / f"sparql-{host}.lock"
        self._turn.parent.mkdir(parents=True, exist_ok=True)

    def ask(self, query: str, names: tuple[str, ...], what: str, *, divisible: bool) -> tuple[list[Row], float]:
        """The rows of a SELECT query that binds `names` in every row, and the seconds it took.

        Raises `TooMuch` where the endpoint cannot answer so much and the question is `divisible`; `TppcError`, which
        names `what` was asked for, where it refuses, asks to come back later, or fails again and again.
        """
        for attempt in range(ATTEMPTS):
            self._keep_to_errors_allowed()
            try:
                return self._in_turn(query, names)
            except TooMuch as error:
                self._errors.append(time.monotonic())
                if divisible:
                    note(f"{self.name}: {what}: {error}; asking for less")
                    raise
                again = _Again(str(error))
            except _Again as error:
                self._errors.append(time.monotonic())
                again = error
            if attempt + 1 < ATTEMPTS:
                before = min(attempt + _BUSY[0], _BUSY[1]) if again.busy else attempt
                pause(before, again.asked, f"{self.name}: {what}: {again}", url=self.url)
        raise TppcError(f"{self.name}: {what}: {again}, {ATTEMPTS} times; {KEPT}")

    def _in_turn(self, query: str, names: tuple[str, ...]) -> tuple[list[Row], float]:
        """One attempt. A file server may allow several connections, a SPARQL endpoint has one query at a time."""
        took = 0.0
        try:
            with FileLock(self._turn), host_slot(self.url):
                start = time.monotonic()
                try:
                    return _rows(self._answer(query), names), time.monotonic() - start
                finally:
                    took = time.monotonic() - start
        finally:
            time.sleep(took * _REST)  # others may ask meanwhile

    def _keep_to_errors_allowed(self) -> None:
        """Sleep until fewer errors than allowed lie within the last minute."""
        minute = 60 * min(1.0, float(os.environ.get("TPPC_BACKOFF", "1")))
        while self._errors and self._errors[0] < time.monotonic() - minute:
            self._errors.popleft()
        if len(self._errors) >= _ERRORS_A_MINUTE:
            wait = max(0.0, self._errors.popleft() + minute - time.monotonic())
            note(f"{self.name}: {_ERRORS_A_MINUTE} errors within a minute; resting {wait:.1f} s")
            time.sleep(wait)

    def _answer(self, query: str) -> bytes:
        """The body of one answer. Raises `TooMuch`, `_Again`, or `TppcError` for what will not change."""
        client = SPARQLWrapper(self.url, agent=user_agent(), returnFormat=JSON)
        client.setMethod(POST)
        client.setOnlyConneg(True)  # no `format=`, `output=`: parameters that some engines refuse
        client.setTimeout(_SILENCE)
        client.setQuery(query)
        body = bytearray()
        try:
            with client.query().response as response:
                if "json" not in (kind := response.headers.get("Content-Type", "")):
                    raise _Again(f"the answer is {kind or 'of no type'}, not JSON; check --endpoint")
                end = time.monotonic() + _DEADLINE
                while piece := response.read1(1 << 20):
                    body += piece
                    if time.monotonic() > end:
                        raise TooMuch(f"no complete answer within {_DEADLINE} s")
                if response.length:  # `read1` does not tell an early end
                    raise http.client.IncompleteRead(bytes(body), response.length)
        except urllib.error.HTTPError as error:
            raise self._judged(error.code, _text_of(error), error.headers.get("Retry-After")) from error
        except SPARQLWrapperException as error:
            # Raised while the HTTPError was handled; its body was read by then, and stands in the message as a literal.
            if not isinstance(answer := error.__context__, urllib.error.HTTPError):
                raise _Again(type(error).__name__) from error
            text = ast.literal_eval(str(error).partition("Response:\n")[2] or "b''").decode(errors="replace")
            raise self._judged(answer.code, text, answer.headers.get("Retry-After")) from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                reason = f"TLS verification failed ({error.reason.verify_message}); check SSL_CERT_FILE"
                raise TppcError(f"{self.name}: {reason}") from error
            raise _Again(f"no connection ({error.reason})") from error
        except TimeoutError as error:
            raise TooMuch(f"no answer within {_SILENCE} s") from error
        except http.client.IncompleteRead as error:
            raise TooMuch("the answer is cut (the query ran out of time, or the connection broke)") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Again(f"{type(error).__name__}: {error}") from error
        return bytes(body)

    def _judged(self, status: int, text: str, after: str | None) -> Exception:
        """What an HTTP error means."""
        said = next((f" ({line.strip()[:200]})" for line in text.splitlines() if line.strip()), "")
        said = "".join(c for c in said if c.isprintable())  # a stranger's text must not steer the terminal
        wait = retry_after(after)
        if status == 403:
            return TppcError(
                f"{self.name}: HTTP 403{said}: the endpoint refuses this client. Do not try again at once: set "
                "TPPC_CONTACT to a mail address or URL, and if you were shut out wait a day; finished slices are kept"
            )
        if status == 413 or (wait is None and (status in (408, 504) or _EXHAUSTED.search(text))):
            return TooMuch(f"HTTP {status}, the query is too large for the endpoint")
        if status == 429 or status >= 500:
            return _Again(f"HTTP {status}", wait, busy=status == 429)
        return TppcError(
            f"{self.name}: HTTP {status}{said}; check that --endpoint is a SPARQL 1.1 endpoint of Wikidata"
        )


def _text_of(error: urllib.error.HTTPError) -> str:
    """What a server says about an error, as far as it came."""
    try:
        return error.read(100_000).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""


def _rows(body: bytes, names: tuple[str, ...]) -> list[Row]:
    """The rows of a SPARQL 1.1 JSON answer. Raises `TooMuch` for one that is cut, `_Again` for one that is none."""
    try:
        answer: Any = json.loads(body)
    except ValueError as error:  # also bytes that are no UTF-8
        raise TooMuch("the answer is no complete JSON (the query ran out of time)") from error
    try:
        rows: list[Row] = answer["results"]["bindings"]
        complete = all(isinstance(row[name]["value"], str) for row in rows for name in names)
    except (KeyError, TypeError) as error:
        raise _Again("the answer is not in the SPARQL 1.1 JSON format") from error
    if not complete:
        raise _Again("the answer is not in the SPARQL 1.1 JSON format")
    return rows
