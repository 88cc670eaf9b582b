"""Shards: the same rows give the same bytes, however they arrive."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factory import write_corpus

from tppc.corpora import shards
from tppc.corpora.manifest import Funnel
from tppc.corpora.schema import SCHEMA
from tppc.corpora.shards import write_shards


@pytest.fixture
def table(tmp_path: Path) -> pa.Table:
    folder = write_corpus(tmp_path / "made", {"train": [(f"text {i}", f"पाठ {i}") for i in range(2_500)]})
    return pq.read_table(next(folder.rglob("*.parquet")))


def test_bytes_do_not_depend_on_how_rows_arrive(
    tmp_path: Path, table: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROWS_PER_GROUP", 300)
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 1_000)
    digests = []
    for size in (2_500, 7, 999):
        pieces = (table.slice(i, size) for i in range(0, 2_500, size))
        digests.append([s.sha256 for s in write_shards(pieces, SCHEMA, tmp_path / str(size), "en-hi", "train", 2_500)])
    assert digests[0] == digests[1] == digests[2]
    files = sorted(p.name for p in (tmp_path / "7" / "data" / "en-hi").iterdir())
    assert files == [f"train-{i:05d}-of-00003.parquet" for i in range(3)]
    groups = pq.read_metadata(tmp_path / "7" / "data" / "en-hi" / files[0])
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [300, 300, 300, 100]
    read = pa.concat_tables(pq.read_table(tmp_path / "7" / "data" / "en-hi" / name) for name in files)
    assert read.equals(table)


def test_no_rows_give_no_shard(tmp_path: Path) -> None:
    assert write_shards(iter(()), SCHEMA, tmp_path, "en-hi", "dev", 0) == []
    assert list(tmp_path.iterdir()) == []


def test_funnels_add_up() -> None:
    one = Funnel(read=10, rejected={"empty": 2}, deduplicated=1, kept={"train": 7})
    two = Funnel(read=5, rejected={"empty": 1, "length": 1}, dropped={"holdout": 1}, kept={"train": 1, "dev": 1})
    both = one + two
    assert both.unaccounted() == one.unaccounted() == two.unaccounted() == 0
    assert both.rejected == {"empty": 3, "length": 1}
    assert Funnel(read=3, kept={"train": 2}).unaccounted() == 1
