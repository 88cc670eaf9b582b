"""`tppc manifests`: show and verify what is published about a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tppc.errors import TppcError

Paths = Annotated[list[Path], typer.Argument(help="Corpus folders.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Show and verify manifests.", no_args_is_help=True, rich_markup_mode=None)
    group.command()(show)
    group.command()(verify)
    app.add_typer(group, name="manifests")


def show(paths: Paths, as_json: Json = False) -> None:
    """Show where a corpus came from: snapshots, recipe digest, versions, shards.

    Example: tppc manifests show corpora/wikidata/en-hi
    """
    from tppc.corpora.manifest import read_manifest

    manifests = [read_manifest(p) for p in paths]
    if as_json:
        typer.echo(json.dumps([m.model_dump(mode="json") for m in manifests], indent=2, ensure_ascii=False))
        return
    for m in manifests:
        typer.echo(f"{m.name} {m.version}  ({m.format}, created {m.created})")
        typer.echo(f"  command       {m.command}")
        typer.echo(f"  build digest  {m.build_digest}\n  recipe        {m.recipe_digest}")
        typer.echo(f"  versions      {', '.join(f'{k} {v}' for k, v in m.versions.items())}")
        for s in m.snapshots:
            typer.echo(f"  snapshot      {s.name}  {s.bytes:,} bytes  {s.sha256}\n                {s.url}")
        for shard in m.shards:
            typer.echo(f"  shard         {shard.path}  {shard.rows:,} rows  {shard.bytes:,} bytes  {shard.sha256}")


def verify(paths: Paths, as_json: Json = False) -> None:
    """Verify every digest, row count, schema, key order and funnel; exit status 1 if anything is wrong.

    Example: tppc manifests verify corpora/wikidata/en-hi
    """
    from tppc.manifests.verify import verify as check

    found: dict[str, list[str]] = {}
    for folder in paths:
        try:
            found[str(folder)] = check(folder)
        except TppcError as error:  # no corpus at all: a fault like others, so that the next path is checked too
            found[str(folder)] = [str(error)]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        for path, faults in found.items():
            count = f"{len(faults)} fault" + "s" * (len(faults) > 1)
            typer.echo(f"{path}: {count if faults else 'sound'}")
            for fault in faults:
                typer.echo(f"  {fault}")
    if any(found.values()):
        raise typer.Exit(1)
