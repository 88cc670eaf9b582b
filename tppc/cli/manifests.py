"""`tppc manifests`: show, verify, compare and publish what is published about a corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tppc.cli.publish import publish
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    from tppc.manifests.diff import ManifestDiff

Places = Annotated[list[str], typer.Argument(help="Corpora: folders or URLs.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Files at a time (default: all cores); never changes the result.")
]
Paths = Annotated[list[Path], typer.Argument(help="Corpus folders.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Show, verify, compare and publish manifests.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command()(show)
    group.command()(verify)
    group.command()(diff)
    group.command()(publish)
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


def verify(
    places: Places,
    quick: Annotated[
        bool, typer.Option("--quick", help="Manifest, sizes and footers only: finds what is missing, not what changed.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compute every text's key again and decode every column.")
    ] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Verify corpora, in folders or at URLs: digests, rows, schema, key order, funnel, licences, held-out texts.

    Exit status 0: sound; 1: something is wrong. Nothing that is read from a URL is kept.

    Example: tppc manifests verify corpora/wikidata/en-hi https://example.org/corpora/tatoeba/en-hi/1.0.0
    """
    from dataclasses import asdict
    from functools import partial

    from tppc.builders.progress import progress
    from tppc.corpora.addresses import public_address
    from tppc.manifests.verify import Depth, inspect

    if quick and deep:
        raise UsageError("--quick and --deep exclude each other")
    depth: Depth = "quick" if quick else "deep" if deep else "full"
    found: list[dict[str, Any]] = []
    for address in places:
        shown = public_address(address)
        try:
            watch = partial(progress, f"verify {shown}", unit="bytes")
            found.append(asdict(inspect(address, depth=depth, workers=workers, watch=watch)))
        except UsageError:
            raise
        except TppcError as error:  # no corpus at all: a fault like others, so that the next one is checked too
            found.append({"address": shown, "faults": [str(error)]})
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for one in found:
            count = f"{len(one['faults'])} fault" + "s" * (len(one["faults"]) > 1)
            sound = "nothing wrong at a quick look" if quick else "sound"
            typer.echo(f"{one['address']}: {count if one['faults'] else sound}")
            for fault in one["faults"]:
                typer.echo(f"  {fault}")
    if any(one["faults"] for one in found):
        raise typer.Exit(1)


def diff(
    before: Annotated[str, typer.Argument(help="A corpus (folder or URL), or a manifest alone.")],
    after: Annotated[str, typer.Argument(help="Another one.")],
    rows: Annotated[bool, typer.Option(help="Compare the rows too.")] = True,
    as_json: Json = False,
) -> None:
    """Compare two corpora: recipe, snapshots, versions, funnel, licences, and rows added, removed, changed, moved.

    Exit status as that of diff(1). 0: nothing differs but times; 1: something does; 2: they cannot be compared.

    Example: tppc manifests diff corpora/tatoeba/en-hi next/tatoeba/en-hi
    """
    from tppc.builders.progress import progress
    from tppc.manifests.diff import diff as compare

    try:
        with progress("diff", None, "rows") as advance:
            found = compare(before, after, rows=rows, advance=advance)
    except TppcError as error:
        raise UsageError(str(error)) from error
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        _print_diff(found)
    if found.differs():
        raise typer.Exit(1)


def _print_diff(found: ManifestDiff) -> None:
    for sign, one in (("-", found.before), ("+", found.after)):
        typer.echo(f"{sign} {one['name']} {one['version']}  build digest {one['build_digest']}")
    if not found.differs():
        typer.echo("no difference")
        return
    _changes("manifest", found.fields)
    for section, changes in found.settings.items():
        _changes(section, changes)
    _changes("snapshots", found.snapshots)
    _changes("columns", found.columns)
    for title, numbers in (("funnel", found.funnel), ("licences", found.licences)):
        if any(a != b for a, b in numbers.values()):
            typer.echo(f"{title}")
            for name, (a, b) in numbers.items():
                typer.echo(f"  {name:<40}{a:>14,}{b:>14,}" + (f"{b - a:>+14,}" if a != b else ""))
    if found.files:
        typer.echo("files")
        for name, what in found.files.items():
            typer.echo(f"  {name}: {what}")
    if found.rows is None:
        typer.echo(f"rows were not compared: {found.why_no_rows}")
    for pair, rows in (found.rows or {}).items():
        typer.echo(f"rows of {pair}")
        typer.echo(f"  {'same':<40}{rows.same:>14,}")
        for kind in ("added", "removed", "changed", "moved"):
            for where, count in sorted(getattr(rows, kind).items()):
                typer.echo(f"  {f'{kind}: {where}':<40}{count:>14,}")
            if kind == "changed":
                for name, count in rows.changed_columns.most_common():
                    typer.echo(f"    {f'in {name}':<38}{count:>14,}")
            for row in rows.examples.get(kind, []):
                typer.echo(f"    {row['source']} {row['source_id']}: {row['src_text'][:60]} | {row['tgt_text'][:60]}")
                for name, (a, b) in row.get("columns", {}).items():
                    typer.echo(f"      {name}: {_short(a)} -> {_short(b)}")
    typer.echo(f"by these changes the next version after {found.before['version']} is {found.next_version}")


def _changes(title: str, changes: Mapping[str, tuple[Any, Any]]) -> None:
    if changes:
        typer.echo(title)
        for name, (a, b) in changes.items():
            typer.echo(f"  {name}: {_short(a)} -> {_short(b)}")


def _short(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
