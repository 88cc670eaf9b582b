"""A new corpus out of several."""

from __future__ import annotations

import gzip
import itertools
import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from commands import command
from factory import write_corpus
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tppc.builders.mixture.mix import mix
from tppc.builders.mixture.rows import side_by_side
from tppc.builders.mixture.shares import MixSettings
from tppc.cli import app
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Manifest, read_manifest, write_manifest
from tppc.errors import TppcError, UsageError
from tppc.manifests.verify import verify

EN_HI, EN_JA = Pair("en", "hi"), Pair("en", "ja")


def pairs(count: int, mark: str, start: int = 0) -> list[tuple[str, str]]:
    return [(f"{mark} number {i} is here", f"{mark} संख्या {i} यहाँ है") for i in range(start, start + count)]


def changed(corpus: Path, **values: object) -> Corpus:
    manifest = read_manifest(corpus)
    write_manifest(Manifest.model_validate({**manifest.model_dump(), **values}), corpus)
    return Corpus(corpus)


def texts(corpus: Corpus, split: str = "train", pair: Pair | None = None) -> list[str]:
    return corpus.scan(split, pair).collect()["src_text"].to_list()


@pytest.fixture
def two(tmp_path: Path) -> list[Corpus]:
    """Two en-hi corpora: 100 and 300 train rows of which 40 are the same, and held-out rows of each in the other's train."""
    one = {"train": pairs(100, "a"), "test": pairs(5, "b"), "dev": pairs(3, "c")}
    other = {"train": pairs(40, "a") + pairs(258, "d") + pairs(2, "b"), "test": pairs(4, "e") + pairs(1, "b")}
    return [
        Corpus(write_corpus(tmp_path / "one", one, "one/en-hi")),
        Corpus(write_corpus(tmp_path / "other", other, "other/en-hi")),
    ]


def test_every_row_is_accounted_for_and_no_pair_stands_twice(two: list[Corpus], tmp_path: Path) -> None:
    found = mix(two, tmp_path / "mixed")
    funnel = found.manifest.funnel
    assert (funnel.read, funnel.deduplicated, funnel.dropped) == (100 + 8 + 300 + 5, 40, {"holdout": 2 + 1})
    assert funnel.kept == {"train": 100 + 258, "dev": 3, "test": 9}
    rows = pl.concat([found.scan(split).collect() for split in found.manifest.splits])
    assert rows.select("src_key", "tgt_key").is_unique().all()
    assert {s: f.funnel.read for s, f in found.manifest.sources.items()} == {"one": 108, "other": 305}
    shared = rows.filter(pl.col("src_text").str.starts_with("a number") & (pl.col("source") == "other"))
    assert shared.height == 0  # the corpus that was named first keeps its row
    assert verify(found.path) == []
    rejects = [
        json.loads(line) for line in gzip.decompress((found.path / "rejects.jsonl.gz").read_bytes()).splitlines()
    ]
    assert {r["reason"] for r in rejects} == {"duplicate", "holdout"}


def test_held_out_rows_of_any_parent_are_not_trained_on(two: list[Corpus], tmp_path: Path) -> None:
    found = mix(two, tmp_path / "mixed")
    held = {t for split in ("dev", "test") for t in texts(found, split)}
    assert len(held) == 12
    assert held.isdisjoint(texts(found))


def test_parents_are_named_by_digest(two: list[Corpus], tmp_path: Path) -> None:
    found = mix(two, tmp_path / "mixed", MixSettings(method="weights", weights=[1, 2], rows=90))
    parents = found.manifest.parents
    assert [(p.name, p.build_digest, p.weight) for p in parents] == [
        ("one/en-hi", two[0].digest, 1.0),
        ("other/en-hi", two[1].digest, 2.0),
    ]
    assert [p.rows for p in parents] == [30 + 8, 60 + 4]
    assert found.manifest.funnel.dropped["sampled"] == 358 - 90
    assert "--weight 1.0 --weight 2.0" in found.manifest.command
    for corpus, parent in zip(two, found.manifest.parents, strict=True):
        (tmp_path / "again" / parent.name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "again" / parent.name).symlink_to(corpus.path)
    words = command(*shlex.split(found.manifest.command)[1:])
    subprocess.run(words, cwd=tmp_path / "again", check=True, capture_output=True)
    assert Corpus(tmp_path / "again" / found.name).digest == found.digest


