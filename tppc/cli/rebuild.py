"""`tppc rebuild`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild")(rebuild)


def rebuild(
    manifest: Annotated[str, typer.Argument(help="A manifest.json, the folder of a corpus, or the URL of either.")],
    origin: Annotated[
        str | None,
        typer.Option("--from", help="Where the snapshots (of a mixture: its parents) are now, if they were local."),
    ] = None,
    companion: Annotated[
        str | None, typer.Option("--companion", help="The second of two line-aligned files (bitext).")
    ] = None,
    protect: Annotated[
        list[Path] | None, typer.Option("--protect", help="Texts that it was kept free of; repeat for more.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", help="A corpus whose pairs were left to it; repeat for more.")
    ] = None,
    score_with: Annotated[
        str | None, typer.Option("--score-with", help="Where the encoder is that scored it, if it was a folder.")
    ] = None,
    out: Annotated[Path, typer.Option(help="A folder for the new corpus, which goes to OUT/NAME.")] = Path("rebuilt"),
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; never changes the result.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build a corpus again from its pinned snapshots and compare the digests; exit status 1 if they differ.

    Example: tppc rebuild corpora/tatoeba/en-hi/manifest.json --out rebuilt
    """
    from tppc.builders.rebuild import pip_line
    from tppc.builders.rebuild import rebuild as run

    places = {"protect": protect or (), "against": against or ()}
    done = run(manifest, origin=origin, companion=companion, out=out, workers=workers, score_with=score_with, **places)
    if as_json:
        found = {
            "path": str(done.corpus.path),
            "same": done.same,
            "build_digest": done.corpus.digest,
            "expected": done.expected.build_digest,
            "differences": done.differences,
        }
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{done.expected.name}  ->  {done.corpus.path}")
        typer.echo(f"  build digest  {done.corpus.digest}")
        typer.echo(f"  {'the same' if done.same else 'expected'}      {done.expected.build_digest}")
        for line in done.differences:
            typer.echo(f"  {line}")
        if any(line.startswith("version:") for line in done.differences):
            typer.echo(f"  for the same versions: {pip_line(done.expected)}")
    if not done.same:
        raise typer.Exit(1)
