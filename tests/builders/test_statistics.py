"""Statistics: repeated texts are right whatever the table's room, scripts are those of most letters."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.builders import repeated
from tppc.builders.repeated import RepeatedTexts
from tppc.builders.scripts import count_scripts
from tppc.corpora.keys import side_keys
from tppc.corpora.languages import language


def frame(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame({"src_text": texts, "src_key": side_keys(texts)}, schema={"src_text": str, "src_key": pl.Int64})


@settings(max_examples=60, deadline=None)
@given(
    places=st.integers(1, 30),
    numbers=st.lists(st.integers(0, 12).map(lambda n: n * n // 6), min_size=1, max_size=200),
    cut=st.integers(1, 60),
)
def test_counts_are_exact_and_nothing_frequent_is_missed(places: int, numbers: list[int], cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeated, "PLACES", places)
        texts = [f"text {n}" for n in numbers]
        frames = [frame(texts[i : i + cut]) for i in range(0, len(texts), cut)]
        counter = RepeatedTexts("src")
        for part in frames:
            counter.add(part)
        for part in frames:
            counter.recount(part)
        found = counter.result()
    true = Counter(texts)
    assert all(true[text] == count for text, count in found.texts)
    assert found.missed_at_most <= len(texts) / (places + 1)
    often = {text: count for text, count in true.items() if count > max(1, found.missed_at_most)}
    assert dict(found.texts).items() >= often.items()
    assert [count for _, count in found.texts] == sorted((c for _, c in found.texts), reverse=True)


def test_a_text_counts_with_its_other_spellings() -> None:
    counter, rows = RepeatedTexts("src"), frame(["cat", "Cat", "ｃａｔ", "dog"])
    counter.add(rows)
    counter.recount(rows)
    assert counter.result().texts == [("Cat", 3)]


@pytest.mark.parametrize(
    ("code", "texts", "counts"),
    [
        ("hi", ["नमस्ते", "hello नमस्ते", "hello", "123", ""], {"Devanagari": 1, "Latin": 2, "none": 2}),
        ("ja", ["東京へ行く", "カタカナー", "Tokyo"], {"Han": 1, "Katakana": 1, "Latin": 1}),
        ("en", ["привет", "ok привет", "ok", "ⲁⲃⲅ"], {"Cyrillic": 2, "Latin": 1, "other": 1}),
        ("cop", ["ⲁⲃⲅ", "ok"], {"other": 1, "Latin": 1}),
    ],
)
def test_a_text_is_in_the_script_of_most_of_its_letters(code: str, texts: list[str], counts: dict[str, int]) -> None:
    assert count_scripts(pl.Series(texts, dtype=pl.String), language(code)) == counts


def test_no_texts_have_no_script() -> None:
    assert count_scripts(pl.Series([], dtype=pl.String), language("hi")) == {}