def test_methods_share_the_rows_out(two: list[Corpus], tmp_path: Path) -> None:
    def rows(name: str, **settings: object) -> list[int]:
        found = mix(two, tmp_path / name, MixSettings.model_validate(settings))
        counts = found.scan("train").collect()["source"].value_counts()
        return [dict(counts.iter_rows()).get(source, 0) for source in ("one", "other")]

    assert rows("equal", method="equal") == [100, 100]
    assert rows("proportional", rows=179) == [50, 129]
    assert rows("capped", caps=[None, 20]) == [100, 20]
    assert rows("temperature", method="temperature", temperature=1e9, rows=100) == [50, 50]
    assert rows("coldest", method="temperature", temperature=0.05, rows=100) == [0, 100]


def test_a_larger_mixture_of_the_same_seed_holds_a_smaller_one(two: list[Corpus], tmp_path: Path) -> None:
    small = mix(two, tmp_path / "small", MixSettings(rows=60))
    large = mix(two, tmp_path / "large", MixSettings(rows=120))
    other = mix(two, tmp_path / "seed", MixSettings(rows=60, seed=1))
    assert set(texts(small)) < set(texts(large))
    assert set(texts(other)) != set(texts(small))


def test_the_same_mixture_has_the_same_bytes_and_is_left_as_it_is(two: list[Corpus], tmp_path: Path) -> None:
    one, again = mix(two, tmp_path / "x"), mix(two, tmp_path / "y" / "x")
    for path in sorted(p for p in one.path.rglob("*") if p.is_file() and not p.name.startswith("manifest.json")):
        assert path.read_bytes() == (again.path / path.relative_to(one.path)).read_bytes()
    before = (one.path / "manifest.json").read_bytes()
    mix(two, one.path)
    assert (one.path / "manifest.json").read_bytes() == before
    with pytest.raises(TppcError, match="holds another corpus"):
        mix(two, one.path, MixSettings(rows=10))
    with pytest.raises(TppcError, match=r"holds the same rows as mixture/x under CC0-1\.0, not as other/x under"):
        mix(two, one.path, name="other/x", licence="CC-BY-4.0")


def test_a_mixture_of_language_pairs_keeps_them_apart(tmp_path: Path) -> None:
    hindi = Corpus(write_corpus(tmp_path / "hi", {"train": pairs(30, "a"), "test": pairs(3, "t")}, "one/en-hi"))
    japanese = Corpus(
        write_corpus(tmp_path / "ja", {"train": pairs(20, "a") + pairs(1, "t")}, "two/en-ja", pair="en-ja")
    )
    found = mix([hindi, japanese], tmp_path / "mixed")
    assert found.pairs == [EN_HI, EN_JA]
    assert (len(texts(found, pair=EN_HI)), len(texts(found, pair=EN_JA))) == (30, 20)  # the test text of en-hi is out
    assert found.scan("train", EN_JA).collect()["tgt_lang"].unique().to_list() == ["ja"]
    assert (found.path / "data/en-ja/train-00000-of-00001.parquet").is_file()
    assert verify(found.path) == []


def test_columns_of_one_parent_are_null_in_the_rows_of_another(tmp_path: Path) -> None:
    from tppc.builders.build import build

    (wiki,) = build("wikidata", [EN_HI], origin="sample", out=tmp_path / "built")
    plain = Corpus(write_corpus(tmp_path / "plain", {"train": pairs(10, "a")}, "plain/en-hi"))
    found = mix([plain, wiki], tmp_path / "mixed")
    rows = found.scan("train").collect()
    assert rows.filter(pl.col("source") == "plain")["instance_of"].null_count() == 10
    assert rows.filter(pl.col("source") == "wikidata")["instance_of"].null_count() < wiki.rows("train")
    assert sorted(found.manifest.extra_columns) == sorted(wiki.manifest.extra_columns)


def test_two_at_once_make_one_mixture(two: list[Corpus], tmp_path: Path) -> None:
    words = command("corpora", "mix", *(c.path for c in two), "--out", tmp_path / "m")
    running = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=100)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert sum("left as it is" in text for text in said) == 2
    assert verify(tmp_path / "m") == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "one", "other"]


