"""Filters on the pair: are the two sides in their languages, and can one be a translation of the other?"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

import polars as pl
from pydantic import Field, model_validator

from tppc.builders.filters.base import SRC, TGT, Filter, Settings, either, either_language, not_ascii, only_where
from tppc.builders.filters.characters import share
from tppc.corpora.languages import Language, Pair

# Digits of other scripts, so that ४५ and 45 are the same number.
_ZEROS = "٠۰०০੦૦୦௦౦೦൦๐０"
_DIGITS = {chr(ord(zero) + value): str(value) for zero in _ZEROS for value in range(10)}

_POINTS, _MULTIPLIERS = ",.،٬٫", "十百千万億兆割亿萬"
_MULTIPLIED = rf"[0-9]+[{_MULTIPLIERS}]"


class Script(Settings):
    """Less than `min_share` of a side's letters belong to a script of its language: wrong language, exchanged sides,
    untranslated text, mojibake. Letters that all scripts share (ー, ـ) count neither way."""

    min_share: float = Field(default=0.3, ge=0, le=1)


def _script(settings: Script, pair: Pair) -> pl.Expr:
    def test(text: pl.Expr, language: Language) -> pl.Expr:
        if not language.scripts:  # not known, so it cannot be judged this way
            return pl.lit(False)
        scripts = "".join(rf"\p{{sc={name}}}" for name in language.scripts)
        return share(text, f"[{scripts}]", r"[\p{L}--\p{sc=Common}]") < settings.min_share

    return either_language(pair, test)


class MixedScripts(Settings):
    """Inside words, a side changes at least `min_places` times between Latin, Cyrillic and Greek letters: look-alikes
    of another alphabet (a Cyrillic `о` in `Tоm`), which no reader sees and no tokeniser survives. Other scripts often
    meet in a word (`Tシャツ`, `WhatsAppで`)."""

    min_places: int = Field(default=2, ge=1)


_ALPHABETS = ("Latin", "Cyrillic", "Greek")


def _one_alphabet(pair: Pair) -> bool:
    """Whether no side may be written in two of the alphabets."""
    return all(len(set(side.scripts) & set(_ALPHABETS)) <= 1 for side in pair.languages)


def _mixed_scripts(settings: MixedScripts, pair: Pair) -> pl.Expr:
    changes = (rf"\p{{sc={a}}}\p{{sc={b}}}" for a in _ALPHABETS for b in _ALPHABETS if a != b)
    pattern = "|".join(changes)
    return either(lambda text: text.str.count_matches(pattern) >= settings.min_places)


class Numbers(Settings):
    """Both sides hold numbers in digits, and less than `min_overlap` of the distinct numbers of the two are common to
    both, or each side holds more than `max_unmatched` that the other does not. Numbers in digits on one side alone are
    no fault (`3` and `three`). Digits of all scripts are the same. A number before a sign for ten, hundred or ten
    thousand (`1万` for `10,000`) may stand for any other."""

    min_overlap: float = Field(default=0.5, ge=0, le=1)
    max_unmatched: int = Field(default=0, ge=0)


def _numbers(settings: Numbers, pair: Pair) -> pl.Expr:
    def plain(text: pl.Expr) -> pl.Expr:
        """What a text has of numbers, apart by spaces; all else goes first, since this is a twentieth of a text."""
        short = text.str.extract_all(rf"[\p{{Nd}}{_POINTS}{_MULTIPLIERS}]+").list.join(" ")
        digits = short.str.replace_many(list(_DIGITS), list(_DIGITS.values()))
        joined = digits.str.replace_all(rf"(\d)[{_POINTS}](\d)", "$1$2")
        return joined.str.replace_all(rf"[ {_POINTS}]+", " ").str.strip_chars(" ")

    def numbers(text: pl.Expr) -> pl.Expr:
        return plain(text).str.replace_all(_MULTIPLIED, "").str.extract_all(r"[0-9]+").list.unique()

    src, tgt = numbers(SRC), numbers(TGT)
    wild = plain(SRC).str.count_matches(_MULTIPLIED) + plain(TGT).str.count_matches(_MULTIPLIED)
    same = src.list.set_intersection(tgt).list.len()
    union = src.list.set_union(tgt).list.len()
    fewer = pl.min_horizontal(src.list.len(), tgt.list.len())
    differ = (same + wild < settings.min_overlap * union) | (fewer > same + wild + settings.max_unmatched)
    differ &= fewer > 0
    # Most pairs hold no digits on one side at least, and most others the same numbers in the same order.
    differ = only_where(plain(SRC) != plain(TGT), differ)
    differ = only_where(SRC.str.contains(r"\p{Nd}") & TGT.str.contains(r"\p{Nd}"), differ)
    # Digits in ASCII are seen in a tenth of the time; in a text that is all ASCII there are no others.
    may = [text.str.contains("[0-9]") | not_ascii(text) for text in (SRC, TGT)]
    return only_where(may[0] & may[1], differ)


class Expected(Settings):
    """What is common to filters that compare lengths: `target_per_source` characters of target for one of source.

    Unset, it is that of `length_ratio`, and there that of the language table; `"learned"` takes the median of the data.
    """

    target_per_source: Annotated[float, Field(gt=0)] | Literal["learned"] | None = None

    def source_in_target(self, pair: Pair) -> pl.Expr:
        """Characters that the source would have in the target language."""
        assert self.target_per_source != "learned", "`clean` is given what was learned"
        src, tgt = pair.languages
        return SRC.str.len_chars() * (self.target_per_source or tgt.length / src.length)


class LengthRatio(Expected):
    """One side is far too long for the other: a truncated or concatenated translation.

    With a and b characters and c characters of target for one of source, a pair is rejected when
    |ln((b + 2) / (c a + 2))| > ln `max_ratio` and the deviation (b - c a) / sqrt((c a + b) / 2) exceeds `min_deviation`
    in size. The second test, the shape of Gale & Church (1993), spares short labels, where a letter or two make
    the ratio wild. c comes from the language table, is learned from the data, or is given: `target_per_source`."""

    max_ratio: float = Field(default=2.25, gt=1)
    min_deviation: float = Field(default=2.0, ge=0)


def _growth(settings: Expected, pair: Pair) -> pl.Expr:
    """ln((b + 2) / (c a + 2)): how much longer the target is than it should be."""
    return ((TGT.str.len_chars() + 2.0) / (settings.source_in_target(pair) + 2)).log()


def _length_ratio(settings: LengthRatio, pair: Pair) -> pl.Expr:
    expected = settings.source_in_target(pair)
    actual = TGT.str.len_chars().cast(pl.Float64)
    deviation = (actual - expected) / ((expected + actual) / 2).clip(1).sqrt()
    return (_growth(settings, pair).abs() > math.log(settings.max_ratio)) & (deviation.abs() > settings.min_deviation)


_CLOSING = r"""["'”’»」』)\]）\s]*"""
_ENDS = rf"[.!?…。．！？｡।॥؟۔]{_CLOSING}$"
# Scripts that end a sentence with a space or nothing.
_NO_STOPS = frozenset({"Thai", "Lao"})


class TerminalPunctuation(Expected):
    """One side ends as a sentence does, the other breaks off after a letter, and the latter is shorter by a factor of
    `max_ratio` than it should be: a truncated translation. Without a look at the lengths, one Tatoeba pair in sixty
    would go, since many authors leave the stop out. Not asked of languages without a full stop."""

    max_ratio: float = Field(default=1.75, ge=1)


def _terminal_punctuation(settings: TerminalPunctuation, pair: Pair) -> pl.Expr:
    if any(not _NO_STOPS.isdisjoint(side.scripts) for side in pair.languages):
        return pl.lit(False)
    growth, limit = _growth(settings, pair), math.log(settings.max_ratio)

    def broken(short: pl.Expr, whole: pl.Expr) -> pl.Expr:
        return short.str.contains(r"[\p{L}\p{M}\p{N}]$") & whole.str.contains(_ENDS)

    return ((growth < -limit) & broken(TGT, SRC)) | ((growth > limit) & broken(SRC, TGT))


class Sentences(Expected):
    """One side has at least `min_difference` more sentences than the other, and is longer by a factor of `max_ratio`
    than it should be: a translation with other sentences glued to it. Sentences are counted by their ends."""

    min_difference: int = Field(default=2, ge=1)
    max_ratio: float = Field(default=1.4, ge=1)


def _sentences(settings: Sentences, pair: Pair) -> pl.Expr:
    growth, limit = _growth(settings, pair), math.log(settings.max_ratio)

    def count(text: pl.Expr) -> pl.Expr:
        ends = r"""[.!?…]+["'”’»)\]]*(?:\s|$)|[。．！？｡।॥؟۔]+"""
        return text.str.count_matches(ends).cast(pl.Int64)

    more, least = count(TGT) - count(SRC), settings.min_difference
    glued = pl.when(growth > 0).then(more >= least).otherwise(more <= -least)
    return only_where(growth.abs() > limit, glued)


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
    Filter("script", Script, _script, plain_passes=lambda pair: True),
    Filter("mixed_scripts", MixedScripts, _mixed_scripts, plain_passes=_one_alphabet),
    Filter("numbers", Numbers, _numbers),
    Filter("length_ratio", LengthRatio, _length_ratio),
    Filter("terminal_punctuation", TerminalPunctuation, _terminal_punctuation),
    Filter("sentences", Sentences, _sentences),
    Filter("score", Score, _score),
)
