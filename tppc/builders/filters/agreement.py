"""Filters on the pair: are the two sides in their languages, and can one be a translation of the other?"""

from __future__ import annotations

import math
from typing import Self

import polars as pl
from pydantic import Field, model_validator

from tppc.builders.filters.base import SRC, TGT, Filter, Settings, either_language
from tppc.corpora.languages import Language, Pair

# Digits of other scripts, so that ४५ and 45 are the same number.
_ZEROS = "٠۰०০੦૦୦௦౦೦൦๐０"
_DIGITS = {chr(ord(zero) + value): str(value) for zero in _ZEROS for value in range(10)}

_MULTIPLIED = r"\d[十百千万億兆割亿萬]"


class Script(Settings):
    """Less than `min_share` of a side's letters belong to a script of its language: wrong language, exchanged sides,
    untranslated text, mojibake. Letters that all scripts share (ー, ـ) count neither way."""

    min_share: float = Field(default=0.3, ge=0, le=1)


def script_share(text: pl.Expr, language: Language) -> pl.Expr:
    """Share of a text's letters that are in a script of `language`; 0 for a text without letters.

    1 for a language whose scripts are not known: it cannot be judged this way.
    """
    if not language.scripts:
        return pl.lit(1.0)
    letters = text.str.replace_all(r"[^\p{L}]+", "").str.replace_all(r"\p{sc=Common}+", "")
    scripts = "".join(rf"\p{{sc={name}}}" for name in language.scripts)
    foreign = letters.str.replace_all(f"[{scripts}]+", "").str.len_chars()
    total = letters.str.len_chars()
    return (total - foreign) / total.clip(1)


def _script(settings: Script, pair: Pair) -> pl.Expr:
    return either_language(pair, lambda text, language: script_share(text, language) < settings.min_share)


class Numbers(Settings):
    """Both sides hold numbers in digits, and less than `min_overlap` of the distinct numbers of the two are common to
    both. A number in digits on one side alone is no fault (`3` and `three`), nor is `1万` for `10,000`. Digits of all
    scripts are the same."""

    min_overlap: float = Field(default=0.5, ge=0, le=1)


def _numbers(settings: Numbers, pair: Pair) -> pl.Expr:
    def numbers(text: pl.Expr) -> pl.Expr:
        ascii_digits = text.str.replace_many(list(_DIGITS), list(_DIGITS.values()))
        return ascii_digits.str.replace_all(r"(\d)[,.،٬٫](\d)", "$1$2").str.extract_all(r"[0-9]+").list.unique()

    src, tgt = numbers(SRC), numbers(TGT)
    common = src.list.set_intersection(tgt).list.len()
    union = src.list.set_union(tgt).list.len()
    multiplied = SRC.str.contains(_MULTIPLIED) | TGT.str.contains(_MULTIPLIED)
    return ~multiplied & (src.list.len() > 0) & (tgt.list.len() > 0) & (common < settings.min_overlap * union)


class LengthRatio(Settings):
    """One side is far too long for the other: a truncated or concatenated translation.

    With a and b characters and c characters of target for one of source, a pair is rejected when
    |ln((b + 2) / (c a + 2))| > ln `max_ratio` and the deviation (b - c a) / sqrt((c a + b) / 2) exceeds `min_deviation`
    in size. The second test, the shape of Gale & Church (1993), spares short labels, where a letter or two make
    the ratio wild. c comes from the language table, or from `target_per_source`."""

    max_ratio: float = Field(default=2.25, gt=1)
    min_deviation: float = Field(default=2.0, ge=0)
    target_per_source: float | None = Field(default=None, gt=0)


def _length_ratio(settings: LengthRatio, pair: Pair) -> pl.Expr:
    src, tgt = pair.languages
    expected = SRC.str.len_chars() * (settings.target_per_source or tgt.length / src.length)
    actual = TGT.str.len_chars().cast(pl.Float64)
    far = ((actual + 2) / (expected + 2)).log().abs() > math.log(settings.max_ratio)
    deviation = (actual - expected) / ((expected + actual) / 2).clip(1).sqrt()
    return far & (deviation.abs() > settings.min_deviation)


class Score(Settings):
    """The source's own score (WikiMatrix's margin) lies outside `min`..`max`. Rows without a score pass. Off by
    default: the two limits are unset."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max}), so every score would be refused")
        return self


def _score(settings: Score, pair: Pair) -> pl.Expr:
    score = pl.col("score")
    low = pl.lit(False) if settings.min is None else score < settings.min
    high = pl.lit(False) if settings.max is None else score > settings.max
    return (low | high).fill_null(False)


FILTERS = (
    Filter("script", Script, _script),
    Filter("numbers", Numbers, _numbers),
    Filter("length_ratio", LengthRatio, _length_ratio),
    Filter("score", Score, _score),
)
