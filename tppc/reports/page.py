"""Render the page: one HTML file with its style and its figures inside it.

It fetches nothing and runs no script, and a Content-Security-Policy holds the browser to that, so that a text of a
stranger could do nothing even if it got past the escaping. Bytes depend on the inputs alone: no clock, no random id.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from tppc import __version__
from tppc.evaluation.visible import visible
from tppc.reports.comparison import ResultsView, Tile
from tppc.reports.sections import CorpusView, GeometryView, RunView, language_tag
from tppc.reports.visible import marked


def _finalize(value: Any) -> Any:
    """Every value of the template passes here before it is escaped, so that no control character is ever hidden."""
    return value if isinstance(value, Markup) else visible(str(value))


def short(value: Any) -> str:
    """A statistic with as many digits as help: `12`, `12.3`, `0.987`; a dash where there is none."""
    if not isinstance(value, int | float):
        return "–"
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 2 else f"{value:.3f}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tppc.reports", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(marked=marked, n="{:,}".format, short=short, tag=language_tag)
    return environment


def _counted(number: int, word: str, plural: str | None = None) -> str:
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def _tiles(corpora: list[CorpusView], runs: list[RunView], results: ResultsView | None) -> list[Tile]:
    tiles = []
    if corpora:
        read = sum(c.manifest.funnel.read for c in corpora)
        kept = sum(c.kept for c in corpora)
        share = f", {kept / read:.1%}" if read else ""
        tiles.append(Tile("Pairs kept", f"{kept:,}", f"of {read:,} rows read{share}"))
        pairs = dict.fromkeys(pair for c in corpora for pair in c.manifest.pairs)
        tiles.append(Tile("Corpora", f"{len(corpora)}", ", ".join(pairs)))
        licences = sum((Counter(c.manifest.licences) for c in corpora), Counter[str]())
        tiles.append(Tile("Licences", f"{len(licences)}", ", ".join(name for name, _ in licences.most_common(4))))
    if runs:
        alarms = sum(r.raised for r in runs)
        tiles.append(Tile("Runs", f"{len(runs)}", "no alarm" if not alarms else _counted(alarms, "alarm")))
    return tiles + (results.tiles if results else [])


def render(
    *,
    corpora: list[CorpusView],
    runs: list[RunView],
    geometries: list[GeometryView],
    results: ResultsView | None,
    results_read: int,
    title: str = "Translation-pair report",
) -> str:
    """The page as one string of HTML."""
    lead = [
        _counted(len(corpora), "corpus", "corpora") if corpora else "",
        _counted(len(runs), "training run") if runs else "",
        _counted(results_read, "result") if results_read else "",
    ]
    style = resources.files("tppc.reports").joinpath("page.css").read_text("utf-8")
    return _environment().get_template("page.html.j2").render(
        title=title,
        lead=" · ".join(part for part in lead if part),
        version=__version__,
        css=Markup(style),  # the package's own file
        tiles=_tiles(corpora, runs, results),
        corpora=corpora,
        runs=runs,
        geometries=geometries,
        results=results,
    )  # fmt: skip
