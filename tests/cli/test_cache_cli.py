"""`tppc cache` as a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from commands import command
from servers import FileServer, serving


def tppc(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving({"/one.bin": b"1" * 1234567, "/two.bin": b"2" * 10}) as running:
        urls = [running.url(path) for path in running.files]
        code = "import sys; from tppc.builders.download import fetch_all; fetch_all(sys.argv[1:])"
        subprocess.run([sys.executable, "-c", code, *urls], check=True, capture_output=True)
        yield running


def test_list_and_clean(server: FileServer) -> None:
    shown = tppc("cache", "list")
    assert shown.returncode == 0, shown.stderr
    assert "1,234,567  2" in shown.stdout
    assert server.url("/one.bin") in shown.stdout
    assert "1,234,577  in " in shown.stdout
    rows = json.loads(tppc("cache", "list", "--json").stdout)
    assert [row["name"] for row in rows] == ["one.bin", "two.bin"]
    tried = tppc("cache", "clean", "--all", "--dry-run")
    assert "1,234,577  bytes would be freed, 2 of 2 removed" in tried.stdout
    one = tppc("cache", "clean", server.url("/one.bin"))
    assert "1,234,567  bytes freed, 1 of 1 removed" in one.stdout
    (row,) = json.loads(tppc("cache", "clean", "--all", "--json").stdout)
    assert (row["name"], row["bytes"], row["kept"]) == ("two.bin", 10, None)
    assert json.loads(tppc("cache", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["clean"], 2, "say what to remove: --older-than DAYS"),
        (["clean", "--all", "--partial"], 2, "say what to remove"),
        (["clean", "--older-than", "-3"], 2, "give a number of days"),
        (["clean", "https://example.org/none"], 1, "https://example.org/none: not in the cache"),
        (["clean", "--older-than", "soon"], 2, "valid number"),
    ],
)
def test_bad_requests_end_with_one_sentence(arguments: list[str], status: int, says: str) -> None:
    result = tppc("cache", *arguments)
    assert (result.returncode, result.stdout) == (status, "")
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["list", "clean"])
def test_help_has_an_example(name: str) -> None:
    assert "Example: tppc cache" in tppc("cache", name, "--help").stdout
