"""`tppc manifests publish` and `tppc corpora pull`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def publish(
    path: Annotated[Path, typer.Argument(help="The folder of a corpus.")],
    destination: Annotated[
        str,
        typer.Option("--to", help="A folder, a URL such as s3://bucket/prefix, or hf://datasets/USER/NAME."),
    ],
    catalogue: Annotated[
        bool, typer.Option("--catalogue", help="Make --to a catalogue; one that holds catalog.json is one already.")
    ] = False,
    version: Annotated[
        str | None, typer.Option("--version", help="Publish as this version instead of the manifest's own.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read everything back and compare digests.")] = False,
    private: Annotated[bool, typer.Option("--private", help="Make a new dataset of the Hub private.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a sound corpus. A published version is never overwritten, and appears complete or not at all.

    Example: tppc manifests publish corpora/tatoeba/en-hi --to s3://bucket/corpora --catalogue
    """
    from dataclasses import asdict

    from tppc.builders.progress import progress
    from tppc.manifests.publication import publish as run

    done = run(path, destination, catalogue=catalogue, version=version, check=check, private=private, progress=progress)
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=2, ensure_ascii=False))
        return
    state = "published" if done.new else "is published already, nothing was done"
    typer.echo(f"{done.name}@{done.version} {state}: {done.address}")
    typer.echo(f"  build digest  {done.build_digest}\n  manifest      {done.manifest_sha256}")
    typer.echo(f"  size          {done.bytes:,} bytes")


def pull(
    name: Annotated[str, typer.Argument(help="NAME or NAME@VERSION; the newest version if none is given.")],
    source: Annotated[
        str,
        typer.Option(
            "--from", envvar="TPPC_CATALOGUE", help="The catalogue: a folder or a URL (https://, s3://, ...)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of corpora; the corpus goes to OUT/NAME.")] = Path("corpora"),
    as_json: Json = False,
) -> None:
    """Fetch a published corpus from a catalogue and verify it; a pull that was cut goes on where it was.

    Example: tppc corpora pull tatoeba/en-hi@1.0.0 --from https://example.org/corpora
    """
    from tppc.builders.progress import progress
    from tppc.manifests.pull import pull as run

    folder, manifest = run(name, source, out, progress=progress)
    if as_json:
        found = {
            "path": str(folder),
            "name": manifest.name,
            "version": manifest.version,
            "build_digest": manifest.build_digest,
        }
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{manifest.name}@{manifest.version}  ->  {folder}  (sound, {manifest.rows():,} rows)")
    typer.echo(f"  build digest  {manifest.build_digest}")
