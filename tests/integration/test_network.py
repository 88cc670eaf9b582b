"""The true upstreams, one small file of each source: `make test-network`. They may be down, and formats may change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tppc.builders.build import build, catalogue
from tppc.builders.download import fetch, join
from tppc.builders.recipe import load_recipe
from tppc.builders.sources import tatoeba, wikimatrix
from tppc.builders.sources.compressed import lines_of
from tppc.builders.sources.outfile import outfile_records
from tppc.corpora.languages import Pair, parse_pair

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("TPPC_NETWORK") != "1",
        reason="asks the true upstreams; TPPC_NETWORK=1 make test-network",
    ),
    pytest.mark.timeout(900),
]


def test_tatoeba_has_sentences_links_and_authors_where_we_look_for_them() -> None:
    names = [n for n in tatoeba.files(parse_pair("kw-br")).values() if "CC0" not in n]  # Cornish, Breton: small
    files = [fetch(join(tatoeba.UPSTREAM, name)) for name in names]
    sentences = [n for n in range(len(names)) if "sentences_detailed" in names[n]]
    for n in sentences:
        file = files[n]
        assert file is not None
        assert file.snapshot.etag or file.snapshot.last_modified
        records = [fields for _, fields, _ in outfile_records(lines_of(file.path))]
        assert len(records) > 100
        assert all(len(fields) == 6 for fields in records)


def test_wikimatrix_has_scores_and_two_texts(tmp_path: Path) -> None:
    pair = Pair("arz", "en")
    (corpus,) = build("wikimatrix", [pair], out=tmp_path, recipe=load_recipe(None, limit=2_000))
    assert corpus.manifest.funnel.read == 2_000
    assert corpus.manifest.snapshots[0].url == join(wikimatrix.UPSTREAM, "WikiMatrix.arz-en.tsv.gz")
    assert corpus.rows("train") > 0


def test_wikidata_answers_sparql(tmp_path: Path) -> None:
    (corpus,) = build("wikidata", [Pair("en", "hi")], out=tmp_path, recipe=load_recipe(None, limit=50))
    assert corpus.rows("train") > 5


def test_wikidata_entities_are_in_the_layout_of_the_dump(tmp_path: Path) -> None:
    url = "https://www.wikidata.org/wiki/Special:EntityData/Q2.json"
    (corpus,) = build("wikidata", [Pair("en", "hi")], origin=url, out=tmp_path)
    assert corpus.rows("train") == 1


def test_opus_lists_corpora_and_serves_the_smallest(tmp_path: Path) -> None:
    pair = Pair("en", "hi")
    found = [entry for entry in catalogue("opus", [pair]) if entry["pairs"]]
    assert len(found) > 5
    smallest = min(found, key=lambda entry: entry["bytes"] or 1 << 40)
    recipe = load_recipe(None, opus={"corpus": smallest["corpus"], "version": smallest["version"]})
    (corpus,) = build("opus", [pair], out=tmp_path, recipe=recipe)
    assert corpus.manifest.funnel.read > 0
