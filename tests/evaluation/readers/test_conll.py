"""CoNLL columns: every quirk of tokens, tags, comments and columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.conll import read_conll
from tppc.evaluation.readers.forms import TaggedSentence

Write = Callable[[str, str], Path]


def test_tabs_and_spaces_and_a_last_sentence_without_blank_line(write: Write) -> None:
    expected = [TaggedSentence(("Anna", "ran"), ("B-PER", "O")), TaggedSentence(("Paris",), ("B-LOC",))]
    assert read_conll(write("tab", "Anna\tB-PER\nran\tO\n\t\nParis\tB-LOC")).items == expected
    assert read_conll(write("space", "Anna B-PER\nran O\n\n\nParis   B-LOC\n")).items == expected


def test_iob1_becomes_iob2(write: Write) -> None:
    # IOB1 writes B- only where an entity follows one of its own type.
    reading = read_conll(
        write("a", "Anna\tI-PER\nLee\tI-PER\nBob\tB-PER\nin\tO\nNew\tI-LOC\nYork\tI-LOC\nIBM\tI-ORG\n")
    )
    assert reading.items[0].tags == ("B-PER", "I-PER", "B-PER", "O", "B-LOC", "I-LOC", "B-ORG")
    assert "3 entities that begin with I-" in reading.notes[0]


def test_valid_iob2_stays_as_it_is_and_is_not_noted(write: Write) -> None:
    reading = read_conll(write("a", "a\tB-creative-work\nb\tI-creative-work\nc\tB-creative-work\n"))
    assert reading.items[0].tags == ("B-creative-work", "I-creative-work", "B-creative-work")
    assert reading.notes == ()


def test_flat_tags_become_entities_by_runs(write: Write) -> None:
    reading = read_conll(write("ssea", "श्री\tO\nराम\tPERSON\nलाल\tPERSON\nदिल्ली\tLOCATION\n"))
    assert reading.items[0].tags == ("O", "B-PERSON", "I-PERSON", "B-LOCATION")
    assert "neighbours of one type are merged" in reading.notes[0]


def test_columns_are_found(write: Write) -> None:
    uner = "# text = I see Rome\n1\tI\tO\t-\t-\n2\tsee\tO\t-\tann\n3\tRome\tB-LOC\t-\tann\n"
    mecab = "東京\t名詞\t*\tB-LOC\nへ\t助詞\t*\t*\t*\tO\n"
    conll2003 = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n"
    assert read_conll(write("uner", uner)).items == [TaggedSentence(("I", "see", "Rome"), ("O", "O", "B-LOC"))]
    assert read_conll(write("mecab", mecab)).items == [TaggedSentence(("東京", "へ"), ("B-LOC", "O"))]
    assert read_conll(write("2003", conll2003)).items == [TaggedSentence(("EU", "rejects"), ("B-ORG", "O"))]


def test_columns_can_be_given(write: Write) -> None:
    reading = read_conll(write("a", "EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n"), columns=(0, 2))
    assert reading.items[0].tags == ("B-NP", "B-VP")


def test_a_hash_opens_a_comment_or_is_a_token(write: Write) -> None:
    tabs = write("tabs", "# sent_id = 1\n#tppc\tB-ORG\n#\tO\n# a comment\n")
    spaces = write("spaces", "# sent_id = 1\n#tppc B-ORG\n# O\n# a comment\n")
    expected = [TaggedSentence(("#tppc", "#"), ("B-ORG", "O"))]
    assert read_conll(tabs).items == expected
    assert read_conll(spaces).items == expected


def test_panx_prefix_goes_only_where_every_token_has_it(write: Write) -> None:
    reading = read_conll(write("dev", "en:At\tO\nen::\tO\nen:Rome\tB-LOC\n"))
    assert reading.items[0].tokens == ("At", ":", "Rome")
    assert "'en:'" in reading.notes[0]
    assert read_conll(write("b", "en:At\tO\n12:30\tO\n")).items[0].tokens == ("en:At", "12:30")


def test_an_invisible_token_is_a_token(write: Write) -> None:
    reading = read_conll(write("a", "\u200c\tO\n\xa0\tO\n\x85\tO\n\ufe0f\tB-PER\n"))
    assert reading.items == [TaggedSentence(("\u200c", "\xa0", "\x85", "\ufe0f"), ("O", "O", "O", "B-PER"))]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a\tO\nb\n", "line 2: only one column"),
        ("a\tO\n\tO\n", "line 2: an empty token"),
        ("a\tO\nb\t\n", "line 2: an empty tag"),
        ("a\tB-PER\nb\tPER\n", "line 2: tag 'PER' is neither"),
        ("a\tO\nb\tQ-PER\n", "line 2: tag 'Q-PER' is neither"),
        ("a\tB-PER\nb\tL-PER\n\nc\tS-LOC\n", "line 4: tag 'S-LOC' is of another scheme"),
        ("a\tO\n#tag\nb\tO\n", "line 2: only one column"),
        ("a O\n#tag\nb O\n", "line 2: only one column"),
        ("a O\n#begin document (x); part 1\n#tag B-PER x\n", "line 3: 3 columns where other lines have 2"),
        ("a B-PER\n\n-DOCSTART- -X- O O\n\nb\n", "line 5: only one column"),
        ("John B-PER extra\nlives O\n", "line 1: 3 columns"),
        ("lives O\n\n" * 300 + "John PER extra\nlives PER\n", "line 601: 3 columns where other lines have 2"),
        ("", "no sentence in it"),
    ],
)
def test_malformed_columns_are_named_with_file_and_line(write: Write, text: str, fault: str) -> None:
    with pytest.raises(TppcError, match=rf"a\.conll.*{fault}"):
        read_conll(write("a.conll", text))


def test_no_column_of_tags_is_a_question_to_the_user(write: Write) -> None:
    with pytest.raises(UsageError, match="--columns"):
        read_conll(write("a", "a\tx\ty\nb\tx\tz\n"))


def test_a_hash_in_wider_columns_is_a_token_where_the_line_is_as_wide(write: Write) -> None:
    text = "# id 7\n# text = I took I-95 home\nI PRP B-NP O\n# SYM I-NP O\ntook VBD B-VP O\n"
    assert read_conll(write("2003", text)).items == [TaggedSentence(("I", "#", "took"), ("O", "O", "O"))]
    tabs = "# text = I took I-95\n1\tI\tO\t-\n2\ttook\tO\t-\n3\tI-95\tB-LOC\t-\n"
    assert read_conll(write("uner", tabs)).items == [TaggedSentence(("I", "took", "I-95"), ("O", "O", "B-LOC"))]


def test_a_document_mark_ends_a_sentence(write: Write) -> None:
    text = "a NNP B-NP B-ORG\n-DOCSTART- -X- O O\nb NNP B-NP I-ORG\n"
    assert [s.tags for s in read_conll(write("2003", text)).items] == [("B-ORG",), ("B-ORG",)]


def test_columns_of_conll_have_no_names(write: Write) -> None:
    with pytest.raises(UsageError, match="number them from 0"):
        read_conll(write("a", "a\tO\n"), ("form", "tag"))


_tokens = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), min_size=1).filter(
    lambda t: t != "-DOCSTART-" and not t.startswith("\ufeff") and t.strip(" ")
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(_tokens, st.sampled_from(["O", "B-PER", "B-LOC"])), min_size=1), min_size=1, max_size=5)
)
def test_no_sentence_and_no_token_is_lost(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[tuple[str, str]]]
) -> None:
    path = tmp_path_factory.mktemp("conll") / "a.conll"
    path.write_bytes("\n".join("".join(f"{t}\t{g}\n" for t, g in s) for s in sentences).encode())
    read = read_conll(path, columns=(0, 1))
    assert [len(s.tokens) for s in read.items] == [len(s) for s in sentences]
    if not read.notes:
        assert [list(zip(s.tokens, s.tags, strict=True)) for s in read.items] == sentences
