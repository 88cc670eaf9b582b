"""The shards of a corpus: the rows of its buckets, however these are cut, each in exactly one place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import matrix_rows

from tppc.builders import sharding
from tppc.builders.build import build
from tppc.builders.clean import with_keys
from tppc.builders.engine import Engine
from tppc.builders.recipe import Holdout, load_recipe
from tppc.builders.row_files import write_rows
from tppc.builders.runner import run_tasks
from tppc.builders.sharding import sharded
from tppc.builders.sources import source_named
from tppc.builders.workspace import workspace
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair

PAIR = Pair("en", "hi")


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=12), size=st.integers(1, 12))
def test_shards_cover_every_row_of_every_bucket_once(counts: list[int], size: int) -> None:
    rows = [(bucket, row) for bucket, count in enumerate(counts) for row in range(count)]
    covered: list[tuple[int, int]] = []
    for first in range(0, len(rows), size):
        wanted = min(size, len(rows) - first)
        begin, needed = sharding._cover(counts, first, wanted)
        there = [(bucket, row) for bucket in needed for row in range(counts[bucket])]
        covered += there[begin : begin + wanted]
        assert counts[needed[0]] > begin, "the first bucket has a row of the shard"
    assert covered == rows


def bucketed(folder: Path, rows: pl.DataFrame, cuts: list[int]) -> list[Path]:
    paths = []
    for number, (start, stop) in enumerate(zip([0, *cuts], [*cuts, rows.height], strict=True)):
        path = folder / f"merge-{number}" / "bucket.arrow"
        path.parent.mkdir(parents=True)
        write_rows(rows.slice(start, stop - start), path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("held", [0, 40])
def test_bytes_and_statistics_do_not_depend_on_the_buckets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr("tppc.corpora.shards.ROWS_PER_SHARD", 256)
    monkeypatch.setattr("tppc.corpora.shards.ROWS_PER_GROUP", 100)
    made = matrix_rows(700)
    made += [(1.0, src, f"{tgt} सच में।") for _, src, tgt in made[:30]]
    columns = {"src_text": [s for _, s, _ in made], "tgt_text": [t for *_, t in made]}
    columns |= {"source_id": [str(n) for n in range(len(made))], "licence": ["CC0-1.0"] * len(made)}
    rows = with_keys(pl.DataFrame(columns)).with_columns(
        score=pl.lit(1.0, pl.Float32), attribution=pl.lit(None, pl.String)
    )
    rows = rows.sort("order_key")
    found = []
    for name, cuts in (("one", list[int]()), ("many", [1, 250, 256, 257, 600])):
        work = workspace(tmp_path / name / "work")
        paths = bucketed(work.folder, rows, cuts)
        run = partial(run_tasks, work=work, engine=Engine())
        corpus = tmp_path / name / "corpus"
        corpus.mkdir()
        made_of = sharded(corpus, PAIR, paths, source_named("wikimatrix"), Holdout(dev=held, test=held), run)
        found.append(made_of.packed)
        files = [sha256_of_file(corpus / shard.path) for shard in made_of.packed.shards]
        assert files == [shard.sha256 for shard in made_of.packed.shards]
    assert found[0] == found[1]
    assert sum(found[0].kept.values()) <= rows.height
    assert found[0].kept["train"] > 2 * 256
    repeated = found[0].statistics["en-hi"]["train"].src_repeated
    assert repeated is not None
    texts = dict(repeated.texts)
    train = [pl.read_parquet(tmp_path / "one" / "corpus" / s.path) for s in found[0].shards if s.split == "train"]
    again = pl.concat(train).group_by("src_key").agg(pl.len(), pl.col("src_text").first()).filter(pl.col("len") > 1)
    assert set(texts.values()) <= {2}
    assert set(texts) <= set(again["src_text"]) or again.height > len(texts)


def test_a_file_cut_for_several_workers_gives_the_same_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wikimatrix: Callable[..., Path]
) -> None:
    rows: list[tuple[object, ...]] = [*matrix_rows(2_000), ("no number", "a", "b"), (1.0, "only one side", "")]
    folder = wikimatrix(rows)
    (whole,) = build("wikimatrix", [PAIR], origin=str(folder), out=tmp_path / "one", workers=1)
    monkeypatch.setattr("tppc.builders.build._SPLIT_FROM_BYTES", 0)
    monkeypatch.setattr("tppc.builders.sources.wikimatrix._CHUNK", 20_000)
    (cut,) = build("wikimatrix", [PAIR], origin=str(folder), out=tmp_path / "two", workers=2)
    assert cut.digest == whole.digest
    assert cut.manifest.funnel == whole.manifest.funnel
    assert sha256_of_file(cut.path / "rejects.jsonl.gz") == sha256_of_file(whole.path / "rejects.jsonl.gz")
    limited = load_recipe(None, limit=700)
    one, two = (
        build("wikimatrix", [PAIR], origin=str(folder), out=tmp_path / f"limit-{n}", workers=n, recipe=limited)[0]
        for n in (1, 2)
    )
    assert one.digest == two.digest
    assert one.manifest.funnel.read == 700
