"""The model: answers, and which file is used."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from servers import serving

from tppc.builders.build import build
from tppc.builders.language_id import lid
from tppc.builders.recipe import LanguageId, load_recipe
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

TEXTS = pl.Series(["The river is long and cold.", "नदी लंबी और ठंडी है।", "النهر طويل وبارد", "!!!", ""])
EN_HI = [Pair("en", "hi")]


def labels(texts: Sequence[str] | pl.Series, model: lid.Model | None = None) -> list[str]:
    model = model or lid.Model()
    found, _ = lid.answers(lid.prepared(pl.Series(texts, dtype=pl.String)), model)
    return [lid.names(model)[i] for i in found]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A fastText model that is not the installed one: it stands for any other."""
    path = tmp_path / "models" / "my-lid.bin"
    path.parent.mkdir()
    shutil.copy(lid._installed(), path)
    with path.open("ab") as end:
        end.write(b"\0")  # another digest; what follows a model is not read
    return path


def test_answers_come_in_order() -> None:
    assert labels(TEXTS)[:3] == ["en", "hi", "ar"]
    assert labels(TEXTS[:2]) == ["en", "hi"]
    assert labels([]) == []


def test_probabilities_are_shares() -> None:
    _, scores = lid.answers(TEXTS, lid.Model())
    assert scores.max() <= lid.STEPS
    english = lid.probabilities(TEXTS, ["en"], lid.Model())
    assert english[0] == pytest.approx(scores[0] / lid.STEPS, abs=1e-4)
    assert english[1] < 0.05
    assert (lid.probabilities(TEXTS[:1], ["en", "de"], lid.Model()) >= english[:1]).all()


def test_the_model_sees_no_capitals_throughout_and_no_arabic_vowel_marks() -> None:
    assert lid.prepared(pl.Series(["WHAT WOULD YOU DO", "Paris", "وَصَلَ", "हैं"])).to_list() == [
        "what would you do",
        "Paris",
        "وصل",
        "हैं",
    ]
    assert labels(["WHAT WOULD YOU ADVISE ME TO DO"]) == ["en"]


def test_the_installed_model_knows_its_176_languages() -> None:
    assert len(lid.known_languages(lid.Model())) == 176
    assert lid.names(lid.Model())[-1] == lid.UNKNOWN


def test_the_default_needs_no_network_and_is_pinned() -> None:
    model = lid.prepare(LanguageId())
    assert model == lid.Model()
    assert sha256_of_file(lid._installed()) == model.sha256
    with pytest.raises(UsageError, match="the small model has"):
        lid.prepare(LanguageId(model_sha256="0" * 64))


def test_a_model_of_ones_own(file: Path, wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    digest = sha256_of_file(file)
    model = lid.prepare(LanguageId(model=str(file)))
    assert (model.name, model.sha256) == ("my-lid.bin", digest)
    assert labels(TEXTS, model) == labels(TEXTS)
    origin = str(wikimatrix([(1.2, "The river is long and cold today.", "नदी आज लंबी और ठंडी है।")]))
    recipe = load_recipe(None, language_id={"model": str(file)})
    (corpus,) = build("wikimatrix", EN_HI, origin=origin, recipe=recipe, out=tmp_path / "out")
    manifest = corpus.manifest
    assert manifest.language_id == {"model": "my-lid.bin", "sha256": digest}
    assert manifest.recipe["language_id"]["model_sha256"] == digest
    assert str(file.parent) not in (corpus.path / "manifest.json").read_text()


def test_a_pinned_model_must_be_the_one(file: Path) -> None:
    with pytest.raises(TppcError, match="pins SHA-256"):
        lid.prepare(LanguageId(model=str(file), model_sha256="0" * 64))
    with pytest.raises(TppcError, match="no such language-ID model"):
        lid.prepare(LanguageId(model=str(file.parent / "gone.bin")))


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "words.bin").write_bytes(b"these are no weights")
    model = lid.prepare(LanguageId(model=str(tmp_path / "words.bin")))
    with pytest.raises(TppcError, match=r"words\.bin: not a fastText model"):
        lid.answers(pl.Series(["a"]), model)


def test_a_model_that_changes_under_way_is_refused(file: Path) -> None:
    model = lid.prepare(LanguageId(model=str(file)))
    file.write_bytes(b"other")
    with pytest.raises(TppcError, match="missing or changed"):
        lid.answers(pl.Series(["a"]), model)


def test_the_large_model_comes_from_its_host_once_and_is_pinned(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"/lid.176.bin": file.read_bytes()}) as server:
        monkeypatch.setattr(lid, "LARGE_URL", server.url("/lid.176.bin"))
        with pytest.raises(TppcError, match="pins SHA-256"):
            lid.prepare(LanguageId(model="large"))
        monkeypatch.setattr(lid, "LARGE_SHA256", sha256_of_file(file))
        model = lid.prepare(LanguageId(model="large"))
        asked = len(server.gets("/lid.176.bin"))
        assert lid.prepare(LanguageId(model="large")) == model
        assert len(server.gets("/lid.176.bin")) == asked, "a copy with the pinned digest needs no network"
    assert labels(TEXTS, model) == labels(TEXTS)
    settings = lid.settled_recipe(LanguageId(model="large"), model)
    assert lid.described(settings) == {"model": "lid.176.bin", "sha256": sha256_of_file(file)}


def test_a_url_loses_its_secrets_and_gains_its_digest(file: Path) -> None:
    with serving({"/m/other.ftz": file.read_bytes()}) as server:
        settings = LanguageId(model=server.url("/m/other.ftz") + "?token=secret")
        model = lid.prepare(settings)
        told = lid.settled_recipe(settings, model)
        assert told.model == server.url("/m/other.ftz")
        assert lid.described(told) == {"model": "other.ftz", "sha256": sha256_of_file(file)}


@pytest.mark.parametrize(
    ("also", "problem"), [({"ar": ["arzz"]}, "knows no language 'arzz'"), ({"jpn": ["ja"]}, "not the canonical code")]
)
def test_codes_that_count_must_exist(also: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        lid.prepare(LanguageId(also=also))


def test_what_is_switched_off_fetches_nothing() -> None:
    off = LanguageId(enabled=False, model="large")
    assert lid.prepare(off) == lid.Model()
    assert lid.settled_recipe(off, lid.Model()).model == "small"


@pytest.mark.parametrize(
    "confidence", [[], [{"letters": 5, "min_other": 0.5, "max_expected": 0.2}], [{"letters": 0}] * 2]
)
def test_confidence_must_begin_at_zero_and_rise(confidence: list[Any]) -> None:
    whole = [{"min_other": 0.5, "max_expected": 0.2, **c} for c in confidence]
    with pytest.raises(UsageError, match="confidence"):
        load_recipe(None, language_id={"confidence": whole})
