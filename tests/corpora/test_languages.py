"""Codes: canonical ones only, and each source's own."""

from __future__ import annotations

import langcodes
import pytest

from tppc.corpora import languages
from tppc.corpora.languages import Pair, language, parse_pair
from tppc.errors import UsageError


@pytest.mark.parametrize(
    ("code", "tatoeba", "wikimatrix", "scripts"),
    [
        ("en", "eng", "en", ("Latin",)),
        ("hi", "hin", "hi", ("Devanagari",)),
        ("ja", "jpn", "ja", ("Han", "Hiragana", "Katakana")),
        ("ar", "ara", "ar", ("Arabic",)),
        ("arz", "arz", "arz", ("Arabic",)),
        ("zh", "cmn", "zh", ("Han",)),
        ("nb", "nob", "no", ("Latin",)),
        ("ru", "rus", "ru", ("Cyrillic",)),
        ("de", "deu", "de", ("Latin",)),
    ],
)
def test_codes_of_the_sources(code: str, tatoeba: str, wikimatrix: str, scripts: tuple[str, ...]) -> None:
    found = language(code)
    assert (found.tatoeba, found.wikimatrix, found.scripts) == (tatoeba, wikimatrix, scripts)


@pytest.mark.parametrize(
    ("code", "lid", "wikimatrix", "wikidata"),
    [
        ("pt-BR", "pt", "pt", "pt-br"),
        ("en-GB", "en", "en", "en-gb"),
        ("fil", "tl", "tl", "tl"),
        ("zh-Hans", "zh", "zh", "zh-hans"),
    ],
)
def test_sources_that_know_no_regions_and_scripts(code: str, lid: str, wikimatrix: str, wikidata: str) -> None:
    found = language(code)
    assert (found.lid[0], found.wikimatrix, found.wikidata) == (lid, wikimatrix, wikidata)


def test_scripts() -> None:
    assert language("bo").scripts == ("Tibetan",)
    assert language("sr").scripts == ("Cyrillic", "Latin")
    assert language("sr-Latn").scripts == ("Latin",)
    assert language("zh-Hans").tatoeba == "cmn"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("en-xx", "unknown language 'xx'"),
        ("qqqq-en", "unknown language"),
        ("en", "not a language pair"),
        ("en-en", "names the same language twice"),
        ("jpn-en", "write 'ja'"),
        ("EN-hi", "write 'en'"),
        ("", "not a language pair"),
        ("en_hi", "not a language pair"),
    ],
)
def test_bad_pairs_are_refused_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_pair(text)


def test_pairs_keep_their_order_and_subtags() -> None:
    assert parse_pair("hi-en") == Pair("hi", "en")
    assert parse_pair("en-zh-Hans") == Pair("en", "zh-Hans")
    assert str(parse_pair("en-arz")) == "en-arz"


def test_the_names_at_hand_are_those_of_cldr() -> None:
    found = {code: langcodes.Language.get(code).display_name() for code in languages._NAMES}
    assert found == languages._NAMES
