"""Errors with a message for people.

Every error that a user can cause is a `TppcError`: one sentence that says what was wrong, where, and what to do. The
command line prints the message without a traceback (unless `--debug`) and exits with `exit_code`. A plain
`AssertionError` or any other exception means a fault in tppc itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class TppcError(Exception):
    """Something outside tppc is wrong: a file, a network answer, a folder. Exit status 1."""

    exit_code = 1


class UsageError(TppcError):
    """The request itself makes no sense: unknown language, the same language twice. Exit status 2."""

    exit_code = 2


def misfit(error: ValidationError) -> tuple[str, str]:
    """The first thing that pydantic found wrong: where (`objectives.tpp.scale`, empty for the whole), and what, in
    words that can follow a colon."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return where, "unknown key"
    said = first["msg"].removeprefix("Value error, ")
    return where, said if said[1:2].isupper() else f"{said[:1].lower()}{said[1:]}"  # `OPUS has no ...` stays
