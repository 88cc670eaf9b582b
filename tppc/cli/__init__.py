"""The command line: one file a command group. Parses, calls the library, prints; no logic, no heavy import at the
top.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from tppc.cli import average, build, cache, corpora, demo, doctor, evaluate, manifests, rebuild, report, train
from tppc.errors import TppcError

app = typer.Typer(
    name="tppc",
    help="Translation-pair corpora, training on Translation Pair Prediction, honest zero-shot evaluation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _group in (build, rebuild, corpora, manifests, train, average, evaluate, report, demo, cache, doctor):
    _group.register(app)

_INTERRUPTED = 130
# Importing makes some 100,000 objects that live as long as the process. Python's own threshold, 700, has the garbage
# collector look through them over and over: an eighth of a short command's time.
_OBJECTS_BETWEEN_COLLECTIONS = 20_000


def _print_version(asked: bool) -> None:
    if asked:
        from tppc import __version__

        typer.echo(f"tppc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere.")] = False,
) -> None:
    """Options of every command; `main` takes `--debug` out of the arguments before they are parsed."""


def main() -> None:
    """Run the command line; whatever goes wrong becomes one sentence on stderr and an exit status.

    `--debug` anywhere in the arguments shows the traceback instead.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    debug = "--debug" in sys.argv
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    try:
        app(args=arguments, prog_name="tppc")
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _say("interrupted; finished parts are kept, the same command goes on from there")
        raise
    except TppcError as error:
        if debug:
            raise
        _say(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        if debug:
            raise
        _say(f"{error.filename or 'a file'}: {error.strerror or error}; check the path, its permissions and free space")
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        first = (str(error).splitlines() or ["no message"])[0]
        _say(f"this should not happen: {type(error).__name__}: {first}; run it with --debug and report what it shows")
        sys.exit(1)


def _say(text: str) -> None:
    typer.echo(f"tppc: {text}", err=True)
