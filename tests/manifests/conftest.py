"""Corpora of the package's samples, built once for all tests that only read them."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair


@pytest.fixture(scope="session")
def tatoeba(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Several licences, attribution, three splits."""
    out, recipe = tmp_path_factory.mktemp("tatoeba"), load_recipe(None, holdout={"dev": 10, "test": 20}, limit=800)
    (made,) = build("tatoeba", [Pair("en", "hi")], origin="sample", out=out, recipe=recipe)
    return made


@pytest.fixture(scope="session")
def wikidata(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Columns of the source's own, one split, texts without spaces."""
    out = tmp_path_factory.mktemp("wikidata")
    (made,) = build("wikidata", [Pair("en", "ja")], origin="sample", out=out)
    return made


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus as a builder makes it, with every kind of file."""
    folder = tmp_path_factory.mktemp("built")
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(80))
    lines += "1.0\tToo much <b>markup</b> | here |\tमकान पुराना है।\n"
    (folder / "WikiMatrix.en-hi.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    recipe = load_recipe(None, holdout={"test": 5})
    (made,) = build("wikimatrix", [Pair("en", "hi")], origin=str(folder), out=folder / "out", recipe=recipe)
    return made.path


@pytest.fixture
def corpus(built: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(built, tmp_path / "corpus"))
