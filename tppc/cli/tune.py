"""`tppc corpora tune`: how well the filters tell good pairs from bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.builders.tune import Counts, Tuning

Truth = Annotated[
    Path, typer.Option("--truth", help="Labelled pairs, TSV: src, tgt, label (good or a fault); or a NAME.truth.tsv.")
]
PairText = Annotated[str, typer.Option("--pair", help="Language pair such as en-hi.")]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="Recipe whose settings are tried; the defaults if none.")
]
Preset = Annotated[str | None, typer.Option("--preset", help="default, strict, social or none.")]
MaxCost = Annotated[float, typer.Option(min=0, max=1, help="Share of good pairs that a suggested value may refuse.")]
Write = Annotated[Path | None, typer.Option("--write", help="Write the suggested settings to this recipe file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def tune(
    truth: Truth,
    pair: PairText,
    recipe_file: RecipeFile = None,
    preset: Preset = None,
    max_cost: MaxCost = 0.001,
    write: Write = None,
    as_json: Json = False,
) -> None:
    """Show precision and recall of each filter, and of other thresholds, on labelled pairs.

    Example: tppc corpora tune --truth labelled.tsv --pair en-hi --write recipe.toml
    """
    from tppc.builders.recipe import load_recipe
    from tppc.builders.tune import read_truth
    from tppc.builders.tune import tune as run
    from tppc.corpora.languages import parse_pair

    if write is not None and write.exists():
        raise UsageError(f"{write}: exists already; remove it or choose another --write")
    languages = parse_pair(pair)
    recipe = load_recipe(recipe_file, preset=preset)
    found = run(read_truth(truth, languages), languages, recipe, max_cost)
    if write is not None:
        _write(write, found, recipe.preset, recipe_file)
    if as_json:
        typer.echo(json.dumps(_as_json(found), indent=2))
        return
    _print(found, max_cost)


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "refused_good": counts.good_refused,
        "refused_bad": counts.bad_refused,
        "precision": counts.precision,
        "recall": counts.recall,
        "cost": counts.cost,
    }


def _as_json(found: Tuning) -> dict[str, Any]:
    return {
        "pair": found.pair,
        "good": found.together.good,
        "bad": found.together.bad,
        "left_out": found.left_out,
        "together": _counts(found.together),
        "refused_by_label": found.by_kind,
        "filters": [
            {
                "name": v.name,
                "enabled": v.enabled,
                "alone": v.alone,
                **_counts(v.counts),
                "values": [{"setting": x.setting, "value": x.value, **_counts(x.counts)} for x in v.values],
            }
            for v in found.verdicts
        ],
        "suggested": found.suggested,
    }


def _print(found: Tuning, max_cost: float) -> None:
    typer.echo(
        f"{found.together.good:,} good and {found.together.bad:,} bad pairs of {found.pair}", nl=not found.left_out
    )
    if found.left_out:
        typer.echo(f"; {found.left_out:,} duplicates left out, which no filter can know")
    typer.echo(f"\n{'filter':<42}{'bad':>8}{'recall':>9}{'good':>8}{'cost':>9}{'precision':>11}{'alone':>8}")
    for verdict in found.verdicts:
        name = verdict.name if verdict.enabled else f"{verdict.name} (off)"
        typer.echo(f"{_line(name, verdict.counts)}{verdict.alone:>8,}")
        for value in verdict.values:
            if value.counts != verdict.counts:
                typer.echo(_line(f"    {value.setting} = {value.value:g}", value.counts))
    typer.echo(_line("all that are on", found.together))
    typer.echo(f"\n{'label':<42}{'refused':>8}")
    for label, share in found.by_kind.items():
        typer.echo(f"{label[:40]:<42}{share:>8.1%}")
    typer.echo(f"\nsuggested, at most {max_cost:.2%} of the good pairs each:")
    for name, table in found.suggested.items() or {"nothing": {}}.items():
        typer.echo(f"  {name} " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in table.items()))


def _line(name: str, counts: Counts) -> str:
    precision = "-" if counts.precision is None else f"{counts.precision:.1%}"
    return (
        f"{name:<42}{counts.bad_refused:>8,}{counts.recall:>9.1%}{counts.good_refused:>8,}{counts.cost:>9.2%}"
        f"{precision:>11}"
    )


def _write(path: Path, found: Tuning, preset: str, base: Path | None) -> None:
    """A recipe file with the suggested settings over those of the recipe that was tried."""
    import tomllib

    import tomli_w

    from tppc.corpora.files import write_bytes

    values: dict[str, Any] = tomllib.loads(base.read_text(encoding="utf-8")) if base and base.suffix != ".json" else {}
    values = {"preset": preset, **values}
    filters = values.setdefault("filters", {})
    for name, table in found.suggested.items():
        filters[name] = {**filters.get(name, {}), **table}
    write_bytes(path, tomli_w.dumps(values).encode())
