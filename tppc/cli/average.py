"""`tppc average`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_HELP = """Average the weights of checkpoints into one encoder.

Give a run (its last checkpoints are taken), checkpoints, or folders of encoders, all from one start. A run keeps as
many checkpoints as its setting `keep` says (2).

Example: tppc average runs/en-hi --last 5 --out runs/en-hi/averaged
"""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("average", help=_HELP)(average)


def average(
    paths: Annotated[list[Path], typer.Argument(metavar="RUN|CHECKPOINT...", help="What to average.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the averaged encoder; must be new or empty.")],
    last: Annotated[int | None, typer.Option(min=2, help="Of each run, only the last so many checkpoints.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the members as JSON.")] = False,
) -> None:
    """Find, average, print."""
    from tppc.training.average import average as run
    from tppc.training.average import members_of

    done = run(members_of(paths, last), out)
    if as_json:
        import json
        from dataclasses import asdict

        rows = [{"encoder": str(m.folder), "digest": m.digest} for m in done.members]
        head = asdict(done.translation) if done.translation else None
        typer.echo(json.dumps({"out": str(out), "tensors": done.tensors, "translation": head, "members": rows}))
        return
    for member in done.members:
        typer.echo(f"{member.digest[:12]}  {member.folder}")
    head_of = " and its translation head" if done.translation else ""
    typer.echo(f"{out}: the mean of {len(done.members)} encoders, {done.tensors} tensors{head_of}")
