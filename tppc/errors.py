"""Errors with a message for people.

Every error that a user can cause is a `TppcError`: one sentence that says what was wrong, where, and what to do. The
command line prints the message without a traceback (unless `--debug`) and exits with `exit_code`. A plain
`AssertionError` or any other exception means a fault in tppc itself.
"""


class TppcError(Exception):
    """Something outside tppc is wrong: a file, a network answer, a folder. Exit status 1."""

    exit_code = 1


class UsageError(TppcError):
    """The request itself makes no sense: unknown language, the same language twice. Exit status 2."""

    exit_code = 2
