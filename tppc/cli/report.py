"""`tppc report`: corpora, runs and results on one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `report` to the command line."""

    @app.command()
    def report(
        paths: Annotated[
            list[Path],
            typer.Argument(metavar="PATH...", help="Corpus folders, run folders and results .jsonl files."),
        ],
        out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
        baseline: Annotated[
            str | None,
            typer.Option(help="Encoder to compare runs with, a hub name or a folder; by default each run's own start."),
        ] = None,
    ) -> None:
        """Write one self-contained HTML page: funnel, lengths, rejects, training curves, geometry, results.

        Example: tppc report corpora/tatoeba/en-hi runs/en-hi-tpp results.jsonl --out report.html
        """
        from tppc.reports.report import write_report

        typer.echo(write_report(paths, out, baseline))
