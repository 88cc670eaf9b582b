"""What `clean` is told of a recipe: normalisation, filters and the code of plug-in filters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from tppc.builders.filters import all_filters, judge
from tppc.builders.filters.base import Settings
from tppc.builders.filters.plugins import PlugIn
from tppc.builders.filters.settings import settings_of
from tppc.builders.normalise import Normalisation, looked_at
from tppc.corpora.languages import Pair, language

if TYPE_CHECKING:
    from tppc.builders.recipe import Recipe


@dataclass(frozen=True)
class Cleaning:
    """`filters` are settings by filter, as in a recipe; `learned` the characters of target for one of source by
    pair, where the recipe wants to learn them."""

    filters: dict[str, Any]
    normalisation: Normalisation = field(default_factory=Normalisation)
    plugins: tuple[PlugIn, ...] = ()
    learned: dict[str, float | None] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the rows that come of it, as a JSON value."""
        return {
            "filters": self.filters,
            "normalise": self.normalisation.model_dump(),
            "plugins": [p.model_dump() for p in self.plugins],
            "learned": self.learned,
        }

    def settings(self, learned: float | None = None) -> dict[str, Settings]:
        """Settings of every filter by name; `learned` stands for `target_per_source = "learned"`."""
        return settings_of(self.filters, all_filters(self.plugins)).by_name(learned)

    def apply(self, rows: pl.DataFrame, pair: Pair) -> pl.DataFrame:
        """The rows with normalised texts, whether these are `quick.plain` (`src_plain`, `tgt_plain`), and a column
        `reason`. Raises `TppcError` for a plug-in filter that fails."""
        for side, own in zip(("src", "tgt"), pair.languages, strict=True):
            texts, plain = looked_at(rows[f"{side}_text"], self.normalisation, own.scripts)
            rows = rows.with_columns(texts, plain.alias(f"{side}_plain"))
        # Too few rows to learn from: what the language table says, as without "learned".
        table = language(pair.tgt).length / language(pair.src).length
        return judge(rows, self.settings(self.learned.get(str(pair)) or table), pair, self.plugins)


def cleaning_of(recipe: Recipe) -> Cleaning:
    """What `clean` needs of a recipe."""
    return Cleaning(recipe.filters.model_dump(mode="json"), recipe.normalise, recipe.plugins.filters)
