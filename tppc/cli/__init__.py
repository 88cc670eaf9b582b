"""The command line: one file a command group. Parses, calls the library, prints; no logic, no heavy import at the
top.
"""

from __future__ import annotations

import sys

import typer

from tppc.cli import build, corpora, demo, evaluate, manifests, report, train
from tppc.errors import TppcError

app = typer.Typer(
    name="tppc",
    help="Translation-pair corpora, training on Translation Pair Prediction, honest zero-shot evaluation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _group in (build, corpora, manifests, train, evaluate, report, demo):
    _group.register(app)


def main() -> None:
    """Run the command line; every `TppcError` becomes one sentence on stderr and its exit status."""
    debug = "--debug" in sys.argv
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        app(args=arguments, prog_name="tppc")
    except TppcError as error:
        if debug:
            raise
        typer.echo(f"tppc: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("tppc: interrupted; finished parts are kept, the same command goes on from there", err=True)
        sys.exit(130)
