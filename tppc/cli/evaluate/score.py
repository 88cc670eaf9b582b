"""`tppc evaluate score`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tppc.cli.evaluate.options import AllOption, FormatOption, JsonOption, LayoutOption, OutOption, format, keep, show


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(score)


def score(
    places: Annotated[list[Path], typer.Argument(metavar="PREDICTIONS...", help="Folders or files of predictions.")],
    out: OutOption = None,
    format_: FormatOption = "text",
    json_: JsonOption = False,
    layout: LayoutOption = "long",
    all_metrics: AllOption = False,
) -> None:
    """Score stored predictions again, with no model: every metric, interval and test.

    Example: tppc evaluate score results.predictions --all-metrics
    """
    how = format(format_, json_)
    from tppc.evaluation.predictions import prediction_files, read_predictions, results_of

    keep(out, [])
    answers = [one for path in prediction_files(places) for one in read_predictions(path)]
    results = [result for one in answers for result in results_of(one)]
    keep(out, results)
    show(results, how, all_metrics, layout, places)
