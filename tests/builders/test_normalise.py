"""Normalisation never changes a mark, whatever is asked; what `social` options do is what docs/cleaning.md shows."""

from __future__ import annotations

import itertools
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tppc.builders.normalise import Normalisation, normalise, normaliser
from tppc.builders.recipe import load_recipe
from tppc.errors import UsageError

FIELDS = {name: field.annotation.__args__ for name, field in Normalisation.model_fields.items()}  # type: ignore[union-attr]
COMBINATIONS = [
    Normalisation(**dict(zip(FIELDS, values, strict=True))) for values in itertools.product(*FIELDS.values())
]
# Of each script the words in Unicode's names, a letter that its marks stand on, and one that a mark may follow.
SCRIPTS = {"DEVANAGARI": "क", "ARABIC": "ب", "COMBINING KATAKANA-HIRAGANA": "か", "COMBINING": "e", "VEDIC": "क"}
MARKS = {
    script: [
        c
        for c in map(chr, range(0x110000))
        if unicodedata.category(c) in ("Mn", "Mc", "Me") and unicodedata.name(c, "").startswith(script)
    ]
    for script in SCRIPTS
}


def marks_of(text: str) -> list[tuple[str, str]]:
    """Every mark of a text with the letter it stands on, after full decomposition."""
    found, base = [], ""
    for c in unicodedata.normalize("NFD", text):
        if unicodedata.category(c)[0] == "M":
            found.append((base, c))
        else:
            base = c
    return found


def around(mark: str, letter: str, settings: Normalisation) -> str:
    """A mark wherever an option might take it along: on a letter, in a run of letters, in and after a hashtag, and straight
    after a user name, a picture, a digit, a quote, a dash and an underscore.

    A hashtag that goes as a whole takes its own marks along, and U+20E3 on a digit or # is a key cap, an emoji.
    """
    inside = f" #1{letter}{mark} #a_{mark}b_" if settings.hashtags in ("keep", "words") else ""
    keys = f" 1{mark} #{mark}tag" if mark != "\u20e3" else ""
    return (
        f"{letter}{mark} {letter * 6}{mark}{letter * 5}{inside} x@user{mark} @user{mark} 😀{mark} ❤{mark}{keys}"
        f" {letter}{mark}#tag “{mark}” –{mark} {letter}{mark}{mark}"
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_option_changes_a_mark_of_the_four_scripts(script: str) -> None:
    """Every mark, in every combination of options, in every place: the same marks, on the same letters, in order.

    Quotes and dashes may be exchanged for plain ones, whose marks stay on them.
    """
    assert len(MARKS[script]) >= {"COMBINING KATAKANA-HIRAGANA": 2, "VEDIC": 25, "DEVANAGARI": 30, "ARABIC": 40}.get(
        script, 100
    )
    plain = str.maketrans({"“": '"', "”": '"', "–": "-"})
    for index, mark in enumerate(MARKS[script]):
        # Each mark meets every single option and every 24th combination, each combination many marks.
        for settings in (*COMBINATIONS[index % 24 :: 24], *SINGLE):
            text = around(mark, SCRIPTS[script], settings)
            found = marks_of(normaliser(settings)(text).translate(plain))
            assert found == marks_of(normalise(text).translate(plain)), (hex(ord(mark)), settings)


SINGLE = [Normalisation(**{name: value}) for name, values in FIELDS.items() for value in values]


def test_every_combination_of_options_keeps_the_marks_of_real_words() -> None:
    words = "हिन्दी क्‍ष نَحْنُ می‌خواهم が ガ パ naïve Việt é\u0323 कि़ताब"
    expected = marks_of(normalise(words))
    for settings in COMBINATIONS:
        assert marks_of(normaliser(settings)(words)) == expected
        assert "क्\u200dष" in normaliser(settings)(words)
        assert "می\u200cخواهم" in normaliser(settings)(words)
        assert normaliser(settings)("ｶﾞｶﾞ ﾞﾞﾞﾞﾞﾞ") == "ｶﾞｶﾞ ﾞﾞﾞﾞﾞﾞ"


@given(st.text(alphabet=st.characters(codec="utf-8")), st.sampled_from(COMBINATIONS))
def test_what_comes_out_is_normal(text: str, settings: Normalisation) -> None:
    found = normaliser(settings)(text)
    assert found == normalise(found)
    assert unicodedata.is_normalized("NFC", found)


@given(st.text())
def test_the_defaults_are_nfc_and_white_space_alone(text: str) -> None:
    assert normaliser(Normalisation())(text) == normalise(text)


PAGE = (Path(__file__).parents[2] / "docs" / "cleaning.md").read_text()
ROWS = re.findall(r"^\| `(\w+) = \"(\w+)\"` \| `([^`]*)` \| `([^`]*)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(
    ("option", "value", "before", "after"), ROWS, ids=[f"{o}-{v}-{i}" for i, (o, v, *_) in enumerate(ROWS)]
)
def test_the_page_shows_what_an_option_does(option: str, value: str, before: str, after: str) -> None:
    assert normaliser(Normalisation(**{option: value}))(before) == after
    assert normalise(before) != after


def test_the_page_shows_every_option() -> None:
    expected = {(name, value) for name, values in FIELDS.items() for value in values if value != "keep"}
    assert {(o, v) for o, v, *_ in ROWS} == expected


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mentions": "drop"}, "anna@example.org and x.@y"),
        ({"hashtags": "drop"}, "C# is #1, number #23 & item&#39;s"),
        ({"emoji": "drop"}, "1 # 2 * 3"),
        ({"elongations": "shorten"}, "aaa 1000000 .... ---- हाहाहाहा"),
        ({"dashes": "plain"}, "コーヒー ー 〜"),
        ({"quotes": "plain"}, "「はい」 5′ 6″"),
    ],
)
def test_what_only_looks_alike_stays(options: dict[str, Any], text: str) -> None:
    assert normaliser(Normalisation(**options))(text) == normalise(text)


def test_an_option_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('[normalise]\nmarks = "drop"\n')
    with pytest.raises(UsageError, match=r"normalise\.marks: unknown key"):
        load_recipe(tmp_path / "recipe.toml")
