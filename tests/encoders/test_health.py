"""Tokeniser health: measured on texts, for every kind of tokeniser, with warnings that name the language."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from factory import write_corpus
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tppc.corpora.corpus import Corpus
from tppc.encoders.health import (
    corpus_health,
    health_json,
    health_table,
    health_warnings,
    keep_health,
    tokenizer_health,
    unspaced,
)  # fmt: skip
from tppc.encoders.load import Encoder
from tppc.encoders.scratch import make_encoder, train_vocabulary

TEXTS = {
    "ar": ["أنا أحب القراءة في المكتبة.", "كتبت رسالة إلى أمي."],
    "en": ["I like to read in the library.", "A letter to my mother."],
    "hi": ["मुझे किताबें पढ़ना पसंद है।", "मैंने माँ को चिट्ठी लिखी।"],
    "ja": ["がっこうでほんをよむ。", "ははにてがみをかいた。"],
}
ALL = [text for some in TEXTS.values() for text in some]


def fast(backend: Tokenizer, unknown: str | None = "[UNK]") -> PreTrainedTokenizerFast:
    """A tokeniser of transformers around one."""
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token=unknown, pad_token="[PAD]")


@pytest.fixture(scope="module")
def cased() -> Encoder:
    """A cased WordPiece vocabulary of the texts themselves."""
    return make_encoder("scratch:tiny", ALL * 3, 1)


def uncased(encoder: Encoder) -> Encoder:
    """The same vocabulary behind the normaliser of an uncased BERT."""
    backend = train_vocabulary(ALL * 3, 6_000)
    backend.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    return replace(encoder, tokenizer=fast(backend))


def test_an_uncased_tokeniser_destroys_marks_and_a_cased_one_does_not(cased: Encoder) -> None:
    healthy = tokenizer_health(cased, TEXTS)
    assert {h.destroyed for h in healthy.values()} == {0.0}
    assert health_warnings(healthy) == []
    found = tokenizer_health(uncased(cased), TEXTS)
    assert found["en"].destroyed == 0.0
    marks = sum(unicodedata.category(c) == "Mn" for text in TEXTS["hi"] for c in unicodedata.normalize("NFKD", text))
    letters = sum(unicodedata.category(c)[0] in "LM" for t in TEXTS["hi"] for c in unicodedata.normalize("NFKD", t))
    assert found["hi"].destroyed == pytest.approx(marks / letters)
    said = [w for w in health_warnings(found) if "destroys" in w]
    assert [code for code in TEXTS if any(f"marks of {code} " in w for w in said)] == ["ar", "hi", "ja"]


@given(st.text(st.characters(categories=["L", "M", "N", "P", "Zs"]), max_size=20))
@settings(max_examples=100, deadline=None)
def test_another_form_or_case_of_a_letter_is_no_loss(text: str) -> None:
    from tppc.encoders.health import _destroyed

    class WithNormalizer:
        backend_tokenizer = Tokenizer(models.BPE())

    for normalizer in (normalizers.NFKC(), normalizers.NFD(), normalizers.Lowercase()):
        WithNormalizer.backend_tokenizer.normalizer = normalizer
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        if unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text.lower()).casefold()) == folded:
            assert _destroyed(WithNormalizer, [text])[1] == 0
    # A character decomposes further once it is case folded, so one mark can be several there: at least one is gone.
    WithNormalizer.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    marks = any(unicodedata.category(c) == "Mn" for c in unicodedata.normalize("NFD", text))
    assert not marks or _destroyed(WithNormalizer, [text])[1] > 0


def test_unknown_words_count_with_all_their_characters(cased: Encoder) -> None:
    found = tokenizer_health(cased, {"ru": ["мама мыла раму"], "en": ["read the letter"]})
    assert (found["ru"].unknown, found["ru"].unknown_characters) == (1.0, 1.0)
    assert found["ru"].pieces_per_word == 1.0
    assert (found["en"].unknown, found["en"].unknown_characters) == (0.0, 0.0)
    assert "does not know 100.0% of the characters of ru" in health_warnings(found)[0]
    half = tokenizer_health(cased, {"en": ["letter мама"]})["en"]
    assert half.unknown_characters == pytest.approx(4 / 10)


def unigram() -> PreTrainedTokenizerFast:
    """A SentencePiece-like tokeniser: Unigram behind the normaliser and spaces of XLM-R."""
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["[UNK]", "[PAD]"], unk_token="[UNK]", show_progress=False
    )
    backend.train_from_iterator(ALL * 5, trainer)
    return fast(backend)


def byte_level() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokeniser, which knows everything."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["[PAD]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS["en"] * 5, trainer)
    return fast(backend, None)


def test_unigram_and_byte_level_tokenisers_are_measured_too(cased: Encoder) -> None:
    found = tokenizer_health(replace(cased, tokenizer=unigram()), TEXTS | {"ru": ["мама мыла раму"]})
    assert all(found[code].unknown_characters == 0.0 for code in TEXTS)
    assert found["ru"].unknown_characters > 0.8
    assert {h.destroyed for h in found.values()} == {0.0}
    found = tokenizer_health(replace(cased, tokenizer=byte_level()), TEXTS)
    assert {h.unknown for h in found.values()} == {0.0}
    assert found["hi"].pieces_per_character > 2.5  # three bytes a character
    assert any("cuts hi into" in w and "pieces a word" in w for w in health_warnings(found))
    assert any("cuts ja into" in w and "pieces a character" in w for w in health_warnings(found))


def test_pieces_a_word_and_what_is_cut_off(cased: Encoder) -> None:
    encoder = replace(cased, max_length=6, prefix="read: ")
    found = tokenizer_health(encoder, {"en": ["letter", "read a letter to my mother in the library"]})["en"]
    assert found.pieces_per_word == pytest.approx(1.0, abs=0.2)
    assert found.truncated == 0.5
    assert "50.0% of the texts of en are longer than max_length" in health_warnings({"en": found})[0]


@pytest.mark.parametrize("code", ["ja", "th", "zh", "km", "my", "lo"])
def test_languages_without_spaces_are_counted_by_character(cased: Encoder, code: str) -> None:
    assert unspaced(code)
    assert tokenizer_health(cased, {code: TEXTS["ja"]})[code].pieces_per_word is None


def test_languages_with_spaces_are_counted_by_word() -> None:
    assert not any(unspaced(code) for code in ("en", "hi", "ar", "ko", "ru", "el", "he", "vi"))


def test_a_corpus_is_measured_on_its_own_texts_and_shown(cased: Encoder, tmp_path: Path) -> None:
    pairs = [(f"letter {n}", f"चिट्ठी {n}") for n in range(30)]
    write_corpus(tmp_path / "a", {"train": pairs[:20], "dev": pairs[20:]})
    found = corpus_health(cased, [Corpus(tmp_path / "a")], rows=15)
    assert {code: h.texts for code, h in found.items()} == {"en": 15, "hi": 15}
    table = health_table(found)
    assert [line.split()[0] for line in table] == ["tokeniser", "en", "hi"]
    assert len({len(line) for line in table}) == 1
    kept = health_json("scratch:tiny", cased.max_length, found)
    assert kept["languages"]["hi"]["texts"] == 15
    assert (kept["encoder"], kept["max_length"]) == ("scratch:tiny", 128)


def test_the_real_vocabulary_of_multilingual_bert(cased: Encoder, shared: Path) -> None:
    from tokenizers import BertWordPieceTokenizer

    vocabulary = shared / "models" / "mbert-cased-vocab" / "vocab.txt"
    if not vocabulary.is_file():
        pytest.skip(f"no vocabulary of multilingual BERT at {vocabulary}")
    found = {}
    for stripped in (False, True):
        backend = BertWordPieceTokenizer(str(vocabulary), lowercase=stripped, strip_accents=stripped)
        encoder = replace(cased, tokenizer=fast(backend._tokenizer))
        found[stripped] = tokenizer_health(encoder, TEXTS)
    assert {h.destroyed for h in found[False].values()} == {0.0}
    assert {h.unknown for h in found[False].values()} == {0.0}
    assert found[True]["hi"].destroyed > 0.15
    english, hindi = found[False]["en"].pieces_per_word, found[False]["hi"].pieces_per_word
    assert english is not None
    assert hindi is not None
    assert 1 <= english < hindi < 4


def test_a_run_keeps_the_figures_and_says_them(cased: Encoder, tmp_path: Path) -> None:
    corpus = Corpus(
        write_corpus(tmp_path / "a", {"train": [("letter", "чтение"), ("library", "письмо")]}, pair="en-ru")
    )
    said = keep_health(cased, [corpus], tmp_path)
    assert said[0].startswith("tokeniser ")
    assert said[-1].startswith("warning: the tokeniser does not know 100.0% of the characters of ru")
    kept = json.loads((tmp_path / "tokenizer_health.json").read_text())
    assert kept["languages"]["ru"]["unknown"] == 1.0
