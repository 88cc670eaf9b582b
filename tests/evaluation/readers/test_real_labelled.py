"""The real files, counted by other means."""

from __future__ import annotations

import lzma
from collections import Counter
from pathlib import Path

import pytest

from tppc.evaluation.readers.choose import read_labelled, read_tagged
from tppc.evaluation.readers.options import ReadOptions

PLAIN = ReadOptions()


def lines_of(path: Path) -> list[str]:
    data = path.read_bytes()
    return (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8").split("\n")


# Counted with awk: blank-line-separated blocks, lines whose first column is a plain number.
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
    path = shared_data / "ud" / f"{file}.conllu.xz"
    reading = read_tagged(path, PLAIN, "upos")
    assert (len(reading.items), sum(len(s.tokens) for s in reading.items)) == (sentences, tokens)
    assert any("version 1" in note for note in reading.notes) == (".v1-" in file)
    rows = [line.split("\t") for line in lines_of(path) if line.split("\t")[0].isdecimal()]
    assert [t for s in reading.items for t in s.tokens] == [row[1] for row in rows]
    # The map of version 1, spelt out: nothing else is changed.
    expected = Counter(row[3] for row in rows)
    if ".v1-" in file:
        copulas = sum(row[3] == "VERB" and row[7] == "cop" for row in rows)
        expected += Counter({"CCONJ": expected.pop("CONJ"), "AUX": copulas})
        expected["VERB"] -= copulas
    assert Counter(t for s in reading.items for t in s.tags) == expected


# Counted with awk: blank-line-separated blocks, lines with a tag, B- tags plus I- tags that continue nothing.
@pytest.mark.parametrize(
    ("file", "sentences", "tokens", "entities", "column"),
    [
        ("ar_anercorp/masakhane_split.dev.txt", 500, 15_743, 1_164, 0),
        ("ar_anercorp/masakhane_split.train.txt", 3_472, 109_333, 6_935, 0),
        ("en_uner_ewt/en_ewt-ud-dev.iob2", 2_001, 25_149, 966, 1),
        ("en_uner_ewt/en_ewt-ud-test.iob2", 2_077, 25_097, 1_088, 1),
        ("en_wikiann/dev", 10_000, 80_536, 14_146, 0),
        ("en_wikiann/test", 10_000, 80_326, 13_958, 0),
        ("en_wikiann/train.xz", 20_000, 160_394, 27_931, 0),
        ("en_wnut17/emerging.dev.conll", 1_009, 15_733, 836, 0),
        ("en_wnut17/emerging.test.annotated", 1_287, 23_394, 1_079, 0),
        ("en_wnut17/wnut17train.conll", 3_394, 62_730, 1_975, 0),
        ("hi_ssea/hindi.unique_sentences.txt.xz", 19_909, 503_670, 26_570, 0),
        ("ja_gsd/stanza.dev.bio", 507, 12_287, 795, 0),
        ("ja_gsd/stanza.train.bio.xz", 7_050, 168_333, 10_924, 0),
        ("ja_iob2corpus/hironsan.txt", 500, 15_520, 1_284, 0),
    ],
)
def test_the_entity_files_are_read_whole(
    shared_data: Path, file: str, sentences: int, tokens: int, entities: int, column: int
) -> None:
    path = shared_data / "ner" / file
    items = read_tagged(path, PLAIN).items
    found = sum(tag.startswith("B-") for s in items for tag in s.tags)
    assert (len(items), sum(len(s.tokens) for s in items), found) == (sentences, tokens, entities)
    # Token for token and type for type what stands in the file.
    parted = " " if "anercorp" in file else "\t"
    comments = "uner" in file
    rows = [row.split(parted) for row in lines_of(path) if row.strip(" \t") and not (comments and row.startswith("#"))]
    assert [t for s in items for t in s.tokens] == [
        row[column].removeprefix("en:" * ("wikiann" in file)) for row in rows
    ]
    tag = 2 if "uner" in file else -1
    kinds = [row[tag].removeprefix("B-").removeprefix("I-") for row in rows]
    assert [t.removeprefix("B-").removeprefix("I-") for s in items for t in s.tags] == kinds


@pytest.mark.parametrize("language", ["arabic", "english", "hindi"])
def test_the_tweets_are_read_whole_and_balanced(shared_data: Path, language: str) -> None:
    for split, count in (("train", 1_839), ("val", 324)):
        path = shared_data / "sentiment" / f"{language}.{split}_text.txt"
        items = read_labelled(path, PLAIN).items
        assert [sum(i.label == label for i in items) for label in "012"] == [count // 3] * 3
        assert [i.text for i in items] == lines_of(path)


def test_one_label_map_brings_the_four_languages_into_one_space(shared_data: Path) -> None:
    options = ReadOptions(labels="per-loc-org")
    for file in (
        "en_wnut17/emerging.dev.conll",
        "ar_anercorp/masakhane_split.dev.txt",
        "ja_gsd/stanza.dev.bio",
        "ja_iob2corpus/hironsan.txt",
    ):
        items = read_tagged(shared_data / "ner" / file, options).items
        assert {tag for s in items for tag in s.tags} == {"O"} | {
            f"{b}-{k}" for b in "BI" for k in ("PER", "LOC", "ORG")
        }
