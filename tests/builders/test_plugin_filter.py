"""The worked example of docs/new_filter.md does what the page says, as a file and as a package."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import command

from tppc.builders.cleaning import cleaning_of
from tppc.builders.recipe import load_recipe
from tppc.builders.sources import source_named
from tppc.errors import TppcError

PAGE = (Path(__file__).parents[2] / "docs" / "new_filter.md").read_text()
ROWS = [
    ("Good morning, my friend.", "सुप्रभात, मेरे दोस्त।"),
    ("[door slams] [music]", "[दरवाज़ा बंद] [संगीत]"),
    ("The river is very long.", "नदी बहुत लंबी है।"),
]


def block(language: str) -> str:
    """The page's one block of code in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the page has the reader write, and three subtitles."""
    (tmp_path / "my_filters.py").write_text(block("python"))
    (tmp_path / "recipe.toml").write_text(block("toml"))
    (tmp_path / "subtitles.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in ROWS))
    return tmp_path


def tppc(folder: Path, *arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder; `path` goes before the rest of PYTHONPATH."""
    paths = [str(path)] * (path is not None) + [p for p in [os.environ.get("PYTHONPATH", "")] if p]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command(*arguments), env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


BUILD = ("build", "bitext", "--pair", "en-hi", "--from", "subtitles.tsv")


def test_the_example_refuses_what_it_is_for_and_the_manifest_tells_its_text(folder: Path) -> None:
    built = tppc(folder, *BUILD, "--recipe", "recipe.toml", "--out", "out", "--workers", "2")
    assert built.returncode == 0, built.stderr
    manifest = json.loads((folder / "out/bitext/en-hi/manifest.json").read_text())
    assert manifest["funnel"]["rejected"] == {"sound_notes": 1}
    assert manifest["recipe"]["filters"]["sound_notes"] == {"enabled": True, "max_share": 0.4}
    (plugin,) = manifest["recipe"]["plugins"]["filters"]
    assert plugin["name"] == "my_filters.py"
    assert set(plugin) == {"name", "sha256"}
    rejects = gzip.decompress((folder / "out/bitext/en-hi/rejects.jsonl.gz").read_bytes()).decode().splitlines()
    assert [json.loads(line)["reason"] for line in rejects] == ["sound_notes"]
    again = tppc(folder, "rebuild", "out/bitext/en-hi/manifest.json", "--from", "subtitles.tsv", "--out", "again")
    assert again.returncode == 0, again.stderr
    (folder / "my_filters.py").write_text(block("python").replace("♪♫", "♪"))
    other = tppc(folder, "rebuild", "out/bitext/en-hi/manifest.json", "--from", "subtitles.tsv", "--out", "third")
    assert other.returncode == 1
    assert "my_filters.py: not the filters that the recipe was made with" in other.stderr


def test_the_text_of_a_file_is_part_of_the_digest(folder: Path) -> None:
    source = source_named("bitext")
    first = load_recipe(folder / "recipe.toml")
    assert first.digest(source) == load_recipe(folder / "recipe.toml").digest(source)
    (folder / "my_filters.py").write_text(block("python") + "\n# another text\n")
    assert load_recipe(folder / "recipe.toml").digest(source) != first.digest(source)


def test_the_example_as_a_package(folder: Path) -> None:
    site = folder / "site"
    info = site / "subtitle_filters-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: subtitle-filters\nVersion: 1.0\n")
    (entry,) = re.findall(r'^subtitles = "(\S+)"$', PAGE, re.MULTILINE)
    (info / "entry_points.txt").write_text(f"[tppc.filters]\nsubtitles = {entry}\n")
    (folder / "my_filters.py").rename(site / "my_filters.py")
    (folder / "recipe.toml").write_text('[plugins]\nfilters = ["subtitles"]\n')
    plan = tppc(folder, *BUILD, "--recipe", "recipe.toml", "--dry-run", path=site)
    assert plan.returncode == 0, plan.stderr
    (clean,) = [step for step in json.loads(plan.stdout)["steps"] if step["step"] == "clean"]
    assert clean["filters"][-1] == "sound_notes"
    built = tppc(folder, *BUILD, "--recipe", "recipe.toml", "--out", "out", "--workers", "2", path=site)
    assert built.returncode == 0, built.stderr
    assert json.loads((folder / "out/bitext/en-hi/manifest.json").read_text())["funnel"]["rejected"] == {
        "sound_notes": 1
    }
    # Installed, but not named: it does nothing.
    silent = tppc(folder, *BUILD, "--out", "silent", path=site)
    assert silent.returncode == 0, silent.stderr
    assert "sound_notes" not in (folder / "silent/bitext/en-hi/manifest.json").read_text()
    without = tppc(folder, *BUILD, "--recipe", "recipe.toml", "--out", "none")
    assert without.returncode == 1
    assert "no installed package has filters called 'subtitles'" in without.stderr


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("FILTERS = [", "FILTERS = [["), r"my_filters\.py line 23: cannot load the filters: '\[' was never closed"),
        (("FILTERS = [", "NOTHING = ["), r"my_filters\.py: .*FILTERS.*; it must define `FILTERS`"),
        (("import polars as pl", "import no_such_module"), r"my_filters\.py line 3: .*no_such_module"),
        (('Filter("sound_notes"', 'Filter("script"'), r"my_filters\.py: there is a filter called 'script' already"),
        (("[Filter(", "[print, Filter("), r"my_filters\.py: .* is no tppc filter"),
    ],
)
def test_a_file_that_holds_no_filters_is_one_sentence(change: tuple[str, str], says: str, folder: Path) -> None:
    (folder / "my_filters.py").write_text(block("python").replace(*change))
    with pytest.raises(TppcError, match=says):
        load_recipe(folder / "recipe.toml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("return either(test)", 'return pl.col("nothing") > 1'), "my_filters.py: the filter 'sound_notes' fails:"),
        (("return either(test)", "return pl.col('src_text')"), "gives String, not true or false for each row"),
        (
            ("return either(test)", "return 1 / 0"),
            "my_filters.py line 20: the filter 'sound_notes' fails: division by zero",
        ),
    ],
)
def test_a_filter_that_fails_is_named_with_its_file(change: tuple[str, str], says: str, folder: Path) -> None:
    (folder / "my_filters.py").write_text(block("python").replace(*change))
    built = tppc(folder, *BUILD, "--recipe", "recipe.toml", "--out", "out")
    assert built.returncode == 1
    assert says in built.stderr
    assert "Traceback" not in built.stderr
    assert not (folder / "out/bitext/en-hi/manifest.json").exists()


def test_a_file_that_is_not_there_is_looked_for_beside_the_recipe(folder: Path) -> None:
    (folder / "my_filters.py").unlink()
    with pytest.raises(TppcError, match=r"no such file of filters in .*; its path starts at the recipe's folder"):
        load_recipe(folder / "recipe.toml")


def test_what_a_task_is_given_needs_no_file(folder: Path) -> None:
    """A worker on another machine has the text of the filters and nothing else."""
    sent = pickle.dumps(cleaning_of(load_recipe(folder / "recipe.toml")))
    (folder / "my_filters.py").unlink()
    script = (
        "import pickle, sys, polars as pl; from tppc.corpora.languages import parse_pair;"
        "rows = pl.DataFrame({'src_text': ['[music]', 'Good morning.'], 'tgt_text': ['संगीत।', 'सुप्रभात, दोस्त।'],"
        " 'score': [None, None]}, schema_overrides={'score': pl.Float32});"
        "print(pickle.load(sys.stdin.buffer).apply(rows, parse_pair('en-hi'))['reason'].to_list())"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script], input=sent, capture_output=True, check=False, cwd=folder.parent
    )
    assert shown.stdout.decode().strip() == "['sound_notes', None]", shown.stderr.decode()
