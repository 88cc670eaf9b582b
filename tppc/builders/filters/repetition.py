"""One unit over and over inside a text: `Romeooooooooo`, `था था था था था था`, `でしたしたしたしたした`.

Regular expressions of the polars engine have no back-references, and Python's take 10 microseconds a text. Here
all texts of a batch are one array of code points: a unit of d characters that repeats makes the array equal itself
shifted by d along a run, and runs of a given length are found by doubling. Before that a look at every few characters
spares nearly all texts the search.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from tppc.builders.filters.base import SRC, TGT, Filter, Settings, either, only_where
from tppc.builders.filters.characters import code_points
from tppc.corpora.languages import Pair

_LONGEST_UNIT = 16
_LOOKED_AT = 4
_NONE = np.empty(0, np.int64)
_BLOCK = 4_096  # texts at a time: the arrays stay in a core's cache


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
    """Whether each text holds such a run: a boolean series of the same length. Time is linear in the characters.

    Most texts are settled by a few places that every long run passes (`_suspects`); only the others are looked at."""
    found = np.zeros(len(texts), dtype=bool)
    for start in range(0, len(texts), _BLOCK):
        block = texts.slice(start, _BLOCK).fill_null("")
        places = _suspects(block, min_times, min_run)
        found[start + places] = _repeats(block.gather(places), min_times, min_run)
    return pl.Series(found)


def _needed(unit: int, min_times: int, min_run: int) -> int:
    """Places in a row at which a text equals itself shifted by `unit` where a run is long enough."""
    return max(unit * (min_times - 1), min_run - unit, 1)


def _suspects(texts: pl.Series, min_times: int, min_run: int) -> NDArray[np.int64]:
    """Which texts may hold such a run; all that do are among them.

    Of `_needed` places in a row `_LOOKED_AT` begin at a multiple of what is left of it, and there alone one looks."""
    points = code_points(texts)
    hits: list[NDArray[np.int64]] = []
    for unit in range(1, min(_LONGEST_UNIT, len(points) - 1) + 1):
        needed = _needed(unit, min_times, min_run)
        looks = min(_LOOKED_AT, needed)
        step = needed - looks + 1
        last = len(points) - unit - looks + 1
        places = step * np.flatnonzero(points[:last:step] == points[unit : unit + last : step]) if last > 0 else _NONE
        for look in range(1, looks):
            places = places[points[places + look] == points[places + look + unit]]
        hits.append(places)
    ends = np.cumsum(texts.str.len_chars().to_numpy(), dtype=np.int64)
    return np.unique(np.searchsorted(ends, np.concatenate(hits), side="right")) if hits else _NONE


def _repeats(texts: pl.Series, min_times: int, min_run: int) -> NDArray[np.bool_]:
    """`repeats` without a quick look."""
    values = texts.to_list()
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
        needed, have = _needed(unit, min_times, min_run), 1
        while have < needed and len(run):
            step = min(have, needed - have)
            run, have = run[:-step] & run[step:], have + step
        places = np.flatnonzero(run)
        places = places[letters_before[places + unit] > letters_before[places]]
        found[np.searchsorted(starts, places, side="right") - 1] = True
    return found


def _repetition(settings: Repetition, pair: Pair) -> pl.Expr:
    def few_words(text: pl.Expr) -> pl.Expr:
        words = text.str.split(" ")
        return words.list.n_unique() < settings.min_distinct_words * words.list.len()

    def many_words(text: pl.Expr) -> pl.Expr:
        return text.str.count_matches(" ") + 1 >= settings.min_words

    def run(text: pl.Expr) -> pl.Expr:
        return text.map_batches(
            lambda s: repeats(s, settings.min_times, settings.min_run), return_dtype=pl.Boolean, is_elementwise=True
        )

    few = (only_where(many_words(side), few_words(side)) for side in (SRC, TGT))
    return either(run) | pl.any_horizontal(*few)


FILTERS = (Filter("repetition", Repetition, _repetition),)
