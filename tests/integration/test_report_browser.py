"""The report in a real browser: nothing fetched, nothing run, hostile text shown as text, no sideways scrolling."""

import functools
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from chromium import CLEAN, open_page, signs

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
from report_inputs import (
    IMAGE,
    OVERRIDE,
    SCRIPT,
    STYLE,
    make_corpus,
    make_results,
    make_run,
    stand_in_embed,
    stand_in_load,
)

from tppc.reports.report import write_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every section, hostile texts in all of them."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tppc.encoders.load.load_encoder", stand_in_load)
        patch.setattr("tppc.encoders.embed.embed", stand_in_embed)
        corpora = [make_corpus(folder / "hi"), make_corpus(folder / "ar", "ar")]
        inputs = [*corpora, make_run(folder / "run"), make_results(folder / "results.jsonl")]
        return write_report(inputs, folder / "report.html")


@pytest.fixture
def served(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The page's folder on a local server: its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(page.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_page_runs_nothing_fetches_nothing_and_reports_no_error(browser: Any, page: Path) -> None:
    open_page(browser, page)
    assert signs(browser) == CLEAN
    assert browser.execute_script("return document.scripts.length + document.images.length") == 0


def test_a_server_is_asked_for_the_page_and_nothing_else(browser: Any, served: tuple[str, list[str]]) -> None:
    address, asked = served
    open_page(browser, f"{address}/report.html")
    assert signs(browser) == CLEAN
    assert asked == ["/report.html"]


def test_the_signs_would_show_an_attack(browser: Any, page: Path, served: tuple[str, list[str]]) -> None:
    address, asked = served
    page.with_name("bad.html").write_text(f"<!DOCTYPE html><title>x</title>{SCRIPT}<img src='missing.png'>")
    open_page(browser, f"{address}/bad.html")
    found = signs(browser)
    assert found["pwned"] == "number"
    assert f"{address}/missing.png" in found["fetched"]
    assert found["console"]
    assert "/missing.png" in asked


def test_the_policy_would_stop_what_escaping_missed(browser: Any, page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    attack = f"{SCRIPT}<img src='https://example.org/x.png'>"
    broken.write_text(page.read_text("utf-8").replace("<main", f"{attack}<main"), "utf-8")
    open_page(browser, broken)
    found = signs(browser)
    assert found["pwned"] == "undefined"
    assert "inline" in found["refused"]


def test_hostile_text_is_there_to_read(browser: Any, page: Path) -> None:
    open_page(browser, page)
    text = browser.execute_script("return document.body.innerText")
    for hostile in (SCRIPT, IMAGE, STYLE, "abc⟨U+202E⟩gnp.exe", "{{ 7*7 }} {% raw %}"):
        assert hostile in text
    assert OVERRIDE not in text


def test_sections_headings_and_figures_have_names(browser: Any, page: Path) -> None:
    open_page(browser, page)
    sections = browser.execute_script("return [...document.querySelectorAll('main > section')].map(s => s.id)")
    assert set(sections) == {"summary", "results", "geometry", "training", "corpora"}
    nameless = """return [...document.querySelectorAll('svg')].filter(s =>
        s.getAttribute('aria-labelledby').split(' ').some(i => !document.getElementById(i)?.textContent)).length"""
    assert browser.execute_script(nameless) == 0
    assert browser.execute_script("return document.querySelectorAll('svg').length") > 20
    assert browser.execute_script("return [...document.querySelectorAll('table')].filter(t => !t.caption).length") == 0
    assert browser.execute_script("return document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_fits_without_sideways_scrolling(browser: Any, page: Path, width: int) -> None:
    open_page(browser, page, width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_dark_scheme_turns_page_and_figures_light_on_dark(browser: Any, page: Path) -> None:
    def brightness(scheme: str) -> tuple[int, int]:
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        open_page(browser, page)
        first = "s => s.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
        back = browser.execute_script(f"return ({first})(getComputedStyle(document.body).backgroundColor)")
        text = browser.execute_script(f"return ({first})(getComputedStyle(document.querySelector('svg text')).fill)")
        return back, text

    light, dark = brightness("light"), brightness("dark")
    assert light[0] > light[1]
    assert dark[0] < dark[1]
