"""The catalogue: one entry for each version, a page that shows hostile text as text, and nothing lost or made up."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from factory import write_corpus
from hypothesis import given
from hypothesis import strategies as st

from tppc.corpora.manifest import read_manifest
from tppc.corpora.stores import FolderStore
from tppc.errors import TppcError
from tppc.manifests.catalogue import Catalogue, Entry, enter, entry_of, parse_catalogue, render, size_text

HOSTILE = "<script>window.pwned=1</script><img src=x onerror=alert(1)>\"'\u202egnp.exe"


def make_entry(name: str = "made/en-hi", version: str = "1.0.0", **change: Any) -> Entry:
    """An entry with plain values."""
    values = {
        "name": name,
        "version": version,
        "pairs": ["en-hi"],
        "sources": ["made"],
        "rows": {"train": 1_234_567, "test": 500},
        "bytes": 98_765_432,
        "licence": "CC-BY-4.0",
        "licences": {"CC-BY-4.0": 1_235_000, "CC0-1.0": 67},
        "build_digest": "ab" * 32,
        "manifest_sha256": "cd" * 32,
        "created": "2026-01-01T00:00:00+00:00",
        "published": "2026-01-02T00:00:00+00:00",
    }
    return Entry.model_validate({**values, **change})


def test_an_entry_says_what_the_manifest_says(tmp_path: Path) -> None:
    manifest = read_manifest(
        write_corpus(tmp_path, {"train": [("A cat.", "एक बिल्ली।")], "test": [("A dog.", "एक कुत्ता।")]})
    )
    entry = entry_of(manifest, "0" * 64)
    assert entry.rows == {"train": 1, "test": 1}
    assert entry.build_digest == manifest.build_digest
    assert entry.place == "made/en-hi/1.0.0"
    assert entry.bytes == sum(p.stat().st_size for p in tmp_path.rglob("*.parquet"))


names = st.sampled_from(["wikidata/en-hi", "tatoeba/en-hi", "opus/Books/en-ja"])
numbers = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)).map(lambda n: ".".join(map(str, n)))


@given(st.lists(st.tuples(names, numbers), max_size=12), st.randoms())
def test_entries_in_any_order_make_the_same_catalogue(wanted: list[tuple[str, str]], order: random.Random) -> None:
    entries = [make_entry(name, version) for name, version in dict.fromkeys(wanted)]
    one = other = Catalogue()
    for entry in entries:
        one = one.with_entry(entry).with_entry(entry)
    order.shuffle(entries)
    for entry in entries:
        other = other.with_entry(entry)
    assert one == other
    assert len(one.corpora) == len(entries)
    assert parse_catalogue(one.model_dump_json().encode(), "x") == one
    assert render(one) == render(other)


def test_entering_twice_changes_nothing_and_another_corpus_is_refused(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    enter(store, make_entry())
    first = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    enter(store, make_entry(published="2027-01-01T00:00:00+00:00"))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first
    with pytest.raises(TppcError, match=r"another corpus took made/en-hi@1\.0\.0 meanwhile"):
        enter(store, make_entry(build_digest="ef" * 32))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == first


def test_a_page_that_was_lost_or_is_old_is_written_again(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    enter(store, make_entry())
    (tmp_path / "index.html").write_text("old")
    enter(store, make_entry(version="1.1.0"))
    page = (tmp_path / "index.html").read_text()
    assert "1.1.0" in page
    assert "1.0.0" in page


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "tppc-catalogue/9"}, "format 'tppc-catalogue/9', but this version of tppc reads"),
        ({"corpora": [{"name": "a"}]}, "not a catalogue"),
        ({"corpora": [{**make_entry().model_dump(), "name": "../up"}]}, "not a catalogue"),
        ({"corpora": [{**make_entry().model_dump(), "name": "javascript:alert(1)"}]}, "not a catalogue"),
        ({"corpora": [{**make_entry().model_dump(), "version": "1.0.0/../.."}]}, "not a catalogue"),
    ],
)
def test_what_is_no_catalogue_is_told(change: dict[str, Any], says: str) -> None:
    data = json.dumps({"format": "tppc-catalogue/1", "corpora": [], **change}).encode()
    with pytest.raises(TppcError, match=says):
        parse_catalogue(data, "https://example.org/catalog.json")
    with pytest.raises(TppcError, match="not a catalogue"):
        parse_catalogue(b"<html>Please log in</html>", "https://example.org/catalog.json")


def test_the_page_escapes_everything_and_fetches_nothing() -> None:
    fields = ("licence", "created", "published")
    change: dict[str, Any] = {
        **dict.fromkeys(fields, HOSTILE),
        "pairs": [HOSTILE],
        "sources": [HOSTILE],
        "rows": {HOSTILE: 3},
        "licences": {HOSTILE: 1, "CC0-1.0": 2},
    }
    page = render(Catalogue(corpora=[make_entry(**change)])).decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert page.count("&lt;script&gt;window.pwned=1&lt;/script&gt;") == 7
    assert "src=" not in page.replace("img src=x", "")
    assert "default-src 'none'" in page


def test_sizes_are_for_people() -> None:
    assert [size_text(n) for n in (0, 999, 1000, 98_765_432, 5 * 10**12)] == [
        "0 bytes", "999 bytes", "1.0 kB", "98.8 MB", "5.0 TB",
    ]  # fmt: skip


def test_every_field_of_an_entry_is_described() -> None:
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    described = text.split("## A catalogue")[1].split("\n## ")[0]
    assert [name for name in Entry.model_fields if f"`{name}`" not in described] == []
