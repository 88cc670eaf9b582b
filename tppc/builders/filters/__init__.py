"""The filters, in the order in which they are asked; the first that refuses a row gives the reason."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tppc.builders.filters import agreement, repetition, surface
from tppc.builders.filters.base import Filter, Settings, only_where
from tppc.builders.filters.plugins import PlugIn, explain, load
from tppc.corpora.languages import Pair
from tppc.errors import TppcError

FILTERS: tuple[Filter, ...] = (*surface.FILTERS, *repetition.FILTERS, *agreement.FILTERS)


def all_filters(plugins: Sequence[PlugIn] = ()) -> tuple[Filter, ...]:
    """tppc's own filters, then those of the recipe's plug-ins. Raises `TppcError` where two have one name."""
    found = FILTERS
    for plugin in plugins:
        for one in load(plugin):
            if any(one.name == other.name for other in found):
                raise TppcError(f"{plugin.name}: there is a filter called {one.name!r} already; call it another name")
            found = (*found, one)
    return found


def reason(
    settings: dict[str, Settings], pair: Pair, filters: Sequence[Filter] = FILTERS, plain: pl.Expr | None = None
) -> pl.Expr:
    """The name of the first enabled filter that refuses a row, null for a row that passes them all.

    Args:
        settings: one entry a filter, by name. plain: whether both texts of a row are `quick.plain`, where that is
        known.
    """

    def refuses(one: Filter) -> pl.Expr:
        found = one.reject(settings[one.name], pair)
        return found if plain is None or not one.plain_passes(pair) else only_where(~plain, found)

    refused = [pl.when(refuses(f)).then(pl.lit(f.name)) for f in filters if settings[f.name].enabled]
    return pl.coalesce(*refused, pl.lit(None, pl.String)).alias("reason")


def judge(
    rows: pl.DataFrame, settings: dict[str, Settings], pair: Pair, plugins: Sequence[PlugIn] = ()
) -> pl.DataFrame:
    """The rows with a column `reason`. Where `src_plain` and `tgt_plain` say which texts are `quick.plain`, filters
    that plain texts pass are not asked about them.

    Raises `TppcError` that names the file and the filter where one of a plug-in fails.
    """
    try:
        known = "src_plain" in rows.columns
        plain = pl.col("src_plain") & pl.col("tgt_plain") if known else None
        return rows.with_columns(reason(settings, pair, all_filters(plugins), plain))
    except Exception as error:
        explain(error, rows, settings, pair, plugins)
        raise
