"""Step 5: what the rules drop, always the same rows, and what the manifest says of it."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from snapshots import matrix_rows

from tppc.builders import clean as clean_module
from tppc.builders.build import build
from tppc.builders.rebuild import rebuild
from tppc.builders.recipe import load_recipe
from tppc.builders.select import shuffle
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair
from tppc.errors import UsageError
from tppc.manifests.verify import verify

EN_HI = [Pair("en", "hi")]
Write = Callable[..., Path]


@pytest.fixture
def shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files go to several buckets and ranges, as large ones would."""
    monkeypatch.setattr(clean_module, "_ROWS_PER_BUCKET", 500)
    monkeypatch.setattr(shuffle, "_ENTRIES_A_RANGE", 400)


@pytest.fixture
def made(wikimatrix: Write, tmp_path: Path) -> Callable[..., Corpus]:
    """Build a corpus of some rows with a recipe of keywords."""

    def make(rows: Sequence[tuple[Any, ...]], name: str = "out", **more: Any) -> Corpus:
        places = {key: more.pop(key) for key in ("protect", "against", "workers") if key in more}
        recipe = load_recipe(None, **{"language_id": {"enabled": False}, **more})
        folder = wikimatrix(rows, folder=f"from-{name}")
        (corpus,) = build("wikimatrix", EN_HI, origin=str(folder), out=tmp_path / name, recipe=recipe, **places)
        assert verify(corpus.path) == []
        assert corpus.manifest.funnel.unaccounted() == 0
        return corpus

    return make


def kept(corpus: Corpus) -> set[str]:
    """Source ids of the rows that are left."""
    return set(corpus.scan("train").collect()["source_id"])


def told(corpus: Corpus, reason: str) -> dict[str, str]:
    """Detail of each reject of a reason, by source id."""
    lines = gzip.decompress((corpus.path / "rejects.jsonl.gz").read_bytes()).decode().splitlines()
    return {r["source_id"]: r["detail"] for r in map(json.loads, lines) if r["reason"] == reason}


def shards(corpus: Corpus) -> list[str]:
    return [sha256_of_file(corpus.path / s.path) for s in corpus.manifest.shards]


SEA = ("The sea is very deep.", "समुद्र बहुत गहरा है।")
WORN = ("THE SEA IS VERY DEEP!!", "समुद्र बहुत गहरा है। !")


def test_of_rows_with_the_same_letters_the_plainest_stays_whatever_its_score(made: Callable[..., Corpus]) -> None:
    corpus = made([(1.2, *WORN), (1.0, *SEA), (1.1, SEA[0], WORN[1]), (1.1, "The sea is deep.", SEA[1])])
    assert kept(corpus) == {"2", "4"}
    assert corpus.manifest.funnel.dropped == {"near_duplicate": 2}
    assert told(corpus, "near_duplicate") == {"1": "same letters as 2", "3": "same letters as 2"}
    assert kept(made([(1.2, *WORN), (1.0, *SEA)], "off", dedup={"near": "off"})) == {"1", "2"}


def test_similar_rows_go_where_that_is_asked_for_but_never_those_with_other_digits(made: Callable[..., Corpus]) -> None:
    long = ("The committee discussed the annual report on rivers.", "समिति ने नदियों पर वार्षिक रिपोर्ट पर चर्चा की।")
    rows = [
        (1.2, *long),
        (1.1, long[0].replace("rivers", "a river"), long[1]),
        (1.1, long[0], f"{long[1][:-1]} थी।"),
        (1.1, long[0].replace("annual", "annual 2019"), long[1].replace("वार्षिक", "वार्षिक 2019")),
        (1.1, long[0].replace("annual", "annual 2020"), long[1].replace("वार्षिक", "वार्षिक 2020")),
        (1.1, "Nobody knows when the train leaves.", "किसी को नहीं पता कि रेलगाड़ी कब निकलती है।"),
    ]
    corpus = made(rows, dedup={"near": "similar"})
    assert kept(corpus) == {"1", "4", "5", "6"}
    assert told(corpus, "near_duplicate") == {"2": "similar to 1", "3": "similar to 1"}
    assert kept(made(rows, "letters")) == {"1", "2", "3", "4", "5", "6"}


@pytest.mark.parametrize(
    ("sides", "left"),
    # tgt: the second row has a better score than the fourth, whose target text it shares. either: first the source
    # texts, so the second row is gone and no longer stands against the fourth.
    [("none", "1234"), ("src", "134"), ("tgt", "12"), ("either", "14")],
)
def test_one_row_is_left_of_each_side(made: Callable[..., Corpus], sides: str, left: str) -> None:
    other = ("The sea is blue today.", "समुद्र आज नीला है।")
    rows = [(1.2, *SEA), (1.1, SEA[0], other[1]), (1.1, "A sea that is very deep.", SEA[1]), (1.0, *other)]
    corpus = made(rows, dedup={"sides": sides})
    assert kept(corpus) == set(left)


