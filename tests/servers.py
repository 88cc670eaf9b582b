"""A real HTTP file server that misbehaves on demand.

`files` are served by path. `faults` are played one a GET request, whatever its path, and `faults_at[path]` one a GET of
that path; after them all is well. A fault is a word with arguments:

    status 429 [RETRY-AFTER]   an empty answer; the rest of the words is the header
    cut N                      N bytes of the body, then the connection breaks
    long N                     Content-Length says N bytes more than come
    trickle                    one byte now and then until the client has had enough
    slow                       all of the body in small pieces with pauses
    hold                       all of the body, but only after `release` is set
    redirect URL               302
    whole                      200 and the whole file, whatever range was asked for
    shift N                    a 206 that begins N bytes after the place that was asked for
    resize N                   a 206 whose total is N bytes greater
    nolength [N]               no Content-Length; with N, broken after N bytes
    swap N                     like `cut`, and afterwards `others[path]` and `files[path]` have changed places
    damage                     one byte of the body is another one
    page                       200 with a web page in place of the file

Knows `ETag` (strong, or `weak`, or none), `Last-Modified`, `If-None-Match`, `If-Modified-Since`, `Range`, `If-Range`,
HEAD, and basic authentication (`password`).
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PIECE = 1 << 14


@dataclass
class Asked:
    """A request as the server saw it; `sent` counts the bytes of the body that left so far."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0

    @property
    def start(self) -> int | None:
        """The first byte asked for, None without a range."""
        ranged = self.headers.get("range")
        return int(ranged.removeprefix("bytes=").split("-")[0]) if ranged else None

    @property
    def stop(self) -> int | None:
        """The byte after the last one asked for, None for all the rest."""
        last = self.headers.get("range", "").rpartition("-")[2]
        return int(last) + 1 if last else None


class FileServer(ThreadingHTTPServer):
    """See above; the attributes may be changed between requests, and within one by another thread."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files or {})
        self.others: dict[str, bytes] = {}
        self.faults: list[str] = []
        self.faults_at: dict[str, list[str]] = {}
        self.etags: str | None = "strong"  # strong, weak, or None
        self.modified: float | None = None  # Last-Modified of all files, Unix time
        self.repeats_validators = True  # whether a 206 carries them
        self.password: str | None = None  # user:password
        self.asked: list[Asked] = []
        self.release = threading.Event()
        self.at_once, self.most_at_once = 0, 0
        self.guard = threading.Lock()
        self.scheme = "http"

    def url(self, path: str = "/") -> str:
        """The address of a path."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

    def gets(self, path: str | None = None) -> list[Asked]:
        """GET requests so far, of one path or of all."""
        return [a for a in self.asked if a.method == "GET" and path in (None, a.path)]

    def etag_of(self, data: bytes) -> str | None:
        """The validator of some bytes."""
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        return {"strong": tag, "weak": f"W/{tag}", None: None}[self.etags]

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that leave are part of the play."""


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._serve([])

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        with self.server.guard:
            queue = self.server.faults_at.get(path) or self.server.faults
            fault = queue.pop(0).split(" ") if queue else []
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            self._serve(fault)
        finally:
            with self.server.guard:
                self.server.at_once -= 1

    def _serve(self, fault: list[str]) -> None:
        path, _, query = self.path.partition("?")
        headers = {k.lower(): v for k, v in self.headers.items()}
        self.asked = Asked(self.command, path, query, headers)
        self.server.asked.append(self.asked)
        word, number = fault[0] if fault else "", int(fault[1]) if fault[1:] and fault[1].isdigit() else 0
        if word == "status":
            return self._empty(number, {"Retry-After": " ".join(fault[2:])} if fault[2:] else {})
        if word == "redirect":
            return self._empty(302, {"Location": fault[1]})
        if self.server.password is not None:
            allowed = "Basic " + base64.b64encode(self.server.password.encode()).decode()
            if headers.get("authorization") != allowed:
                return self._empty(401)
        if (data := self.server.files.get(path)) is None:
            return self._empty(404)
        if word == "page":
            data = b"<html><body>Please log in</body></html>"
            self._head(200, {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(data))})
            return self._send(data)
        validators = self._validators(data)
        if not word and self._unchanged(headers, data):
            return self._empty(304, validators)
        if self._ranged(headers, data, word):
            start = self.asked.start or 0
            if start >= len(data):
                return self._empty(416, {"Content-Range": f"bytes */{len(data)}"})
            shift, resize = (number if word == w else 0 for w in ("shift", "resize"))
            total = len(data) + resize
            body = data[start + shift : self.asked.stop]
            span = {"Content-Range": f"bytes {start + shift}-{start + shift + len(body) - 1}/{total}"}
            validators = validators if self.server.repeats_validators else {}
            self._head(206, {**span, **validators, "Content-Length": str(len(body))})
            return self._body(body, word, number)
        length = {} if word == "nolength" else {"Content-Length": str(len(data) + (number if word == "long" else 0))}
        self._head(200, {**validators, **length, **({"Connection": "close"} if word == "nolength" else {})})
        return self._body(data, word, number)

    def _validators(self, data: bytes) -> dict[str, str]:
        found = {}
        if (etag := self.server.etag_of(data)) is not None:
            found["ETag"] = etag
        if self.server.modified is not None:
            found["Last-Modified"] = formatdate(self.server.modified, usegmt=True)
        return found

    def _unchanged(self, headers: dict[str, str], data: bytes) -> bool:
        if (known := headers.get("if-none-match")) is not None:
            return known == self.server.etag_of(data)
        since = headers.get("if-modified-since")
        if since is None or self.server.modified is None:
            return False
        return int(self.server.modified) <= parsedate_to_datetime(since).timestamp()

    def _ranged(self, headers: dict[str, str], data: bytes, word: str) -> bool:
        guard = headers.get("if-range")
        fits = guard is None or guard in self._validators(data).values()
        return self.asked.start is not None and fits and word != "whole"

    def _body(self, body: bytes, word: str, number: int) -> None:
        if self.command == "HEAD":
            return
        if word == "hold":
            self.server.release.wait(60)
        if word == "damage":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if word == "trickle":
            for i in range(len(body)):
                self._send(body[i : i + 1])
                time.sleep(0.005)
        elif word in ("cut", "long", "swap") or (word == "nolength" and number):
            self._send(body if word == "long" else body[:number])
            if word == "swap":
                files, others, path = self.server.files, self.server.others, self.asked.path
                files[path], others[path] = others[path], files[path]
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif word == "slow":
            for i in range(0, len(body), _PIECE):
                self._send(body[i : i + _PIECE])
                time.sleep(0.004)
        else:
            self._send(body)
        if word == "nolength":
            self.close_connection = True

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.asked.sent += len(data)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _empty(self, status: int, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"Content-Length": "0", **(headers or {})})

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving(files: dict[str, bytes] | None = None, tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """A running file server, with TLS if a context with a certificate is given."""
    server = FileServer(files)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
