"""Forms of a text in which copies of it meet: letters alone, and long runs of them.

Protected sentences come tokenised, vocalised, in other punctuation; near duplicates differ in nothing else. So texts
are compared here by their *letters*: the comparison form without anything that is no letter, mark or digit, without
spaces, and without Arabic vowel marks and tatweel (which only some editions of a text write).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import polars as pl
import xxhash

from tppc.builders.filters.characters import CharacterTable, code_points
from tppc.corpora import keys

_OPTIONAL = r"[\x{640}\x{64b}-\x{652}\x{670}]+"
_NO_LETTER = rf"[^\p{{L}}\p{{M}}\p{{N}}]+|{_OPTIONAL}"
_NO_WORD = rf"[^\p{{L}}\p{{M}}\p{{N}}\s]+|{_OPTIONAL}"
#: Scripts that part no words by spaces.
_UNSPACED = r"[\p{Hiragana}\p{Katakana}\p{Han}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
_BATCH = 1_000  # texts at a time: the arrays in between stay in a core's cache
_ODD = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0xD6E8FEB86659FD93)
_HALF, _PART = np.uint64(32), np.uint64(29)


def comparison_forms(texts: Sequence[str] | pl.Series) -> pl.Series:
    """The comparison form of each text."""
    return keys.comparison_forms(texts if isinstance(texts, pl.Series) else pl.Series(texts, dtype=pl.String))


def letters(forms: pl.Series) -> pl.Series:
    """The letters, marks and digits of comparison forms, in one piece; empty where a text has none."""
    return forms.str.replace_all(_NO_LETTER, "")


def has_letter(forms: pl.Series) -> pl.Series:
    """Whether there is any letter: numbers and signs alone identify no sentence."""
    return forms.str.contains(r"\p{L}")


def digests(values: pl.Series) -> np.ndarray:
    """xxh3-64 of each string, uint64 of shape (n,)."""
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter((digest(v.encode("utf-8", "surrogatepass")) for v in values), np.uint64, len(values))


def letter_digests(texts: pl.Series) -> np.ndarray:
    """64-bit digests of texts by their letters, uint64 of shape (n,): equal where the texts differ in case, width,
    spaces, punctuation and Arabic vowel marks alone. A text without a letter stands for itself.

    A polynomial over random values of the letters, of all texts at once in numpy: to make the letters of one after the
    other takes ten times as long.
    """
    pieces = [_digests_of_letters(texts.slice(start, _BATCH)) for start in range(0, len(texts), _BATCH)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint64)


def _digests_of_letters(texts: pl.Series) -> np.ndarray:
    values = _letter_values().values(code_points(texts)).view(np.uint64)
    kept = np.flatnonzero(values)
    ends = np.searchsorted(kept, np.cumsum(texts.str.len_chars().to_numpy(), dtype=np.int64))
    starts = np.concatenate(([0], ends[:-1]))
    powers, inverses = _powers(1 << len(kept).bit_length())
    # The powers run on from text to text; dividing takes a sum back to where its text would begin with the first.
    sums = np.concatenate(([np.uint64(0)], np.cumsum(values[kept] * powers[: len(kept)], dtype=np.uint64)))
    found: np.ndarray = (sums[ends] - sums[starts]) * inverses[starts]
    bare = np.flatnonzero(starts == ends)
    found[bare] = digests(texts.gather(bare))
    return found


@lru_cache(maxsize=4)
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first powers of `_STEP`, from 1 on, and their inverses, modulo 2^64."""
    steps = (_STEP, np.uint64(pow(int(_STEP), -1, 1 << 64)))
    ones = np.ones(1, np.uint64)
    first, second = (np.concatenate((ones, np.multiply.accumulate(np.full(count, step)))) for step in steps)
    return first, second


@lru_cache
def _letter_values() -> CharacterTable:
    """A random value for each letter, mark and digit, the same for what the comparison form makes one; 0 for all
    else."""

    def values_of(characters: pl.Series) -> np.ndarray:
        plain = letters(comparison_forms(characters.fill_null("")))
        return np.where((plain != "").to_numpy(), digests(plain), 0).view(np.int64)

    return CharacterTable(values_of)


def word_runs(forms: pl.Series, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Digests of all runs of `size` words, punctuation aside and joined without spaces; and the row of each.

    Returns two arrays of shape (m,): uint64 and int64.
    """
    found: list[int] = []
    rows: list[int] = []
    for row, text in enumerate(forms.str.replace_all(_NO_WORD, "").to_list()):
        kept = text.split()
        for start in range(len(kept) - size + 1):
            found.append(xxhash.xxh3_64_intdigest("".join(kept[start : start + size]).encode("utf-8", "surrogatepass")))
            rows.append(row)
    return np.array(found, np.uint64), np.array(rows, np.int64)


def letter_runs(texts: pl.Series, spaced: int, unspaced: int) -> tuple[np.ndarray, np.ndarray]:
    """Digests of all runs of letters: `spaced` of them, or `unspaced` where a text holds a letter of a script that
    parts no words; and the row of each. `texts` are `letters`. Returns two arrays of shape (m,): uint64 and int64.
    """
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    dense = texts.str.contains(_UNSPACED).to_numpy()
    found, rows = [], []
    for size, chosen in ((spaced, ~dense), (unspaced, dense)):
        places, row = _places(starts, np.where(chosen, lengths - size + 1, 0))
        if len(places):
            found.append(run_digests(codes, size)[places])
            rows.append(row)
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    return np.concatenate(found), np.concatenate(rows)


def _places(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`starts[i]`, `starts[i] + 1`, ... `counts[i]` times for every i, and that i."""
    counts = np.maximum(counts, 0)
    row = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return starts[row] + within, row


def run_digests(codes: np.ndarray, size: int) -> np.ndarray:
    """64-bit digests of all windows of `size` code points, shape (len(codes) - size + 1,).

    Two halves make a whole: log2(size) passes over the array instead of `size`.
    """
    level, width = _mix(codes.astype(np.uint64) + np.uint64(size)), 1
    whole: np.ndarray | None = None
    done = 0
    while width <= size:
        if size & width:
            whole = level if whole is None else _join(whole, level[done:])
            done += width
        level = _join(level, level[width:])
        width *= 2
    assert whole is not None, "a run has at least one letter"
    runs: np.ndarray = whole[: max(0, len(codes) - size + 1)]
    return runs


def _join(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    count = min(len(left), len(right))
    return _mix(left[:count] * _STEP + right[:count])


def _mix(values: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = (values ^ (values >> _HALF)) * _ODD
    mixed ^= mixed >> _PART
    return mixed
