"""`tppc build` and `tppc sources`."""

from __future__ import annotations

import inspect
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from tppc.errors import UsageError

# The command line must answer at once, so tppc's own sources are named here and imported only when one is used.
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
Endpoint = Annotated[str | None, typer.Option(help="SPARQL endpoint: wdqs, qlever or a URL (without --from).")]
# Flags of one source: settings of its table in the recipe, by their name there.
_FLAGS: dict[str, dict[str, Any]] = {
    "tatoeba": {},
    "wikimatrix": {},
    "wikidata": {"endpoint": Endpoint},
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
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting of the source's table in the recipe, KEY=VALUE with a TOML value; repeat."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved recipe and the plan, and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Build corpora from a source.", no_args_is_help=True, rich_markup_mode=None)
    for name, about in _SOURCES.items():
        group.command(name, help=f"{about}\n\nExample: {_EXAMPLES[name]}")(_command(name, _FLAGS[name]))
    for name, module in _plugins().items():
        example = f"tppc build {name} --pair en-hi"
        group.command(name, help=f"A source of the package {module}.\n\nExample: {example}")(_command(name, {}))
    app.add_typer(group, name="build")
    app.command("sources")(sources)


def _plugins() -> dict[str, str]:
    """Sources of other packages and where they come from, without importing one."""
    from importlib.metadata import entry_points

    return {e.name: e.module for e in entry_points(group="tppc.sources") if e.name not in _SOURCES}


def _command(source: str, flags: dict[str, Any]) -> Callable[..., None]:
    """The command of one source: the common flags, then its own, each a keyword argument of `run`."""

    def run(
        pair: Pairs,
        origin: Origin = None,
        out: Out = Path("corpora"),
        recipe_file: RecipeFile = None,
        holdout: HoldoutText = None,
        settings: Settings = None,
        workers: Workers = None,
        limit: Limit = None,
        dry_run: DryRun = False,
        as_json: Json = False,
        **own: Any,
    ) -> None:
        from tppc.builders.build import build
        from tppc.builders.recipe import load_recipe
        from tppc.builders.sources import source_named
        from tppc.cli.corpora import print_funnels
        from tppc.corpora.languages import parse_pair

        pairs = [parse_pair(p) for p in pair]
        places = {name: own.pop(name, None) for name in ("endpoint",)}
        options = {**{k: v for k, v in own.items() if v is not None}, **_settings(settings)}
        recipe = load_recipe(recipe_file, holdout=_holdout(holdout), limit=limit, **{source: options or None})
        if dry_run:
            plan = {
                "source": source,
                "pairs": pair,
                "from": origin or places["endpoint"] or source_named(source).upstream,
                "out": [str(out / source / p) for p in pair],
                "recipe": recipe.resolved(source_named(source)),
            }
            typer.echo(json.dumps(plan, indent=2, ensure_ascii=False))
            return
        corpora = build(source, pairs, origin=origin, out=out, recipe=recipe, workers=workers, **places)
        print_funnels(corpora, as_json)

    common = list(inspect.signature(run, eval_str=True).parameters.values())[:-1]
    mine = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=a) for n, a in flags.items()]
    run.__signature__ = inspect.Signature([*common, *mine])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*common, *mine)}
    return run


def _settings(given: list[str] | None) -> dict[str, Any]:
    """`--set KEY=VALUE` as values of a source's table; a value that is no TOML is taken as a string."""
    found: dict[str, Any] = {}
    for text in given or []:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"--set {text!r}: write KEY=VALUE, such as --set min_score=1.05")
        try:
            found[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key.strip()] = value
    return found


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
    """List the sources: what they are, pairs, size, licence, cadence, where they come from, how to cite them.

    Example: tppc sources --pair en-hi
    """
    from tppc.builders.sources import source_named, source_names
    from tppc.corpora.languages import parse_pair

    parsed = parse_pair(pair) if pair else None
    rows = [
        {
            "source": s.name,
            "licence": s.licence,
            "about": s.about,
            "pairs": s.pairs,
            "size": s.size,
            "cadence": s.cadence,
            "upstream": s.upstream,
            "citation": s.citation,
            "files": list(s.files(parsed)) if parsed else [],
        }
        for s in map(source_named, source_names())
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['source']:<12}{row['about']}")
        for name in ("pairs", "size", "licence", "cadence", "upstream", "citation"):
            typer.echo(f"{'':<12}{name:<10}{row[name]}")
        for file in row["files"]:
            typer.echo(f"{'':<12}{'file':<10}{file}")
