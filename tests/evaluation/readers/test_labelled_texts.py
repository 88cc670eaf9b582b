"""Texts with a label: TSV, CSV, two files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import LabelledText
from tppc.evaluation.readers.texts import read_csv, read_texts, read_tsv, read_two_files

Write = Callable[[str, str], Path]


def test_tsv_with_header_and_without(write: Write) -> None:
    assert len(read_tsv(write("a", 'text\tlabel\n"good\tpositive\n')).items) == 1
    assert read_tsv(write("b", '"good\tpositive\n')).items[0].text == '"good'  # a quotation mark is a character


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("good\tpositive\nbad\n", "line 2: 1 tab-separated"),
        ("a\tb\tc\n", "line 1: 3 tab-separated"),
        ("\n\na\tb\tc\n", "line 3: 3 tab-separated"),
        ("id\ttext\tlabel\n1\tgood\tpositive\n2\tbad\n", "line 3: 2 tab-separated columns where the first"),
        (" \tpositive\n", "line 1: an empty text"),
        ("good\t\n", "line 1: an empty label"),
        ("", "no labelled text"),
    ],
)
def test_malformed_tsv_is_named_with_file_and_line(write: Write, text: str, fault: str) -> None:
    with pytest.raises(TppcError, match=rf"a\.tsv.*{fault}"):
        read_tsv(write("a.tsv", text))


def test_two_files_belong_together_line_by_line(write: Write) -> None:
    write("val_labels.txt", "2\n0\n")
    path = write("val_text.txt", "so good\u2028really\nbad\n")
    assert [(i.text, i.label) for i in read_texts(path).items] == [("so good\u2028really", "2"), ("bad", "0")]


def test_two_files_of_different_length_are_refused(write: Write) -> None:
    texts, labels = write("text", "a\nb\n"), write("labels", "1\n")
    with pytest.raises(TppcError, match=r"has 2 lines and .* has 1"):
        read_two_files(texts, labels)


def test_an_empty_line_of_two_files_is_named(write: Write) -> None:
    with pytest.raises(TppcError, match="text, line 2: an empty text"):
        read_two_files(write("text", "a\n\n"), write("labels", "1\n1\n"))
    with pytest.raises(TppcError, match="labels, line 2: an empty label"):
        read_two_files(write("text", "a\nb\n"), write("labels", "1\n\n"))


def test_a_header_names_the_columns(write: Write) -> None:
    path = write("a.tsv", "id\tTweet\tSentiment\n1\tgood\tpositive\n")
    assert read_tsv(path).items == [LabelledText("good", "positive")]
    named = write("b.tsv", "review\tstars\nfine\t4\n")
    assert read_tsv(named, ("review", "stars")).items == [LabelledText("fine", "4")]
    with pytest.raises(UsageError, match="it has: review, stars"):
        read_tsv(named, ("review", "rating"))


def test_columns_by_number_mean_that_there_is_no_header(write: Write) -> None:
    path = write("a.tsv", "1\tpositive\tgood\n2\tnegative\tbad\n")
    assert read_tsv(path, (2, 1)).items == [LabelledText("good", "positive"), LabelledText("bad", "negative")]
    with pytest.raises(UsageError, match="the first line has 3"):
        read_tsv(path, (0, 3))


def test_csv_with_quotes_commas_and_line_ends(write: Write) -> None:
    path = write("a.csv", 'id,text,label\r\n1,"good, ""very"" good\nindeed",positive\r\n\r\n2,bad,negative\n')
    assert read_csv(path).items == [
        LabelledText('good, "very" good\nindeed', "positive"),
        LabelledText("bad", "negative"),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('text,label\ngood,a\n"bad,b\nugly,c\n', "line 3: not CSV"),  # nothing closes the quotation mark
        ('text,label\n"go"od,a\n', "line 2: not CSV"),
        ("text,label\ngood,a\nbad\n", "line 3: 1 comma-separated columns where the first line has 2"),
        ("text,label\ngood,a,b\n", "line 2: 3 comma-separated"),
        ("text,label\n,a\n", "line 2: an empty text"),
        ("text,label\ngood, \n", "line 2: an empty label"),
        ("text,label\n", "no labelled text"),
        ("good,positive\nbad,negative\n", "the header has no column of texts and labels"),
    ],
)
def test_malformed_csv_is_named_with_file_and_line(write: Write, text: str, fault: str) -> None:
    with pytest.raises(TppcError, match=rf"a\.csv.*{fault}"):
        read_csv(write("a.csv", text))
