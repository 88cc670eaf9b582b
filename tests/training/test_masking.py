"""Tokens to guess: how many, what becomes of them, whole words, and that nothing depends on ranks or pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.load import Encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import UsageError
from tppc.training.masking import MaskedTexts, Vocabulary, mask_texts, vocabulary_of
from tppc.training.objectives import MaskedSettings

MASK, SIZE = 4, 200
SPECIAL = np.arange(SIZE) < 5
PLAIN = Vocabulary(MASK, SPECIAL, np.zeros(SIZE, dtype=bool))
# Every third ordinary token continues a word.
JOINED = Vocabulary(MASK, SPECIAL, (np.arange(SIZE) % 3 == 0) & ~SPECIAL)
WORDS = MaskedSettings(whole_words=True)


def masked(
    ids: list[list[int]], *, how: MaskedSettings | None = None, vocabulary: Vocabulary = PLAIN, rank: int = 0,
    world: int = 1, micro_tokens: int | None = None, draw: int = 7,
) -> MaskedTexts:  # fmt: skip
    rows = np.arange(rank, len(ids), world)
    return mask_texts(
        [ids[i] for i in rows], rows, len(ids), width=64, settings=how or MaskedSettings(), vocabulary=vocabulary,
        draw=draw, micro_tokens=micro_tokens,
    )  # fmt: skip


def by_text(found: MaskedTexts) -> list[tuple[list[int], list[int], list[int]]]:
    """What became of each text, its places to guess and what stood there; as a sorted list, since pieces are sorted."""
    rows = []
    for piece, places, labels in zip(found.pieces, found.places, found.labels, strict=True):
        begin = 0
        for length in piece.lengths:
            mine = (places >= begin) & (places < begin + length)
            text = piece.ids[begin : begin + length].tolist()
            rows.append((text, (places[mine] - begin).tolist(), labels[mine].tolist()))
            begin += length
    return sorted(rows)


texts = st.lists(st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=30), min_size=3, max_size=8)


@settings(max_examples=60, deadline=None)
@given(ids=texts, rate=st.sampled_from([0.05, 0.15, 0.5]), words=st.booleans(), draw=st.integers(0, 99))
def test_each_text_has_its_share_and_at_least_one(ids: list[list[int]], rate: float, words: bool, draw: int) -> None:
    how = MaskedSettings(rate=rate, whole_words=words)
    found = masked(ids, how=how, vocabulary=JOINED, draw=draw)
    restored = []
    for text, places, labels in by_text(found):
        content = [t for t in text if t >= 5 or t == MASK]
        original = list(text)
        for place, label in zip(places, labels, strict=True):
            assert label >= 5
            original[place] = label
        restored.append(original)
        ordinary = sum(t >= 5 for t in original)
        wanted = max(1, round(rate * ordinary)) if ordinary else 0
        assert len(places) >= wanted if words else len(places) == wanted
        assert len(set(places)) == len(places) <= len(content)
    assert sorted(restored) == sorted(ids)


@settings(max_examples=30, deadline=None)
@given(ids=texts, words=st.booleans(), world=st.integers(2, 3), micro=st.integers(8, 60))
def test_ranks_and_pieces_change_nothing(ids: list[list[int]], words: bool, world: int, micro: int) -> None:
    how = MaskedSettings(whole_words=words)
    whole = by_text(masked(ids, how=how, vocabulary=JOINED))
    shared: list[Any] = []
    for rank in range(world):
        shared += by_text(masked(ids, how=how, vocabulary=JOINED, rank=rank, world=world, micro_tokens=micro))
    assert sorted(shared) == whole
    assert masked(ids, how=how).guesses == sum(len(places) for _, places, _ in by_text(masked(ids, how=how)))


def test_of_the_chosen_eighty_in_a_hundred_are_masked_ten_exchanged_ten_kept() -> None:
    random = np.random.default_rng(0)
    ids = [random.integers(5, SIZE, 60).tolist() for _ in range(1_000)]
    found = masked(ids)
    after = torch.cat([piece.ids[places] for piece, places in zip(found.pieces, found.places, strict=True)])
    before = torch.cat(found.labels)
    assert len(before) == 9_000
    share_masked, share_kept = float((after == MASK).float().mean()), float((after == before).float().mean())
    assert share_masked == pytest.approx(0.8, abs=0.015)  # 3.5 standard errors
    assert share_kept == pytest.approx(0.1, abs=0.012)
    exchanged = after[(after != MASK) & (after != before)]
    assert bool((exchanged >= 5).all())  # never a special token
    assert len(exchanged.unique()) > 150


def test_another_step_takes_other_tokens_and_no_place_is_preferred() -> None:
    ids = [[1, *range(10, 50), 2]] * 400
    one, two = by_text(masked(ids, draw=1)), by_text(masked(ids, draw=2))
    assert one != two
    counts = np.bincount([place for _, places, _ in one for place in places], minlength=42)
    assert counts[0] == counts[41] == 0
    assert counts[1:41].min() > 30  # 60 expected, standard deviation 7
    assert counts[1:41].max() < 95


@settings(max_examples=60, deadline=None)
@given(ids=texts, draw=st.integers(0, 99))
def test_a_word_is_taken_whole_or_not_at_all(ids: list[list[int]], draw: int) -> None:
    for text, places, labels in by_text(masked(ids, how=WORDS, vocabulary=JOINED, draw=draw)):
        original = list(text)
        for place, label in zip(places, labels, strict=True):
            original[place] = label
        for place in range(1, len(original)):
            if JOINED.continues[original[place]] and original[place - 1] >= 5:  # it continues the token before it
                assert (place in places) == (place - 1 in places)


BACKENDS = {
    "WordPiece": (["un", "##believ", "##able", "film", "##s", "映", "##画", "を"], "##"),
    "Unigram": (["▁un", "believ", "able", "▁film", "s", "▁", "映画", "を", "##"], "▁"),
    "BPE": (["un", "believ", "able", "Ġfilm", "s", "Ġun", "Ġa", "Ġb", "##"], "Ġ"),
}


def tokeniser(kind: str) -> Encoder:
    """An encoder whose vocabulary is of that kind; only its tokeniser and the size of its embeddings are looked at."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    pieces, _ = BACKENDS[kind]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    known = {token: number for number, token in enumerate([*special, *pieces])}
    if kind == "WordPiece":
        backend = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    elif kind == "Unigram":
        backend = Tokenizer(models.Unigram([(token, 0.0) for token in known], unk_id=1))
    else:
        backend = Tokenizer(models.BPE(known, []))
        backend.decoder = decoders.ByteLevel()
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=backend, **names)  # type: ignore[no-untyped-call]
    size = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 4}
    model = BertModel(BertConfig(vocab_size=len(known) + 3, **size))  # rows that no token has, as some models have
    return Encoder(name=kind, tokenizer=fast, model=model, pooling="cls", max_length=40)


