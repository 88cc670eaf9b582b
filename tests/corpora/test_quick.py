"""What a quick check settles is what Python would have said; nothing that Python changes is settled."""

from __future__ import annotations

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.builders.filters.characters import share_of
from tppc.builders.normalise import Normalisation, looked_at, normalise, normalised
from tppc.corpora.keys import comparison_form, comparison_forms, forms_of_plain, side_key, side_keys
from tppc.corpora.languages import language
from tppc.corpora.quick import composed, folding, plain


def every_decomposition() -> list[str]:
    """Each character that has one, in one piece and apart, in both cases."""
    found = []
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split()
        if parts:
            apart = "".join(chr(int(part, 16)) for part in parts if not part.startswith("<"))
            found += [chr(code), apart, apart.upper(), apart.lower(), f"a{apart}"]
    return found


SAMPLES = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000] + every_decomposition()
MARKS = [chr(code) for code in range(0x300, 0x3100) if unicodedata.combining(chr(code))]
TEXTS = st.lists(
    st.text(
        st.characters(codec="utf-8") | st.sampled_from([*MARKS, *"  नड़क्ज़ΣσςİßéﬁÅ가ᄀａ！\u200b\u00a0"]), max_size=8
    ),
    max_size=20,
)


def check(texts: list[str]) -> None:
    column = pl.Series(texts, dtype=pl.String)
    settled = composed(column)
    assert [t for t, sure in zip(texts, settled, strict=True) if sure and normalise(t) != t] == []
    small = column.str.to_lowercase()
    rows = zip(texts, folding(column), small, strict=True)
    assert [t for t, sure, form in rows if sure and comparison_form(t) != form] == []


def test_every_character_and_every_decomposition() -> None:
    check(SAMPLES)


@given(TEXTS)
def test_any_text(texts: list[str]) -> None:
    check(texts)
    column = pl.Series(texts, dtype=pl.String)
    assert normalised(column, Normalisation()).to_list() == [normalise(t) for t in texts]
    assert comparison_forms(column).to_list() == [comparison_form(t) for t in texts]
    assert side_keys(column).tolist() == [side_key(t) for t in texts]


def check_plain(texts: list[str], code: str) -> None:
    """A plain text needs neither normalisation nor another look, and all its letters are in its language's scripts."""
    column, scripts = pl.Series(texts, dtype=pl.String), language(code).scripts
    found = plain(column, scripts)
    settled = column.filter(found)
    assert composed(settled).all()
    assert folding(settled).all()
    own = "".join(rf"\p{{sc={name}}}" for name in scripts)
    assert (share_of(settled, f"[{own}]", r"[\p{L}--\p{sc=Common}]") == 1).all()
    assert not settled.str.contains(r"[\x00-\x1f\x7f-\x9f\u{FFFD}]").any()
    assert forms_of_plain(column, found, scripts).to_list() == comparison_forms(column).to_list()
    looked, _ = looked_at(column, Normalisation(), scripts)
    assert looked.to_list() == [normalise(t) for t in texts]


@pytest.mark.parametrize("code", ["en", "hi", "ar", "ja", "el", "sr"])
def test_plain_texts_of_every_character(code: str) -> None:
    check_plain(SAMPLES, code)


@settings(deadline=None)
@given(TEXTS, st.sampled_from(["en", "hi", "ar", "ja", "ka", "tr"]))
def test_plain_texts_of_any_text(texts: list[str], code: str) -> None:
    check_plain([*texts, "plain text", "सादा पाठ"], code)


def test_ordinary_text_is_settled_without_python() -> None:
    ordinary = pl.Series(
        ["The café is “open”: 10 €.", "यह सड़क लंबी है।", "هذا كتابٌ جديد.", "彼は本を読みます。", "한국어 문장", "Ελλάδα"]
    )
    assert composed(ordinary).all()
    assert folding(ordinary).to_list() == [True, True, True, True, True, True]
