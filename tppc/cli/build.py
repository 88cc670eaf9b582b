"""`tppc build` and `tppc sources`."""

from __future__ import annotations

import gc
import inspect
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tppc.cli.file_flags import BITEXT, FROM, OPUS
from tppc.errors import TppcError, UsageError

# The command line must answer at once, so tppc's own sources are named here and imported only when one is used.
_SOURCES = {
    "tatoeba": "Sentences and direct translations by volunteers (CC-BY 2.0 FR).",
    "wikimatrix": "Sentence pairs mined from Wikipedia, with margin scores (CC-BY-SA).",
    "wikidata": "Label + description of items in both languages (CC0), from a dump or a SPARQL endpoint.",
    "opus": "A corpus of the OPUS collection, by name: subtitles, software, news, law, the web (licences differ).",
    "bitext": "A file of your own: TSV, CSV, JSON lines, Parquet, TMX, or two line-aligned files.",
}
_EXAMPLES = {
    "tatoeba": "tppc build tatoeba --pair en-hi --pair en-ja --holdout dev=500,test=500",
    "wikimatrix": "tppc build wikimatrix --pair en-hi --from WikiMatrix.en-hi.tsv.gz",
    "wikidata": "tppc build wikidata --pair en-ja --from latest-all.json.gz",
    "opus": "tppc build opus --pair en-hi --list; tppc build opus --pair en-hi --corpus OpenSubtitles",
    "bitext": "tppc build bitext --pair en-hi --from pairs.csv --src-column english --tgt-column hindi --licence MIT",
}
Endpoint = Annotated[str | None, typer.Option(help="SPARQL endpoint: wdqs, qlever or a URL (without --from).")]
Varieties = Annotated[
    bool | None, typer.Option("--varieties", help="With ar: also Egyptian, Moroccan, ... Arabic (column `variety`).")
]
AllPairs = Annotated[
    bool | None, typer.Option("--all-pairs", help="Every pair of the archive (65 GB), or of --from's .tar or folder.")
]
MinScore = Annotated[float | None, typer.Option(help="Refuse lower scores: filters.score.min of the recipe.")]
MaxScore = Annotated[float | None, typer.Option(help="Refuse higher scores: filters.score.max of the recipe.")]
Text = Annotated[str | None, typer.Option(help="The texts: 'label description' (as in the paper), label, description.")]
Aliases = Annotated[bool | None, typer.Option("--aliases", help="Each alias in the place of the label is a pair too.")]
ExcludeInternal = Annotated[
    bool | None,
    typer.Option("--exclude-internal/--include-internal", help="Items that only serve Wikimedia (default: exclude)."),
]
Classes = Annotated[
    list[str] | None, typer.Option("--class", help="Only direct instances of this class, such as Q5; repeat for more.")
]
# Flags of one source: settings of its table in the recipe, by their name there, or of a filter (`_OF_FILTERS`).
_FLAGS: dict[str, dict[str, Any]] = {
    "tatoeba": {"varieties": Varieties},
    "wikimatrix": {"all_pairs": AllPairs, "min_score": MinScore, "max_score": MaxScore},
    "wikidata": {
        "endpoint": Endpoint,
        "text": Text,
        "aliases": Aliases,
        "exclude_internal": ExcludeInternal,
        "classes": Classes,
    },
    "opus": OPUS,
    "bitext": BITEXT,
}

_OF_FILTERS = {"min_score": ("score", "min"), "max_score": ("score", "max")}

