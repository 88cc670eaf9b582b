"""Filters on the surface of a text: is there anything, is it broken, is it a text at all?"""

from __future__ import annotations

import polars as pl
from pydantic import Field

from tppc.builders.filters.base import SRC, TGT, Filter, Settings, either, share
from tppc.corpora.languages import Pair


class Empty(Settings):
    """A side has no text after normalisation (zero-width space alone counts as nothing)."""


def _empty(settings: Empty, pair: Pair) -> pl.Expr:
    return either(lambda text: text.str.len_bytes() == 0)


class ControlCharacters(Settings):
    """A side holds a control character, U+FFFD (a lost character) or a noncharacter: the text went through a
    broken decoder.
    """


def _control(settings: ControlCharacters, pair: Pair) -> pl.Expr:
    return either(lambda text: text.str.contains(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u{FDD0}-\u{FDEF}\u{FFFD}-\u{FFFF}]"))


class Mojibake(Settings):
    """UTF-8 that was read as Latin-1 or Windows-1252: at least `sequences` pairs such as `Ã©`, `à¤`, `Ø§`."""

    sequences: int = Field(default=2, ge=1)


def _mojibake(settings: Mojibake, pair: Pair) -> pl.Expr:
    # A lead byte of UTF-8 shown as a letter, then a continuation byte shown as a sign (or its Windows-1252 stand-in).
    pattern = r"[ÂÃÄÅÎÏÐÑ×ØÙÚà-ï][\u{80}-\u{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
    return either(lambda text: text.str.count_matches(pattern) >= settings.sequences)


class Length(Settings):
    """A side is longer than `max_chars` characters (paragraphs glued together) or shorter than `min_chars`."""

    min_chars: int = Field(default=1, ge=0)
    max_chars: int = Field(default=1_000, ge=1)


def _length(settings: Length, pair: Pair) -> pl.Expr:
    return either(
        lambda text: (text.str.len_chars() < settings.min_chars) | (text.str.len_chars() > settings.max_chars)
    )


class Identical(Settings):
    """Both sides are the same text but for case: an untranslated copy. Names of one word are often right that way, but
    such a pair teaches nothing."""


def _identical(settings: Identical, pair: Pair) -> pl.Expr:
    return SRC.str.to_lowercase() == TGT.str.to_lowercase()


class Markup(Settings):
    """Wiki, HTML or template markup: tags, `[[`, `{{`, entities such as `&nbsp;`."""


def _markup(settings: Markup, pair: Pair) -> pl.Expr:
    pattern = r"</?[A-Za-z][A-Za-z0-9]*(\s[^<>]*)?/?>|\[\[|\]\]|\{\{|\}\}|&(?:[a-z]{2,8}|#\d{2,5});|'''"
    return either(lambda text: text.str.contains(pattern))


class Url(Settings):
    """URLs, mail addresses and file paths make up more than `max_share` of a side's characters."""

    max_share: float = Field(default=0.5, ge=0, le=1)


def _url(settings: Url, pair: Pair) -> pl.Expr:
    pattern = r"(?:https?|ftp)://[^\s]+|www\.[^\s]+|[\w.+-]+@[\w-]+\.[\w.]+"
    # URLs hold no spaces, so they must be found before the spaces go: compare lengths on the text as it is.
    return either(
        lambda text: (
            (text.str.len_chars() - text.str.replace_all(pattern, "").str.len_chars())
            > settings.max_share * text.str.len_chars()
        )
    )


class Letters(Settings):
    """Letters and marks are less than `min_share` of a side's non-space characters: codes, tables, formulas."""

    min_share: float = Field(default=0.3, ge=0, le=1)


def _letters(settings: Letters, pair: Pair) -> pl.Expr:
    return either(lambda text: share(text, r"[\p{L}\p{M}]+") < settings.min_share)


FILTERS = (
    Filter("empty", Empty, _empty),
    Filter("mojibake", Mojibake, _mojibake),
    Filter("control_characters", ControlCharacters, _control),
    Filter("length", Length, _length),
    Filter("identical", Identical, _identical),
    Filter("markup", Markup, _markup),
    Filter("url", Url, _url),
    Filter("letters", Letters, _letters),
)