@pytest.mark.parametrize("kind", BACKENDS)
def test_what_continues_a_word_is_known_for_each_kind_of_vocabulary(kind: str) -> None:
    found = vocabulary_of(tokeniser(kind))
    pieces, mark = BACKENDS[kind]
    continues = dict(zip(pieces, found.continues[5:].tolist(), strict=False))
    expected = {piece: piece.startswith("##") if mark == "##" else not piece.startswith(mark) for piece in pieces}
    # Scripts without spaces: each piece for itself, or a Japanese sentence would be one word.
    expected |= {piece: False for piece in pieces if set("映画を") & set(piece)}
    assert continues == expected
    assert found.special.tolist() == [True] * 5 + [False] * len(pieces) + [True] * 3
    assert found.mask == 4


def test_a_real_vocabulary_takes_whole_words_but_no_whole_japanese_sentence(shared: Path) -> None:
    from transformers import AutoTokenizer

    folder = shared / "models" / "me5-small-4lang"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = make_encoder("scratch:tiny", ["a b"], 1)
    encoder.model.set_input_embeddings(torch.nn.Embedding(len(tokenizer), 1))
    vocabulary = vocabulary_of(Encoder(str(folder), tokenizer, encoder.model, "mean", 128))
    assert 0.2 < vocabulary.continues.mean() < 0.6
    for text in (
        "私は昨日友達と一緒に映画を見に行きました。",
        "I went to see an unbelievably entertaining film yesterday.",
    ):
        ids = tokenizer(text)["input_ids"]
        found = mask_texts(
            [ids] * 200, np.arange(200), 200, width=64, settings=WORDS, vocabulary=vocabulary, draw=1, micro_tokens=None
        )
        assert 0.1 < found.guesses / (200 * (len(ids) - 2)) < 0.25


def test_a_tokeniser_without_a_mask_is_refused() -> None:
    encoder = tokeniser("WordPiece")
    encoder.tokenizer.mask_token = None
    with pytest.raises(UsageError, match="WordPiece: its tokeniser has no mask token"):
        vocabulary_of(encoder)
