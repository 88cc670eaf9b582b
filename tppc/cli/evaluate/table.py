"""`tppc evaluate table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tppc.cli.evaluate.options import (
    AllOption,
    FormatOption,
    JsonOption,
    LayoutOption,
    format,
    predictions_beside,
    show,
)


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(table)


def table(
    paths: Annotated[list[Path], typer.Argument(help="Files of results.")],
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="Folders of predictions, to test by sentences and seeds; those beside the results without."),
    ] = None,
    format_: FormatOption = "text",
    json_: JsonOption = False,
    layout: LayoutOption = "long",
    all_metrics: AllOption = False,
) -> None:
    """Draw a table of results: means and deviations over seeds and runs, gains, p-values with Holm's correction.

    Example: tppc evaluate table results.jsonl --layout paper --format latex

    With predictions, p-values are of a paired bootstrap over sentences and seeds, else of t-tests over seeds.
    """
    how = format(format_, json_)
    from tppc.evaluation.results import read_results

    found = read_results(paths)
    places = [predictions_beside(path, None) for path in paths]
    beside = [place for place in places if place and place.is_dir() and any(place.rglob("*.parquet"))]
    show(found, how, all_metrics, layout, predictions or beside)
