"""Downloads from a real HTTP server that misbehaves: whatever it does, a good file or a clear error, never a bad file."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import FileServer, serving

from tppc.builders import transfer
from tppc.builders.build import build
from tppc.builders.cache import Place
from tppc.builders.download import Fetched, Wanted, cache_folder, fetch, fetch_all, join, retry_after
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

DATA = hashlib.shake_256(b"tppc").digest(3 << 20)
PATH = "/file.bin"
KILLS = int(os.environ.get("TPPC_CHAOS_KILLS", "3"))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def bring(url: str, **how: object) -> Fetched:
    found = fetch(url, **how)  # type: ignore[arg-type]
    assert found is not None
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something that must come; the limit is only there to end a broken test."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def fetching(url: str, **environment: str) -> subprocess.Popen[str]:
    """A process of its own that fetches a URL and prints the path of the copy."""
    code = "import sys; from tppc.builders.download import fetch; print(fetch(sys.argv[1]).path)"
    return subprocess.Popen(
        [sys.executable, "-c", code, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving({PATH: DATA}) as running:
        yield running


def test_a_cut_download_resumes_where_it_broke(server: FileServer) -> None:
    server.faults = ["cut 1048593", "cut 1048593"]
    found = bring(server.url(PATH))
    assert found.path.read_bytes() == DATA
    assert found.snapshot.sha256 == sha(DATA)
    assert found.snapshot.etag == server.etag_of(DATA)
    starts = [a.start for a in server.gets()]
    assert starts[0] is None
    assert 0 < starts[1] < starts[2] < len(DATA)  # type: ignore[operator]
    assert sum(a.sent for a in server.gets()) < len(DATA) + (2 << 20)
    assert not list(cache_folder().rglob("part*"))


def test_a_range_answer_that_repeats_no_validator_keeps_those_of_the_file(server: FileServer) -> None:
    server.repeats_validators, server.modified = False, 1_700_000_000
    server.faults = ["cut 100000"]
    found = bring(server.url(PATH)).snapshot
    assert server.gets()[1].status == 206
    assert (found.etag, found.last_modified) == (server.etag_of(DATA), formatdate(1_700_000_000, usegmt=True))


def test_a_file_that_changed_between_two_attempts_starts_over(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = ["cut 1000000"]
    was, pause = server.etag_of(DATA), transfer.pause

    def change(*arguments: object, **named: object) -> None:
        server.files[PATH] = DATA[::-1]
        pause(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(transfer, "pause", change)
    assert bring(server.url(PATH)).path.read_bytes() == DATA[::-1]
    last = server.gets()[-1]
    assert (last.headers["if-range"], last.status) == (was, 200)


@pytest.mark.parametrize("fault", ["shift 5", "resize 7"])
def test_a_range_that_is_not_the_one_asked_for_is_refused_and_the_file_starts_over(
    server: FileServer, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = ["cut 500000", fault]
    assert bring(server.url(PATH)).path.read_bytes() == DATA
    assert [a.start is None for a in server.gets()] == [True, False, True]
    assert "another range than asked for" in capsys.readouterr().err


def test_a_server_that_knows_no_ranges_sends_the_whole_file_again(server: FileServer) -> None:
    server.faults = ["cut 500000", "whole"]
    assert bring(server.url(PATH)).path.read_bytes() == DATA
    assert [a.status for a in server.gets()] == [200, 200]


def test_only_a_strong_validator_guards_a_range(server: FileServer) -> None:
    server.etags = "weak"
    server.faults = ["cut 500000"]
    assert bring(server.url(PATH)).path.read_bytes() == DATA
    server.etags = None
    server.modified = time.time() + 10  # not a second older than the answer's own date: weak as well
    server.files["/dated.bin"] = DATA
    server.faults = ["cut 500000"]
    assert bring(server.url("/dated.bin")).path.read_bytes() == DATA
    assert [a.start for a in server.gets()] == [None] * 4
    server.modified = time.time() - 3600
    server.files["/old.bin"] = DATA
    server.faults = ["cut 500000"]
    assert bring(server.url("/old.bin")).path.read_bytes() == DATA
    assert server.gets("/old.bin")[1].headers["if-range"] == formatdate(server.modified, usegmt=True)


def test_a_weak_validator_still_saves_a_second_download(server: FileServer) -> None:
    server.etags = "weak"
    assert bring(server.url(PATH)) == bring(server.url(PATH))
    assert [a.status for a in server.gets()] == [200, 304]


def test_a_second_fetch_revalidates_and_downloads_nothing(server: FileServer) -> None:
    assert bring(server.url(PATH)) == bring(server.url(PATH))
    assert server.gets()[1].headers["if-none-match"] == server.etag_of(DATA)
    server.files[PATH] = DATA[:1000]
    assert bring(server.url(PATH)).snapshot.bytes == 1000


def test_a_length_that_is_too_long_is_never_a_whole_file(server: FileServer) -> None:
    server.faults = ["long 100"]
    assert bring(server.url(PATH)).path.read_bytes() == DATA
    server.files["/liar.bin"] = DATA[:5000]
    server.faults_at["/liar.bin"] = ["long 100"] * 20
    with pytest.raises(
        TppcError, match=r"liar\.bin: the (connection broke|partial download no longer fits).*, 6 times"
    ):
        fetch(server.url("/liar.bin"))


def test_a_file_without_a_length_must_end_as_its_format_does(server: FileServer) -> None:
    whole = gzip.compress(DATA[:100_000])
    server.files["/lines.tsv.gz"] = whole
    server.faults = [f"nolength {len(whole) - 9}", "nolength"]
    assert bring(server.url("/lines.tsv.gz")).path.read_bytes() == whole
    assert len(server.gets()) == 2
    server.files["/short.tsv.gz"] = whole[:-9]
    server.faults = ["nolength"] * 6
    with pytest.raises(TppcError, match=r"short\.tsv\.gz: the server told no length, and the file is not whole"):
        fetch(server.url("/short.tsv.gz"))


def test_a_gzip_file_that_is_truncated_at_its_source_is_told_where_it_is_read(
    server: FileServer, tmp_path: Path
) -> None:
    from tppc.builders.build import build
    from tppc.corpora.languages import Pair

    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(3000))
    server.files["/WikiMatrix.en-hi.tsv.gz"] = gzip.compress(lines.encode())[:-2000]
    with pytest.raises(TppcError, match=r"WikiMatrix\.en-hi\.tsv\.gz: truncated or damaged after line \d+"):
        build("wikimatrix", [Pair("en", "hi")], origin=server.url("/"), out=tmp_path)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_servers_are_asked_again(server: FileServer, status: int) -> None:
    server.faults = [f"status {status} 0", f"status {status}", f"status {status} {formatdate(0, usegmt=True)}"]
    assert bring(server.url(PATH)).snapshot.bytes == len(DATA)
    assert len(server.gets()) == 4


def test_a_redirect_is_followed(server: FileServer) -> None:
    server.faults = [f"redirect {server.url(PATH)}"]
    found = bring(server.url("/latest.bin"))
    assert found.path.read_bytes() == DATA
    assert found.snapshot.url == server.url("/latest.bin")


def test_a_server_that_stays_down_is_an_error_and_a_good_copy_stays(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.faults = ["status 503"] * 6
    with pytest.raises(TppcError, match=r"127\.0\.0\.1:\d+/file\.bin: HTTP 503, 6 times; check the network"):
        fetch(server.url(PATH))
    good = bring(server.url(PATH))
    server.faults = ["status 503"] * 6
    assert bring(server.url(PATH)) == good
    assert "using the copy in the cache" in capsys.readouterr().err


def test_a_file_that_is_gone_from_the_server_is_used_from_the_cache(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    good = bring(server.url(PATH))
    del server.files[PATH]
    assert bring(server.url(PATH)) == good
    assert bring(server.url(PATH), optional=True) == good
    assert "gone from the server" in capsys.readouterr().err


def test_a_web_page_in_place_of_a_file_never_becomes_the_copy(server: FileServer) -> None:
    good = bring(server.url(PATH))
    server.faults = ["page"] * 6
    assert bring(server.url(PATH)) == good
    server.files["/other.bin"] = DATA
    server.faults = ["page"] * 6
    with pytest.raises(TppcError, match="a web page in place of the file"):
        fetch(server.url("/other.bin"))


def test_missing_and_forbidden_files_are_told(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TPPC_CONTACT", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    server.faults = ["status 403"]
    with pytest.raises(TppcError, match=r"HTTP 403 .*TPPC_CONTACT"):
        fetch(server.url(PATH))
    with pytest.raises(TppcError, match=r"no such file \(404\)"):
        fetch(server.url("/none.bin"))
    assert fetch(server.url("/none.bin"), optional=True) is None
    with pytest.raises(UsageError, match="not a URL that can be fetched"):
        fetch("http://me:secret@localhost:port/x")


def test_a_trickle_is_dropped_and_resumed_and_does_not_hang(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_WINDOW", 0.1)
    server.faults = ["trickle", "trickle"]
    assert bring(server.url(PATH)).path.read_bytes() == DATA
    starts = [a.start for a in server.gets()]
    assert len(starts) == 3
    assert 0 < starts[1] < starts[2] < 65_536  # type: ignore[operator]
    server.files["/never.bin"] = DATA
    server.faults_at["/never.bin"] = ["trickle"] * 20
    with pytest.raises(TppcError, match=r"never\.bin: stalled: .*, 6 times"):
        fetch(server.url("/never.bin"))


def test_a_slow_line_that_moves_is_not_cut() -> None:
    pace = transfer.Pace(0.0)
    for minute in range(1, 10_000):
        pace.count(1 << 16, 60.0 * minute)
    pace.count(65_535, 60.0 * 10_000 - 1)
    with pytest.raises(Exception, match="stalled: 65,535 bytes in 60 s"):
        pace.count(0, 60.0 * 10_000)


def test_failures_between_which_the_file_grows_do_not_add_up(server: FileServer) -> None:
    server.faults = ["cut 150000"] * 15
    assert bring(server.url(PATH)).path.read_bytes() == DATA
    assert len(server.gets()) == 16


def test_a_download_that_does_not_fit_the_disk_is_refused_before_it_starts(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(TppcError, match=r"3,145,728 bytes to come, but .* has room for 1; .*TPPC_CACHE"):
        fetch(server.url(PATH))


FAULTS = [
    "swap 120000",
    "cut 70001",
    "cut 0",
    "long 9",
    "status 503",
    "status 429 0",
    "shift 3",
    "resize 1",
    "whole",
    "page",
    "nolength 300",
]


@given(st.lists(st.sampled_from(FAULTS), max_size=9), st.sampled_from(["strong", "weak", None]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_row_of_faults_ends_in_the_right_bytes_or_an_error(
    server: FileServer, faults: list[str], etags: str | None
) -> None:
    body, other = (gzip.compress(data[:200_000], 1) for data in (DATA, DATA[::-1]))
    path = f"/{len(server.files)}-{len(server.asked)}.gz"
    server.files[path], server.others[path] = body, other
    server.faults_at[path], server.etags = list(faults), etags
    try:
        found = fetch(server.url(path))
    except TppcError:
        assert 2 * len(faults) >= transfer.ATTEMPTS  # a fault may spoil the next request as well
        return
    assert found is not None
    assert found.path.read_bytes() in (body, other)
    assert found.snapshot.sha256 == sha(found.path.read_bytes())


def test_several_files_come_at_once_in_order_and_the_first_failure_is_raised(
    server: FileServer, tmp_path: Path
) -> None:
    paths = [f"/{i}.bin" for i in range(6)]
    server.files |= {path: DATA[:1000] + path.encode() for path in paths}
    local = tmp_path / "here.txt"
    local.write_text("here")
    wanted = [*map(server.url, paths), Wanted(server.url("/none"), optional=True), str(local), server.url(paths[0])]
    found = fetch_all(wanted)
    assert [f.path.read_bytes() if f else None for f in found] == [
        *(server.files[p] for p in paths), None, b"here", server.files[paths[0]],
    ]  # fmt: skip
    assert len(server.gets(paths[0])) == 1
    with pytest.raises(TppcError, match=r"missing\.bin: the server has no such file"):
        fetch_all([server.url("/missing.bin"), *map(server.url, paths)])
    assert fetch_all([]) == []


def test_two_processes_share_one_download(server: FileServer) -> None:
    server.faults = ["hold"]
    one = fetching(server.url(PATH))
    until(lambda: server.at_once == 1)
    two = fetching(server.url(PATH))
    assert two.stderr is not None
    assert "another process downloads it; waiting" in two.stderr.readline()
    server.release.set()
    paths = {process.communicate(timeout=60)[0].strip() for process in (one, two)}
    assert (one.returncode, two.returncode) == (0, 0)
    assert [a.status for a in server.gets()] == [200, 304]
    (path,) = paths
    assert Path(path).read_bytes() == DATA


@pytest.mark.chaos
def test_a_killed_download_goes_on_from_its_last_byte(server: FileServer) -> None:
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    resumed = 0
    for kill in range(KILLS):
        server.faults = ["slow"]
        before = len(server.gets())
        process = fetching(server.url(PATH))
        until(lambda before=before: len(server.gets()) > before)  # type: ignore[misc]
        asked = server.gets()[-1]
        assert (asked.start or 0) == resumed, (seed, kill)
        amount = draw.randrange(1, (len(DATA) - resumed) // (KILLS - kill + 1))
        until(lambda asked=asked, amount=amount: asked.sent >= amount)  # type: ignore[misc]
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        parts = [p for p in cache_folder().rglob("part") if p.with_name("part.json").is_file()]
        resumed = parts[0].stat().st_size if parts else 0
        server.faults = []
    found = bring(server.url(PATH))
    assert found.path.read_bytes() == DATA, seed
    assert (server.gets()[-1].start or 0) == resumed, seed
    assert server.gets()[-1].sent == len(DATA) - resumed
    assert server.gets()[-1].status == (206 if resumed else 200)


def test_a_download_that_was_killed_when_complete_asks_for_one_byte(server: FileServer) -> None:
    server.faults = ["cut 1000000", "status 400"]
    with pytest.raises(TppcError, match="HTTP 400"):
        fetch(server.url(PATH))
    (part,) = cache_folder().rglob("part")
    part.write_bytes(DATA)  # as if the process had ended just before the file got its name
    assert bring(server.url(PATH)).path.read_bytes() == DATA
    assert server.gets()[-1].sent == 1


def test_a_kill_before_any_change_of_the_cache_costs_one_byte_of_a_complete_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import os, pathlib, signal, sys
steps = int(sys.argv[2])
def counted(change):
    def wrapper(*arguments, **named):
        global steps
        steps -= 1
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(*arguments, **named)
    return wrapper
for name in ("replace", "unlink"):
    setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
from tppc.builders.download import fetch
fetch(sys.argv[1])
"""
    killed, complete, step = 0, 0, 1
    with serving() as server:
        while killed == step - 1:
            path = f"/{step}.bin"
            server.files[path] = DATA
            monkeypatch.setenv("TPPC_CACHE", str(tmp_path / str(step)))
            command = [sys.executable, "-c", code, server.url(path), str(step)]
            killed += subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
            before, held = len(server.gets(path)), [p for p in cache_folder().rglob("*") if p.is_file()]
            whole = any(p.stat().st_size == len(DATA) for p in held)
            assert bring(server.url(path)).path.read_bytes() == DATA
            assert (sum(a.sent for a in server.gets(path)[before:]) <= 1) == whole, step
            complete, step = complete + whole, step + 1
    assert killed > complete >= 4


