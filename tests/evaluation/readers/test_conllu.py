"""CoNLL-U: ranges and empty nodes, versions 1 and 2, other columns, malformed lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.conllu import read_conllu
from tppc.evaluation.readers.forms import TaggedSentence

Write = Callable[[str, str], Path]


def word(number: int | str, form: str, upos: str, relation: str = "_") -> str:
    return "\t".join([str(number), form, "_", upos, "XP", "_", "_", relation, "_", "_"]) + "\n"


def test_ranges_and_empty_nodes_are_skipped_and_their_words_kept(write: Write) -> None:
    text = "# text = vámonos al mar\n" + word("1-2", "vámonos", "_") + word(1, "vamos", "VERB") + word(2, "nos", "PRON")
    path = write("a.conllu", text + word("2.1", "x", "_") + word(3, "mar", "NOUN"))
    reading = read_conllu(path)
    assert reading.items == [TaggedSentence(("vamos", "nos", "mar"), ("VERB", "PRON", "NOUN"))]
    assert "2 multi-word ranges and empty nodes" in reading.notes[0]


def test_conj_of_version_1_becomes_cconj_and_is_noted(write: Write) -> None:
    reading = read_conllu(write("a.conllu", word(1, "और", "CONJ") + "\n\n" + word(1, "जल", "NOUN") + "\n"))
    assert [s.tags for s in reading.items] == [("CCONJ",), ("NOUN",)]
    assert "UD version 1, 1 CONJ read as CCONJ" in reading.notes[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (word(1, "a", "NOUN") + "2\tb\tNOUN\n", "line 2: 3 tab-separated columns"),
        (word(1, "a", "NOUN") + word("x", "b", "NOUN"), "line 2: 'x' is no word ID"),
        (word(1, "a", "NOUN") + word(3, "b", "NOUN"), "line 2: word 3 follows word 1"),
        (word(1, "a", "NOUN") + word(2, "b", "_"), "line 2: '_' is no universal part of speech"),
        (word(1, "a", "NOUN") + word(2, "", "NOUN"), "line 2: an empty word"),
        (word("9" * 5_000, "a", "NOUN"), "line 1: word 9+ follows word 0"),
        (word(1, "a", "NOUN") + word("3-4", "b", "_"), "line 2: range 3-4 after word 1"),
        (word("1-1", "b", "_"), "line 1: range 1-1 after word 0"),
        (word(1, "a", "NOUN") + word("3.1", "b", "_"), "line 2: empty node 3.1 after word 1"),
        (word("١", "a", "NOUN"), "line 1: '١' is no word ID"),
        ("# nothing\n", "no sentence in it"),
    ],
)
def test_malformed_conllu_is_named_with_file_and_line(write: Write, text: str, fault: str) -> None:
    with pytest.raises(TppcError, match=rf"a\.conllu.*{fault}"):
        read_conllu(write("a.conllu", text))


def test_copulas_of_version_1_become_aux_and_other_verbs_stay(write: Write) -> None:
    text = word(1, "वह", "PRON") + word(2, "घर", "NOUN") + word(3, "है", "VERB", "cop") + word(4, "गया", "VERB", "root")
    first = read_conllu(write("v1.conllu", text + word(5, "फल", "NOUN", "dobj")))
    assert first.items[0].tags == ("PRON", "NOUN", "AUX", "VERB", "NOUN")
    assert "1 copulas tagged VERB as AUX" in first.notes[0]
    # Nothing shows version 1 here, so a VERB stays what its file says.
    second = read_conllu(write("v2.conllu", text + word(5, "फल", "NOUN", "obj")))
    assert second.items[0].tags == ("PRON", "NOUN", "VERB", "VERB", "NOUN")
    assert second.notes == ()


def test_an_empty_node_may_come_first_and_a_range_may_be_long(write: Write) -> None:
    text = word("0.1", "x", "_") + word("1-3", "abc", "_") + "".join(word(i, c, "X") for i, c in enumerate("abc", 1))
    assert read_conllu(write("a.conllu", text)).items == [TaggedSentence(("a", "b", "c"), ("X", "X", "X"))]


def test_other_columns_are_read_by_name_or_number(write: Write) -> None:
    path = write("a.conllu", word(1, "sah", "VERB", "root") + word(2, "ihn", "PRON", "obj"))
    assert read_conllu(path, ("form", "xpos")).items[0].tags == ("XP", "XP")
    assert read_conllu(path, (1, 7)).items == [TaggedSentence(("sah", "ihn"), ("root", "obj"))]
    with pytest.raises(TppcError, match=r"a\.conllu, line 1: a word without tag; column 6 \(FEATS\)"):
        read_conllu(path, ("form", "FEATS"))
    with pytest.raises(UsageError, match="no column 'pos'"):
        read_conllu(path, ("form", "pos"))
