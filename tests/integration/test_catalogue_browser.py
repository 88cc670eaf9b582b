"""The catalogue's page in a real browser: nothing fetched, nothing run, hostile text shown as text, readable on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import CLEAN, open_page, signs
from factory import write_corpus
from servers import FileServer, serving

from tppc.manifests.catalogue import Catalogue, parse_catalogue, render
from tppc.manifests.publication import publish

pytestmark = pytest.mark.browser
HOSTILE = "<script>window.pwned=1</script><img src=x onerror=alert(1)>"
ROWS = [(f"The house number {i} is old.", f"मकान संख्या {i} पुराना है।") for i in range(30)]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Two corpora, one of them in three versions."""
    place = tmp_path / "catalogue"
    corpus = write_corpus(tmp_path / "one", {"train": ROWS[:20], "test": ROWS[20:]})
    for version in ("1.0.0", "1.0.1", "2.0.0"):
        publish(corpus, str(place), catalogue=True, version=version)
    publish(
        write_corpus(tmp_path / "two", {"train": ROWS}, name="another-rather-long-name-of-a-source/en-hi"), str(place)
    )
    return place


@pytest.fixture
def hostile(tmp_path: Path, catalogue: Path) -> Path:
    """A page of a catalogue in which every free text attacks."""
    found = parse_catalogue((catalogue / "catalog.json").read_bytes(), "catalog.json")
    change: dict[str, Any] = {
        **dict.fromkeys(("licence", "created", "published"), HOSTILE),
        "pairs": [HOSTILE],
        "sources": [HOSTILE],
        "rows": {HOSTILE: 1},
        "licences": {HOSTILE: 1, "CC0-1.0": 1},
    }
    page = tmp_path / "hostile.html"
    page.write_bytes(render(Catalogue(corpora=[e.model_copy(update=change) for e in found.corpora])))
    return page


def _served(server: FileServer, folder: Path) -> str:
    server.files = {f"/{p.relative_to(folder).as_posix()}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return server.url("/index.html")


def test_a_server_is_asked_for_the_page_and_nothing_else(browser: Any, catalogue: Path) -> None:
    with serving() as server:
        open_page(browser, _served(server, catalogue))
        assert signs(browser) == CLEAN
        assert [a.path for a in server.gets()] == ["/index.html"]
    text = browser.execute_script("return document.body.innerText")
    assert "2 corpora, 4 published versions, 60 rows" in text
    assert "tppc corpora pull made/en-hi@2.0.0 --from ADDRESS" in text
    assert "Older versions (2)" in text


def test_its_links_lead_to_files_of_the_catalogue(browser: Any, catalogue: Path) -> None:
    open_page(browser, catalogue / "index.html")
    links = browser.execute_script("return [...document.links].map(a => a.getAttribute('href'))")
    assert "made/en-hi/1.0.1/manifest.json" in links
    manifests = [link for link in links if link.endswith(("manifest.json", "catalog.json"))]
    assert len(manifests) == 5
    assert all((catalogue / link).is_file() for link in manifests)


def test_hostile_text_is_shown_and_not_run(browser: Any, hostile: Path) -> None:
    open_page(browser, hostile)
    assert signs(browser) == CLEAN
    assert browser.execute_script("return document.scripts.length + document.images.length") == 0
    assert HOSTILE in browser.execute_script("return document.body.innerText")


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("page", ["catalogue", "hostile"])
def test_the_page_fits_without_sideways_scrolling(
    browser: Any, width: int, page: str, request: pytest.FixtureRequest
) -> None:
    found: Path = request.getfixturevalue(page)
    open_page(browser, found / "index.html" if found.is_dir() else found, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