def test_secrets_are_used_for_the_request_and_reach_neither_snapshot_nor_cache_nor_messages(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.password = "me:s3cret"
    server.faults = ["status 503 0"]
    url = server.url(PATH).replace("http://", "http://me:s3cret@") + "?token=t0ken"
    found = bring(url)
    assert found.snapshot.url == server.url(PATH)
    assert server.gets()[-1].query == "token=t0ken"
    server.faults = ["cut 100000", *["status 400"]]
    server.files[PATH] = DATA[::-1]
    with pytest.raises(TppcError) as failure:
        fetch(url)
    kept = b"".join(str(p).encode() + p.read_bytes() for p in cache_folder().rglob("*.json"))
    for text in (kept.decode(), capsys.readouterr().err, str(failure.value)):
        assert not re.search("s3cret|t0ken", text)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after("7") == 7
    assert retry_after(formatdate(1_000_060, usegmt=True), now=1_000_000) == 60
    assert retry_after(formatdate(999_000, usegmt=True), now=1_000_000) == 0
    assert retry_after("soon") is None
    assert retry_after("²") is None
    assert retry_after(None) is None


def test_a_mirror_by_http_gives_the_same_corpus_as_a_folder(server: FileServer, tmp_path: Path) -> None:
    from tppc.builders.build import build
    from tppc.corpora.languages import Pair

    folder = tmp_path / "mirror"
    folder.mkdir()
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(30))
    (folder / "WikiMatrix.en-hi.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    server.files = {"/m/WikiMatrix.en-hi.tsv.gz": (folder / "WikiMatrix.en-hi.tsv.gz").read_bytes()}
    server.modified = 1_700_000_000
    (remote,) = build("wikimatrix", [Pair("en", "hi")], origin=server.url("/m/"), out=tmp_path / "remote")
    (local,) = build("wikimatrix", [Pair("en", "hi")], origin=str(folder), out=tmp_path / "local")
    assert remote.digest == local.digest
    assert remote.manifest.snapshots[0].url == server.url("/m/WikiMatrix.en-hi.tsv.gz")
    assert remote.manifest.snapshots[0].last_modified


def test_a_server_that_redirects_in_a_circle_is_asked_once(server: FileServer) -> None:
    server.faults = [f"redirect {server.url('/loop')}"] * 200
    with pytest.raises(TppcError, match="redirects in a circle"):
        bring(server.url("/loop"))
    assert len(server.gets()) <= 31  # one walk round, as far as `requests` goes


@pytest.mark.parametrize("target", ["http://user:pass@[bad/", f"http://user:pass@{'a' * 70}.example/"])
def test_a_redirect_to_no_address_is_one_sentence_without_its_secrets(server: FileServer, target: str) -> None:
    server.faults = [f"redirect {target}"]
    with pytest.raises(TppcError, match="check --from") as error:
        bring(server.url(PATH))
    assert "pass" not in str(error.value)


@pytest.mark.parametrize("location", ["ftp://user:secret@example.org/a.tsv", "s3://bucket/a.tsv?key=secret"])
def test_other_schemes_are_refused_and_tell_no_secret(location: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tppc reads files, http and https") as error:
        build("tatoeba", [Pair("en", "hi")], origin=location, out=tmp_path / "out")
    assert "secret" not in str(error.value)


def test_an_empty_answer_never_replaces_a_compressed_file(
    server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = gzip.compress(b"text")
    server.files["/a.tsv.gz"] = whole
    bring(server.url("/a.tsv.gz"))
    server.files["/a.tsv.gz"] = b""
    assert bring(server.url("/a.tsv.gz")).path.read_bytes() == whole
    assert "the server sent an empty file" in capsys.readouterr().err


@pytest.mark.parametrize("date", ["Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 99 Foo 2026 25:61:61 GMT", "soon"])
def test_a_date_that_is_none_asks_for_no_time(date: str) -> None:
    assert retry_after(date) is None


def test_a_date_of_the_file_that_is_none_is_no_validator() -> None:
    answer = requests.Response()
    answer.headers.update({"Last-Modified": "Fri, 31 Dec 99999 23:59:59 GMT", "Date": formatdate(usegmt=True)})
    assert transfer._strong(answer) is None


def test_a_full_disk_is_told_with_the_place_and_the_download_can_go_on(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(transfer.os, "fsync", full)
        patch.setattr(transfer, "write_bytes", lambda path, data: path.write_bytes(data))
        with pytest.raises(TppcError, match=r"No space left on device.*TPPC_CACHE") as error:
            transfer.receive(Place.of(server.url(PATH)), None, None)
        assert str(cache_folder()) in str(error.value)
    assert bring(server.url(PATH)).path.read_bytes() == DATA


def test_the_query_of_a_mirror_root_goes_with_each_file() -> None:
    assert join("https://host/m?sig=x", "a/b.gz") == "https://host/m/a/b.gz?sig=x"
    assert join("HTTPS://host/m/", "a/b.gz") == "https://host/m/a/b.gz"
