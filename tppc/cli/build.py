"""`tppc build` and `tppc sources`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from tppc.errors import UsageError

# The command line must answer at once, so the sources are named here and imported only when one is used.
_SOURCES = {
    "tatoeba": "Sentences and direct translations by volunteers (CC-BY 2.0 FR).",
    "wikimatrix": "Sentence pairs mined from Wikipedia, with margin scores (CC-BY-SA).",
    "wikidata": "Label + description of items in both languages (CC0), from a dump or a SPARQL endpoint.",
}
_EXAMPLES = {
    "tatoeba": "tppc build tatoeba --pair en-hi --pair en-ja --holdout dev=500,test=500",
    "wikimatrix": "tppc build wikimatrix --pair en-hi --from WikiMatrix.en-hi.tsv.gz",
    "wikidata": "tppc build wikidata --pair en-ja --from latest-all.json.gz",
}

Pairs = Annotated[list[str], typer.Option("--pair", help="Language pair such as en-hi; repeat for more.")]
Origin = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Where to read: nothing (the true upstream), 'sample', a mirror root, a file, a URL, or '-' (stdin).",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of corpora; a corpus goes to OUT/SOURCE/PAIR.")]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", help="TOML file with settings that differ from the defaults, or a manifest.json."),
]
HoldoutText = Annotated[str | None, typer.Option("--holdout", help="Pairs to set aside, such as dev=500,test=500.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; never changes the result.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after this many source records, before filters.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved recipe and the plan, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Endpoint = Annotated[str | None, typer.Option(help="SPARQL endpoint: wdqs, qlever or a URL (wikidata without --from).")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Build corpora from a source.", no_args_is_help=True, rich_markup_mode=None)
    for name, about in _SOURCES.items():
        group.command(name, help=f"{about}\n\nExample: {_EXAMPLES[name]}")(_command(name))
    app.add_typer(group, name="build")
    app.command("sources")(sources)


def _command(source: str) -> Callable[..., None]:
    def command(
        pair: Pairs,
        origin: Origin = None,
        endpoint: Endpoint = None,
        out: Out = Path("corpora"),
        recipe_file: RecipeFile = None,
        holdout: HoldoutText = None,
        workers: Workers = None,
        limit: Limit = None,
        dry_run: DryRun = False,
        as_json: Json = False,
    ) -> None:
        from tppc.builders.build import build, source_named
        from tppc.builders.recipe import load_recipe
        from tppc.cli.corpora import print_funnels
        from tppc.corpora.languages import parse_pair

        pairs = [parse_pair(p) for p in pair]
        recipe = load_recipe(recipe_file, holdout=_holdout(holdout), limit=limit)
        if dry_run:
            plan = {
                "source": source,
                "pairs": pair,
                "from": origin or endpoint or source_named(source).upstream,
                "out": [str(out / source / p) for p in pair],
                "recipe": recipe.resolved(),
            }
            typer.echo(json.dumps(plan, indent=2, ensure_ascii=False))
            return
        corpora = build(source, pairs, origin=origin, endpoint=endpoint, out=out, recipe=recipe, workers=workers)
        print_funnels(corpora, as_json)

    return command


def _holdout(text: str | None) -> dict[str, int] | None:
    """`dev=500,test=500` as values of the recipe."""
    if text is None:
        return None
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in ("dev", "test") or name in found or not (value.isascii() and value.isdecimal()):
            raise UsageError(f"--holdout {text!r}: write dev=N,test=N, such as --holdout dev=500,test=500")
        found[name] = int(value)
    return found


def sources(
    pair: Annotated[str | None, typer.Option("--pair", help="Show the files of this pair.")] = None,
    as_json: Json = False,
) -> None:
    """List the sources: licence, where they come from, and what they are.

    Example: tppc sources --pair en-hi
    """
    from tppc.builders.sources import SOURCES, tatoeba, wikimatrix
    from tppc.corpora.languages import parse_pair

    files: dict[str, list[str]] = {name: [] for name in SOURCES}
    if pair:
        parsed = parse_pair(pair)
        files["tatoeba"] = list(tatoeba.files(parsed).values())
        files["wikimatrix"] = [wikimatrix.file_name(parsed)]
    rows = [
        {"source": s.name, "licence": s.licence, "about": s.about, "upstream": s.upstream, "files": files[s.name]}
        for s in SOURCES.values()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['source']:<12}{row['licence']:<26}{row['about']}\n{'':<12}{row['upstream']}")
        for file in row["files"]:
            typer.echo(f"{'':<12}  {file}")
