"""The command line as a user meets it: one clear sentence and the right exit status for bad input."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest


def tppc(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "tppc", *map(str, arguments)], capture_output=True, input=stdin, timeout=120, check=False
    )


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(30))
    (tmp_path / "WikiMatrix.en-hi.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["build", "wikimatrix", "--pair", "en-qq"], 2, "unknown language 'qq'"),
        (["build", "wikimatrix", "--pair", "en-en"], 2, "names the same language twice"),
        (["build", "wikimatrix", "--pair", "en-hi", "--from", "nowhere"], 1, "nowhere: no such file or folder"),
        (["build", "wikidata", "--pair", "en-hi", "--from", "nowhere.json"], 1, "nowhere.json: no such file"),
        (["build", "tatoeba", "--pair", "en-hi", "--holdout", "dev:3"], 2, "write dev=N,test=N"),
        (["build", "tatoeba", "--pair", "en-hi", "--recipe", "none.toml"], 1, "none.toml: cannot read the recipe"),
        (["build", "wikimatrix"], 2, "no language pair: give at least one"),
        (["build", "nosuch", "--pair", "en-hi"], 2, "No such command"),
        (["corpora", "show", "nowhere"], 1, "nowhere: no such folder"),
        (["manifests", "show", "."], 1, "no manifest.json, so this is no finished corpus"),
        (["build", "wikimatrix", "--pair", "en-hi", "--holdout", "dev=²"], 2, "write dev=N,test=N"),
        (["build", "wikimatrix", "--pair", "en-hi", "--holdout", "dev=1,dev=2"], 2, "write dev=N,test=N"),
        (["build", "wikimatrix", "--pair", "en-x-foo"], 2, "x-foo"),
        (["build", "wikimatrix", "--pair", "en-hi", "--from", "http://localhost:abc/x.gz"], 2, "not a URL"),
        (["build", "wikidata", "--pair", "en-hi", "--endpoint", "foo"], 2, "the URL of a SPARQL endpoint"),
        (["build", "wikimatrix", "--pair", "en-hi", "--from", "sample", "--out", "/dev/null/x"], 1, "/dev/null"),
    ],
)
def test_bad_requests_end_with_one_sentence(
    arguments: list[str], status: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = tppc(*arguments)
    assert result.returncode == status, result.stderr.decode()
    assert says in result.stderr.decode()
    assert b"Traceback" not in result.stderr
    assert result.stdout == b""
    assert [p for p in tmp_path.rglob("*") if p.is_file() and "cache" not in p.parts] == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = tppc("corpora", "show", tmp_path / "none", "--debug")
    assert b"Traceback" in result.stderr
    assert result.returncode == 1


def test_build_show_head_stats_verify(matrix: Path) -> None:
    out = matrix / "corpora"
    built = tppc(
        "build", "wikimatrix", "--pair", "en-hi", "--from", matrix, "--out", out, "--holdout", "test=4", "--json"
    )
    assert built.returncode == 0, built.stderr.decode()
    (found,) = json.loads(built.stdout)
    assert found["funnel"]["kept"] == {"train": 26, "test": 4}
    corpus = out / "wikimatrix" / "en-hi"
    assert b"kept in train" in tppc("corpora", "show", corpus).stdout
    assert len(tppc("corpora", "head", corpus, "-n", "3", "--split", "test").stdout.splitlines()) == 3
    assert json.loads(tppc("corpora", "head", corpus, "-n", "1", "--json").stdout)["tgt_lang"] == "hi"
    assert b"src_chars" in tppc("corpora", "stats", corpus).stdout
    assert b"build digest" in tppc("manifests", "show", corpus).stdout
    assert tppc("manifests", "verify", corpus).stdout.decode().endswith("sound\n")


def test_a_damaged_shard_is_one_sentence_and_verify_goes_on(matrix: Path) -> None:
    out = matrix / "corpora"
    for pair in ("en-hi", "hi-en"):
        assert tppc("build", "wikimatrix", "--pair", pair, "--from", matrix, "--out", out).returncode == 0
    shard = next((out / "wikimatrix" / "en-hi").rglob("*.parquet"))
    shard.write_bytes(b"")
    head = tppc("corpora", "head", out / "wikimatrix" / "en-hi")
    assert head.returncode == 1
    assert b"SHA-256 differs" in head.stderr
    assert b"Traceback" not in head.stderr
    shard.unlink()
    verify = tppc("manifests", "verify", out / "wikimatrix" / "en-hi", out / "nothing", out / "wikimatrix" / "hi-en")
    assert verify.returncode == 1
    lines = verify.stdout.decode()
    assert "listed in the manifest but missing" in lines
    assert "nothing: no such folder" in lines
    assert lines.rstrip().endswith("hi-en: sound")


def test_an_interrupt_says_that_nothing_is_lost(tmp_path: Path) -> None:
    import signal
    import time

    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(200_000))
    (tmp_path / "WikiMatrix.en-hi.tsv.gz").write_bytes(gzip.compress(lines.encode(), 1))
    command = ["build", "wikimatrix", "--pair", "en-hi", "--from", str(tmp_path), "--out", str(tmp_path / "out")]
    process = subprocess.Popen([sys.executable, "-m", "tppc", *command], stderr=subprocess.PIPE)
    while not (tmp_path / "out" / ".work" / "wikimatrix").is_dir():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted; finished parts are kept" in said


def test_a_dump_on_standard_input(tmp_path: Path) -> None:
    entity = {"type": "item", "id": "Q1", "labels": {"en": {"language": "en", "value": "universe"}, "hi": {"language": "hi", "value": "ब्रह्मांड"}},
              "descriptions": {"en": {"language": "en", "value": "all of space"}, "hi": {"language": "hi", "value": "सारा अंतरिक्ष"}}}  # fmt: skip
    data = f"[\n{json.dumps(entity)}\n]\n".encode()
    result = tppc("build", "wikidata", "--pair", "en-hi", "--from", "-", "--out", tmp_path / "out", stdin=data)
    assert result.returncode == 0, result.stderr.decode()
    assert b"kept in train" in result.stdout


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from tppc import cli; print([m for m in ('torch', 'transformers', 'polars', 'pyarrow', 'numpy', 'pydantic') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", [["build"], ["build", "wikidata"], ["sources"], ["corpora", "head"], ["manifests", "verify"]]
)
def test_help_has_an_example(command: list[str]) -> None:
    result = tppc(*command, "--help")
    assert result.returncode == 0
    assert command == ["build"] or b"Example: tppc " in result.stdout


def test_version() -> None:
    from tppc import __version__

    assert tppc("--version").stdout.decode() == f"tppc {__version__}\n"
    assert b"--debug" in tppc("--help").stdout


def test_the_funnel_is_printed_in_the_order_of_the_steps(tmp_path: Path) -> None:
    shown = tppc("build", "wikimatrix", "--pair", "en-hi", "--from", "sample", "--out", tmp_path).stdout.decode()
    names = [line.split()[1] for line in shown.splitlines() if line.startswith("  - ")]
    assert names[0] == "unreadable"
    assert names[1:3] == ["empty", "mojibake"]
    assert names[names.index("duplicates") :][:2] == ["duplicates", "language"]


def test_a_dry_run_prints_no_secret_and_asks_no_catalogue(tmp_path: Path) -> None:
    done = tppc(
        "build", "tatoeba", "--pair", "en-hi", "--from", "https://user:secret@example.org/m?sig=secret", "--dry-run"
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["from"] == "https://example.org/m"
    assert b"secret" not in done.stdout + done.stderr
    done = tppc("build", "opus", "--list", "--pair", "en-hi", "--dry-run")
    assert done.returncode == 2
    assert b"give it without --dry-run" in done.stderr
