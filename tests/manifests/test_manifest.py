"""The manifest: one model, one published schema, one canonical form; and everything it says is so."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pyarrow.parquet as pq
import pytest
from factory import described_mixture, write_corpus
from pydantic import ValidationError
from typer.testing import CliRunner

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.cli import app
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import canonical_json, sha256_of_file
from tppc.corpora.keys import order_keys
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Manifest, digest_of_build, json_schema, next_version, read_manifest
from tppc.errors import TppcError
from tppc.manifests.folder import documents

SCHEMA = Path(__file__).parents[2] / "docs" / "manifest.schema.json"


def test_the_published_schema_is_the_models() -> None:
    command = [sys.executable, "-m", "tppc.corpora.manifest"]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert printed == canonical_json(json_schema())
    assert SCHEMA.read_bytes() == printed, f"write it anew: {shlex.join(command[1:])} > docs/manifest.schema.json"
    jsonschema.Draft202012Validator.check_schema(json.loads(printed))


@pytest.mark.parametrize("name", ["tatoeba", "wikidata"])
def test_manifests_of_builds_fit_the_schema(name: str, request: pytest.FixtureRequest) -> None:
    corpus: Corpus = request.getfixturevalue(name)
    value = json.loads((corpus.path / "manifest.json").read_bytes())
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes()))
    assert list(validator.iter_errors(value)) == []
    del value["shards"][0]["key_range"]
    value["licence "] = "CC0-1.0"
    assert {e.validator for e in validator.iter_errors(value)} == {"required", "additionalProperties"}


def test_the_bytes_are_canonical_and_sealed(tatoeba: Corpus) -> None:
    data = (tatoeba.path / "manifest.json").read_bytes()
    assert data == canonical_json(tatoeba.manifest.model_dump(mode="json"))
    assert Manifest.model_validate_json(data) == tatoeba.manifest
    seal = (tatoeba.path / "manifest.json.sha256").read_text().split()
    assert seal == [sha256_of_file(tatoeba.path / "manifest.json"), "manifest.json"]


def test_every_other_file_is_listed_with_its_digest(tatoeba: Corpus) -> None:
    files = tatoeba.manifest.files
    there = {p.relative_to(tatoeba.path).as_posix(): p for p in tatoeba.path.rglob("*") if p.is_file()}
    assert {*files, "manifest.json", "manifest.json.sha256"} == {*there}
    assert {n for n in files if "/" not in n} == {
        "ATTRIBUTION.tsv.gz", "CITATION.cff", "README.md", "croissant.json", "heldout.parquet", "provenance.json",
        "rejects.jsonl.gz",
    }  # fmt: skip
    assert all(sha256_of_file(there[name]) == digest for name, digest in files.items())


def test_shards_are_described_as_they_are(tatoeba: Corpus) -> None:
    for shard in tatoeba.manifest.shards:
        file = pq.ParquetFile(tatoeba.path / shard.path)
        assert (file.metadata.num_rows, file.metadata.num_row_groups) == (shard.rows, shard.row_groups)
        rows = file.read(columns=["src_key", "tgt_key"])
        keys = order_keys(rows["src_key"].to_numpy(), rows["tgt_key"].to_numpy())
        assert shard.key_range == (f"{keys.min():016x}", f"{keys.max():016x}")
        assert (shard.pair, shard.path.split("/")[1]) == ("en-hi", "en-hi")


def test_statistics_are_those_of_the_rows(tatoeba: Corpus) -> None:
    for split, found in tatoeba.manifest.statistics["en-hi"].items():
        rows = tatoeba.scan(split).collect()
        words = rows["tgt_text"].map_elements(lambda t: len(t.split()), return_dtype=pl.Int64)
        assert found.rows == rows.height
        assert found.tgt_words is not None
        assert found.tgt_words.max == words.max()
        assert found.tgt_words.mean == pytest.approx(words.mean(), abs=1e-4)
        assert sum(found.tgt_words.histogram.counts) == rows.height
        assert found.tgt_scripts == {"Devanagari": rows.height}
        assert sum(found.src_lid.values()) == rows.height
        assert found.src_repeated is not None
        counts = rows["src_text"].value_counts().filter(pl.col("count") > 1)
        assert dict(found.src_repeated.texts).items() <= dict(counts.iter_rows()).items()
        assert [count for _, count in found.src_repeated.texts] == sorted(counts["count"], reverse=True)[:20]
    licences = pl.concat([tatoeba.scan(s).select("licence") for s in tatoeba.manifest.splits]).collect()["licence"]
    assert tatoeba.manifest.licences == dict(sorted(licences.value_counts().iter_rows()))


def test_attribution_names_the_authors_of_every_kept_row_that_asks_for_it(tatoeba: Corpus) -> None:
    lines = gzip.decompress((tatoeba.path / "ATTRIBUTION.tsv.gz").read_bytes()).decode().splitlines()
    assert lines[0] == "source\tsource_id\tlicence\tauthors"
    columns = ["source", "source_id", "licence", "attribution"]
    rows = pl.concat([tatoeba.scan(s).select(columns) for s in tatoeba.manifest.splits]).collect()
    rows = rows.filter(pl.col("licence") != "CC0-1.0")
    assert len(rows) == tatoeba.manifest.licences["LicenseRef-CC-BY-2.0-FR"]
    assert sorted(lines[1:]) == sorted("\t".join(v or "" for v in row) for row in rows.iter_rows())


def test_the_build_digest_knows_no_time_and_no_commit(tatoeba: Corpus) -> None:
    m = tatoeba.manifest
    parts: dict[str, Any] = {name: getattr(m, name) for name in ("recipe_digest", "versions", "shards", "parents")}
    assert digest_of_build(snapshots=m.snapshots, **parts) == m.build_digest
    later = [s.model_copy(update={"retrieved": "2030-01-01T00:00:00Z", "etag": '"x"'}) for s in m.snapshots]
    assert digest_of_build(snapshots=[*reversed(later)], **parts) == m.build_digest
    assert digest_of_build(snapshots=m.snapshots[1:], **parts) != m.build_digest
    assert digest_of_build(snapshots=m.snapshots, **{**parts, "recipe_digest": "0" * 64}) != m.build_digest


def test_two_builds_differ_in_their_manifests_times_alone(tmp_path: Path, tatoeba: Corpus) -> None:
    recipe = load_recipe(None, holdout={"dev": 10, "test": 20}, limit=800)
    (again,) = build("tatoeba", [Pair("en", "hi")], origin="sample", out=tmp_path, recipe=recipe, workers=2)
    one, other = (c.manifest.model_dump(exclude={"created", "git", "files"}) for c in (tatoeba, again))
    assert one == other
    day = {"created": tatoeba.manifest.created}  # where no snapshot has a day, that of the build stands for it
    assert documents(again.manifest.model_copy(update=day)) == documents(tatoeba.manifest)
    same = {"ATTRIBUTION.tsv.gz", "heldout.parquet", "provenance.json", "rejects.jsonl.gz"}
    assert {again.manifest.files[n] for n in same} == {tatoeba.manifest.files[n] for n in same}


@pytest.mark.parametrize(
    ("change", "version"),
    [("repackaged", "1.2.4"), ("added", "1.3.0"), ("changed", "2.0.0")],
)
def test_versions_follow_what_happened_to_the_rows(change: str, version: str) -> None:
    assert next_version("1.2.3", change) == version


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", "1.0"),
        ("version", "01.0.0"),
        ("version", "1.0.٣"),
        ("pairs", []),
        ("pairs", ["en-xx-hi"]),
        ("pairs", ["en-ja"]),
        ("files", {"../outside": "0" * 64}),
        ("files", {"/etc/passwd": "0" * 64}),
        ("files", {"data//x": "0" * 64}),
        ("files", {"README.md": "0" * 63}),
        ("build_digest", "G" * 64),
        ("unknown", 1),
    ],
)
def test_what_is_no_manifest_is_refused(tatoeba: Corpus, field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(tatoeba.manifest.model_dump() | {field: value})


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "c", {"train": [("a", "b")]})
    value = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps({**value, "version": "one"}))
    with pytest.raises(TppcError, match=r"manifest\.json: not a manifest"):
        read_manifest(folder)
    (folder / "manifest.json").write_text(json.dumps({**value, "format": "tppc-manifest/9"}))
    with pytest.raises(TppcError, match=r"reads 'tppc-manifest/1'"):
        read_manifest(folder)


def test_a_mixture_has_several_of_everything(tmp_path: Path) -> None:
    manifest = described_mixture(tmp_path / "mixture").manifest
    assert manifest.languages == ["en", "hi", "ja"]
    assert (manifest.rows(), manifest.rows("train"), manifest.rows(pair="en-hi")) == (6, 5, 3)
    assert manifest.rows("test", "en-ja") == 0
    for name in ("pair", "src_lang", "tgt_lang", "source"):
        with pytest.raises(TppcError, match="here one is needed"):
            getattr(manifest, name)
    lists = CliRunner().invoke(app, ["corpora", "stats", str(tmp_path / "mixture"), "--json"])
    assert lists.exit_code == 0


@pytest.mark.parametrize(
    ("snapshot", "day"),
    [
        ({"last_modified": "Sat, 02 Mar 2024 23:59:59 GMT", "retrieved": "2026-01-01T00:00:00Z"}, "2024-03-02"),
        ({"retrieved": "2026-01-02T00:00:00+00:00"}, "2026-01-02"),
        ({"last_modified": "nonsense"}, "2026-11-20"),
        ({}, "2026-11-20"),
    ],
)
def test_the_day_of_the_data_is_that_of_its_snapshots(wikidata: Corpus, snapshot: dict[str, str], day: str) -> None:
    plain = wikidata.manifest.snapshots[0].model_copy(update={"last_modified": None, "retrieved": None})
    changes = {"snapshots": [plain, plain.model_copy(update=snapshot)], "created": "2026-11-20T10:00:00+00:00"}
    assert wikidata.manifest.model_copy(update=changes).date == day


def test_the_day_of_a_mixture_is_that_of_its_newest_parent(tmp_path: Path) -> None:
    manifest = described_mixture(tmp_path / "mixture").manifest
    parents = [p.model_copy(update={"date": f"2024-0{n}-01"}) for n, p in enumerate(manifest.parents, 1)]
    assert (manifest.date, manifest.model_copy(update={"parents": parents}).date) == ("2026-01-01", "2024-02-01")
