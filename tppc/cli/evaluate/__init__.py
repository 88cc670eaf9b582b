"""`tppc evaluate`: one file a command, or a family of commands that share their options."""

from __future__ import annotations

import typer

from tppc.cli.evaluate import labelled, retrieval, table

app = typer.Typer(
    name="evaluate",
    help="Measure encoders: retrieval, zero-shot NER, POS and sentiment; tables of results.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
for _command in (retrieval, labelled, table):
    _command.register(app)


def register(root: typer.Typer) -> None:
    """Add `tppc evaluate` to the command line."""
    root.add_typer(app)
