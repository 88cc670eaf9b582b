"""Forms in which copies of a text meet."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.builders.select.forms import comparison_forms, letter_digests, letter_runs, letters, run_digests, word_runs

TEXTS = st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "Z"]), max_size=60)


def plain(text: str) -> str:
    return str(letters(comparison_forms([text]))[0])


def test_letters_leave_case_width_spaces_punctuation_and_arabic_vowel_marks_aside() -> None:
    assert plain("Ｈe said: “Do n't!”") == plain("he SAID don't") == "hesaiddont"
    assert plain("مَجمُوعَةٌ مـن") == plain("مجموعة من")
    assert plain("हिन्दी") != plain("हन्द")  # marks of other scripts are letters' own
    assert plain("?!") == ""


@settings(deadline=None)  # the first of many letters takes longer
@given(st.lists(TEXTS, max_size=12))
def test_digests_of_letters_are_those_of_each_text_alone(texts: list[str]) -> None:
    together = letter_digests(pl.Series(texts, dtype=pl.String))
    assert together.tolist() == [int(letter_digests(pl.Series([t]))[0]) for t in texts]


def test_letter_digests_meet_where_the_letters_are_the_same_and_nowhere_else() -> None:
    same = letter_digests(pl.Series(["Hello, world!", "HELLO WORLD !!", "Ｈello world", "hello-world"]))
    assert len(set(same.tolist())) == 1
    other = letter_digests(pl.Series(["Tom loves Ann", "Ann loves Tom", "Tom loves Anna", "Tom loves 1", "?", "!", ""]))
    assert len(set(other.tolist())) == 7


@settings(deadline=None)
@given(st.text("abcdé", min_size=0, max_size=80), st.integers(1, 40))
def test_runs_are_equal_exactly_where_the_letters_are(text: str, size: int) -> None:
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    runs = run_digests(codes, size)
    windows = [text[i : i + size] for i in range(len(text) - size + 1)]
    assert len(runs) == len(windows)
    assert len(set(runs.tolist())) == len(set(windows))
    assert len({(w, r) for w, r in zip(windows, runs.tolist(), strict=True)}) == len(set(windows))


def test_runs_stay_within_their_text_and_follow_its_script() -> None:
    texts = pl.Series(["abcdef", "", "あいうえ", "abc"])
    digests, rows = letter_runs(texts, 4, 3)
    assert rows.tolist() == [0, 0, 0, 2, 2]
    assert len(set(digests.tolist())) == 5


def test_runs_of_words_do_not_see_how_words_are_parted() -> None:
    forms = comparison_forms(["One two, three four!", "one two three four", "one two three"])
    digests, rows = word_runs(forms, 4)
    assert rows.tolist() == [0, 1]
    assert digests[0] == digests[1]
