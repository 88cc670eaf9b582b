"""Rows between the steps: every row of every run is in exactly one bucket, whatever runs and folders there are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.builders.clean import bucket_range
from tppc.builders.row_files import RunWriter, bucket_of_runs, read_rows, write_rows

KEYS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1 << 52, (1 << 52) - 1, 1 << 63, 2**64 - 1]))


def rows_of(keys: list[int], number: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"order_key": keys, "src_text": [f"{number} नमस्ते {k}" for k in keys]},
        schema={"order_key": pl.UInt64, "src_text": pl.String},
    )


@settings(max_examples=40, deadline=None)
@given(
    folders=st.lists(st.lists(st.lists(KEYS, min_size=1, max_size=12), max_size=3), max_size=3), bits=st.integers(0, 12)
)
def test_every_row_is_in_the_bucket_of_its_key(folders: list[list[list[int]]], bits: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        paths, given_rows = [], []
        for number, runs in enumerate(folders):
            folder = Path(name) / str(number)
            folder.mkdir()
            paths.append(folder)
            writer = RunWriter(folder)
            for keys in runs:
                writer.add(rows_of(keys, number))
                given_rows += rows_of(keys, number).rows()
            writer.close()
        wanted = {key >> (64 - bits) if bits else 0 for key, _ in given_rows} | {0, (1 << bits) - 1}
        found = []
        for bucket in sorted(wanted):
            rows = bucket_of_runs(paths, bucket, bits)
            if rows is None:
                assert not given_rows
                continue
            low, high = bucket_range(bucket, bits)
            assert all(low <= key <= high for key in rows["order_key"])
            found += rows.rows()
        assert sorted(found) == sorted(given_rows)


def test_what_was_written_is_read_also_without_rows_and_by_columns(tmp_path: Path) -> None:
    rows = pl.DataFrame({"a": ["é", None], "b": [1.5, None], "c": [True, False]})
    write_rows(rows, tmp_path / "rows.arrow")
    assert read_rows(tmp_path / "rows.arrow").equals(rows)
    assert read_rows(tmp_path / "rows.arrow", ["c", "a"]).equals(rows.select("c", "a"))
    write_rows(rows.head(0), tmp_path / "none.arrow")
    assert read_rows(tmp_path / "none.arrow").equals(rows.head(0))
