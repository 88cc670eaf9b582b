"""Filters on the surface of a text: is there anything, is it broken, is it a text at all?"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
from pydantic import Field

from tppc.builders.filters.base import SRC, TGT, Filter, Settings, either, either_language, not_ascii, only_where
from tppc.builders.filters.characters import share
from tppc.corpora.languages import Language, Pair


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
    """UTF-8 that was read as Latin-1 or Windows-1252 (at least `sequences` pairs such as `Ã©`, `à¤`, `Ø§`), or as
    Windows-1251 (`Р°`, `С‚`)."""

    sequences: int = Field(default=2, ge=1)


def _mojibake(settings: Mojibake, pair: Pair) -> pl.Expr:
    # A lead byte of UTF-8 shown as a letter, then a continuation byte shown as a sign (or its Windows-1252 stand-in).
    pattern = r"[ÂÃÄÅÎÏÐÑ×ØÙÚà-ï][\u{80}-\u{BF}€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
    # The same for Russian text: its two lead bytes are the letters Р and С there.
    pattern += r"|[РС][\u{80}-\u{BF}ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—™љ›њќћџЎўЈҐЄЇІіґєјЅѕї№]"
    # No text in ASCII holds any.
    return either(lambda text: only_where(not_ascii(text), text.str.count_matches(pattern) >= settings.sequences))


class Length(Settings):
    """A side is longer than `max_chars` characters (paragraphs glued together) or shorter than `min_chars`."""

    min_chars: int = Field(default=1, ge=0)
    max_chars: int = Field(default=1_000, ge=1)


def _length(settings: Length, pair: Pair) -> pl.Expr:
    return either(
        lambda text: (text.str.len_chars() < settings.min_chars) | (text.str.len_chars() > settings.max_chars)
    )


# Scripts whose words are not set apart by spaces.
_NO_SPACES = frozenset({"Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"})


class Words(Settings):
    """A side has fewer than `min_words` or more than `max_words` words (parts between spaces), or a word of more than
    `max_word_chars` characters: lists, and words glued together. Not asked of languages that write without spaces.
    The longest word is not looked at unless a limit is set."""

    min_words: int = Field(default=1, ge=0)
    max_words: int = Field(default=200, ge=1)
    max_word_chars: int | None = Field(default=None, ge=1)


def _words(settings: Words, pair: Pair) -> pl.Expr:
    def test(text: pl.Expr, language: Language) -> pl.Expr:
        if not _NO_SPACES.isdisjoint(language.scripts):
            return pl.lit(False)
        words = text.str.count_matches(" ") + 1
        # Words have a character at least, and a space between them.
        many = text.str.len_chars() >= 2 * settings.max_words + 1
        wrong = only_where(many, words > settings.max_words)
        if settings.min_words > 1:
            wrong |= words < settings.min_words
        if (limit := settings.max_word_chars) is None:
            return wrong
        long_enough = pl.when(text.str.len_chars() > limit).then(text)
        longest = long_enough.str.split(" ").list.eval(pl.element().str.len_chars()).list.max()
        return wrong | (longest > limit).fill_null(False)

    return either_language(pair, test)


class Identical(Settings):
    """Both sides are the same text but for case: an untranslated copy. Names of one word are often right that way, but
    such a pair teaches nothing."""


def _identical(settings: Identical, pair: Pair) -> pl.Expr:
    # İ alone becomes longer in lower case.
    suspect = (_chars(SRC) == _chars(TGT)) | either(lambda text: text.str.contains("İ", literal=True))
    return only_where(suspect, SRC.str.to_lowercase() == TGT.str.to_lowercase())


class NearIdentical(Settings):
    """The two sides differ in a few letters alone: their edit similarity, 1 - distance / length of the longer side in
    lower case, is at least `min_similarity`, and the longer side has `min_chars` characters or more (short names are
    often nearly the same in two languages)."""

    min_similarity: float = Field(default=0.9, ge=0, le=1)
    min_chars: int = Field(default=15, ge=1)


def _near_identical(settings: NearIdentical, pair: Pair) -> pl.Expr:
    def test(sides: Sequence[pl.Series]) -> pl.Series:
        from rapidfuzz.distance import Levenshtein
        from rapidfuzz.process import cpdist

        src, tgt = (side.to_list() for side in sides)
        return pl.Series(
            cpdist(src, tgt, scorer=Levenshtein.normalized_similarity, score_cutoff=settings.min_similarity) > 0
        )

    # Sides of very different lengths are far below any limit of use; that costs nothing to see.
    longer, shorter = pl.max_horizontal(_chars(SRC), _chars(TGT)), pl.min_horizontal(_chars(SRC), _chars(TGT))
    suspect = (longer >= settings.min_chars) & (shorter >= settings.min_similarity * longer)
    lower = [side.str.to_lowercase() for side in (SRC, TGT)]
    return only_where(suspect, pl.map_batches(lower, test, return_dtype=pl.Boolean))


def _chars(text: pl.Expr) -> pl.Expr:
    return text.str.len_chars()


class Markup(Settings):
    """Wiki, HTML or template markup: tags, `[[`, `{{`, entities such as `&nbsp;`."""


def _markup(settings: Markup, pair: Pair) -> pl.Expr:
    pattern = r"</?[A-Za-z][A-Za-z0-9]*(\s[^<>]*)?/?>|\[\[|\]\]|\{\{|\}\}|&(?:[a-z]{2,8}|#\d{2,5});|'''"
    return either(lambda text: text.str.contains(pattern))


class Url(Settings):
    """URLs and mail addresses make up more than `max_share` of a side's characters."""

    max_share: float = Field(default=0.5, ge=0, le=1)


