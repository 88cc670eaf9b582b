"""What script, letters and common words settle, and what they must leave open."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from catalogues import INSTALLED, sentences
from hypothesis import given
from hypothesis import strategies as st

from tppc.builders.language_id import lid
from tppc.builders.language_id.evidence import settled
from tppc.builders.language_id.identify import side_verdicts
from tppc.builders.recipe import LanguageId
from tppc.corpora.languages import language


def code(text: str, own: str, accepted: tuple[str, ...] | None = None) -> str | None:
    found: str | None = settled(pl.Series([text]), language(own), accepted or language(own).lid)[0]
    return found


@pytest.mark.parametrize(
    ("text", "own", "expected"),
    [
        ("猫が好きです。", "ja", "ja"),
        ("高さ", "ja", None),  # one kana: Chinese brands have as much
        ("東京都庁", "ja", None),
        ("我们现在没有时间", "ja", "zh"),
        ("안녕하세요", "ko", "ko"),
        ("Καλημέρα", "el", "el"),
        ("வணக்கம்", "ta", "ta"),
        ("यह मेरी किताब है।", "hi", "hi"),
        ("ही माझी मोठी बहीण आहे", "hi", "mr"),
        ("हामी भोलि बजार जानेछौं।", "hi", "ne"),
        ("नमस्ते दुनिया", "hi", None),
        ("टिळक यह है", "hi", None),  # a letter that Hindi does not have
        ("كيف حالك في المدينة", "ar", "ar"),
        ("وَصَلَتِ السَّيَّارَةُ", "ar", "ar"),
        ("این کتاب را به من بده", "ar", "fa"),
        ("یہ کتاب میز پر ہے", "ar", "ur"),
        ("ڤيديو في البيت", "ar", None),  # an added letter that Arabic dialects write too
        ("ذهب عمر", "ar", None),
        ("This is the house that Jack built.", "en", "en"),
        ("Don't do it because of me", "en", "en"),
        ("Kunnen we dit doen of is het te laat?", "en", None),
        ("Das ist ein Haus in Berlin", "en", None),
        ("Il a dit qu'il aime the end de ce film très long", "en", None),
        ("the café and the bar", "en", None),  # letters outside a to z are for the model
        ("Le film s'appelle The Matrix et il parle de la nature du monde et de nous", "en", None),
        ("", "en", None),
        ("कल and the rest", "en", None),
        ("Das ist das Haus", "de", None),  # a language without rules
    ],
)
def test_cases(text: str, own: str, expected: str | None) -> None:
    assert code(text, own) == expected


def test_a_variety_that_does_not_count_keeps_arabic_open() -> None:
    text = "كيف حالك في المدينة"
    assert code(text, "ar", ("ar", "arz")) == "ar"
    assert code(text, "ar", ("ar",)) is None
    assert code("یہ کتاب میز پر ہے", "ar", ("ar",)) == "ur"
    assert code(text, "arz") is None, "what is Arabic may be Egyptian or not"


@given(st.lists(st.text(max_size=30), max_size=8), st.sampled_from(["en", "hi", "ar", "ja", "de", "ko"]))
def test_a_verdict_belongs_to_its_text_alone(texts: list[str], own: str) -> None:
    together = settled(pl.Series(texts, dtype=pl.String), language(own), language(own).lid).to_list()
    assert together == [code(text, own) for text in texts]


FOREIGN = [("hi", "mr"), ("hi", "ne"), ("ar", "fa"), ("ar", "ur"), ("en", "de"), ("en", "fr"), ("en", "id")]


@pytest.mark.parametrize(("own", "foreign"), FOREIGN)
def test_shortcuts_keep_the_models_refusals(own: str, foreign: str) -> None:
    """Real text: translation catalogues, of which the model alone refuses some; of these 95% must stay refused."""
    root = Path(os.environ.get("TPPC_CATALOGUES", INSTALLED))
    texts = pl.Series(sentences(root, foreign), dtype=pl.String)[:4_000] if root.is_dir() else pl.Series()
    if len(texts) < 1_000:
        pytest.skip(
            f"{len(texts)} texts of {foreign} in {root}, not 1,000 (set TPPC_CATALOGUES to what "
            "`python benchmarks/language_id.py fetch FOLDER` fetched)"
        )
    other = language("hi" if own == "en" else "en")
    alone, short = (
        side_verdicts(texts, language(own), other, LanguageId(shortcuts=on), lid.Model())["wrong"]
        for on in (False, True)
    )
    assert alone.sum() >= 100
    assert (alone & short).sum() >= 0.95 * alone.sum()


@pytest.mark.parametrize(("own", "asked"), [("en", 0.35), ("hi", 0.1), ("ar", 0.1), ("ja", 0.0)])
def test_shortcuts_settle_most_genuine_sentences_and_never_wrongly(shared: Path, own: str, asked: float) -> None:
    import bz2

    name = language(own).tatoeba
    path = shared / "data" / "tatoeba" / "exports" / "per_language" / name / f"{name}_sentences_detailed.tsv.bz2"
    with bz2.open(path, "rt", encoding="utf-8") as file:
        lines = [line.split("\t")[2] for line, _ in zip(file, range(4_000), strict=False) if line.count("\t") >= 2]
    texts = pl.Series(lines).unique(maintain_order=True)
    codes = settled(texts, language(own), language(own).lid)
    assert set(codes.drop_nulls()) == {own}
    judged = side_verdicts(texts, language(own), language("hi" if own == "en" else "en"), LanguageId(), lid.Model())
    assert judged["score"].is_not_null().mean() <= asked  # type: ignore[operator]
    assert judged["wrong"].mean() <= 0.001  # type: ignore[operator]
