"""One unit over and over inside a text: `Romeooooooooo`, `था था था था था था`, `でしたしたしたしたした`.

Regular expressions of the polars engine have no back-references, and Python's take 10 microseconds a text. Here
all texts of a batch are one array of code points: a unit of d characters that repeats makes the array equal itself
shifted by d along a run, and runs of a given length are found by doubling (about 1 million texts a second for
units up to 16 characters).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from tppc.builders.filters.base import SRC, TGT, Filter, Settings, either, only_where
from tppc.corpora.languages import Pair

_LONGEST_UNIT = 16


class Repetition(Settings):
    """A unit of 1 to 16 characters that holds a letter stands `min_times` times in a row or more, and the run is
    at least `min_run` characters long; or of a side's words (at least `min_words`) less than `min_distinct_words`
    are distinct. Elongations such as `sooooo` stay below the limit."""

    min_times: int = Field(default=6, ge=2)
    min_run: int = Field(default=12, ge=2)
    min_words: int = Field(default=8, ge=2)
    min_distinct_words: float = Field(default=0.35, ge=0, le=1)


@lru_cache
def _is_letter() -> NDArray[np.bool_]:
    """Whether each code point is a letter; the separators beyond Unicode are none."""
    return np.fromiter(map(str.isalpha, map(chr, range(0x110000))), dtype=bool, count=0x110000)


def repeats(texts: pl.Series, min_times: int, min_run: int) -> pl.Series:
    """Whether each text holds such a run: a boolean series of the same length. Time is linear in the characters."""
    values = texts.fill_null("").to_list()
    found = np.zeros(len(values), dtype=bool)
    # A separator of its own after each text, outside Unicode, so that no run crosses two texts.
    ends = np.cumsum([len(v) for v in values], dtype=np.int64)
    points = np.frombuffer("".join(values).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    letters = np.insert(_is_letter()[points], ends, False)
    separated = np.insert(points, ends, 0x110000 + np.arange(len(values), dtype=np.uint32))
    letters_before = np.concatenate([[0], np.cumsum(letters)])
    starts = np.concatenate([[0], (ends + np.arange(1, len(values) + 1))[:-1]]) if values else ends
    for unit in range(1, min(_LONGEST_UNIT, max(len(separated) - 1, 0)) + 1):
        run = separated[unit:] == separated[:-unit]
        needed, have = max(unit * (min_times - 1), min_run - unit), 1
        while have < needed and len(run):
            step = min(have, needed - have)
            run, have = run[:-step] & run[step:], have + step
        places = np.flatnonzero(run)
        places = places[letters_before[places + unit] > letters_before[places]]
        found[np.searchsorted(starts, places, side="right") - 1] = True
    return pl.Series(found)


def _repetition(settings: Repetition, pair: Pair) -> pl.Expr:
    def few_words(text: pl.Expr) -> pl.Expr:
        words = text.str.split(" ")
        return words.list.n_unique() < settings.min_distinct_words * words.list.len()

    def many_words(text: pl.Expr) -> pl.Expr:
        return text.str.count_matches(" ", literal=True) + 1 >= settings.min_words

    def run(text: pl.Expr) -> pl.Expr:
        return text.map_batches(
            lambda s: repeats(s, settings.min_times, settings.min_run), return_dtype=pl.Boolean, is_elementwise=True
        )

    few = (only_where(many_words(side), few_words(side)) for side in (SRC, TGT))
    return either(run) | pl.any_horizontal(*few)


FILTERS = (Filter("repetition", Repetition, _repetition),)
