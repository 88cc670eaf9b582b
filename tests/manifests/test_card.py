"""The dataset card and `CITATION.cff`: tools load what they say, and people find what they look for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from factory import described_mixture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tppc.corpora.corpus import Corpus
from tppc.manifests.card import render_card
from tppc.manifests.citation import citation_file
from tppc.manifests.yaml import to_yaml

# What the Citation File Format 1.2.0 demands of the keys that tppc writes (its guide, "Keys").
_ENTITY = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "minLength": 1}, "website": {"type": "string", "format": "uri"}},
    "additionalProperties": False,
}
CFF = {
    "type": "object",
    "required": ["authors", "cff-version", "message", "title"],
    "additionalProperties": False,
    "properties": {
        "cff-version": {"const": "1.2.0"},
        "message": {"type": "string", "minLength": 1},
        "type": {"enum": ["dataset", "software"]},
        "title": {"type": "string", "minLength": 1},
        "version": {"type": "string"},
        "date-released": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
        "abstract": {"type": "string", "minLength": 1},
        "license": {"enum": ["CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0"]},
        "keywords": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string"}},
        "authors": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _ENTITY},
        "identifiers": {
            "type": "array",
            "items": {
                "required": ["type", "value"],
                "properties": {"type": {"enum": ["doi", "url", "swh", "other"]}, "value": {"type": "string"}},
            },
        },
        "references": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["authors", "title", "type"],
                "properties": {
                    "type": {"enum": ["article", "data", "database", "generic", "software"]},
                    "title": {"type": "string"},
                    "notes": {"type": "string"},
                    "url": {"type": "string", "pattern": "^(https|http|ftp|sftp)://.+"},
                    "authors": {"type": "array", "minItems": 1, "items": _ENTITY},
                },
                "additionalProperties": False,
            },
        },
    },
}


def head(card: str) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return value


def sections(path: Path) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", (path / "README.md").read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_datasets_loads_every_configuration_of_the_head(tmp_path: Path) -> None:
    import datasets

    corpus = described_mixture(tmp_path / "mixture")
    cache = str(tmp_path / "hf")
    assert datasets.get_dataset_config_names(str(corpus.path)) == ["en-hi", "en-ja"]
    loaded = datasets.load_dataset(str(corpus.path), "en-hi", cache_dir=cache)
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 2, "test": 1}
    other = datasets.load_dataset(str(corpus.path), "en-ja", cache_dir=cache)
    assert sorted(other["train"]["tgt_text"]) == sorted(["猫", "犬", "水"])
    assert datasets.load_dataset(str(corpus.path), cache_dir=cache)["test"]["tgt_text"][:] == ["पानी"]


def test_the_head_is_what_the_hub_reads(tatoeba: Corpus) -> None:
    found = head((tatoeba.path / "README.md").read_text("utf-8"))
    assert found["license"] == "other"
    assert found["license_name"] == "cc0-1.0 and licenseref-cc-by-2.0-fr"
    assert found["language"] == ["en", "hi"]
    assert found["size_categories"] == ["n<1K"]
    (config,) = found["configs"]
    assert [f["split"] for f in config["data_files"]] == ["train", "validation", "test"]
    for entry in config["data_files"]:
        assert list(tatoeba.path.glob(entry["path"]))


def test_a_person_finds_numbers_samples_duties_limits_and_the_way_back(tatoeba: Corpus) -> None:
    found, manifest = sections(tatoeba.path), tatoeba.manifest
    for step, rows in manifest.funnel.rejected.items():
        assert f"| rejected: {step.replace('_', chr(92) + '_')} | {rows:,} |" in found["From the source to the rows"]
    assert "Devanagari 100.0%" in found["What the rows are like"]
    kept = tatoeba.scan("train").head(12).collect()
    assert found["Kept rows, for a look"].count("\n| ") == 2 + len(kept)
    assert all(text in found["Kept rows, for a look"] for text in kept["tgt_text"])
    assert "| dangling\\_link |" in found["Rejected rows, for a look"]
    duties = found["Licence and attribution"]
    cc_by = manifest.licences["LicenseRef-CC-BY-2.0-FR"]
    share = cc_by / manifest.rows()
    assert f"| LicenseRef-CC-BY-2.0-FR | {cc_by:,} | {share:.1%} | Credit the authors, link the licence" in duties
    assert "passed on under LicenseRef-CC-BY-2.0-FR" in duties
    assert "ATTRIBUTION.tsv.gz" in duties
    assert all(limit in found["Limits"] for limit in manifest.limits)
    assert "```sh\ntppc rebuild PATH/OF/THIS/FOLDER --out rebuilt\n```" in found["Rebuild"]
    assert f"```sh\n{manifest.command}\n```" in found["Rebuild"]
    assert all(s.sha256 in found["Rebuild"] for s in manifest.snapshots)
    assert manifest.build_digest in found["Citation"]


def test_a_mixture_names_its_pairs_and_parents(tmp_path: Path) -> None:
    found = sections(described_mixture(tmp_path / "mixture").path)
    text = (tmp_path / "mixture" / "README.md").read_text("utf-8")
    assert "| en-hi | English | Hindi | 2 | 1 |\n| en-ja | English | Japanese | 3 | 0 |" in text
    assert "Of one:" in found["From the source to the rows"]
    assert "tppc rebuild PATH/OF/THIS/FOLDER --from FOLDER/OF/THE/CORPORA --out" in found["Rebuild"]
    assert f"| one/x | 1.0.0 | 3 | {'a' * 64} |" in found["Rebuild"]
    assert "- two: Two, https://two.example." in found["Citation"]


def test_texts_of_strangers_stay_in_their_cells(wikidata: Corpus) -> None:
    row = {"source_id": "7", "src_text": "a | b\n# head <script>", "tgt_text": "`x` \u202e[y](z)"}
    card = render_card(wikidata.manifest, [row], {"markup": [{"reason": "markup", "raw": "AA==", "detail": "<b>"}]})
    line = next(line for line in card.splitlines() if line.startswith("| 7 |"))
    assert line == r"| 7 | a \| b�# head \<script\> | \`x\` �\[y\](z) |"
    assert "| markup |  | \\<b\\> |  |" in card


@pytest.mark.parametrize("name", ["tatoeba", "wikidata"])
def test_the_citation_file_is_one(name: str, request: pytest.FixtureRequest) -> None:
    corpus: Corpus = request.getfixturevalue(name)
    found = yaml.safe_load((corpus.path / "CITATION.cff").read_text("utf-8"))
    jsonschema.validate(found, CFF)
    assert found["title"].startswith(corpus.name)
    assert found["date-released"] == corpus.manifest.date
    assert found["identifiers"][0]["value"].endswith(corpus.digest)
    assert found.get("license") == ("CC0-1.0" if name == "wikidata" else None)  # LicenseRef is not in its list


def test_the_sources_are_cited_in_their_own_words(tmp_path: Path) -> None:
    found = yaml.safe_load(citation_file(described_mixture(tmp_path / "mixture").manifest))
    jsonschema.validate(found, CFF)
    assert [(r["title"], r["notes"], r.get("url")) for r in found["references"]] == [
        ("one", "One (2020).", None),
        ("two", "Two, https://two.example.", "https://two.example"),
    ]


def test_card_and_citation_do_not_change_with_the_time_of_the_build(wikidata: Corpus) -> None:
    manifest = wikidata.manifest
    snapshot = manifest.snapshots[0].model_copy(update={"last_modified": "Mon, 03 Jun 2024 10:00:00 GMT"})
    one, other = (
        manifest.model_copy(update={"snapshots": [snapshot], "created": created, "git": None})
        for created in ("2025-01-01T00:00:00+00:00", "2026-02-02T00:00:00+00:00")
    )
    assert citation_file(one) == citation_file(other)
    assert render_card(one, [], {}) == render_card(other, [], {})
    assert one.date == "2024-06-03"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), _JSON, max_size=4))
def test_yaml_reads_back_as_it_was_written(value: dict[str, Any]) -> None:
    assert (yaml.safe_load(to_yaml(value)) or {}) == value
