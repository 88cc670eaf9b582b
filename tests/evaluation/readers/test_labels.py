"""Label maps: what they keep, what they say they lose, maps in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.conll import read_conll
from tppc.evaluation.readers.labels import TAG_MAPS, TEXT_MAPS, map_file, map_labels, map_parts_of_speech, map_tags
from tppc.evaluation.readers.texts import read_tsv

Write = Callable[[str, str], Path]


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


def test_every_map_says_what_it_loses_and_maps_onto_itself() -> None:
    for table in TAG_MAPS.values():
        assert table.loses
        assert all(table.to[kind] == kind for kind in table.to.values()), table.name


def test_one_space_for_tweets_news_and_ssea(write: Write) -> None:
    names = {
        "wnut": "person location group corporation product",
        "conll": "PER LOC ORG ORG MISC",
        "onto": "PERSON GPE ORG ORG PRODUCT",
        "ssea": "NEP NEL NEO NEO NETI",
        "flat": "PERSON LOCATION ORGANIZATION ORGANIZATION TIME",
    }
    for name, kinds in names.items():
        path = write(name, "".join(f"x\tB-{kind}\n" for kind in kinds.split()))
        assert map_tags(read_conll(path), "per-loc-org").items[0].tags == ("B-PER", "B-LOC", "B-ORG", "B-ORG", "O")


def test_types_that_are_merged_are_said_too(write: Write) -> None:
    reading = map_tags(read_conll(write("a", "a\tB-group\nb\tB-corporation\n")), "wnut17")
    assert reading.items[0].tags == ("B-group", "B-group")
    assert "group holds corporation too" in reading.notes[-1]
    assert map_tags(read_conll(write("b", "a\tB-person\n")), "wnut17").notes == ()


def test_ssea_has_one_name_for_each_tag(write: Write) -> None:
    nested = map_tags(read_conll(write("a", "a\tB-NETE\nb\tB-NEP\nc\tB-NEPTE\n")), "ssea")
    assert nested.items[0].tags == ("B-TERMS", "B-PERSON", "O")
    assert nested.notes[-1].endswith("here: NEPTE 1")


def test_the_coarse_parts_of_speech_bridge_the_versions(write: Write) -> None:
    from tppc.evaluation.readers.forms import Reading, TaggedSentence

    reading = Reading([TaggedSentence(("a", "b", "c"), ("AUX", "DET", "NOUN"))])
    mapped = map_parts_of_speech(reading, "ud-coarse")
    assert mapped.items[0].tags == ("VERB", "PRON", "NOUN")
    assert "AUX is counted as VERB" in mapped.notes[-1]
    with pytest.raises(UsageError, match="no label map 'per-loc-org'; there is: ud-coarse"):
        map_parts_of_speech(reading, "per-loc-org")


@pytest.mark.parametrize(("name", "label", "becomes"), [("signed", "-1", "negative"), ("stars", "4", "positive")])
def test_numbers_of_texts_get_names(write: Write, name: str, label: str, becomes: str) -> None:
    assert name in TEXT_MAPS
    assert map_labels(read_tsv(write("a", f"x\t{label}\n")), name).items[0].label == becomes


def test_a_map_of_ones_own(write: Write) -> None:
    file = write("mine.toml", 'loses = "songs are gone"\n[to]\nperson = "PER"\nband = "ORG"\n')
    mapped = map_tags(read_conll(write("a", "a\tB-person\nb\tB-band\nc\tB-song\n")), str(file))
    assert mapped.items[0].tags == ("B-PER", "B-ORG", "O")
    assert mapped.notes[-1] == "mine.toml: songs are gone; here: song 1"


def test_a_map_of_ones_own_may_keep_or_refuse_what_it_does_not_list(write: Write) -> None:
    conll = read_conll(write("a", "a\tB-person\nb\tB-song\n"))
    keeps = write("keep.toml", 'other = "keep"\n[to]\nperson = "PER"\n')
    assert map_tags(conll, str(keeps)).items[0].tags == ("B-PER", "B-song")
    refuses = write("refuse.toml", 'other = "error"\n[to]\nperson = "PER"\n')
    with pytest.raises(UsageError, match="has no label 'song'"):
        map_tags(conll, str(refuses))
    texts = read_tsv(write("b", "x\tgood\ny\tbad\n"))
    one = write("text.toml", '[to]\ngood = "positive"\n')
    with pytest.raises(UsageError, match="has no label 'bad'"):
        map_labels(texts, str(one))
    gone = write("gone.toml", 'other = "O"\n[to]\ngood = "positive"\n')
    with pytest.raises(UsageError, match="the label of a text cannot become O"):
        map_labels(texts, str(gone))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[to\n", "cannot be read as TOML"),
        ("", "a label map needs a table"),
        ('[map]\na = "b"\n', "there is no key 'map'"),
        ("[to]\na = 1\n", "every label becomes a string"),
        ('to = "x"\n', "every label becomes a string"),
        ('other = "drop"\n[to]\na = "b"\n', "other must be"),
        ('tags = "O"\n', "tags must be a list"),
        ('loses = 3\n[to]\na = "b"\n', "loses must be a string"),
    ],
)
def test_a_map_that_is_none_is_named_with_file_and_key(write: Write, text: str, fault: str) -> None:
    with pytest.raises(TppcError, match=rf"mine\.toml.*{fault}"):
        map_file(write("mine.toml", text), "O")


def test_a_missing_map_is_named(tmp_path: Path) -> None:
    with pytest.raises(TppcError, match=r"none\.toml: there is no such file"):
        map_file(tmp_path / "none.toml", "O")
