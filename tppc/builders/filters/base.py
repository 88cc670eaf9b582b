"""What a filter is: a name, settings with defaults, and a polars expression that is true for rows to reject.

The name of the first filter that refuses a row is its reason, in the funnel and in the rejects. A filter family is one
file; its filters are listed in `tppc.builders.filters.FILTERS`, in the order in which they are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from tppc.corpora.languages import Language, Pair


class Settings(BaseModel):
    """Settings of one filter; every filter can be switched off."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    enabled: bool = True


@dataclass(frozen=True)
class Filter:
    """`reject(settings, pair)` is a boolean expression over the columns `src_text`, `tgt_text`, `score`."""

    name: str
    settings: type[Settings]
    reject: Callable[[Any, Pair], pl.Expr]

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


def share(text: pl.Expr, characters: str) -> pl.Expr:
    """Share of a text's non-space characters that match the regex class (or alternation) `characters`, 0..1.

    Removing matches and comparing lengths is about three times as fast as counting them one by one.
    """
    dense = text.str.replace_all(r"\s+", "")
    matched = dense.str.len_chars() - dense.str.replace_all(characters, "").str.len_chars()
    return matched / dense.str.len_chars().clip(1)
