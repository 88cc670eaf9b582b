"""Provenance: an in-toto statement whose subjects are the shards and whose dependencies are what was read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from factory import described_mixture

from tppc.builders.checkout import commit_of
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import sha256_of_file

_DIGESTS = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
_RESOURCE = {
    "type": "object",
    "anyOf": [{"required": ["uri"]}, {"required": ["digest"]}, {"required": ["content"]}],
    "properties": {"name": {"type": "string"}, "uri": {"type": "string"}, "digest": _DIGESTS},
}
# The in-toto attestation framework, Statement v1, and SLSA v1.0, provenance: fields that must be there, and their types.
STATEMENT = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "subject": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["digest"], "properties": {"digest": _DIGESTS}},
        },
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "predicate": {
            "type": "object",
            "required": ["buildDefinition", "runDetails"],
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "required": ["buildType", "externalParameters"],
                    "properties": {
                        "buildType": {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:"},
                        "externalParameters": {"type": "object"},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": {"type": "array", "items": _RESOURCE},
                    },
                },
                "runDetails": {
                    "type": "object",
                    "required": ["builder"],
                    "properties": {
                        "builder": {
                            "type": "object",
                            "required": ["id"],
                            "properties": {
                                "id": {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:"},
                                "version": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                        },
                    },
                },
            },
        },
    },
}


def statement(corpus: Corpus) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((corpus.path / "provenance.json").read_bytes())
    jsonschema.validate(value, STATEMENT)
    return value


def test_the_subjects_are_the_shards_on_disk(tatoeba: Corpus) -> None:
    subjects = {s["name"]: s["digest"]["sha256"] for s in statement(tatoeba)["subject"]}
    on_disk = {p.relative_to(tatoeba.path).as_posix(): sha256_of_file(p) for p in tatoeba.path.rglob("*.parquet")}
    assert subjects == {name: digest for name, digest in on_disk.items() if name.startswith("data/")}


def test_what_was_asked_and_what_was_read_is_all_there(tatoeba: Corpus) -> None:
    definition, manifest = statement(tatoeba)["predicate"]["buildDefinition"], tatoeba.manifest
    assert definition["externalParameters"]["recipe"] == manifest.recipe
    assert definition["externalParameters"]["command"] == manifest.command
    read = {d["name"]: d["digest"]["sha256"] for d in definition["resolvedDependencies"]}
    assert read == {s.name: s.sha256 for s in manifest.snapshots} | {
        manifest.language_id["model"]: manifest.language_id["sha256"]
    }


def test_a_mixture_depends_on_its_parents(tmp_path: Path) -> None:
    corpus = described_mixture(tmp_path / "mixture")
    read = statement(corpus)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [(d["name"], d["uri"]) for d in read] == [
        ("one/x", f"urn:tppc:build:{'a' * 64}"),
        ("two/y", f"urn:tppc:build:{'b' * 64}"),
    ]


def test_it_holds_no_time_and_no_place(tatoeba: Corpus) -> None:
    text = (tatoeba.path / "provenance.json").read_text("utf-8")
    assert str(tatoeba.path.parent) not in text
    assert tatoeba.manifest.created[:10] not in text


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    (tmp_path / "file").write_text("one\n")
    for words in (["init", "-q"], ["add", "file"], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


def test_the_commit_of_a_checkout_is_known_and_whether_it_was_changed(checkout: Path) -> None:
    clean = commit_of(checkout)
    assert clean is not None
    assert (len(clean.commit), clean.dirty) == (40, False)
    (checkout / "new").write_text("not tracked\n")
    assert commit_of(checkout) == clean
    (checkout / "file").write_text("two\n")
    changed = commit_of(checkout)
    assert changed is not None
    assert (changed.commit, changed.dirty) == (clean.commit, True)


def test_a_folder_inside_another_repository_has_no_commit(checkout: Path) -> None:
    (checkout / "site-packages").mkdir()
    assert commit_of(checkout / "site-packages") is None
    (checkout / "site-packages" / ".git").mkdir()  # no repository, though it looks like one
    assert commit_of(checkout / "site-packages") is None
