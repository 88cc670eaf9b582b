"""The filters, in the order in which they are asked; the first that refuses a row gives the reason."""

from __future__ import annotations

import polars as pl

from tppc.builders.filters import agreement, repetition, surface
from tppc.builders.filters.base import Filter, Settings
from tppc.corpora.languages import Pair

FILTERS: tuple[Filter, ...] = (*surface.FILTERS, *repetition.FILTERS, *agreement.FILTERS)


def reason(settings: dict[str, Settings], pair: Pair) -> pl.Expr:
    """The name of the first enabled filter that refuses a row, null for a row that passes them all.

    Args:
        settings: one entry a filter, by name.
    """
    names = [f.name for f in FILTERS if settings[f.name].enabled]
    refused = [pl.when(f.reject(settings[f.name], pair)).then(pl.lit(f.name)) for f in FILTERS if f.name in names]
    return pl.coalesce(*refused, pl.lit(None, pl.String)).alias("reason")
