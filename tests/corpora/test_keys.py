"""Keys tell texts apart that differ in a mark, and nothing else."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from tppc.corpora.keys import comparison_form, draw, order_keys, side_key, side_keys

MARKS = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me")]


@pytest.mark.parametrize(
    ("one", "other"), [("किताब", "कताब"), ("عَلِمَ", "عُلِمَ"), ("が", "か"), ("résumé", "resume"), ("Polish", "Polis")]
)
def test_words_that_differ_in_a_mark_have_different_keys(one: str, other: str) -> None:
    assert side_key(one) != side_key(other)


def test_no_mark_of_any_script_is_dropped() -> None:
    assert len(MARKS) > 2_000
    assert [m for m in MARKS if comparison_form("ক" + m) == comparison_form("ক")] == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("ﬁne", "fine"),
        ("ＡＢＣ１２", "abc12"),
        ("two  words\n", "Two words"),
        ("é", "e\u0301"),
        ("ｶﾞ", "ガ"),
    ],
)
def test_case_width_composition_and_space_do_not_matter(one: str, other: str) -> None:
    assert side_key(one) == side_key(other)


@given(st.text())
def test_comparison_form_is_stable(text: str) -> None:
    assert comparison_form(comparison_form(text)) == comparison_form(text)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1)), max_size=20))
def test_order_keys_depend_on_the_pair_alone(pairs: list[tuple[int, int]]) -> None:
    src = np.array([a for a, _ in pairs], dtype=np.int64)
    tgt = np.array([b for _, b in pairs], dtype=np.int64)
    together = order_keys(src, tgt)
    one_by_one = [order_keys(src[i : i + 1], tgt[i : i + 1])[0] for i in range(len(pairs))]
    assert together.tolist() == one_by_one


@given(st.lists(st.tuples(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8)), max_size=20))
def test_order_keys_are_xxh3_of_the_two_keys(pairs: list[tuple[bytes, bytes]]) -> None:
    src, tgt = (np.frombuffer(b"".join(side), dtype="<i8") for side in zip(*pairs, strict=True)) if pairs else ([], [])
    assert order_keys(src, tgt).tolist() == [xxhash.xxh3_64_intdigest(a + b) for a, b in pairs]


def test_keys_are_the_published_ones() -> None:
    """Keys of published corpora must never change: xxh3-64 of the comparison form, as a signed number."""
    assert side_keys(["", "Hello", "नमस्ते"]).tolist() == [3244421341483603138, -7685981735718036227, side_key("नमस्ते")]


def test_draws_are_uniform() -> None:
    draws = np.array([draw(int(k), "holdout") for k in np.arange(20_000)])
    assert abs(draws.mean() - 0.5) < 0.01
    assert abs((draws < 0.1).mean() - 0.1) < 0.01
