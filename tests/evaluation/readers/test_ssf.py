"""SSF, the format of SSEA-2008: nested chunks, attributes, sentences without an end, malformed brackets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.errors import TppcError
from tppc.evaluation.readers.forms import TaggedSentence
from tppc.evaluation.readers.ssf import read_ssf

Write = Callable[[str, str], Path]


def sentence(body: str, number: int = 1) -> str:
    return f'<Sentence id="{number}">\n0\t((\tSSF\n{body}\t))\n</Sentence>\n'


def test_an_inner_chunk_does_not_end_the_entity_around_it(write: Write) -> None:
    body = "1\t((\tNP\t<ne=NEO>\n1.1\tBank\n1.2\t((\tPP\n1.2.1\tof\n\t))\n1.3\tIndia\n\t))\n2\tसे\n"
    reading = read_ssf(write("a.ssf", sentence(body)))
    assert reading.items == [TaggedSentence(("Bank", "of", "India", "से"), ("B-NEO", "I-NEO", "I-NEO", "O"))]
    assert reading.notes == ()


def test_of_nested_entities_the_outermost_is_read_and_the_others_are_noted(write: Write) -> None:
    body = "1\t((\tNP\t<ne=NEP>\n1.1\t((\tNP\t<ne=NED>\n1.1.1\tराजा\n\t))\n1.2\tराम\n\t))\n2\t((\tNP\t<ne=NEL>\n2.1\tदिल्ली\n\t))\n"
    reading = read_ssf(write("a.ssf", sentence(body)))
    assert reading.items[0].tags == ("B-NEP", "I-NEP", "B-NEL")
    assert "1 entities inside others are not read, the outermost are: NED in NEP 1" in reading.notes[0]


def test_a_last_sentence_without_its_end_is_read(write: Write) -> None:
    text = sentence("1\tएक\n") + '<Sentence id="2">\n0\t((\tSSF\n1\tदो\tQC\n'
    reading = read_ssf(write("a.utf8", text))
    assert [s.tokens for s in reading.items] == [("एक",), ("दो",)]
    assert "1 sentences have no </Sentence>" in reading.notes[0]


def test_attributes_are_read_as_they_are_written(write: Write) -> None:
    attributes = ["<ne=NEP>", "<ne=nep/NED>", "<fs af='राम,n' ne='NEP'>", '<ENAMEX TYPE="PERSON">', "<ne = NEP >"]
    body = "".join(f"{i}\t((\tNP\t{a}\n{i}.1\tराम\tNNP\n\t))\n" for i, a in enumerate(attributes, 1))
    reading = read_ssf(write("a", sentence(body)))
    assert reading.items[0].tags == ("B-NEP", "B-NEP", "B-NEP", "B-PERSON", "B-NEP")


def test_stories_and_files_without_sentence_marks(write: Write) -> None:
    story = '<Story id="1">\n' + sentence("1\tएक\n") + sentence("1\tदो\n", 2) + "</Story>\n"
    bare = "0\t((\tSSF\n1\tएक\n\t))\n\n0\t((\tSSF\n1\tदो\n\t))\n"
    for text in (story, bare):
        assert [s.tokens for s in read_ssf(write("a", text)).items] == [("एक",), ("दो",)]


def test_a_missing_bracket_that_changes_no_entity_is_noted(write: Write) -> None:
    # Numbers that disagree with brackets decide nothing where no bracket is missing.
    whole = sentence("1\t((\tNP\t<ne=NEP>\n7\tराम\n\t))\n2\tसे\n")
    cut = '<Sentence id="1">\n0\t((\tSSF\n1\t((\tNP\t<ne=NEP>\n1.1\tराम\n\t))\n2\tसे\n</Sentence>\n'
    for text, notes in ((whole, 0), (cut, 1)):
        reading = read_ssf(write("a.ssf", text))
        assert reading.items == [TaggedSentence(("राम", "से"), ("B-NEP", "O"))]
        assert len(reading.notes) == notes


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("1\tएक\n\t))\n", r"line 5: '\)\)' with no '\(\('"),
        ("1\t((\tNP\t<ne=NEP>\n1.1\tराम\n2\tसे\n", "line 5: by its number this is not in the entity NEP above"),
        ("1\t((\tNP\t<ne=NEP>\n1.1\t((\tNP\n1.1.1\tराम\n", "line 3: entity NEP is not closed"),
        ("1\t((\tNP\t<ne=NEP>\n\t))\n2\tराम\n", "line 3: entity NEP has no token"),
        ("1\t((\tNP\t<ne=>\n1.1\tराम\n\t))\n", "line 3: no entity type"),
        ("राम\n", "line 3: 'राम' is neither a token"),
        ("\x0b\n", "line 3: .* is neither a token"),
        ("1\t\n", "line 3: .* is neither a token"),
        ("राम\tNNP\n", "line 3: .* is neither a token"),
    ],
)
def test_malformed_ssf_is_named_with_file_and_line(write: Write, body: str, fault: str) -> None:
    with pytest.raises(TppcError, match=rf"a\.ssf.*{fault}"):
        read_ssf(write("a.ssf", sentence(body)))


def test_tokens_and_ends_outside_of_sentences_are_named(write: Write) -> None:
    with pytest.raises(TppcError, match="line 6: a token outside of any <Sentence>"):
        read_ssf(write("a", sentence("1\tएक\n") + "1\tदो\n"))
    with pytest.raises(TppcError, match="line 1: a </Sentence> with no <Sentence>"):
        read_ssf(write("b", "</Sentence>\n"))


# A sentence as a tree: words, and chunks with or without a type.
_words = st.text(st.characters(categories=["Lo", "Lu", "Ll", "Mn", "Nd"]), min_size=1, max_size=4)
_trees = st.recursive(
    _words,
    lambda inner: st.tuples(st.sampled_from(["", "NEP", "NEL"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)
Tree = str | tuple[str, list["Tree"]]


def lines_of(trees: list[Tree], address: str = "") -> str:
    text = ""
    for i, tree in enumerate(trees, start=1):
        here = f"{address}{i}"
        if isinstance(tree, str):
            text += f"{here}\t{tree}\tXX\n"
        else:
            attribute = f"\t<ne={tree[0]}>" if tree[0] else ""
            text += f"{here}\t((\tNP{attribute}\n{lines_of(tree[1], here + '.')}\t))\n"
    return text


def tags_of(trees: list[Tree], entity: str = "") -> list[tuple[str, str]]:
    """Words with their outermost entity; the first word of one is marked with a star."""
    found: list[tuple[str, str]] = []
    for tree in trees:
        if isinstance(tree, str):
            found.append((tree, entity))
        elif entity or not tree[0]:
            found += tags_of(tree[1], entity)
        else:
            words = tags_of(tree[1], tree[0])
            found += [(words[0][0], f"*{tree[0]}"), *words[1:]]
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(_trees, min_size=1, max_size=4), min_size=1, max_size=3))
def test_every_word_of_every_tree_is_read(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[list[Tree]]
) -> None:
    path = tmp_path_factory.mktemp("ssf") / "a.ssf"
    path.write_text("".join(sentence(lines_of(trees), i) for i, trees in enumerate(sentences)), "utf-8")
    expected = [
        [(w, f"B-{e[1:]}" if e.startswith("*") else f"I-{e}" if e else "O") for w, e in tags_of(trees)]
        for trees in sentences
    ]
    assert [list(zip(s.tokens, s.tags, strict=True)) for s in read_ssf(path).items] == expected
