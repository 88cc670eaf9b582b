"""Normalisation of text: NFC and white space always; more where the recipe asks for it.

Marks are never stripped, moved or exchanged, whatever is asked, and compatibility characters are never folded (that is
for keys, see `corpora.keys`). ZWJ and ZWNJ carry meaning in Hindi and Persian and stay; what carries none in any
language goes: zero-width space, word joiner, BOM. What posts hold besides words is kept, replaced by a token that says
the same everywhere (those of the XLM-T models: `http`, `@user`) or dropped for a space, so that no two letters meet
that were apart. A thing that a combining mark follows is left alone: the mark would go over to another letter.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from tppc.corpora.quick import code_ranges, composed, plain

if TYPE_CHECKING:
    import polars as pl

_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")
# Python's \s would also take U+001C..U+001F, which are control characters that a filter should see.
_SPACE = re.compile("[ \t\n\r\x0b\x0c\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"') | dict.fromkeys("‘’‚‛", "'"))
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–—―−", "-"))  # not ー, which is a letter of kana
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TOKENS = {"urls": "http", "mentions": "@user", "hashtags": "#tag", "emoji": ":emoji:"}

What = Literal["keep", "token", "drop"]


class Normalisation(BaseModel):
    """`[normalise]` of the recipe: what is done beyond NFC and white space. By default nothing.

    `quotes` and `dashes` `plain` make them ASCII; `directions` `drop` removes the marks that set a text's direction;
    `urls`, `mentions`, `hashtags` and `emoji` are kept, replaced by a token or dropped; `hashtags` `words` takes the
    sign off and the underscores apart; `elongations` `shorten` leaves three of a letter that stands more than three
    times in a row (`sooooo`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    quotes: Literal["keep", "plain"] = "keep"
    dashes: Literal["keep", "plain"] = "keep"
    directions: Literal["keep", "drop"] = "keep"
    urls: What = "keep"
    mentions: What = "keep"
    hashtags: Literal["keep", "words", "token", "drop"] = "keep"
    emoji: What = "keep"
    elongations: Literal["keep", "shorten"] = "keep"


def normalise(text: str) -> str:
    """NFC; zero-width space, word joiner and BOM removed; runs of white space become one space; no space at the
    ends.
    """
    if text.isascii():
        return _SPACE.sub(" ", text).strip(" ")
    return _SPACE.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFC", text))).strip(" ")


@lru_cache
def marks() -> str:
    """Every combining mark (Mn, Mc, Me) as ranges for a class of `re`, whose `\\w` knows none of them."""
    codes = [c for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c))[0] == "M"]
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in code_ranges(codes))


_PICTURES = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)


@lru_cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """What to look for, each a whole thing: neither cut off inside a word nor followed by a mark.

    A picture is one emoji with its variation selector, skin tone and those joined to it by ZWJ, a pair of regional
    letters (a flag), or a key cap."""
    word = rf"\w{marks()}\u200c\u200d"
    end = rf"(?![{marks()}])"
    one = rf"[{_PICTURES}][\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?"
    tags = "[\U000e0020-\U000e007f]*"
    return {
        "urls": re.compile(rf"(?<![{word}])(?:https?://|www\.)[^\s]+"),
        "mentions": re.compile(rf"(?<![{word}.@])@[A-Za-z0-9_]+(?:@[A-Za-z0-9.-]*[A-Za-z0-9])?(?![{word}])"),
        "hashtags": re.compile(rf"(?<![{word}#&])[#＃](?=[{word}]*[^\W\d_])((?![{marks()}])[{word}]+)"),
        "underscores": re.compile(rf"_+{end}"),
        "emoji": re.compile(
            rf"(?:{one}{tags}(?:\u200d{one})*|[\U0001f1e6-\U0001f1ff]{{2}}|(?<![{word}])[0-9#*]\ufe0f?\u20e3){end}"
        ),
        # Not the voicing signs of half-width kana, which stand for marks.
        "elongations": re.compile(r"((?![\uff9e\uff9f])[^\W\d_])\1{3,}"),
    }


@lru_cache(maxsize=64)
def normaliser(settings: Normalisation) -> Callable[[str], str]:
    """The function that normalises a text as `settings` say; for the default settings `normalise` itself."""
    if settings == Normalisation():
        return normalise
    steps: list[Callable[[str], str]] = []
    for name, token in _TOKENS.items():
        wanted = getattr(settings, name)
        if wanted == "words":
            steps.append(partial(_patterns()["hashtags"].sub, lambda m: _patterns()["underscores"].sub(" ", m[1])))
        elif wanted != "keep":
            # Emoji stand in the middle of words; the others have something else around them anyway.
            put = " " if wanted == "drop" else f" {token} " if name == "emoji" else token
            steps.append(partial(_patterns()[name].sub, put))
    if settings.elongations == "shorten":
        steps.append(partial(_patterns()["elongations"].sub, r"\1\1\1"))
    if settings.directions == "drop":
        steps.append(partial(_DIRECTIONS.sub, ""))
    table = (_QUOTES if settings.quotes == "plain" else {}) | (_DASHES if settings.dashes == "plain" else {})
    if table:
        steps.append(lambda text: text.translate(table))

    def run(text: str) -> str:
        text = normalise(text)
        for step in steps:
            text = step(text)
        return normalise(text)

    return run


def normalised(texts: pl.Series, settings: Normalisation) -> pl.Series:
    """A column of normalised texts. Python is asked only for those that are not known to be normalised as they are: a
    few in a hundred, where the settings are the default.
    """
    import polars as pl

    run = normaliser(settings)
    if run is not normalise:
        return pl.Series(texts.name, [run(text) for text in texts.to_list()], pl.String)
    places = (~composed(texts)).arg_true()
    changed = pl.Series([normalise(text) for text in texts.gather(places).to_list()], dtype=pl.String)
    return texts.clone().scatter(places, changed) if len(places) else texts


def looked_at(texts: pl.Series, settings: Normalisation, scripts: tuple[str, ...]) -> tuple[pl.Series, pl.Series]:
    """A column of normalised texts, and which of them are `quick.plain` in `scripts`. With the default settings one
    look at a plain text serves for both."""
    if settings != Normalisation():
        found = normalised(texts, settings)
        return found, plain(found, scripts).fill_null(False)
    settled = plain(texts, scripts).fill_null(False)
    places = (~settled).arg_true()
    if len(places):
        texts = texts.clone().scatter(places, normalised(texts.gather(places), settings))
    return texts, settled
