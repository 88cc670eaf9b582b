"""Options that say how a task's files are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.readers.options import Column, Unit

ColumnsOption = Annotated[
    str | None,
    typer.Option(
        help="Columns of token and tag, or of text and label, by number from 0 (1,2) or by name (form,xpos); "
        "found where not given."
    ),
]
ReaderOption = Annotated[
    str | None, typer.Option(help="Format of the files (conll, ssf, json, ...); found by ending and content.")
]
UnitOption = Annotated[str, typer.Option(help="Tokens of a text with spans: words or characters (docs/readers.md).")]


def columns_of(given: str | None) -> tuple[Column, Column] | None:
    """The two columns of `--columns`."""
    if given is None:
        return None
    from tppc.evaluation.readers.options import column_of

    parts = [column_of(part.strip()) for part in given.split(",")]
    if len(parts) != 2 or "" in parts:
        raise UsageError(
            f"--columns {given!r}: write two numbers or names, as in --columns 1,2 or --columns text,label"
        )
    first, second = parts
    if first == second or any(isinstance(part, int) and part < 0 for part in parts):
        raise UsageError(f"--columns {given!r}: two different columns are wanted, counted from 0")
    return first, second


def unit_of(given: str) -> Unit:
    """The unit of `--unit`."""
    if given not in ("words", "characters"):
        raise UsageError(f"--unit must be words or characters, not {given!r}")
    return cast("Unit", given)
