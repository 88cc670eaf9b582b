"""`tppc cache`: what downloads left on the disk."""

from __future__ import annotations

import json
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Urls = Annotated[list[str] | None, typer.Argument(help="Only the copies and partial downloads of these URLs.")]
OlderThan = Annotated[
    float | None, typer.Option("--older-than", metavar="DAYS", help="Only what was not used for so many days.")
]
Partial = Annotated[bool, typer.Option("--partial", help="Only unfinished downloads.")]
All = Annotated[bool, typer.Option("--all", help="Everything.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="List and clean the cache of downloads ($TPPC_CACHE).", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_)
    group.command()(clean)
    app.add_typer(group, name="cache")


def list_(as_json: Json = False) -> None:
    """List the cache: files by URL (an older copy of a URL is marked), unfinished downloads, what sources keep.

    Example: tppc cache list
    """
    import time

    from tppc.builders.cache import entries
    from tppc.corpora.files import cache_folder

    found, now = entries(), time.time()
    if as_json:
        typer.echo(json.dumps([e.facts(now) for e in found], indent=2, ensure_ascii=False))
        return
    typer.echo(f"{'bytes':>16}  {'retrieved':<17}{'unused':>7}  {'SHA-256':<13} what")
    for entry in found:
        facts = entry.facts(now)
        what = entry.url or entry.name
        if entry.kind == "partial":
            what += f"  (partial, of {entry.total:,} bytes)" if entry.total is not None else "  (partial)"
        elif entry.kind == "file" and not entry.newest:
            what += "  (older copy)"
        retrieved = (entry.retrieved or "-")[:16]
        typer.echo(
            f"{entry.bytes:>16,}  {retrieved:<17}{facts['unused_days']:>6.1f}d  {(entry.sha256 or '-')[:12]:<13} {what}"
        )
    typer.echo(f"{sum(e.bytes for e in found):>16,}  in {cache_folder()}")


def clean(
    urls: Urls = None,
    older_than: OlderThan = None,
    partial: Partial = False,
    everything: All = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Remove files from the cache and say what that frees; what a running process downloads or reads stays.

    Conditions add up: --partial --older-than 7 removes downloads that nobody went on with for a week.

    Example: tppc cache clean --older-than 90
    """
    from tppc.builders.cache import clean as remove

    found = remove(older_than=older_than, partial=partial, everything=everything, urls=urls or (), dry_run=dry_run)
    if as_json:
        rows = [
            {"url": e.url, "name": e.name, "kind": e.kind, "sha256": e.sha256, "bytes": e.bytes, "kept": why}
            for e, why in found
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for entry, why in found:
        what = f"{entry.url or entry.name}{'  (partial)' if entry.kind == 'partial' else ''}"
        typer.echo(f"{entry.bytes:>16,}  {what}{f': stays, {why}' if why else ''}")
    gone = [e for e, why in found if why is None]
    freed = sum(e.bytes for e in gone)
    typer.echo(f"{freed:>16,}  bytes {'would be ' if dry_run else ''}freed, {len(gone)} of {len(found)} removed")
