"""Verdicts on rows: who is refused, what is mixed, and what is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tppc.builders.build import build
from tppc.builders.language_id import code_switched, lid
from tppc.builders.language_id.identify import with_languages
from tppc.builders.recipe import LanguageId, load_recipe
from tppc.corpora.languages import Pair, language

EN = "I will send you the report tomorrow morning."
HI = "मैं आपको कल सुबह रिपोर्ट भेज दूँगा।"


def judged(src: str, tgt: str, pair: str = "en-hi", **settings: Any) -> dict[str, Any]:
    rows = pl.DataFrame({"src_text": [src], "tgt_text": [tgt]})
    found: dict[str, Any] = with_languages(rows, pair, LanguageId(**settings), lid.Model()).row(0, named=True)
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the model is asked about."""
    texts: list[str] = []
    answers = lid.answers

    def listen(found: Any, model: lid.Model) -> Any:
        texts.extend(found)
        return answers(found, model)

    monkeypatch.setattr(lid, "answers", listen)
    return texts


def test_what_evidence_settles_is_not_asked(asked: list[str]) -> None:
    row = judged(EN, HI)
    assert (row["src_lid"], row["src_lid_score"], row["tgt_lid"], row["reason"]) == ("en", None, "hi", None)
    assert asked == []
    row = judged(EN, HI, shortcuts=False)
    assert (row["src_lid"], row["tgt_lid"], row["reason"]) == ("en", "hi", None)
    assert row["src_lid_score"] > 0.5
    assert asked == [EN, HI]


def test_a_text_is_asked_about_once(asked: list[str]) -> None:
    texts = ["Tom visits Boston on Monday evening", "Mary likes strong black coffee"]
    rows = pl.DataFrame({"src_text": [*texts, *texts, texts[0]], "tgt_text": [HI] * 5})
    found = with_languages(rows, "en-hi", LanguageId(), lid.Model())
    assert sorted(asked) == sorted(texts)
    assert found["src_text"].to_list() == rows["src_text"].to_list(), "rows keep their order"
    assert found["src_lid_score"].n_unique() == 2
    assert found.height == 5


@pytest.mark.parametrize(
    ("src", "tgt", "pair", "reason"),
    [
        ("Ich schicke dir den Bericht morgen früh mit der Post.", HI, "en-hi", "language"),
        (EN, "म तपाईंलाई भोलि बिहान प्रतिवेदन पठाउनेछु।", "en-hi", "language"),
        (EN, "मी तुम्हाला उद्या सकाळी अहवाल पाठवीन.", "en-hi", "language"),
        (EN, "گزارش را فردا صبح برای شما می‌فرستم", "en-ar", "language"),
        (EN, "سأرسل لك التقرير غدا صباحا", "en-ar", None),
        (EN, "明日の朝、報告書を送ります。", "en-ja", None),
        (EN, "我们明天早上把报告发给你们。", "en-ja", "language"),
        ("Berlin", "बर्लिन", "en-hi", None),
        ("Berlin", "हो छैन", "en-hi", "language"),  # a short text, by its words
    ],
)
def test_who_is_refused(src: str, tgt: str, pair: str, reason: str | None) -> None:
    assert judged(src, tgt, pair)["reason"] == reason


def test_short_texts_pass_and_stay_null() -> None:
    row = judged("Berlin", "बर्लिन")
    assert [row[c] for c in ("src_lid", "src_lid_score", "tgt_lid", "tgt_lid_score")] == [None] * 4


def test_thresholds_go_by_length() -> None:
    sure = {"min_other": 0.0, "max_expected": 1.0}
    never = {"min_other": 1.0, "max_expected": 0.0}
    german = "Der Bericht kommt morgen früh."
    by_length = [{"letters": 0, **never}, {"letters": 30, **sure}]
    assert judged(german, HI, confidence=by_length)["reason"] is None
    assert judged(f"{german} {german}", HI, confidence=by_length)["reason"] == "language"


def test_varieties_count_where_the_recipe_says_so() -> None:
    egyptian = "المدينه دى موجوده فى مصر و عدد السكان بتوعها كبير"
    assert judged(EN, egyptian, "en-ar", shortcuts=False)["tgt_lid"] == "arz", "the model must tell them apart here"
    assert judged(EN, egyptian, "en-ar")["reason"] is None
    assert judged(EN, egyptian, "en-ar", also={"ar": []})["reason"] == "language"
    german = "Der Bericht kommt morgen früh mit der Post."
    assert judged(german, HI, also={"en": ["de"]})["reason"] is None


MIXED = [
    "मैं meeting में busy हूँ, please wait करो",
    "यार ये movie तो really amazing थी, must watch",
    "आज मैं पूरे दिन office meeting में busy हूँ, बाद में बात करते हैं",
    "कल का interview cancel हो गया but नया date मिल जाएगा",
]


@pytest.mark.parametrize("text", MIXED)
def test_code_switched_text_is_mixed_and_not_another_language(text: str) -> None:
    row = judged(EN, text)
    assert (row["tgt_lid"], row["tgt_lid_score"], row["reason"]) == ("mixed", None, None)
    assert judged(EN, text, mixed="refuse")["reason"] == "mixed_language"


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        (HI, "en-hi"),
        ("मैंने Windows Server खरीदा है", "en-hi"),  # a name is no second language
        ("यह report बहुत लंबी है और इसमें कई गलतियाँ हैं", "en-hi"),  # one word
        ("この本はとても面白いと思います。", "en-ja"),
    ],
)
def test_what_is_not_mixed(text: str, pair: str) -> None:
    assert judged(EN, text, pair)["tgt_lid"] == pair[3:]


def test_the_own_part_of_a_mixed_text_is_judged() -> None:
    nepali = "म तपाईंलाई भोलि बिहान प्रतिवेदन पठाउनेछु please wait for the answer"
    assert judged(EN, nepali)["reason"] == "language"


def test_two_languages_in_one_script_are_found_by_both_ends() -> None:
    german = "Ich schicke dir den Bericht morgen früh mit der Post nach Hause."
    both = f"{EN} Please wait for it. {german} Das ist sehr wichtig für uns."
    row = judged(both, german, "en-de")
    assert (row["src_lid"], row["reason"]) == ("mixed", None)
    assert judged(both, german, "en-de", mixed="refuse")["reason"] == "mixed_language"
    assert judged(german, german, "en-de")["reason"] == "language", "one language at both ends is the wrong one"


def test_parts_leave_what_shares_a_script_alone() -> None:
    texts = pl.Series(["ein text with words"])
    found = code_switched.parts(texts, language("en"), language("de"), 0.25)
    assert found["text"].to_list() == texts.to_list()
    assert not found["mixed"].any()


def test_a_build_counts_both_reasons(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    rows = [
        (1.3, EN, HI),
        (1.2, "I am busy in a meeting all day, so let us talk later.", MIXED[2]),
        (1.1, "I will send you a letter tomorrow.", "म तपाईंलाई भोलि बिहान प्रतिवेदन पठाउनेछु।"),
    ]
    recipe = load_recipe(None, language_id={"mixed": "refuse"})
    (corpus,) = build(
        "wikimatrix", [Pair("en", "hi")], origin=str(wikimatrix(rows)), recipe=recipe, out=tmp_path / "out"
    )
    funnel = corpus.manifest.funnel
    assert funnel.rejected == {"language": 1, "mixed_language": 1}
    assert funnel.kept == {"train": 1}