Pairs = Annotated[list[str] | None, typer.Option("--pair", help="Language pair such as en-hi; repeat for more.")]
Origin = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Where to read: nothing (the true upstream), 'sample', a mirror root, a file, a URL, or '-' (stdin).",
    ),
]
Out = Annotated[
    str, typer.Option(help="Folder of corpora, or a URL such as s3://bucket/corpora; a corpus goes to OUT/SOURCE/PAIR")
]
RecipeFile = Annotated[
    Path | None,
    typer.Option("--recipe", help="TOML file with settings that differ from the defaults, or a manifest.json."),
]
Preset = Annotated[
    str | None, typer.Option("--preset", help="Settings to start from: default, strict, social or none.")
]
HoldoutText = Annotated[str | None, typer.Option("--holdout", help="Pairs to set aside, such as dev=500,test=500.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; never changes the result.")]
EngineKind = Annotated[
    Literal["local", "ray"], typer.Option("--engine", help="Processes of this machine, or a Ray cluster (tppc[ray]).")
]
RayAddress = Annotated[
    str | None, typer.Option("--ray-address", help="The cluster; by default RAY_ADDRESS, or this machine alone.")
]
Work = Annotated[
    str | None, typer.Option("--work", help="Folder or URL of what is between the steps; OUT/.work by default.")
]
Protects = Annotated[
    list[Path] | None,
    typer.Option(
        "--protect",
        help="Texts that must not occur, on any side, in any split: a file or folder (lines, TSV, CSV, JSON, CoNLL, "
        "CoNLL-U, Parquet), or a corpus (its dev and test); repeat for more.",
    ),
]
Against = Annotated[
    list[Path] | None, typer.Option("--against", help="A corpus whose pairs are left to it; repeat for more.")
]
Near = Annotated[
    Literal["off", "letters", "similar"] | None,
    typer.Option("--near", help="Near duplicates: dedup.near of the recipe (letters by default)."),
]
ScoreWith = Annotated[
    str | None,
    typer.Option("--score-with", help="Refuse pairs that this encoder (a name or a folder) takes for no translations."),
]
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
        pair: Pairs = None,
        origin: Origin = None,
        out: Out = "corpora",
        recipe_file: RecipeFile = None,
        preset: Preset = None,
        holdout: HoldoutText = None,
        protect: Protects = None,
        against: Against = None,
        near: Near = None,
        score_with: ScoreWith = None,
        settings: Settings = None,
        workers: Workers = None,
        engine: EngineKind = "local",
        ray_address: RayAddress = None,
        work: Work = None,
        limit: Limit = None,
        dry_run: DryRun = False,
        as_json: Json = False,
        **own: Any,
    ) -> None:
        from tppc.builders.build import build, build_into, catalogue
        from tppc.builders.download import shown
        from tppc.builders.engine import Engine
        from tppc.builders.plan import steps
        from tppc.builders.recipe import load_recipe, origins
        from tppc.builders.score import with_scorer
        from tppc.builders.select.named import kept_out
        from tppc.builders.sources import source_named
        from tppc.cli.funnels import print_funnels
        from tppc.corpora.addresses import scheme
        from tppc.corpora.languages import parse_pair

        gc.freeze()  # what is imported lives as long as the process, so the collector need not look through it
        all_pairs = own.pop("all_pairs", None)
        if all_pairs and pair:
            raise UsageError("--all-pairs takes every pair: give it without --pair")
        if not all_pairs and not pair:
            raise UsageError("no language pair: give at least one, such as --pair en-hi")
        pairs = None if all_pairs else [parse_pair(p) for p in pair or []]
        places = {name: own.pop(name, None) for name in ("endpoint", "companion")}
        listing = own.pop("list", False)
        filters: dict[str, dict[str, Any]] = {}
        for flag, (name, key) in _OF_FILTERS.items():
            if (value := own.pop(flag, None)) is not None:
                filters.setdefault(name, {})[key] = value
        options = {**{k: v for k, v in own.items() if v is not None}, **_settings(settings)}
        if listing and dry_run:
            raise UsageError("--list asks the catalogue and builds nothing: give it without --dry-run")
        own_settings: dict[str, Any] = {
            "filters": filters or None,
            "dedup": {"near": near} if near else None,
            source: options or None,
        }
        own_settings["score"] = {"encoder": score_with} if score_with else None
        own_settings |= {"preset": preset, "holdout": _holdout(holdout), "limit": limit}
        recipe = load_recipe(recipe_file, **own_settings)
        if listing:
            print_catalogue(catalogue(source, pairs or [], origin=origin, recipe=recipe), as_json)
            return
        if dry_run:
            entry = source_named(source)
            recipe, _ = with_scorer(recipe)
            recipe, _ = kept_out(recipe, protect or (), against or (), pair or [])
            table = recipe.options(entry).model_dump(mode="json")
            plan = {
                "source": source,
                "pairs": "all" if all_pairs else pair,
                "from": shown(origin or places["endpoint"] or entry.upstream),
                "out": [f"{out.rstrip('/')}/{entry.corpus_name(table, p)}" for p in pairs or []],
                "preset": recipe.preset,
                "settings_from": origins(recipe_file, **own_settings),
                "steps": steps(recipe, entry),
                "recipe": recipe.resolved(entry),
            }
            typer.echo(json.dumps(plan, indent=2, ensure_ascii=False))
            return
        if ray_address and engine != "ray":
            raise UsageError("--ray-address names a Ray cluster: it goes with --engine ray")
        how = {"workers": workers, "engine": Engine(engine, workers, ray_address), "work": work, **places}
        how |= {"protect": protect or (), "against": against or ()}
        if scheme(out) in ("", "file", "local"):
            folder = Path(out.split("://", 1)[-1])
            print_funnels(build(source, pairs, origin=origin, out=folder, recipe=recipe, **how), as_json)
        else:
            print_funnels(build_into(source, pairs, out, origin=origin, recipe=recipe, **how), as_json)

    common = list(inspect.signature(run, eval_str=True).parameters.values())[:-1]
    if source in FROM:
        own_from = Annotated[str | None, typer.Option("--from", help=FROM[source])]
        common = [p.replace(annotation=own_from) if p.name == "origin" else p for p in common]
    mine = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=a) for n, a in flags.items()]
    run.__signature__ = inspect.Signature([*common, *mine])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in (*common, *mine)}
    return run


def print_catalogue(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print what a source that holds many corpora has; sizes are those of the files."""
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{'corpus':<28}{'version':<12}{'for':<10}{'pairs':>14}{'MB':>12}  URL")
    for row in rows:
        pairs = "?" if row["pairs"] is None else f"{row['pairs']:,}"
        size = "?" if row["bytes"] is None else f"{row['bytes'] / 1e6:,.1f}"
        typer.echo(f"{row['corpus']:<28}{row['version']:<12}{row['pair']:<10}{pairs:>14}{size:>12}  {row['url']}")


def _settings(given: list[str] | None) -> dict[str, Any]:
    """`--set KEY=VALUE` as values of a source's table; a value that is no TOML is taken as a string."""
    found: dict[str, Any] = {}
    for text in given or []:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise UsageError(f"--set {text!r}: write KEY=VALUE, such as --set exclude_internal=false")
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
    from tppc.builders.progress import note
    from tppc.builders.sources import source_named, source_names
    from tppc.corpora.languages import parse_pair

    parsed = parse_pair(pair) if pair else None
    found, status = [], 0
    for name in source_names():
        try:
            found.append(source_named(name))
        except TppcError as error:  # a plug-in that is broken hides no other source
            note(str(error))
            status = error.exit_code
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
        for s in found
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        raise typer.Exit(status)
    for row in rows:
        typer.echo(f"{row['source']:<12}{row['about']}")
        for name in ("pairs", "size", "licence", "cadence", "upstream", "citation"):
            typer.echo(f"{'':<12}{name:<10}{row[name]}")
        for file in row["files"]:
            typer.echo(f"{'':<12}{'file':<10}{file}")
    raise typer.Exit(status)
