"""What a build would do, for `--dry-run`: its steps in order, each with what it would refuse."""

from __future__ import annotations

from typing import Any

from tppc.builders.filters import all_filters
from tppc.builders.normalise import Normalisation
from tppc.builders.recipe import Recipe
from tppc.builders.sources.base import Source


def steps(recipe: Recipe, source: Source) -> list[dict[str, Any]]:
    """The steps that a recipe asks for, in order, as JSON values."""
    settings = recipe.filters.by_name()
    names = [f.name for f in all_filters(recipe.plugins.filters)]
    more = recipe.normalise.model_dump(exclude_defaults=True)
    found: list[dict[str, Any]] = [{"step": "fetch", "what": f"the snapshot of {source.name}, into the cache"}]
    if source.split is not None:
        found.append({"step": "split", "what": "cuts what must be read in order into partitions"})
    if recipe.filters.learns:
        found.append({"step": "learn", "what": "one more pass: how long translations are"})
    found.append(
        {
            "step": "clean",
            "what": "reads, normalises, asks the filters in this order",
            "normalise": [
                "NFC and white space",
                *(f"{name}: {more[name]}" for name in Normalisation.model_fields if name in more),
            ],
            "filters": [name for name in names if settings[name].enabled],
            "off": [name for name in names if not settings[name].enabled],
        }
    )
    found.append({"step": "merge", "what": "leaves one row of equal pairs"})
    identification = recipe.language_id
    found.append(
        {
            "step": "identify",
            "what": f"language ID, model {identification.model}" if identification.enabled else "language ID is off",
        }
    )
    if recipe.score.encoder is not None or recipe.score.sha256 is not None:
        found.append({"step": "score", "what": f"scores pairs with {recipe.score.encoder or recipe.score.sha256}"})
    found.append({"step": "select", "what": "rules that need all rows", "rules": _rules(recipe)})
    found.append({"step": "publish", "what": "shards, statistics, card, manifest"})
    return found


def _rules(recipe: Recipe) -> list[str]:
    """The rules of `select` that are on."""
    dedup, held, kept_out = recipe.dedup, recipe.holdout, recipe.protect
    rules = {
        f"near duplicates: {dedup.near}": dedup.near != "off",
        f"one row for each text of: {dedup.sides}": dedup.sides != "none",
        f"boilerplate: more than {dedup.max_partners} partners": dedup.max_partners > 0,
        f"protected sets: {', '.join(s.name for s in kept_out.sets)}": bool(kept_out.sets),
        f"pairs of: {', '.join(s.name for s in kept_out.against)}": bool(kept_out.against),
        f"hold-out: dev {held.dev}, test {held.test}": held.total > 0,
    }
    return [rule for rule, on in rules.items() if on]
