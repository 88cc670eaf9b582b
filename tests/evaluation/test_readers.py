"""Readers: every quirk of the formats, malformed lines, and the real files."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.conll import read_conll
from tppc.evaluation.readers.conllu import read_conllu
from tppc.evaluation.readers.forms import TaggedSentence
from tppc.evaluation.readers.labels import map_labels, map_tags
from tppc.evaluation.readers.lines import numbered_lines
from tppc.evaluation.readers.texts import read_texts, read_tsv, read_two_files

Write = Callable[[str, str], Path]


def word(number: int | str, form: str, upos: str) -> str:
    return "\t".join([str(number), form, "_", upos, *["_"] * 6]) + "\n"


# --- lines


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_compressed_files_read_like_plain_ones(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(pack(b"good\tpositive\nbad\tnegative\n"))
    assert [(i.text, i.label) for i in read_tsv(path).items] == [("good", "positive"), ("bad", "negative")]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_file_cut_short_is_named(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a.tsv{ending}"
    path.write_bytes(pack(b"good\tpositive\n" * 5_000)[:-20])
    with pytest.raises(TppcError, match=rf"a\.tsv{ending}.*damaged or cut short"):
        read_tsv(path)


def test_lines_end_at_newlines_alone(write: Write) -> None:
    path = write("a.txt", "\ufeffone\u2028still one\r\ntwo\x85still\rtwo\nthree")
    assert list(numbered_lines(path)) == [(1, "one\u2028still one"), (2, "two\x85still\rtwo"), (3, "three")]


def test_bytes_that_are_no_utf8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"good\tpositive\nb\xffd\tnegative\n")
    with pytest.raises(TppcError, match=r"a\.tsv, line 2: not UTF-8"):
        read_tsv(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TppcError, match="there is no such file"):
        read_conllu(tmp_path / "none.conllu")


# --- CoNLL-U


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
        ("# nothing\n", "no sentence in it"),
    ],
)
def test_malformed_conllu_is_named_with_file_and_line(write: Write, text: str, fault: str) -> None:
    with pytest.raises(TppcError, match=rf"a\.conllu.*{fault}"):
        read_conllu(write("a.conllu", text))


# --- CoNLL columns


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


_tokens = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), min_size=1).filter(
    lambda t: not t.startswith(("#", "-DOCSTART-", "\ufeff")) and t.strip(" ")
)


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


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_sentences_or_a_message(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a"
    path.write_bytes(data)
    for read in (read_conll, read_conllu, read_tsv):
        try:
            sentences = len(read(path).items)
        except TppcError as error:
            message = str(error)
            sentences = 0
        assert sentences or str(path) in message


# --- texts


def test_tsv_with_header_and_without(write: Write) -> None:
    assert len(read_tsv(write("a", 'text\tlabel\n"good\tpositive\n')).items) == 1
    assert read_tsv(write("b", '"good\tpositive\n')).items[0].text == '"good'  # a quotation mark is a character


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("good\tpositive\nbad\n", "line 2: 1 tab-separated"),
        ("a\tb\tc\n", "line 1: 3 tab-separated"),
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


# --- label maps


def test_a_tag_map_keeps_borders_and_says_what_it_drops(write: Write) -> None:
    reading = read_conll(write("a", "Anna\tB-person\nLee\tI-person\nOslo\tB-GPE\nsong\tB-product\nx\tI-product\n"))
    mapped = map_tags(reading, "per-loc-org")
    assert mapped.items[0].tags == ("B-PER", "I-PER", "B-LOC", "O", "O")
    assert mapped.notes[-1].endswith("here: product 1")


def test_a_label_map_refuses_what_it_does_not_know(write: Write) -> None:
    reading = read_tsv(write("a", "x\t2\ny\t7\n"))
    with pytest.raises(UsageError, match="has no label '7'"):
        map_labels(reading, "umsab")
    with pytest.raises(UsageError, match="no label map 'nothing'"):
        map_labels(reading, "nothing")


# --- the real files


@pytest.mark.parametrize(
    ("file", "sentences", "tokens"),
    [
        ("ar_padt-ud-dev.v1-2016-04-22", 786, 28_263),
        ("en_ewt-ud-dev", 2_001, 25_147),
        ("en_ewt-ud-test", 2_077, 25_094),
        ("en_gum-ud-dev", 1_575, 28_119),
        ("en_gum-ud-test", 1_464, 28_397),
        ("en_gum-ud-train.rebuilt", 9_933, 172_374),
        ("hi_hdtb-ud-dev.v1-2015-10-23", 1_659, 35_217),
        ("ja_gsd-ud-dev", 507, 12_287),
    ],
)
def test_the_treebanks_are_read_whole(shared_data: Path, file: str, sentences: int, tokens: int) -> None:
    reading = read_conllu(shared_data / "ud" / f"{file}.conllu.xz")
    assert (len(reading.items), sum(len(s.tokens) for s in reading.items)) == (sentences, tokens)
    assert any("version 1" in note for note in reading.notes) == (".v1-" in file)


# Counted with awk: blank-line-separated blocks, lines with a tag, B- tags plus I- tags that continue nothing.
@pytest.mark.parametrize(
    ("file", "sentences", "tokens", "entities"),
    [
        ("ar_anercorp/masakhane_split.dev.txt", 500, 15_743, 1_164),
        ("ar_anercorp/masakhane_split.train.txt", 3_472, 109_333, 6_935),
        ("en_uner_ewt/en_ewt-ud-dev.iob2", 2_001, 25_149, 966),
        ("en_uner_ewt/en_ewt-ud-test.iob2", 2_077, 25_097, 1_088),
        ("en_wikiann/dev", 10_000, 80_536, 14_146),
        ("en_wikiann/test", 10_000, 80_326, 13_958),
        ("en_wikiann/train.xz", 20_000, 160_394, 27_931),
        ("en_wnut17/emerging.dev.conll", 1_009, 15_733, 836),
        ("en_wnut17/emerging.test.annotated", 1_287, 23_394, 1_079),
        ("en_wnut17/wnut17train.conll", 3_394, 62_730, 1_975),
        ("hi_ssea/hindi.unique_sentences.txt.xz", 19_909, 503_670, 26_570),
        ("ja_gsd/stanza.dev.bio", 507, 12_287, 795),
        ("ja_gsd/stanza.train.bio.xz", 7_050, 168_333, 10_924),
        ("ja_iob2corpus/hironsan.txt", 500, 15_520, 1_284),
    ],
)
def test_the_entity_files_are_read_whole(
    shared_data: Path, file: str, sentences: int, tokens: int, entities: int
) -> None:
    items = read_conll(shared_data / "ner" / file).items
    found = sum(tag.startswith("B-") for s in items for tag in s.tags)
    assert (len(items), sum(len(s.tokens) for s in items), found) == (sentences, tokens, entities)
    assert items[0].tokens[0] != "1"  # the column of numbers is not that of tokens


@pytest.mark.parametrize("language", ["arabic", "english", "hindi"])
def test_the_tweets_are_read_whole_and_balanced(shared_data: Path, language: str) -> None:
    for split, count in (("train", 1_839), ("val", 324)):
        items = read_texts(shared_data / "sentiment" / f"{language}.{split}_text.txt").items
        assert [sum(i.label == label for i in items) for label in "012"] == [count // 3] * 3