def test_a_text_with_too_many_partners_is_boilerplate(made: Callable[..., Corpus], shuffled: None) -> None:
    rows = matrix_rows(400)
    rows += [(1.0, s, "विकिमीडिया का एक लंबा पन्ना है।") for _, s, _ in rows[:6]]
    rows += [(1.0, s.replace("very", "quite"), "नदी के किनारे एक लंबा पेड़ है।") for _, s, _ in rows[:5]]
    corpus = made(rows, dedup={"max_partners": 5}, filters={"numbers": {"enabled": False}})
    assert corpus.manifest.funnel.dropped == {"boilerplate": 6}
    assert set(told(corpus, "boilerplate").values()) == {"its target text has 6 partners"}
    assert len(kept(corpus) & {str(n) for n in range(407, 412)}) == 5
    everything = made(rows, "all", dedup={"max_partners": 0}, filters={"numbers": {"enabled": False}})
    assert everything.manifest.funnel.dropped == {}


def mixed_rows() -> list[tuple[float, str, str]]:
    """Rows that every rule has something to say about."""
    rows = matrix_rows(700)
    rows += [(1.25, s.upper(), f"{t} !") for _, s, t in rows[:80]]
    rows += [(1.0, s, f"{t[:-1]} सच में।") for _, s, t in rows[80:160]]
    rows += [(1.1, s.replace("is very", "is really very"), t) for _, s, t in rows[160:240]]
    rows += [(1.0, s, "एक ही वाक्य बार बार आता है।") for _, s, _ in rows[240:270]]
    # Scores of their own: a source id, here the number of a line, decides between equal ones.
    return [(score - number / 100_000, s, t) for number, (score, s, t) in enumerate(rows)]


def test_bytes_do_not_depend_on_workers(made: Callable[..., Corpus], shuffled: None) -> None:
    how: dict[str, Any] = {"filters": {"numbers": {"enabled": False}}, "holdout": {"test": 20}}
    one, two = (made(mixed_rows(), str(workers), workers=workers, **how) for workers in (1, 2))
    assert len(one.manifest.funnel.dropped) == 3
    assert (shards(one), one.digest) == (shards(two), two.digest)


def test_winners_do_not_depend_on_the_order_of_rows(
    made: Callable[..., Corpus], shuffled: None, tmp_path: Path
) -> None:
    protect = tmp_path / "set.txt"
    protect.write_text("The train with the number 6 is very old.\n")
    how: dict[str, Any] = {
        "dedup": {"near": "similar", "threshold": 0.85, "sides": "either", "max_partners": 20},
        "filters": {"numbers": {"enabled": False}},
        "holdout": {"test": 20},
        "protect": [protect],
    }
    one = made(mixed_rows(), "one", **how)
    assert (
        {"boilerplate", "near_duplicate", "duplicate_side", "protected", "holdout"}
        >= set(one.manifest.funnel.dropped)
        >= {"boilerplate", "near_duplicate", "duplicate_side", "protected"}
    )
    turned = mixed_rows()
    random.Random(3).shuffle(turned)
    two = made(turned, "two", **how)

    def texts(corpus: Corpus, split: str) -> list[tuple[str, str]]:
        return sorted(corpus.scan(split).select("src_text", "tgt_text").collect().iter_rows())

    assert texts(one, "train") == texts(two, "train")
    assert texts(one, "test") == texts(two, "test")
    assert one.manifest.funnel.dropped == two.manifest.funnel.dropped


def test_pairs_of_a_corpus_with_priority_are_left_to_it(made: Callable[..., Corpus], shuffled: None) -> None:
    rows = matrix_rows(500)
    first = made(rows[:300], "first", holdout={"dev": 20, "test": 30})
    second = made([(1.3, s.upper(), t) for _, s, t in rows[200:]], "second", against=[first.path])
    assert second.manifest.funnel.dropped == {"deduplicated_against": 100}
    assert second.manifest.funnel.kept == {"train": 200}
    assert set(told(second, "deduplicated_against").values()) == {"wikimatrix/en-hi"}
    assert second.manifest.recipe["protect"]["against"] == [{"name": first.name, "sha256": first.digest}]


def test_held_out_texts_of_one_corpus_are_in_no_split_of_the_next(made: Callable[..., Corpus], tmp_path: Path) -> None:
    rows = matrix_rows(300)
    first = made(rows, "first", holdout={"dev": 30, "test": 40})
    held = pl.read_parquet(first.path / "heldout.parquet")
    mixed = [(1.0, s, rows[(i + 1) % 300][2]) for i, (_, s, _) in enumerate(rows)]
    how: dict[str, Any] = {"holdout": {"dev": 10, "test": 10}, "filters": {"numbers": {"enabled": False}}}
    for name, place in (("corpus", first.path), ("keys", first.path / "heldout.parquet")):
        second = made(mixed, name, protect=[place], **how)
        for split in ("train", "dev", "test"):
            rest = second.scan(split).collect()
            for side in ("src_key", "tgt_key"):
                assert not set(rest[side]) & set(held[side])
        (known,) = second.manifest.protected
        assert known.texts == 140
        assert known.rows == second.manifest.funnel.dropped["protected"] > 70
    with pytest.raises(UsageError, match=r"without dev and test.* --against"):
        made(rows, "third", protect=[made(rows, "no-holdout").path])


