"""`tppc evaluate`: one file a command, or a family of commands that share their options."""

from __future__ import annotations

import typer

from tppc.cli.evaluate import bitext, diagnose, engagement, grid, labelled, probe, retrieval, score, table

app = typer.Typer(
    name="evaluate",
    help="Measure encoders: retrieval, zero-shot NER, POS and sentiment; tables of results.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for _command in (retrieval, bitext, diagnose, labelled, probe, engagement, grid, table, score):
    _command.register(app)


def register(root: typer.Typer) -> None:
    """Add `tppc evaluate` to the command line."""
    root.add_typer(app)
