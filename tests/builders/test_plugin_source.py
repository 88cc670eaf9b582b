"""The worked example of docs/new_source.md, installed as a package beside tppc, does what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from commands import command

PAGE = (Path(__file__).parents[2] / "docs" / "new_source.md").read_text()
PHRASES = """# greetings
Good morning = सुप्रभात | greeting
How are you? = आप कैसे हैं? | greeting
Thanks = धन्यवाद | greeting
Where is the station? = स्टेशन कहाँ है?
no translation here
"""


def block(language: str) -> str:
    """The page's one block of code in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH with the package as an installer leaves it: its module, and the metadata of its
    `pyproject.toml`."""
    folder = tmp_path / "site"
    project = tomllib.loads(block("toml"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"]
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{k} = {v}" for k, v in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / "tppc_phrasebook.py").write_text(block("python"))
    (tmp_path / "phrases").mkdir()
    (tmp_path / "phrases" / "en-hi.txt").write_text(PHRASES)
    return folder


def tppc(site: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line where the package is installed."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command(*arguments), env=environment, cwd=site.parent, capture_output=True, text=True, timeout=120, check=False
    )


def build(site: Path, out: str, *more: object) -> subprocess.CompletedProcess[str]:
    return tppc(site, "build", "phrasebook", "--pair", "en-hi", "--from", "phrases", "--out", out, *more)


def rows(corpus: Path) -> list[tuple[str, str, str | None]]:
    """Source id, source text and topic of a corpus's rows, by source id."""
    tables = [pq.read_table(path) for path in sorted(corpus.rglob("train-*.parquet"))]
    return sorted((r["source_id"], r["src_text"], r["topic"]) for table in tables for r in table.to_pylist())


def test_the_example_is_listed_built_and_described_by_its_manifest(site: Path) -> None:
    listed = {row["source"]: row for row in json.loads(tppc(site, "sources", "--pair", "en-hi", "--json").stdout)}
    assert listed["phrasebook"]["about"] == "phrases for travellers, with a topic"
    assert listed["phrasebook"]["files"] == ["en-hi.txt"]
    assert "A source of the package tppc_phrasebook" in tppc(site, "build", "phrasebook", "--help").stdout
    built = build(site, "out", "--set", "min_words=2")
    assert built.returncode == 0, built.stderr
    corpus = site.parent / "out" / "phrasebook" / "en-hi"
    assert rows(corpus) == [
        ("2", "Good morning", "greeting"),
        ("3", "How are you?", "greeting"),
        ("5", "Where is the station?", None),
    ]
    manifest = json.loads((corpus / "manifest.json").read_text())
    assert manifest["recipe"]["phrasebook"] == {"min_words": 2}
    card = (corpus / "README.md").read_text()
    assert "| rejected: too\\_few\\_words | 1 |" in card
    assert "| rejected: unreadable | 1 |" in card
    again = tppc(
        site,
        "build",
        "phrasebook",
        "--pair",
        "en-hi",
        "--from",
        "phrases",
        "--out",
        "two",
        "--recipe",
        corpus / "manifest.json",
    )
    assert again.returncode == 0, again.stderr
    assert (
        json.loads((site.parent / "two/phrasebook/en-hi/manifest.json").read_text())["build_digest"]
        == manifest["build_digest"]
    )


def test_a_setting_that_the_example_does_not_have_is_wrong_usage(site: Path) -> None:
    wrong = build(site, "out", "--set", "max_words=2")
    assert wrong.returncode == 2
    assert "phrasebook: max_words: unknown key" in wrong.stderr
    assert not (site.parent / "out").exists()


def test_a_build_cut_short_starts_again_where_the_source_text_changed_and_only_there(site: Path) -> None:
    work = site.parent / "out" / ".work" / "phrasebook"

    def cleaned() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in work.glob("clean-*")}

    too_many = ("--holdout", "dev=500")
    assert build(site, "out", *too_many).returncode == 2
    first = cleaned()
    assert len(first) == 1
    assert build(site, "out", *too_many).returncode == 2
    assert cleaned() == first  # taken as it was
    module = site / "tppc_phrasebook.py"
    module.write_text(module.read_text().replace("(phrase.strip(), ", "(phrase.strip().upper(), "))
    built = build(site, "out")
    assert built.returncode == 0, built.stderr
    assert rows(site.parent / "out" / "phrasebook" / "en-hi")[0] == ("2", "GOOD MORNING", "greeting")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("phrasebook = tppc_phrasebook:UPSTREAM", "is no tppc source called 'phrasebook'"),
        ("phrasebook = tppc_phrasebook:NOTHING", "cannot be loaded"),
        ("opus = tppc_phrasebook:SOURCE", "the source name 'opus' of tppc_phrasebook:SOURCE is taken"),
    ],
)
def test_an_entry_point_that_names_no_source_is_one_sentence(entry: str, says: str, site: Path) -> None:
    next(site.glob("*.dist-info/entry_points.txt")).write_text(f"[tppc.sources]\n{entry}\n")
    shown = tppc(site, "sources")
    assert shown.returncode == 1
    assert says in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ('raise RuntimeError("old\\nmore")', "cannot be loaded: old; update"),
        ("import sys; sys.exit(3)", "loaded: 3; update"),
    ],
)
def test_a_package_that_fails_when_imported_hides_no_other_source(module: str, says: str, site: Path) -> None:
    (site / "tppc_phrasebook.py").write_text(module)
    done = build(site, "out")
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    listed = tppc(site, "sources", "--json")
    assert listed.returncode == 1
    assert {row["source"] for row in json.loads(listed.stdout)} == {
        "tatoeba",
        "wikimatrix",
        "wikidata",
        "opus",
        "bitext",
    }
    assert says in listed.stderr
