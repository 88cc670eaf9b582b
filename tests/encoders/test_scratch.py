"""Scratch encoders: marks survive, words have the same pieces everywhere, everything follows from texts and seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.load import load_encoder, marks_destroyed, save_encoder
from tppc.encoders.scratch import make_encoder, train_vocabulary
from tppc.errors import TppcError, UsageError

TEXTS = [
    "The restaurant in Kyoto is wonderful.",
    "京都のレストランはすばらしいです。",
    "क्योटो का रेस्तराँ बहुत अच्छा है।",
    "المطعم في كيوتو رائع حقًا.",
    "マリアさんはカイロへ行きました。",
    "मारिया काहिरा गई।",
] * 5
VOCABULARY = train_vocabulary(TEXTS, 400)


@given(st.text(st.sampled_from("अआकखगीिुूँं़्जफड़ढ़" + "أإآؤئبتةىًٌٍَُِّْ" + "がぎぐばパポヴーカかは漢字éñü Ab"), max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_mark_is_lost_in_the_normaliser(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert VOCABULARY.normalizer is not None
    assert "".join(VOCABULARY.normalizer.normalize_str(text).split()) == "".join(text.split())


def test_words_that_differ_only_in_marks_get_different_pieces() -> None:
    for left, right in [("かいろ", "がいろ"), ("काहिरा", "कहर"), ("أن", "ان")]:
        tokenizer = train_vocabulary([left, right] * 3, 200)
        assert tokenizer.encode(left).ids != tokenizer.encode(right).ids


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("マリアさんはカイロへ行きました。", ["マリア", "さん", "は", "カイロ", "へ", "行き", "まし", "た", "。"]),
        ("京都のレストランはすばらしいです。", ["京都", "の", "レストラン", "は", "すばらしい", "です", "。"]),
    ],
)
def test_a_japanese_word_has_the_same_pieces_alone_and_in_running_text(sentence: str, words: list[str]) -> None:
    alone = [piece for word in words for piece in VOCABULARY.encode(word, add_special_tokens=False).tokens]
    assert VOCABULARY.encode(sentence, add_special_tokens=False).tokens == alone


def test_the_vocabulary_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib, json; from tppc.encoders.scratch import train_vocabulary;"
        f"t = train_vocabulary({TEXTS!r}, 400); print(hashlib.sha256(t.to_str().encode()).hexdigest())"
    )
    root = Path(__file__).parents[2]
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
        ).stdout.strip()
        for _ in range(3)
    }
    assert digests == {hashlib.sha256(VOCABULARY.to_str().encode()).hexdigest()}


def test_a_scratch_encoder_follows_from_its_seed_and_survives_saving(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    one, same, other = (make_encoder("scratch:tiny", TEXTS, seed) for seed in (1, 1, 2))
    weights = [e.model.get_input_embeddings().weight for e in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])

    save_encoder(one, tmp_path / "encoder")
    tokenizer, model = (
        AutoTokenizer.from_pretrained(tmp_path / "encoder"),
        AutoModel.from_pretrained(tmp_path / "encoder"),
    )
    for text in TEXTS[:6]:
        assert tokenizer(text)["input_ids"] == one.tokenizer(text)["input_ids"]
    assert all(torch.equal(model.state_dict()[k], v) for k, v in one.model.state_dict().items())
    again = load_encoder(str(tmp_path / "encoder"))
    assert (again.pooling, again.max_length, again.prefix) == ("mean", 128, "")
    assert marks_destroyed(again.tokenizer) == {}


def test_an_unknown_size_and_an_empty_corpus_are_refused() -> None:
    with pytest.raises(UsageError, match=r"scratch:huge.*scratch:tiny, scratch:small"):
        make_encoder("scratch:huge", TEXTS, 1)
    with pytest.raises(TppcError, match="no text"):
        make_encoder("scratch:tiny", ["", " "], 1)
