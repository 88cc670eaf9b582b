"""Downloads from a real HTTP server that misbehaves."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tppc.builders import download
from tppc.builders.download import cache_folder, fetch, retry_after
from tppc.errors import TppcError

DATA = hashlib.shake_256(b"tppc").digest(3 << 20)


class Server(ThreadingHTTPServer):
    """Serves `DATA` at /file.bin; `faults` are played one a request, then all is well."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: list[str] = []
        self.data, self.etag = DATA, '"one"'
        self.requests: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    """Knows ETag, If-None-Match, Range and If-Range, and how to fail."""

    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append({k.lower(): v for k, v in self.headers.items()})
        fault = self.server.faults.pop(0) if self.server.faults else ""
        data, start, status = self.server.data, 0, 200
        if fault.startswith("status"):
            return self._empty(int(fault.split()[1]), *fault.split()[2:])
        if self.path.split("?")[0] != "/file.bin":
            return self._empty(404)
        if self.headers.get("If-None-Match") == self.server.etag:
            return self._empty(304)
        if (ranged := self.headers.get("Range")) and self.headers.get("If-Range") == self.server.etag:
            start, status = int(ranged.removeprefix("bytes=").split("-")[0]), 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", self.server.etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if fault == "cut":
            self.wfile.write(data[start : start + (1 << 20) + 17])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        self.wfile.write(data[start:])
        return None

    def _empty(self, status: int, after: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if after:
            self.send_header("Retry-After", after)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_cut_download_resumes_where_it_broke(server: Server) -> None:
    server.faults = ["cut", "cut"]
    found = fetch(server.url)
    assert found is not None
    assert found.path.read_bytes() == DATA
    assert found.snapshot.sha256 == hashlib.sha256(DATA).hexdigest()
    starts = [r.get("range") for r in server.requests]
    assert starts[0] is None
    offsets = [int(s.removeprefix("bytes=").rstrip("-")) for s in starts[1:] if s]
    assert len(offsets) == 2
    assert 0 < offsets[0] < offsets[1] < len(DATA)
    assert not list(cache_folder().rglob("*.part*"))


def test_a_file_that_changed_between_two_attempts_starts_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["cut"]
    original = download.pause

    def change(*args: object) -> None:
        server.data, server.etag = DATA[::-1], '"two"'
        original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(download, "pause", change)
    found = fetch(server.url)
    assert found is not None
    assert found.path.read_bytes() == DATA[::-1]


def test_a_second_fetch_revalidates_and_downloads_nothing(server: Server) -> None:
    one, two = fetch(server.url), fetch(server.url)
    assert one == two
    assert server.requests[1]["if-none-match"] == '"one"'
    server.data, server.etag = DATA[:1000], '"three"'
    three = fetch(server.url)
    assert three is not None
    assert three.snapshot.bytes == 1000


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_servers_are_asked_again(server: Server, status: int) -> None:
    server.faults = [f"status {status} 0", f"status {status}"]
    assert fetch(server.url) is not None
    assert len(server.requests) == 3


def test_a_server_that_stays_down_is_an_error_and_a_good_copy_stays(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = ["status 503"] * 6
    with pytest.raises(TppcError, match=r"127\.0\.0\.1:\d+/file\.bin: HTTP 503, 6 times; check the network"):
        fetch(server.url)
    good = fetch(server.url)
    server.faults = ["status 503"] * 6
    assert fetch(server.url) == good
    assert "using the copy in the cache" in capsys.readouterr().err


def test_long_waits_missing_and_forbidden_files_are_told(server: Server) -> None:
    server.faults = ["status 429 4000"]
    with pytest.raises(TppcError, match="asks to wait 4000 s"):
        fetch(server.url)
    server.faults = ["status 403"]
    with pytest.raises(TppcError, match="HTTP 403"):
        fetch(server.url)
    with pytest.raises(TppcError, match=r"no such file \(404\)"):
        fetch(server.url.replace("file", "none"))
    assert fetch(server.url.replace("file", "none"), optional=True) is None


def test_tppc_names_itself_and_secrets_stay_out_of_the_snapshot(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TPPC_CONTACT", "me@example.org")
    found = fetch(server.url.replace("http://", "http://user:secret@") + "?token=secret")
    assert found is not None
    assert "secret" not in found.snapshot.model_dump_json()
    assert server.requests[0]["user-agent"].startswith("tppc/")
    assert "me@example.org" in server.requests[0]["user-agent"]


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after("7") == 7
    assert retry_after(formatdate(1_000_060, usegmt=True), now=1_000_000) == 60
    assert retry_after(formatdate(999_000, usegmt=True), now=1_000_000) == 0
    assert retry_after("soon") is None
    assert retry_after(None) is None


def test_a_mirror_by_http_gives_the_same_corpus_as_a_folder(tmp_path: Path) -> None:
    import gzip
    from functools import partial
    from http.server import SimpleHTTPRequestHandler

    from tppc.builders.build import build
    from tppc.corpora.languages import Pair

    folder = tmp_path / "mirror"
    folder.mkdir()
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(30))
    (folder / "WikiMatrix.en-hi.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    handler = partial(
        type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None}), directory=str(folder)
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{web.server_port}/"
        (remote,) = build("wikimatrix", [Pair("en", "hi")], origin=origin, out=tmp_path / "remote")
        web.shutdown()
    (local,) = build("wikimatrix", [Pair("en", "hi")], origin=str(folder), out=tmp_path / "local")
    assert remote.digest == local.digest
    assert remote.manifest.snapshots[0].url == f"{origin}WikiMatrix.en-hi.tsv.gz"
    assert remote.manifest.snapshots[0].last_modified
