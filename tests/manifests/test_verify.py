"""Verify finds a single flipped bit in any file, and everything else that does not fit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tppc.builders.build import build
from tppc.builders.recipe import load_recipe
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import read_manifest, write_manifest
from tppc.errors import TppcError
from tppc.manifests.verify import verify


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    lines = "".join(f"1.1\tThe house number {i} is old.\tमकान संख्या {i} पुराना है।\n" for i in range(80))
    lines += "1.0\t| a [link](x) and <b>bold</b> |\tमकान पुराना है।\n1.0\t`</table><script>x</script>\tमकान पुराना है।\n"
    (tmp_path / "WikiMatrix.en-hi.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    recipe = load_recipe(None, holdout={"test": 5})
    (made,) = build("wikimatrix", [Pair("en", "hi")], origin=str(tmp_path), out=tmp_path / "out", recipe=recipe)
    return made.path


def test_a_sound_corpus_has_no_fault(corpus: Path) -> None:
    assert verify(corpus) == []


def test_a_flipped_bit_in_any_file_is_found(corpus: Path) -> None:
    files = sorted(p for p in corpus.rglob("*") if p.is_file())
    assert len(files) == 7
    for path in files:
        good = path.read_bytes()
        for place in (0, len(good) // 2, len(good) - 1):
            bad = bytearray(good)
            bad[place] ^= 1
            path.write_bytes(bad)
            try:
                faults = verify(corpus)
            except TppcError as error:  # a manifest that is no JSON any more
                faults = [str(error)]
            assert faults, (path, place)
        path.write_bytes(good)
    assert verify(corpus) == []


def test_missing_and_foreign_files_are_found(corpus: Path) -> None:
    (corpus / "notes.txt").write_text("mine")
    assert verify(corpus) == [f"{corpus}/notes.txt: not listed in the manifest"]
    (corpus / "notes.txt").unlink()
    (corpus / "README.md").unlink()
    assert verify(corpus) == [f"{corpus}/README.md: listed in the manifest but missing"]


def test_a_funnel_that_does_not_add_up_is_found(corpus: Path) -> None:
    manifest = read_manifest(corpus)
    write_manifest(manifest.model_copy(update={"funnel": manifest.funnel.model_copy(update={"read": 99})}), corpus)
    assert any("funnel does not add up, 17 rows" in fault for fault in verify(corpus))


def test_old_and_broken_manifests_are_named(corpus: Path) -> None:
    path = corpus / "manifest.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "format": "tppc-manifest/9"}))
    with pytest.raises(TppcError, match="format 'tppc-manifest/9', but this version of tppc reads"):
        Corpus(corpus)
    path.write_text("{")
    with pytest.raises(TppcError, match=r"manifest\.json: not a manifest"):
        Corpus(corpus)


def test_the_card_shows_foreign_text_as_text(corpus: Path) -> None:
    card = (corpus / "README.md").read_text()
    assert card.startswith('---\nlicense: "cc-by-sa-3.0"\n')
    assert "\\| a \\[link\\](x) and \\<b\\>bold\\</b\\> \\|" in card
    assert "\\`\\</table\\>\\<script\\>x" in card
    assert "tppc build wikimatrix --pair en-hi" in card