def _url(settings: Url, pair: Pair) -> pl.Expr:
    pattern = r"(?:https?|ftp)://[^\s]+|www\.[^\s]+|[\w.+-]+@[\w-]+\.[\w.]+"
    suspect = either(lambda text: text.str.contains(r"://|www\.|@"))
    return only_where(suspect, either(lambda text: _share_of_tokens(text, pattern) > settings.max_share))


def _share_of_tokens(text: pl.Expr, pattern: str) -> pl.Expr:
    """Share of a text's characters that are inside matches; on the text as it is, since spaces end a token."""
    rest = text.str.replace_all(pattern, "").str.len_chars()
    return (text.str.len_chars() - rest) / text.str.len_chars().clip(1)


class Code(Settings):
    """Program code, file paths, identifiers and format strings make up more than `max_share` of a side's characters:
    calls `f(x)`, `a_snake_case`, `/usr/lib/x`, `C:\\x`, `--flag`, `%1$s`, `0xff`, runs of `{};=<>|$`."""

    max_share: float = Field(default=0.5, ge=0, le=1)


# Only ASCII classes: with Unicode's \\w and \\b the search takes forty times as long.
_CODE = "|".join(
    (
        r"[A-Za-z_][A-Za-z0-9_.]*\([^()]*\)",
        # One underscore alone marks the access key in texts of programs: `Automat_ic`.
        r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+){2,}|[A-Z0-9]{2,}_[A-Z0-9]{2,}",
        r"(?:/[A-Za-z0-9_.-]+){2,}/?",
        r"[A-Za-z]:\\[^\s]*",
        r"(?:^| )--?[a-z][a-z0-9-]+",
        r"%[0-9]*\$?[a-z]",
        r"0x[0-9a-fA-F]+",
        r"[{}<>=;|\\$^~`]+",
    )
)


def _code(settings: Code, pair: Pair) -> pl.Expr:
    # One look for a character that code cannot do without spares most texts the search for tokens.
    suspect = either(lambda text: text.str.contains(r"[(_/\\%{}<>=;|$^~`]|--|0x"))
    return only_where(suspect, either(lambda text: _share_of_tokens(text, _CODE) > settings.max_share))


class Letters(Settings):
    """Letters and marks are less than `min_share` of a side's non-space characters: codes, tables, formulas."""

    min_share: float = Field(default=0.3, ge=0, le=1)


def _letters(settings: Letters, pair: Pair) -> pl.Expr:
    def test(text: pl.Expr) -> pl.Expr:
        # Between single spaces every second character at least is none of them.
        others, most = text.str.count_matches(r"[^\p{L}\p{M}\s]"), 1 - settings.min_share
        few = others < most * 0.5 * text.str.len_chars()
        return only_where(~few, share(text, r"[\p{L}\p{M}]") < settings.min_share)

    return either(test)


FILTERS = (
    Filter("empty", Empty, _empty, plain_passes=lambda pair: True),
    Filter("mojibake", Mojibake, _mojibake),
    Filter("control_characters", ControlCharacters, _control, plain_passes=lambda pair: True),
    Filter("length", Length, _length),
    Filter("words", Words, _words),
    Filter("identical", Identical, _identical),
    Filter("near_identical", NearIdentical, _near_identical),
    Filter("markup", Markup, _markup),
    Filter("url", Url, _url),
    Filter("code", Code, _code),
    Filter("letters", Letters, _letters),
)
