"""How many characters of a text are of a kind, for all texts of a batch at once.

Counting with regular expressions means to write each text anew without its matches: 4 microseconds a pair for letters
alone. Here a batch is one array of code points, a table says for each code point whether it counts, and the
difference of two running sums is the count of a text: about 0.3 microseconds a pair. The tables come from the regular
expressions of polars, so a class means the same here as in an expression.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

_BLOCK = 4_096  # texts at a time: the arrays stay in a core's cache, and memory does not follow the batch
_PART = np.int64(32)
_CHARACTERS = ((0, 0xD800), (0xE000, 0x110000))


@lru_cache
def _all_characters() -> pl.Series:
    """Every code point as a text, by its number; surrogates, which are no characters, are null."""
    # Python cuts one text of all of them faster than it makes each by itself.
    before, after = (np.arange(a, b, dtype="<u4").tobytes().decode("utf-32-le") for a, b in _CHARACTERS)
    return pl.Series([*before, *([None] * 0x800), *after], dtype=pl.String)


@lru_cache(maxsize=256)
def matching(characters: str) -> NDArray[np.bool_]:
    """Whether each code point matches the regex class `characters`, such as `[\\p{L}\\p{M}]`; shape (0x110000,)."""
    return _all_characters().str.contains(f"^{characters}$").fill_null(False).to_numpy()


@lru_cache(maxsize=256)
def _part_and_whole(part: str, whole: str) -> NDArray[np.int64]:
    """1 for each code point of `whole`, and 2^32 more for those that are of `part` too: one sum counts both."""
    of_whole = matching(whole)
    return of_whole.astype(np.int64) + ((of_whole & matching(part)).astype(np.int64) << _PART)


def share_of(texts: pl.Series, part: str, whole: str) -> pl.Series:
    """Of a text's characters that match the regex class `whole`, the share that match `part` as well, 0..1; 0 for a
    text with none. Time is linear in the characters."""
    table = _part_and_whole(part, whole)
    found = np.empty(len(texts), dtype=np.float64)
    for start in range(0, len(texts), _BLOCK):
        block = texts.slice(start, _BLOCK).fill_null("")
        ends = np.cumsum(block.str.len_chars().to_numpy(), dtype=np.int64)
        points = np.frombuffer(block.str.join().item().encode("utf-32-le"), dtype="<u4")
        sums = np.zeros(len(points) + 1, dtype=np.int64)
        np.cumsum(table[points], out=sums[1:])
        counts = np.diff(sums[ends], prepend=0)
        found[start : start + len(block)] = (counts >> _PART) / np.maximum(counts & 0xFFFFFFFF, 1)
    return pl.Series(found)


def share(text: pl.Expr, part: str, whole: str = r"\S") -> pl.Expr:
    """`share_of` as an expression; the whole is by default all that is no white space."""
    return text.map_batches(lambda s: share_of(s, part, whole), return_dtype=pl.Float64, is_elementwise=True)