PROTECTED = [
    ("The sea is very deep.", "whole text"),
    ("the SEA is very deep", "case and punctuation"),
    ("The sea is very dee p .", "tokenisation"),
    ("We know that the sea is very deep. And old, and so wide", "run of letters"),
]


@pytest.mark.parametrize("form", ["txt", "tsv", "conll", "conllu", "parquet"])
def test_no_form_of_a_protected_text_is_left(made: Callable[..., Corpus], tmp_path: Path, form: str) -> None:
    sentence = "The sea is n't very deep, my friends."
    tokens = sentence.replace(",", " ,").replace(".", " .").split()
    path = tmp_path / f"set.{form}"
    if form == "parquet":
        pl.DataFrame({"text": [sentence]}).write_parquet(path)
    else:
        path.write_text(
            {
                "txt": f"{sentence}\n",
                "tsv": f"4\t{sentence}\tसमुद्र\n",
                "conll": "".join(f"{token}\tO\n" for token in tokens) + "\n",
                "conllu": "".join(f"{n}\t{t}{chr(9)}_" + "\t_" * 7 + "\n" for n, t in enumerate(tokens, 1)) + "\n",
            }[form]
        )
    rows = [
        (1.2, "The sea isn't very deep, my friends!", "समुद्र बहुत गहरा नहीं है।"),
        (1.2, "समुद्र बहुत गहरा नहीं है।", "समुद्र गहरा नहीं।"),
        *matrix_rows(6),
    ]
    corpus = made(rows, protect=[path])
    assert corpus.manifest.funnel.dropped == {"protected": 1}
    assert told(corpus, "protected") == {"1": f"set.{form}"}
    (known,) = corpus.manifest.protected
    assert (known.name, known.sha256, known.rows) == (path.name, sha256_of_file(path), 1)
    assert str(tmp_path) not in (corpus.path / "manifest.json").read_text()


def test_long_runs_protect_and_short_ones_do_not(made: Callable[..., Corpus], tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_text("I do not know if he is to go by bus, she said.\nनदी के उस पार एक बहुत पुराना मंदिर है जो सबको पसंद है।\n")
    rows = [
        (1.2, "They told me: I do not know if he is to go.", "उन्होंने मुझे बताया कि वे नहीं जानते।"),  # 9 short words
        (1.2, "I do not know if he came.", "मुझे नहीं पता कि वह आया या नहीं।"),  # 6 words
        (1.2, "There is an old temple which all of them like.", "वहाँ नदी के उस पार एक बहुत पुराना मंदिर है जो टूट गया।"),
        (1.2, "There is an old temple.", "उस पार एक मंदिर है।"),
    ]
    assert kept(made(rows, protect=[path])) == {"2", "4"}


def test_a_recipe_that_protects_cannot_be_built_without_the_set(
    made: Callable[..., Corpus], wikimatrix: Write, tmp_path: Path
) -> None:
    path = tmp_path / "set.txt"
    path.write_text("The train with the number 6 is very old.\n")
    corpus = made(matrix_rows(20), protect=[path])
    assert corpus.manifest.funnel.dropped == {"protected": 1}
    assert "--protect set.txt" in corpus.manifest.command
    snapshot = str(tmp_path / "from-out")
    with pytest.raises(
        UsageError, match=r"keeps out set.txt \(SHA-256 [0-9a-f]{64}\); say where that is with --protect"
    ):
        rebuild(str(corpus.path), origin=snapshot, out=tmp_path / "again")
    renamed = path.rename(tmp_path / "set.txt.old")
    path.write_text("Another one.\n")
    with pytest.raises(UsageError, match="keeps out set"):
        rebuild(str(corpus.path), origin=snapshot, out=tmp_path / "again", protect=[path])
    renamed.replace(path)
    assert rebuild(str(corpus.path), origin=snapshot, out=tmp_path / "again", protect=[path]).same


def test_what_protects_nothing_is_refused(made: Callable[..., Corpus], tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("1\n2\n")
    with pytest.raises(UsageError, match=r"numbers.txt: no text with a letter"):
        made(matrix_rows(4), protect=[tmp_path / "numbers.txt"])
    with pytest.raises(UsageError, match="nothing to protect there"):
        made(matrix_rows(4), protect=[tmp_path / "absent"])
