"""`tppc evaluate table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tppc.cli.evaluate.options import AllOption, FormatOption, JsonOption, format, show


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(table)


def table(
    paths: Annotated[list[Path], typer.Argument(help="Files of results.")],
    format_: FormatOption = "text",
    json_: JsonOption = False,
    all_metrics: AllOption = False,
) -> None:
    """Draw a table of results: means and deviations over seeds, gains, p-values of paired t-tests over seeds.

    Example: tppc evaluate table results.jsonl --format md
    """
    how = format(format_, json_)
    from tppc.evaluation.results import read_results

    show(read_results(paths), how, all_metrics)
