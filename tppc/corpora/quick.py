"""Quick checks: which texts a Unicode normalisation leaves as they are, for a whole column at once.

Python normalises one text at a time, at about a microsecond each; most texts need nothing. A text is settled here by
one regular expression when every character of it is known to be stable and none can act on its neighbour
(Unicode Standard Annex 15, section 9, "Detecting Normalization Forms"): no two marks with a combining class stand side
by side, so there is no order to restore, and no character stands before a mark that it composes with. All others
are for Python. The tables are Python's own (`unicodedata`), over the code points of most living scripts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# From the first printable one to kana; ideographs and Hangul syllables beyond are stable throughout and have no case.
_LOOKED_AT = range(0x20, 0x3100)
_STABLE = "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_LATIN_MARKS = range(0x300, 0x370)  # compose with letters that have case, so pairs alone do not settle them
# White space and what is invisible: not left as they are by our own rules, whatever Unicode's say.
_OURS = {0x7F, *range(0x80, 0xA1), 0x1680, *range(0x2000, 0x200C), 0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000}


def code_ranges(codes: Iterable[int]) -> list[list[int]]:
    """Rising code points as ranges: first and last of each."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def _ranges(codes: Iterable[int]) -> str:
    """Code points as ranges of a class of a regular expression."""
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in code_ranges(codes))


@lru_cache
def _composing() -> dict[str, str]:
    """The second character of each canonical pair, and the characters that it composes with; not the pairs that stay
    two characters (ड and its dot)."""
    found: dict[str, str] = {}
    for code in range(0x20, 0x30FF + 1):
        parts = unicodedata.decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            first, second = (chr(int(part, 16)) for part in parts)
            if unicodedata.normalize("NFC", first + second) != first + second:
                found[second] = found.get(second, "") + first
    return found


def _pattern(stable: Callable[[str], bool], more: str) -> str:
    """A regular expression that matches in every text that is not settled."""
    known = [
        code
        for code in _LOOKED_AT
        if code not in _OURS
        and code not in _LATIN_MARKS
        and not 0x1100 <= code < 0x1200  # jamo compose with each other
        and unicodedata.category(chr(code)) != "Cn"
        and stable(chr(code))
    ]
    marks = _ranges(code for code in known if unicodedata.combining(chr(code)))
    pairs = [
        f"[{_ranges(sorted(map(ord, firsts)))}]\\x{{{ord(second):x}}}"
        for second, firsts in _composing().items()
        if ord(second) not in _LATIN_MARKS
    ]
    spaces = "^ | $|  "
    return "|".join([f"[^{_ranges(known)}{_STABLE}{more}]", f"[{marks}]{{2}}", *pairs, spaces])


@lru_cache
def _not_composed() -> str:
    # Full-width forms and pictures are stable in NFC, though not in NFKC.
    pictures = "\\x{ff01}-\\x{ff9d}\\x{1f300}-\\x{1faff}"
    return _pattern(lambda char: unicodedata.is_normalized("NFC", char), pictures)


def _folds_to_lower(char: str) -> bool:
    lower = char.lower()
    return (
        char != "Σ"  # its small letter depends on its place in the word
        and char.casefold() == lower
        and len(lower) == 1
        and unicodedata.is_normalized("NFKC", char)
        and (lower == char or unicodedata.is_normalized("NFKC", lower))
    )


@lru_cache
def _not_folding() -> str:
    return _pattern(_folds_to_lower, "")


@lru_cache
def _not_plain(scripts: tuple[str, ...]) -> str:
    own = "".join(rf"\p{{sc={name}}}" for name in scripts)
    return rf"{_not_folding()}|[\p{{L}}--[{own}]--\p{{sc=Common}}]"


@lru_cache
def has_case(scripts: tuple[str, ...]) -> bool:
    """Whether a plain text in these scripts can hold a capital letter."""
    import polars as pl

    characters = pl.Series([chr(code) for code in _LOOKED_AT], dtype=pl.String)
    allowed = characters.filter(~characters.str.contains(_not_plain(scripts)))
    return bool((allowed.str.to_lowercase() != allowed).any())


def composed(texts: pl.Series) -> pl.Series:
    """True where a text certainly is in NFC, holds no white space but single spaces between words, and no zero-width
    space, word joiner or BOM; false where that is not known. Null stays null."""
    return ~texts.str.contains(_not_composed())


def folding(texts: pl.Series) -> pl.Series:
    """True where the comparison form of a text (`corpora.keys`) certainly is its small letters, and nothing else."""
    return ~texts.str.contains(_not_folding())


def plain(texts: pl.Series, scripts: tuple[str, ...]) -> pl.Series:
    """True where one look settles a text: it is `composed` and `folding`, and all its letters, one at least, are in
    `scripts` (names of Unicode) or common to all scripts. Nine in ten texts of a language are plain in its scripts;
    none is where `scripts` is empty. Null stays null."""
    import polars as pl

    if not scripts:
        return pl.Series([False]).new_from_index(0, len(texts))
    own = "".join(rf"\p{{sc={name}}}" for name in scripts)
    return texts.str.contains(rf"[\p{{L}}&&[{own}]]") & ~texts.str.contains(_not_plain(scripts))
