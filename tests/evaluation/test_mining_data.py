"""The files of the BUCC shared task are read whole, or refused with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError
from tppc.evaluation.mining_data import mining_data, read_sides
from tppc.evaluation.tasks.bitext import Mining, Sides

Write = Callable[[str, str], Path]
DE_EN = Pair("de", "en")


@pytest.fixture
def bucc(write: Write) -> Sides:
    """Ten sources, eight of them with a translation, in the task's own layout."""
    src = write("s.de", "".join(f"de-{i:03d}\tSatz {i}\n" for i in range(10)))
    tgt = write("t.en", "".join(f"en-{i:03d}\tsentence {i}\n" for i in range(1, 12)))
    gold = write("g.gold", "".join(f"de-{i:03d}\ten-{i:03d}\n" for i in range(1, 9)))
    return read_sides(src, tgt, gold, DE_EN)


def test_ids_become_rows(bucc: Sides) -> None:
    assert (len(bucc.src), len(bucc.tgt), len(bucc.gold)) == (10, 11, 8)
    assert next((bucc.src[i], bucc.tgt[j]) for i, j in bucc.gold.tolist()) == ("Satz 1", "sentence 1")
    assert bucc.name == "s.de+t.en"


def test_plain_texts_are_known_by_their_line(write: Write, bucc: Sides) -> None:
    src, tgt = write("p.de", "eins\nzwei\n"), write("p.en", "two\none\tof them\n")
    found = read_sides(src, tgt, write("p.gold", "1\t2\n2\t1\n1\t2\n"), DE_EN)
    assert found.gold.tolist() == [[0, 1], [1, 0]]  # the same pair twice is one
    assert found.tgt[1] == "one\tof them"
    assert found.digest != bucc.digest


@pytest.mark.parametrize(
    ("src", "gold", "message"),
    [
        ("a\tx\na\ty\n", "a\tk\n", r"s\.de, line 2: the id 'a' stands twice"),
        ("a\tx\nb\t \n", "a\tk\n", r"s\.de, line 2: an empty text"),
        ("a\tx\n", "a\tk\nb\tk\n", r"g, line 2: s\.de has no text 'b'"),
        ("a\tx\n", "a k\n", r"g, line 1: 1 tab-separated fields"),
        ("a\tx\n", "", "g: it holds no gold pairs"),
        ("", "a\tk\n", r"s\.de: it holds no texts"),
    ],
)
def test_what_is_wrong_is_named(write: Write, src: str, gold: str, message: str) -> None:
    with pytest.raises(TppcError, match=message):
        read_sides(write("s.de", src), write("t.en", "k\tone\n"), write("g", gold), DE_EN)


def test_the_threshold_has_one_origin_that_is_not_the_scored_part(bucc: Sides) -> None:
    given = mining_data(bucc, threshold=1.05)
    assert given.dev is None
    assert given.test is bucc
    assert given.describe() == "ratio margin k=4; max retrieval; threshold 1.05"
    split = mining_data(bucc, Mining(retrieval="forward"), share=0.5)
    assert split.dev is not None
    assert not set(split.dev.src) & set(split.test.src)
    assert split.describe() == "ratio margin k=4; forward retrieval; threshold of best F1 on s.de+t.en (dev part)"
    with pytest.raises(UsageError, match="leave one of the two out"):
        mining_data(bucc, dev=bucc, threshold=1.0)
    with pytest.raises(UsageError, match="--dev-share must lie between 0 and 1"):
        mining_data(bucc, share=1.0)
    with pytest.raises(TppcError, match="it has no gold pair"):
        mining_data(bucc, share=1e-9)
