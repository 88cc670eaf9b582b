"""Forms of a text in which copies of it meet: letters alone, and long runs of them.

Protected sentences come tokenised, vocalised, in other punctuation; near duplicates differ in nothing else. So texts
are compared here by their *letters*: the comparison form without anything that is no letter, mark or digit, without
spaces, and without Arabic vowel marks and tatweel (which only some editions of a text write).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import xxhash

from tppc.corpora import keys

_OPTIONAL = r"[\x{640}\x{64b}-\x{652}\x{670}]+"
_NO_LETTER = rf"[^\p{{L}}\p{{M}}\p{{N}}]+|{_OPTIONAL}"
_NO_WORD = rf"[^\p{{L}}\p{{M}}\p{{N}}\s]+|{_OPTIONAL}"
#: Scripts that part no words by spaces.
_UNSPACED = r"[\p{Hiragana}\p{Katakana}\p{Han}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
_BATCH = 10_000  # texts at a time: the arrays in between stay small
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


def letter_digests(texts: Sequence[str]) -> np.ndarray:
    """64-bit digests of texts by their letters, uint64 of shape (n,): equal where the texts differ in case, width,
    spaces, punctuation and Arabic vowel marks alone. A text without a letter stands for itself.

    A polynomial over random values of the letters, of all texts at once in numpy: to make the letters of one after the
    other takes five times as long.
    """
    pieces = [_digests_of_letters(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint64)


def _digests_of_letters(texts: Sequence[str]) -> np.ndarray:
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    values = _LETTERS.values(codes)
    kept = np.flatnonzero(values)
    values = values.take(kept)
    ends = np.searchsorted(kept, np.cumsum(lengths))
    counts = np.diff(ends, prepend=0)
    starts = ends - counts
    place = np.arange(len(values)) - np.repeat(starts, counts)
    powers = np.full(int(counts.max(initial=0)) + 1, _STEP)
    powers[0] = 1
    values *= np.multiply.accumulate(powers).take(place)
    sums = np.concatenate(([np.uint64(0)], np.cumsum(values, dtype=np.uint64)))
    found: np.ndarray = sums[starts + counts] - sums[starts]
    bare = np.flatnonzero(counts == 0)
    found[bare] = digests(pl.Series([texts[i] for i in bare.tolist()], dtype=pl.String))
    return found


class _Letters:
    """A random value for each letter, mark and digit, the same for what the comparison form makes one; 0 for all else.

    Filled as characters come by: there are a million of them, and a corpus holds some thousand.
    """

    def __init__(self) -> None:
        self._values = np.zeros(0x110000, np.uint64)
        self._known = np.zeros(0x110000, bool)

    def values(self, codes: np.ndarray) -> np.ndarray:
        """The values of code points."""
        places = codes.astype(np.intp)
        known = self._known.take(places)
        for code in [] if known.all() else set(places[~known].tolist()):
            plain = letters(comparison_forms([chr(code)]))[0]
            self._values[code] = xxhash.xxh3_64_intdigest(plain.encode()) if plain else 0
            self._known[code] = True
        return self._values.take(places)


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


_LETTERS = _Letters()
