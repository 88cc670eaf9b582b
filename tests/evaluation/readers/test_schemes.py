"""Tag schemes: what is written in any of them is read back as it was."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.errors import TppcError
from tppc.evaluation.readers.schemes import RawSentence, read_entities

Spans = list[tuple[str, int]]
"""A sentence as runs: type (empty for outside) and number of tokens."""


def written(spans: Spans, scheme: str) -> list[str]:
    """A sentence in a scheme, by the scheme's definition."""
    tags: list[str] = []
    for i, (kind, length) in enumerate(spans):
        before = spans[i - 1][0] if i else ""
        after = spans[i + 1][0] if i + 1 < len(spans) else ""
        first, inner, last, single = {
            "IOB1": ("B" if before == kind else "I", "I", "I", "B" if before == kind else "I"),
            "IOB2": ("B", "I", "I", "B"),
            "IOE1": ("I", "I", "E" if after == kind else "I", "E" if after == kind else "I"),
            "IOE2": ("I", "I", "E", "E"),
            "BILOU": ("B", "I", "L", "U"),
            "BIOES": ("B", "I", "E", "S"),
            "BMES": ("B", "M", "E", "S"),
        }[scheme]
        letters = [single] if length == 1 else [first, *[inner] * (length - 2), last]
        tags += [f"{letter}-{kind}" if kind else "O" for letter in letters]
    return tags


def read(sentences: list[list[str]]) -> tuple[list[tuple[str, ...]], str]:
    raw = [RawSentence(["x"] * len(tags), tags, [i + 1] * len(tags)) for i, tags in enumerate(sentences)]
    reading = read_entities(raw, "a.conll", lambda place: f"a.conll, line {place}")
    return [s.tags for s in reading.items], " ".join(reading.notes)


_spans = st.lists(st.tuples(st.sampled_from(["", "PER", "creative-work"]), st.integers(1, 4)), min_size=1, max_size=6)


@pytest.mark.parametrize("scheme", ["IOB1", "IOB2", "IOE1", "IOE2", "BILOU", "BIOES", "BMES"])
@settings(max_examples=60, deadline=None)
@given(sentences=st.lists(_spans, min_size=1, max_size=4))
def test_every_scheme_is_read_back_as_iob2(scheme: str, sentences: list[Spans]) -> None:
    tags, notes = read([written(spans, scheme) for spans in sentences])
    expected = [tuple(written(spans, "IOB2")) for spans in sentences]
    assert tags == expected
    assert "guessed" not in notes
    if scheme == "IOB2":
        assert notes == ""


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["O", "B-A", "I-A", "L-A", "U-A", "I-B"]), min_size=1), min_size=1, max_size=4)
)
def test_broken_tags_keep_their_tokens_and_types_and_come_out_valid(sentences: list[list[str]]) -> None:
    tags, _ = read(sentences)
    assert [[t.partition("-")[2] for t in s] for s in tags] == [[t.partition("-")[2] for t in s] for s in sentences]
    for sentence in tags:
        for before, tag in pairwise(["O", *sentence]):
            assert not tag.startswith("I-") or before in (tag, f"B-{tag[2:]}")


def test_broken_borders_are_counted() -> None:
    tags, notes = read([["B-A", "I-A", "O", "L-A", "U-B"]])
    assert tags == [("B-A", "I-A", "O", "B-A", "B-B")]
    assert "BILOU are read as IOB2; 2 beginnings or ends were not marked" in notes


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), min_size=1))
def test_iob_is_read_as_seqeval_reads_it(tags: list[str]) -> None:
    from seqeval.metrics.sequence_labeling import get_entities

    [found], _ = read([tags])
    assert get_entities(list(found)) == get_entities(tags)


def test_two_schemes_in_one_file_are_named_where_the_second_begins() -> None:
    with pytest.raises(TppcError, match="line 2: tag 'S-A' is of another scheme than those before it"):
        read([["B-A", "L-A"], ["S-A"]])
