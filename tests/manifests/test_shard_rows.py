"""Rows that do not fit are found, though every digest is right."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from factory import write_corpus, write_mixture

from tppc.corpora.files import sha256_of_file
from tppc.corpora.manifest import read_manifest, write_manifest
from tppc.corpora.schema import SCHEMA
from tppc.manifests.verify import verify

PAIRS = [(f"house {i}", f"मकान {i}") for i in range(40)]


def setting(**columns: Any) -> Callable[[pa.Table], pa.Table]:
    """A change of rows: whole columns, each from a function of the old values."""

    def change(rows: pa.Table) -> pa.Table:
        for name, make in columns.items():
            values = pa.array(make(rows[name].to_pylist()), SCHEMA.field(name).type)
            rows = rows.set_column(rows.schema.get_field_index(name), SCHEMA.field(name), values)
        return rows

    return change


ROWS: dict[str, tuple[str, Callable[[pa.Table], pa.Table]]] = {
    "out of order": ("rows are not in the order of their keys", lambda rows: rows.take([0, 2, 1, *range(3, len(rows))])),
    "of another language": ("src_lang is de in some rows", setting(src_lang=lambda old: ["de", *old[1:]])),
    "of another source": ("source is other in some rows", setting(source=lambda old: [*old[:-1], "other"])),
    "with texts exchanged": ("the keys of 40 rows are not those of their texts", setting(src_text=lambda old: [*old[1:], old[0]])),
    "under CC-BY without authors": ("40 rows of made under CC-BY-4.0 have no attribution", setting(licence=lambda old: ["CC-BY-4.0"] * 40)),
    "under CC-BY, one without": (
        "1 rows of made under CC-BY-4.0 have no attribution, though others",
        setting(licence=lambda old: ["CC-BY-4.0"] * 40, attribution=lambda old: ["", *["ann"] * 39]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", ROWS)
def test_rows_that_do_not_fit_are_found_though_every_digest_is_right(tmp_path: Path, fault: str) -> None:
    says, change = ROWS[fault]
    faults = verify(write_corpus(tmp_path / "c", {"train": PAIRS}, change=change))
    assert says in faults[0]


def test_deep_computes_the_key_of_every_text(tmp_path: Path) -> None:
    many = [(f"house {i}", f"मकान {i}") for i in range(3_000)]
    wrong = setting(tgt_text=lambda old: [f"{old[0]}!", *old[1:]])
    folder = write_corpus(tmp_path / "c", {"train": many}, change=wrong)
    assert verify(folder, depth="deep") == [
        f"{folder}/data/en-hi/train-00000-of-00001.parquet: the keys of 1 rows are not those of their texts"
    ]


def test_a_share_alike_row_in_a_corpus_under_cc_by_is_found(tmp_path: Path) -> None:
    mixed = setting(
        licence=lambda old: ["CC-BY-SA-4.0", *["CC-BY-4.0"] * (len(old) - 1)],
        attribution=lambda old: ["ann"] * len(old),
    )
    credit = b"source\tsource_id\tlicence\tauthors\n" + b"made\t1\tCC-BY-4.0\tann\n" * len(PAIRS)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "ATTRIBUTION.tsv.gz").write_bytes(gzip.compress(credit))
    folder = write_corpus(tmp_path / "c", {"train": PAIRS}, change=mixed, licence="CC-BY-4.0")
    (fault,) = verify(folder)
    assert "declared to be under CC-BY-4.0, but 1 rows are under CC-BY-SA-4.0, which asks to be" in fault
    hidden = write_corpus(
        tmp_path / "d", {"train": PAIRS}, change=mixed, licence="CC-BY-4.0", licences={"CC-BY-4.0": 40}
    )
    assert any("but rows are under CC-BY-SA-4.0" in fault for fault in verify(hidden))


def test_credit_may_be_given_by_row_or_by_the_corpus(tmp_path: Path) -> None:
    licence = setting(licence=lambda old: ["CC-BY-SA-4.0"] * len(old))
    folder = write_corpus(tmp_path / "c", {"train": PAIRS}, change=licence, attribution="Wikipedia's authors")
    assert verify(folder) == []
    stripped = tmp_path / "d"
    stripped.mkdir()
    (stripped / "ATTRIBUTION.tsv.gz").write_bytes(gzip.compress(b"source_id\tlicence\tauthors\n"))
    write_corpus(stripped, {"train": PAIRS}, change=licence, attribution="Wikipedia's authors")
    assert verify(stripped) == [f"{stripped}: ATTRIBUTION.tsv.gz is there, but no row names its authors"]


@pytest.mark.parametrize("leak", [("house 1", "other"), ("other", "मकान 1")])
def test_a_held_out_text_in_train_is_found(tmp_path: Path, leak: tuple[str, str]) -> None:
    folder = write_corpus(tmp_path / "c", {"train": [*PAIRS[2:], leak], "test": PAIRS[:2]})
    train = folder / "data" / "en-hi" / "train-00000-of-00001.parquet"
    assert verify(folder) == [f"{train}: 1 rows share a text with a held-out pair"]


def test_the_list_of_held_out_keys_must_be_that_of_the_held_out_rows(corpus: Path) -> None:
    path = corpus / "heldout.parquet"
    held = pl.read_parquet(path)
    held.with_columns(tgt_key=pl.col("tgt_key").shift(fill_value=7)).write_parquet(path)
    manifest = read_manifest(corpus)
    write_manifest(manifest.model_copy(update={"files": {**manifest.files, path.name: sha256_of_file(path)}}), corpus)
    assert verify(corpus) == [f"{path}: its pairs are not those of dev and test"]


def test_each_pair_of_a_mixture_has_its_own_held_out_texts(tmp_path: Path) -> None:
    japanese = [("house 1", "家"), ("tree", "木")]
    folder = write_mixture(
        tmp_path / "c", {"en-hi": {"train": PAIRS[2:], "test": PAIRS[:2]}, "en-ja": {"train": japanese}}
    )
    assert verify(folder) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (None, "there is no ATTRIBUTION.tsv.gz, but 40 rows are under licences that ask for credit"),
        (40, "ATTRIBUTION.tsv.gz lists 39 rows, but 40 rows are under licences that ask for credit"),
    ],
)
def test_authors_that_rows_name_are_listed_too(tmp_path: Path, lines: int | None, said: str) -> None:
    if lines is not None:
        (tmp_path / "ATTRIBUTION.tsv.gz").write_bytes(gzip.compress(b"a line\n" * lines))
    named = setting(licence=lambda old: ["CC-BY-4.0"] * len(old), attribution=lambda old: ["ann"] * len(old))
    assert verify(write_corpus(tmp_path, {"train": PAIRS}, change=named)) == [f"{tmp_path}: {said}"]


def test_a_list_of_authors_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "ATTRIBUTION.tsv.gz").write_bytes(gzip.compress(b"a line\n" * 41)[:-9])
    named = setting(licence=lambda old: ["CC-BY-4.0"] * len(old), attribution=lambda old: ["ann"] * len(old))
    faults = verify(write_corpus(tmp_path, {"train": PAIRS}, change=named))
    assert any("ATTRIBUTION.tsv.gz: not readable as a list of authors" in fault for fault in faults)


def test_a_pair_that_stands_twice_is_found(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", {"train": [*PAIRS, PAIRS[0], PAIRS[3]]})
    (fault,) = verify(folder)
    assert fault.endswith("2 rows hold a pair that stands there already")