def test_licences_combine_by_rule_or_are_refused_with_the_reason(two: list[Corpus], tmp_path: Path) -> None:
    def with_licence(corpus: Corpus, name: str) -> Corpus:
        return changed(corpus.path, licence=name, licences={name: corpus.manifest.rows()})

    share = with_licence(two[1], "CC-BY-SA-3.0")
    assert mix([two[0], share], tmp_path / "sa").manifest.licence == "CC-BY-SA-3.0"
    with pytest.raises(TppcError, match=r"under CC-BY-SA-3.0 cannot be passed on under CC-BY-4.0"):
        mix([two[0], share], tmp_path / "by", licence="CC-BY-4.0")
    closed = with_licence(two[0], "CC-BY-NC-4.0")
    with pytest.raises(TppcError, match="no commercial use"):
        mix([closed, share], tmp_path / "nc")
    assert not (tmp_path / "by").exists()
    assert not (tmp_path / "nc").exists()


def test_bad_input_is_refused_and_nothing_is_written(two: list[Corpus], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        mix([two[0], two[0]], tmp_path / "x")
    with pytest.raises(UsageError, match="--weight"):
        mix(two, tmp_path / "x", MixSettings(method="weights", weights=[1]))
    with pytest.raises(UsageError, match="give a folder of its own with --out"):
        mix(two, Path())
    for name in ("../x", "a b", "<b>x"):
        with pytest.raises(UsageError, match="give such a one with --name"):
            mix(two, tmp_path / "x", name=name)
    with pytest.raises(UsageError, match="give such a one with --name"):
        mix(two, tmp_path / "मिश्र")
    with pytest.raises(TppcError, match=f"lies inside the corpus {two[0].path}"):
        mix(two, two[0].path / "mixed" / "x")
    assert verify(two[0].path) == []
    shard = next(two[1].path.rglob("train-*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-20] + bytes(20))
    with pytest.raises(TppcError, match=r"train-.*SHA-256 differs"):
        mix(two, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_from_the_command_line(two: list[Corpus], tmp_path: Path) -> None:
    paths = [corpus.path for corpus in two]
    words = command(
        "corpora", "mix", *paths, "--method", "equal", "--cap", 10, "--cap", "none", "--out", tmp_path / "m"
    )
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kept in train" in done.stdout
    assert Corpus(tmp_path / "m").rows("train") == 110
    wrong = subprocess.run(
        command("corpora", "mix", *paths, "--method", "weights", "--out", tmp_path / "n"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "weights and the method `weights` go together" in wrong.stderr
    for flags, said in (
        (("--cap", 0, "--cap", "none"), "--cap: should be greater than or equal to 1, not 0"),
        (("--weight", 1, "--weight", -1), "--weight: should be greater than 0, not -1.0"),
        (("--temperature", 0.001), "--temperature: should be greater than or equal to 0.05, not 0.001"),
    ):
        found = CliRunner().invoke(app, ["corpora", "mix", *map(str, [*paths, *flags, "--out", tmp_path / "n"])])
        assert isinstance(found.exception, UsageError)
        assert said in str(found.exception)


@given(st.lists(st.lists(st.integers(0, 30), max_size=25), min_size=1, max_size=4), st.integers(1, 7))
def test_sorted_streams_are_merged_whole_key_by_whole_key(streams: list[list[int]], size: int) -> None:
    def pieces(keys: Sequence[int], number: int) -> list[pl.DataFrame]:
        frame = pl.DataFrame(
            {"order_key": sorted(keys), "stream": number}, {"order_key": pl.UInt64, "stream": pl.Int64}
        )
        return [frame.slice(i, size) for i in range(0, frame.height, size)]

    merged = list(side_by_side([iter(pieces(keys, n)) for n, keys in enumerate(streams)]))
    rows = [row for piece in merged for row in piece.iter_rows()]
    assert rows == sorted((key, n) for n, keys in enumerate(streams) for key in keys)
    ends = [(piece["order_key"][0], piece["order_key"][-1]) for piece in merged]
    assert all(one[1] < two[0] for one, two in itertools.pairwise(ends))
