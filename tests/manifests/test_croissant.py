"""Croissant: the reference validator has nothing to say, and reads back the rows that are in the shards."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlcroissant as mlc
import polars as pl
import pytest
from factory import described_mixture

from tppc.corpora.corpus import Corpus
from tppc.corpora.manifest import Manifest
from tppc.manifests.croissant import croissant, licence_url


@pytest.fixture(autouse=True)
def silent(caplog: pytest.LogCaptureFixture) -> Any:
    """No test here may end with a warning of the validator in the log."""
    yield
    said = [r.getMessage() for r in caplog.get_records("call") if r.levelname in ("WARNING", "ERROR")]
    assert said == []


def opened(path: Path) -> mlc.Dataset:
    """The dataset; raises for errors. Warnings are faults too."""
    dataset = mlc.Dataset(str(path / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    return dataset


def read_back(dataset: mlc.Dataset, pair: str) -> list[dict[str, Any]]:
    """Records under the names of their columns, bytes as text."""
    return [
        {
            name.removeprefix(f"{pair}/"): value.decode() if isinstance(value, bytes) else value
            for name, value in record.items()
        }
        for record in dataset.records(pair)
    ]


def in_shards(corpus: Corpus, pair: str) -> list[dict[str, Any]]:
    """All rows of a pair with their split."""
    found = []
    for shard in corpus.manifest.shards:
        if shard.pair == pair:
            rows = pl.read_parquet(corpus.path / shard.path).with_columns(split=pl.lit(shard.split))
            found += rows.to_dicts()
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Equal in every column; 32-bit floats come back as 64-bit ones."""
    return one.keys() == other.keys() and all(
        math.isclose(a, other[k], rel_tol=1e-6) if isinstance(a, float) else a == other[k] for k, a in one.items()
    )


@pytest.mark.parametrize("name", ["tatoeba", "wikidata"])
def test_records_are_the_rows_of_the_shards(name: str, request: pytest.FixtureRequest) -> None:
    corpus: Corpus = request.getfixturevalue(name)
    pair = str(corpus.pair)
    dataset = opened(corpus.path)
    key = ("split", "src_key", "tgt_key")
    records = sorted(read_back(dataset, pair), key=lambda r: [r[k] for k in key])
    rows = sorted(in_shards(corpus, pair), key=lambda r: [r[k] for k in key])
    assert len(records) == len(rows) == corpus.manifest.rows()
    assert all(same(a, b) for a, b in zip(records, rows, strict=True))
    splits = {r["splits/name"] for r in dataset.records("splits")}
    assert splits == {s.encode() if isinstance(next(iter(splits)), bytes) else s for s in corpus.manifest.splits}


def test_a_mixture_has_a_record_set_for_each_pair(tmp_path: Path) -> None:
    corpus = described_mixture(tmp_path / "mixture")
    dataset = opened(corpus.path)
    assert [r.id for r in dataset.metadata.record_sets] == ["splits", "en-hi", "en-ja"]
    assert {r["tgt_text"] for r in read_back(dataset, "en-ja")} == {"猫", "犬", "水"}
    assert {r["split"] for r in read_back(dataset, "en-hi")} == {"train", "test"}


def test_every_shard_is_a_file_object_with_its_digest_and_size(tatoeba: Corpus) -> None:
    value = json.loads((tatoeba.path / "croissant.json").read_bytes())
    files = {f["@id"]: f for f in value["distribution"] if f["@type"] == "cr:FileObject"}
    assert {name: f["sha256"] for name, f in files.items()} == {s.path: s.sha256 for s in tatoeba.manifest.shards}
    assert all(f["contentSize"] == f"{(tatoeba.path / name).stat().st_size} B" for name, f in files.items())


def test_it_says_what_the_standard_asks_for_and_where_the_data_came_from(tatoeba: Corpus) -> None:
    dataset = opened(tatoeba.path).metadata
    manifest = tatoeba.manifest
    assert dataset.conforms_to == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert (dataset.name, dataset.version) == ("tatoeba/en-hi", "1.0.0")
    assert manifest.build_digest in dataset.cite_as
    assert dataset.in_language == ["en", "hi"]
    assert "https://creativecommons.org/licenses/by/2.0/fr/" in dataset.license
    assert dataset.date_published.date().isoformat() == manifest.date
    # Responsible AI, as its own reader understands it.
    assert "rows read" in dataset.data_collection_missing_data
    assert any("`length`" in step for step in dataset.data_preprocessing_protocol)
    assert dataset.data_limitations == manifest.limits
    assert any("user names" in text for text in dataset.personal_sensitive_information)
    assert dataset.data_biases
    raw = json.loads((tatoeba.path / "croissant.json").read_bytes())
    assert {e["sc:sha256"] for e in raw["prov:wasDerivedFrom"]} == {s.sha256 for s in manifest.snapshots}


def test_hostile_names_stay_text(wikidata: Corpus) -> None:
    snapshot = wikidata.manifest.snapshots[0].model_copy(update={"name": '"<b> \u2028', "url": 'file:"<b> {x}'})
    manifest = wikidata.manifest.model_copy(update={"snapshots": [snapshot], "limits": ['"@type": "x"']})
    value = json.loads(croissant(manifest))
    assert value["prov:wasDerivedFrom"][0]["@id"] == "file:%22%3Cb%3E%20%7Bx%7D"
    assert value["rai:dataLimitations"] == ['"@type": "x"']


def test_a_corpus_without_rows_is_described_too(wikidata: Corpus, tmp_path: Path) -> None:
    empty = Manifest.model_validate(wikidata.manifest.model_dump() | {"shards": [], "statistics": {}, "licences": {}})
    (tmp_path / "croissant.json").write_bytes(croissant(empty))
    assert opened(tmp_path).metadata.record_sets == []


@pytest.mark.parametrize(
    ("expression", "url"),
    [
        ("CC0-1.0", "https://spdx.org/licenses/CC0-1.0.html"),
        ("CC-BY-SA-3.0", "https://creativecommons.org/licenses/by-sa/3.0/"),
        ("LicenseRef-CC-BY-2.0-FR", "https://creativecommons.org/licenses/by/2.0/fr/"),
        ("LicenseRef-OPUS-Books", "LicenseRef-OPUS-Books"),
    ],
)
def test_a_licence_is_named_by_its_page(expression: str, url: str) -> None:
    assert licence_url(expression) == url
