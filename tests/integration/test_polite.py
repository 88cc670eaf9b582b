"""Politeness, between processes and against real servers: connections, waits, contact, TLS, proxies."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import FileServer, serving

from tppc.builders import polite
from tppc.builders.download import fetch, fetch_all, host_slot, user_agent
from tppc.errors import TppcError, UsageError

DATA = hashlib.shake_256(b"tppc").digest(100_000)
PATHS = [f"/{i}.bin" for i in range(4)]


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No contact and no settings of the machine."""
    for name in ("TPPC_CONTACT", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(polite, "_warned", threading.Event())


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(dict.fromkeys(PATHS, DATA)) as running:
        yield running


def test_a_host_gets_no_more_connections_than_its_limit_from_one_call(server: FileServer) -> None:
    server.faults = ["hold"] * 4
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(fetch_all(map(server.url, PATHS))))
    thread.start()
    until(lambda: server.at_once == polite.DEFAULT_CONNECTIONS)
    server.release.set()
    thread.join()
    assert len(found) == 4
    assert server.most_at_once == polite.DEFAULT_CONNECTIONS


def test_a_host_gets_no_more_connections_than_its_limit_from_several_processes(server: FileServer) -> None:
    server.faults = ["hold"] * 4
    code = "import sys; from tppc.builders.download import fetch_all; print(len(fetch_all(sys.argv[1:])))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, *map(server.url, paths)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for paths in (PATHS[:2], PATHS[2:])
    ]
    until(lambda: server.at_once == 2)
    said: list[str] = []

    def listen(process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for text in process.stderr:
            said.append(text)

    for process in running:
        threading.Thread(target=listen, args=(process,), daemon=True).start()
    until(lambda: "".join(said).count("2 connections open already") == 2)  # the other two files wait
    server.release.set()
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    assert server.most_at_once == 2
    assert len(server.gets()) == 4


def test_an_endpoint_of_one_connection_is_asked_one_query_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPPC_CONTACT", "me@example.org")
    inside, most = 0, 0

    def query() -> None:
        nonlocal inside, most
        for _ in range(3):
            with host_slot("https://query.wikidata.org/sparql"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.01)
                inside -= 1

    threads = [threading.Thread(target=query) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert polite.connections("https://dumps.wikimedia.org/x") == 2


def test_a_connection_of_a_killed_process_is_free_again(server: FileServer) -> None:
    server.faults = ["hold", "hold"]
    code = "import sys; from tppc.builders.download import fetch_all; fetch_all(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, *map(server.url, PATHS[:2])], stderr=subprocess.PIPE)
    until(lambda: server.at_once == 2)
    process.kill()
    process.communicate(timeout=60)
    assert fetch(server.url(PATHS[0])) is not None


def test_an_interrupt_ends_a_call_at_once_while_servers_are_silent(server: FileServer) -> None:
    server.faults = ["hold"] * 4
    code = "import sys; from tppc.builders.download import fetch_all; fetch_all(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, *map(server.url, PATHS)], stderr=subprocess.PIPE)
    until(lambda: server.at_once == 2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)  # the server still holds both answers back
    assert b"KeyboardInterrupt" in said
    assert not server.release.is_set()


def test_a_host_that_asks_for_a_long_wait_is_not_asked_before(server: FileServer) -> None:
    server.faults = ["status 429 4000"]
    with pytest.raises(TppcError, match=r"0\.bin: HTTP 429: the server asks to wait 4000 s"):
        fetch(server.url(PATHS[0]))
    with pytest.raises(TppcError, match=r"127\.0\.0\.1:\d+: this server asked to be left alone for another \d+ s"):
        fetch(server.url(PATHS[1]))
    assert len(server.gets()) == 1


def test_a_copy_in_the_cache_serves_while_a_host_wants_to_be_left_alone(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    good = fetch(server.url(PATHS[0]))
    server.faults = ["status 429 4000"]
    assert fetch(server.url(PATHS[0])) == good
    assert fetch(server.url(PATHS[0])) == good
    assert len(server.gets()) == 2
    assert "using the copy in the cache" in capsys.readouterr().err


def test_a_short_wait_holds_for_all_downloads_from_the_host(server: FileServer) -> None:
    server.faults_at[PATHS[0]] = ["status 503 1"]
    assert len(fetch_all(map(server.url, PATHS))) == 4
    before = time.time()
    polite._leave_alone(server.url(), 0.3)
    polite._leave_alone(server.url(), 0.01)  # a shorter wait takes nothing from a longer one
    assert fetch(server.url(PATHS[1])) is not None
    assert time.time() - before >= 0.3


def test_the_contact_comes_from_the_environment_or_the_config_file(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetch(server.url(PATHS[0]))
    assert server.gets()[0].headers["user-agent"].startswith("tppc/")
    assert "no contact given" in server.gets()[0].headers["user-agent"]
    config = tmp_path / "config" / "tppc" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('contact = "https://example.org/me"\n')
    fetch(server.url(PATHS[0]))
    assert "(https://example.org/me)" in server.gets()[1].headers["user-agent"]
    monkeypatch.setenv("TPPC_CONTACT", "me@example.org")
    assert "(me@example.org)" in user_agent()
    monkeypatch.delenv("TPPC_CONTACT")
    config.write_text("contact = ")
    with pytest.raises(UsageError, match=r"config\.toml: not TOML"):
        user_agent()


@pytest.mark.parametrize("contact", ["me@example.org\r\nX-Other: 1", "मीरा", "a) b"])
def test_a_contact_that_would_break_the_header_is_refused(contact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPPC_CONTACT", contact)
    with pytest.raises(UsageError, match="TPPC_CONTACT: the contact must be one line of ASCII"):
        user_agent()


def test_a_foreign_host_without_a_contact_is_told_once_and_reached_through_the_proxy(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", server.url())
    for name in ("one", "two"):  # a proxy is asked for the whole address
        server.files[f"http://mirror.invalid/{name}.bin"] = DATA
        assert fetch(f"http://mirror.invalid/{name}.bin") is not None
    assert capsys.readouterr().err.count("no contact is set") == 1
    monkeypatch.setenv("TPPC_CONTACT", "me@example.org")
    polite._warned.clear()
    assert fetch("http://mirror.invalid/one.bin") is not None
    assert "contact" not in capsys.readouterr().err


def test_tls_is_verified_and_a_certificate_of_ones_own_is_named_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import ssl

    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with serving({PATHS[0]: DATA}, tls=context) as secure:
        with pytest.raises(TppcError, match=r"0\.bin: TLS verification failed .*REQUESTS_CA_BUNDLE") as failure:
            fetch(secure.url(PATHS[0]) + "?token=s3cret")
        assert "self-signed certificate" in str(failure.value) or "unable to get local issuer" in str(failure.value)
        assert "s3cret" not in str(failure.value)
        assert secure.gets() == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        found = fetch(secure.url(PATHS[0]))
        assert found is not None
        assert found.path.read_bytes() == DATA
        with serving({PATHS[0]: b"from elsewhere"}) as plain:
            secure.faults = [f"redirect {plain.url(PATHS[0])}"]
            with pytest.raises(TppcError, match=r"redirects from https to http"):
                fetch(secure.url(PATHS[0]))


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert polite.cache_folder() == Path(os.environ["TPPC_CACHE"])
    monkeypatch.delenv("TPPC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert polite.cache_folder() == tmp_path / "tppc"
