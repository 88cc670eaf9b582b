"""In which Unicode script most letters of a text are."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tppc.builders.filters.characters import CharacterTable, code_points, matches
from tppc.corpora.languages import SCRIPTS, Language

NO_LETTER, OTHER = "none", "other"
_TEXTS = 4_096  # counted at a time: memory does not follow the texts
# What a character is: no letter that counts, a letter in no script with a name, or in script `value - 2`.
_NONE, _UNNAMED, _NAMED = 0, 1, 2


def count_scripts(texts: pl.Series, language: Language) -> Counter[str]:
    """Texts by the script of most of their letters: `none` for a text without letters, `other` for one whose letters
    are in a script that tppc has no name for. Letters that all scripts share (ー) count nowhere; of two scripts with as
    many letters the first one wins, in the order of the language's own scripts, then of `SCRIPTS`.
    """
    found = Counter[str]()
    if len(language.scripts) == 1:  # most texts hold letters of this script alone: two looks settle them
        (own,) = language.scripts
        foreign = texts.str.contains(rf"[\p{{L}}--\p{{sc={own}}}--\p{{sc=Common}}]")
        settled = texts.str.contains(rf"[\p{{L}}&&\p{{sc={own}}}]") & ~foreign
        found[own] = int(settled.sum())
        texts = texts.filter(~settled)
    for start in range(0, len(texts), _TEXTS):
        found.update(_counted(texts.slice(start, _TEXTS), language.scripts))
    return Counter({name: count for name, count in found.items() if count})


@lru_cache
def _script_of() -> CharacterTable:
    def values_of(characters: pl.Series) -> NDArray[np.int64]:
        values = np.where(matches(characters, r"[\p{L}--\p{sc=Common}]"), _UNNAMED, _NONE).astype(np.int64)
        for number, name in enumerate(SCRIPTS):
            values[(values == _UNNAMED) & matches(characters, rf"\p{{sc={name}}}")] = _NAMED + number
        return values

    return CharacterTable(values_of)


def _counted(texts: pl.Series, own: tuple[str, ...]) -> dict[str, int]:
    lengths = texts.str.len_chars().to_numpy()
    kinds = len(SCRIPTS) + _NAMED
    places = np.repeat(np.arange(len(texts)) * kinds, lengths) + _script_of().values(code_points(texts))
    counts = np.bincount(places, minlength=len(texts) * kinds).reshape(-1, kinds)
    order = [*own, *(name for name in SCRIPTS if name not in own)]
    named = counts[:, [_NAMED + SCRIPTS.index(name) for name in order]]
    best = named.argmax(1)
    none = counts[:, _NONE] == lengths
    other = ~none & (named.max(1, initial=0) == 0)
    tallied = np.bincount(best[~none & ~other], minlength=len(order)).tolist()
    return {**dict(zip(order, tallied, strict=True)), NO_LETTER: int(none.sum()), OTHER: int(other.sum())}
