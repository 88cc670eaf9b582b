"""What a filter is: a name, settings with defaults, and a polars expression that is true for rows to reject.

The name of the first filter that refuses a row is its reason, in the funnel and in the rejects. A filter family is one
file; its filters are listed in `tppc.builders.filters.FILTERS`, in the order in which they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from tppc.corpora.languages import Language, Pair


class Settings(BaseModel):
    """Settings of one filter; every filter can be switched off."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    enabled: bool = True


@dataclass(frozen=True)
class Filter:
    """`reject(settings, pair)` is a boolean expression over the columns `src_text`, `tgt_text`, `score`; null passes.

    `origin` is the file or package of a filter that is not tppc's own, for messages. `plain_passes(pair)` says whether
    a row of which both texts are `quick.plain` passes whatever the settings: then the expression sees the others alone.
    """

    name: str
    settings: type[Settings]
    reject: Callable[[Any, Pair], pl.Expr]
    origin: str | None = None
    plain_passes: Callable[[Pair], bool] = lambda pair: False

    @property
    def reason(self) -> str:
        """Why the filter exists, in one paragraph: the docstring of its settings."""
        return (self.settings.__doc__ or "").strip()


SRC, TGT = pl.col("src_text"), pl.col("tgt_text")


def either(test: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """True where `test` holds for either side."""
    return test(SRC) | test(TGT)


def either_language(pair: Pair, test: Callable[[pl.Expr, Language], pl.Expr]) -> pl.Expr:
    """True where `test`, which depends on the language of the side, holds for either side."""
    src, tgt = pair.languages
    return test(SRC, src) | test(TGT, tgt)


def not_ascii(text: pl.Expr) -> pl.Expr:
    """True for texts that hold a character beyond ASCII."""
    return text.str.len_bytes() != text.str.len_chars()


def only_where(suspect: pl.Expr, test: pl.Expr) -> pl.Expr:
    """`suspect & test`, where the costly `test` (over `src_text` and `tgt_text`) sees the suspect rows alone."""

    def run(columns: Sequence[pl.Series]) -> pl.Series:
        mask = columns[0].fill_null(False)
        rows = pl.DataFrame({"src_text": columns[1], "tgt_text": columns[2]}).filter(mask)
        found = np.zeros(len(mask), dtype=np.bool_)
        found[mask.to_numpy()] = rows.select(test.fill_null(False).alias("found")).to_series().to_numpy()
        return pl.Series(found)

    return pl.map_batches([suspect, SRC, TGT], run, return_dtype=pl.Boolean)
