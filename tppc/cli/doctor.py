"""`tppc doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

_HELP = """Show what this machine has for tppc, and what may go wrong on it.

Devices and the precision they are used in, versions, caches, room on the disks, language ID, and a throughput probe of
about 10 seconds with a made encoder. Nothing asks the network.

Example: tppc doctor --seconds 3
"""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("doctor", help=_HELP)(doctor)


def doctor(
    *,
    seconds: Annotated[float, typer.Option(min=0, max=600, help="Length of the throughput probe; 0 for none.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Examine and print."""
    from tppc.doctor import described, examine

    facts = examine(seconds)
    if as_json:
        import json

        typer.echo(json.dumps(facts, indent=2))
        return
    for line in described(facts):
        typer.echo(line)
