"""Texts with spans: how they are cut, and that no span is lost or moved."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.errors import TppcError
from tppc.evaluation.readers.forms import TaggedSentence
from tppc.evaluation.readers.jsonl import read_json
from tppc.evaluation.readers.options import Unit
from tppc.evaluation.readers.spans import cut, read_spans

Write = Callable[[str, str], Path]


def line(text: str, *spans: Any) -> str:
    return json.dumps({"text": text, "spans": list(spans)}, ensure_ascii=False) + "\n"


def span(start: int, end: int, label: str = "LOC") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("東京タワーに行く。", ["東", "京", "タ", "ワ", "ー", "に", "行", "く", "。"]),
        ("Hello, wörld's 2nd", ["Hello", ",", "wörld", "'", "s", "2nd"]),
        ("किताब पढ़ी!", ["किताब", "पढ़ी", "!"]),  # vowel signs and nukta are marks, and stay with their letters
        ("والقاهِرة", ["والقاهِرة"]),
        ("ｶﾞ人々のIBM社", ["ｶﾞ", "人", "々", "の", "IBM", "社"]),
        ("ไทย ok", ["ไ", "ท", "ย", "ok"]),
    ],
)
def test_words_are_runs_of_letters_and_single_characters_of_scripts_without_spaces(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in cut(text, "words")] == words


def test_characters_keep_their_marks() -> None:
    text = "कि ta"
    assert [text[start:end] for start, end in cut(text, "characters")] == ["कि", "t", "a"]


@settings(max_examples=60, deadline=None)
@given(st.text(), st.sampled_from(["words", "characters"]))
def test_tokens_are_all_of_a_text_but_its_white_space(text: str, unit: Unit) -> None:
    tokens = cut(text, unit)
    assert "".join(text[start:end] for start, end in tokens) == "".join(c for c in text if not c.isspace())
    for start, end in tokens:
        assert start < end
        if unicodedata.category(text[start]).startswith("M"):  # a mark stands alone only where there is no letter
            assert start == 0 or text[start - 1].isspace()


def test_spans_become_iob2(write: Write) -> None:
    path = write("a.jsonl", line("東京へ行く", span(0, 2)) + line("行く") + line("Anna Lee ran", span(0, 8, "PER")))
    reading = read_spans(read_json(path))
    assert reading.items == [
        TaggedSentence(("東", "京", "へ", "行", "く"), ("B-LOC", "I-LOC", "O", "O", "O")),
        TaggedSentence(("行", "く"), ("O", "O")),
        TaggedSentence(("Anna", "Lee", "ran"), ("B-PER", "I-PER", "O")),
    ]
    assert "cut into words (characters, in scripts without spaces)" in reading.notes[0]


def test_spans_as_lists_and_neighbours_of_one_type(write: Write) -> None:
    path = write("a.jsonl", '{"text": "東京京都", "entities": [[2, 4, "LOC"], [0, 2, "LOC"]]}\n')
    assert read_spans(read_json(path)).items[0].tags == ("B-LOC", "I-LOC", "B-LOC", "I-LOC")


def test_a_span_may_hold_white_space_at_its_ends(write: Write) -> None:
    path = write("a.jsonl", line("in Oslo now", span(2, 8)))
    assert read_spans(read_json(path)).items[0].tags == ("O", "B-LOC", "O")


def test_offsets_count_code_points(write: Write) -> None:
    path = write("a.jsonl", line("😀 東京", span(2, 4) | {"text": "東京"}))
    assert read_spans(read_json(path)).items[0] == TaggedSentence(("😀", "東", "京"), ("O", "B-LOC", "I-LOC"))
    utf16 = write("b.jsonl", line("😀 東京に", span(3, 5) | {"text": "東京"}))
    with pytest.raises(
        TppcError, match="line 1: span 3 to 5 holds '京に', and the file says '東京'; offsets count code"
    ):
        read_spans(read_json(utf16))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ((span(0, 2), span(1, 3)), r"spans 0 to 2 \(LOC\) and 1 to 3 \(LOC\) overlap"),
        ((span(0, 2), span(0, 2, "PER")), "overlap"),
        ((span(0, 9),), "span 0 to 9 of a text of 7 code points"),
        ((span(-1, 2),), "span -1 to 2"),
        ((span(2, 2),), "span 2 to 2"),
        ((span(3, 4),), "holds white space alone"),
        ((span(0, 5),), r"span 0 to 5 \('東京に O'\) cuts a token at 5; --unit characters cuts finer"),
        ((span(0, 2, ""),), "an empty label"),
        ((span(0, 2, "O"),), "'O' cannot be a label"),
        ((span(0, 2, "a b"),), "'a b' cannot be a label"),
        (({"start": 0, "end": 2},), "is no span"),
        (({"start": 0, "end": True, "label": "x"},), "is no span"),
        (({"start": 0.0, "end": 2, "label": "x"},), "is no span"),
        (("LOC",), "is no span"),
    ],
)
def test_a_span_that_cannot_be_kept_is_named_with_file_and_line(
    write: Write, given: tuple[Any, ...], fault: str
) -> None:
    path = write("a.jsonl", line("good") + line("東京に Osl", *given))
    with pytest.raises(TppcError, match=rf"a\.jsonl, line 2: .*{fault}"):
        read_spans(read_json(path))


@pytest.mark.parametrize(
    "text", ['{"text": "a"}', '{"text": "", "spans": []}', '{"text": 3, "spans": []}', '{"spans": []}']
)
def test_a_text_without_text_or_spans_is_named(write: Write, text: str) -> None:
    with pytest.raises(TppcError, match=r"a\.jsonl, line 1"):
        read_spans(read_json(write("a.jsonl", text + "\n")))


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1).filter(str.strip), st.data())
def test_no_span_is_lost_or_moved(tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject) -> None:
    tokens = cut(text, "words")
    edges = sorted(data.draw(st.sets(st.sampled_from(range(len(tokens) + 1)), max_size=6)))
    spans = [span(tokens[a][0], tokens[b - 1][1], data.draw(st.sampled_from(["PER", "LOC"])))
             for a, b in zip(edges[::2], edges[1::2], strict=False)]  # fmt: skip
    path = tmp_path_factory.mktemp("spans") / "a.jsonl"
    path.write_text(json.dumps({"text": text, "spans": spans}) + "\n", "utf-8")
    [read] = read_spans(read_json(path)).items
    found, first = [], 0
    for i, tag in enumerate([*read.tags, "O"]):
        if not tag.startswith("I-"):
            if i and read.tags[i - 1] != "O":
                found.append(span(tokens[first][0], tokens[i - 1][1], read.tags[i - 1][2:]))
            first = i
    assert found == spans
