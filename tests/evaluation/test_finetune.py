"""Subwords and fine-tuning: every gold token is scored, seeds decide everything, the encoder stays as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.load import Encoder
from tppc.errors import TppcError, UsageError
from tppc.evaluation.finetune import FineTuning, _batches, answer, fine_tune, predict, prepare_texts, prepare_tokens
from tppc.evaluation.subwords import token_windows

SENTENCES = [["Anna", "likes", "Paris"], ["Paris", "likes", "Anna"], ["Anna", "lives", "in", "Paris"], ["Paris"]] * 6
TAGS = [["B-LOC" if t == "Paris" else "B-PER" if t == "Anna" else "O" for t in s] for s in SENTENCES]


def quick(epochs: int) -> FineTuning:
    return FineTuning(epochs=epochs, lr=5e-3, batch_size=8)


# Tokens that lose their text in tokenisation, break into many subwords, or are no words at all.
_odd = st.sampled_from(["", " ", "\u200c", "\u200d", "\ufe0f", "\x00", "\x07", "\xad", "\u3000", "[SEP]", "x" * 30])
_token = st.one_of(_odd, st.text(st.characters(exclude_categories=["Cs"]), max_size=40))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_token, max_size=60), max_size=6))
def test_every_token_has_exactly_one_place(tiny: Encoder, sentences: list[list[str]]) -> None:
    windows = token_windows(tiny, sentences)
    places = [(w.item, w.start + i) for w in windows for i in range(len(w.targets))]
    assert sorted(places) == [(s, t) for s, sentence in enumerate(sentences) for t in range(len(sentence))]
    for window in windows:
        assert len(window.ids) <= tiny.max_length
        assert (window.ids[0], window.ids[-1]) == (2, 3)
        assert all(0 < place < len(window.ids) - 1 for place in window.targets)
        assert window.targets == sorted(set(window.targets))


def test_a_target_is_the_first_subword_of_its_token(tiny: Encoder) -> None:
    [window] = token_windows(tiny, [["Anna", "ab", "\u200c", "in"]])
    pieces = tiny.tokenizer.convert_ids_to_tokens(window.ids)
    assert pieces == ["[CLS]", "Anna", "a", "##b", "[UNK]", "in", "[SEP]"]
    assert [pieces[i] for i in window.targets] == ["Anna", "a", "[UNK]", "in"]


def test_a_bare_mark_of_a_word_is_not_what_is_labelled(tiny: Encoder) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [("<unk>", 0.0), ("\u2581", -2.0), ("\u2581in", -1.0), ("駅", -1.0), ("前", -1.0), ("駅前", -1.0)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<unk>")
    encoder = replace(tiny, tokenizer=tokenizer)
    [window] = token_windows(encoder, [["駅前", "in", "\u2581", "前駅"]])
    found = tokenizer.convert_ids_to_tokens(window.ids)
    assert found == ["\u2581", "駅前", "\u2581in", "\u2581", "\u2581", "前", "駅"]
    assert window.targets == [1, 2, 3, 5]  # a token that is nothing but the mark keeps it


def test_a_long_sentence_is_split_between_tokens(tiny: Encoder) -> None:
    windows = token_windows(tiny, [["abcdefgh"] * 5 + ["z" * 90]])
    assert [(w.start, len(w.targets)) for w in windows] == [(0, 2), (2, 2), (4, 1), (5, 1)]


def test_predictions_cover_sentences_of_all_kinds(tiny: Encoder) -> None:
    tuned = fine_tune(tiny, prepare_tokens(tiny, SENTENCES), TAGS, quick(1), seed=0)
    odd = [[], ["\u200c"], ["word"] * 700, ["Anna", "", "Paris"], ["y" * 2_000, "Anna"]]
    predicted = predict(tuned, prepare_tokens(tiny, odd))
    assert [len(p) for p in predicted] == [0, 1, 700, 3, 2]
    assert {label for one in predicted for label in one} <= {"O", "B-PER", "B-LOC"}


def test_a_token_task_is_learnt_and_the_encoder_left_alone(tiny: Encoder) -> None:
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    inputs = prepare_tokens(tiny, SENTENCES)
    tuned = fine_tune(tiny, inputs, TAGS, quick(6), seed=0)
    assert predict(tuned, inputs) == TAGS
    assert all(torch.equal(value, before[name]) for name, value in tiny.model.state_dict().items())
    assert not tiny.model.training
    assert all(p.requires_grad for p in tiny.model.parameters())


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
def test_a_text_task_is_learnt_with_every_pooling(tiny: Encoder, pooling: str) -> None:
    encoder = replace(tiny, pooling=pooling)  # type: ignore[arg-type]
    texts = ["good film", "bad film", "very good", "very bad", "a good film", "a bad film"] * 6
    labels = [["positive" if "good" in t else "negative"] for t in texts]
    inputs = prepare_texts(encoder, texts)
    assert predict(fine_tune(encoder, inputs, labels, quick(15), seed=0), inputs) == labels


def test_the_seed_decides_everything_and_touches_nothing_else(tiny: Encoder) -> None:
    inputs = prepare_tokens(tiny, SENTENCES)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    weights = []
    for seed in (3, 3, 4):
        tuned = fine_tune(tiny, inputs, TAGS, quick(1), seed)
        weights.append(torch.cat([p.detach().flatten() for p in (*tuned.model.parameters(), *tuned.head.parameters())]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.rand(1), expected)


def test_freezing_trains_the_head_alone(tiny: Encoder) -> None:
    inputs = prepare_tokens(tiny, SENTENCES)
    tuned = fine_tune(tiny, inputs, TAGS, FineTuning(epochs=2, lr=1e-2, freeze=True), seed=0)
    start = tiny.model.state_dict()
    assert all(torch.equal(value, start[name]) for name, value in tuned.model.state_dict().items())
    assert float(tuned.head.linear.bias.detach().abs().sum()) > 0


@pytest.mark.parametrize("field", ["lr", "weight_decay", "max_grad_norm"])
def test_settings_are_finite(field: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        FineTuning(**{field: float("inf")})


def test_logits_that_are_not_finite_are_no_predictions(tiny: Encoder) -> None:
    inputs = prepare_tokens(tiny, SENTENCES)
    tuned = fine_tune(tiny, inputs, TAGS, quick(1), seed=3, task="ner")
    with torch.no_grad():
        tuned.head.linear.bias[0] = float("inf")
    with pytest.raises(TppcError, match=r"tiny: ner with seed 3 ended in logits .* lower --lr \(it is 0.005\)"):
        predict(tuned, inputs)


def test_divergence_is_said(tiny: Encoder) -> None:
    model = copy.deepcopy(tiny.model)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    broken = replace(tiny, model=model)
    with pytest.raises(TppcError, match="diverged at step 1 of"):
        fine_tune(broken, prepare_tokens(tiny, SENTENCES), TAGS, quick(6), seed=0)


@pytest.mark.parametrize("layers", ["last", "self-weighted", "fully-weighted"])
@pytest.mark.parametrize(("head", "freeze"), [("linear", True), ("crf", False), ("bilstm-crf", True)])
def test_every_head_learns_on_every_sum_of_layers(tiny: Encoder, head: Any, freeze: bool, layers: Any) -> None:
    inputs = prepare_tokens(tiny, SENTENCES)
    config = FineTuning(epochs=12, lr=1e-2, batch_size=8, head=head, layers=layers, freeze=freeze)
    tuned = fine_tune(tiny, inputs, TAGS, config, seed=0)
    assert predict(tuned, inputs) == TAGS
    on = "" if layers == "last" else f" on {layers} layers"
    assert f"{'frozen' if freeze else 'whole'} encoder; {head} head{on}; AdamW" in config.describe()


@pytest.mark.parametrize("text_head", ["cls", "both"])
def test_a_text_head_reads_what_it_is_told(tiny: Encoder, text_head: Any) -> None:
    texts = ["good film", "bad film", "very good", "very bad", "a good film", "a bad film"] * 6
    labels = [["positive" if "good" in t else "negative"] for t in texts]
    inputs = prepare_texts(tiny, texts)
    config = FineTuning(epochs=15, lr=5e-3, batch_size=8, text_head=text_head)
    tuned = fine_tune(tiny, inputs, labels, config, seed=0)
    assert predict(tuned, inputs) == labels
    width = next(p for p in tuned.head.parameters() if p.ndim == 2).shape[1]
    assert width == (64 if text_head == "both" else 32)
    assert text_head.replace("both", "cls and mean") in config.describe()


def test_answers_have_probabilities_and_texts_several_labels(tiny: Encoder) -> None:
    texts, labels = ["good film", "bad film", "in Paris"] * 6, [["pos"], ["neg"], ["place"]] * 6
    inputs = prepare_texts(tiny, texts)
    tuned = fine_tune(tiny, inputs, labels, quick(15), seed=0)
    found = answer(tuned, inputs, best=5)
    assert [one[0] for one in found.labels] == [one[0] for one in labels]
    assert all(sorted(one) == ["neg", "place", "pos"] for one in found.labels)
    for shares in found.probabilities:
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert predict(tuned, inputs, best=2) == [one[:2] for one in found.labels]
    token = answer(
        fine_tune(tiny, prepare_tokens(tiny, SENTENCES), TAGS, quick(6), seed=0), prepare_tokens(tiny, SENTENCES)
    )
    assert token.labels == TAGS
    assert all(0.5 < share <= 1 for one in token.probabilities for share in one)


def test_bf16_learns_too(tiny: Encoder) -> None:
    inputs = prepare_tokens(tiny, SENTENCES)
    assert (
        predict(fine_tune(tiny, inputs, TAGS, FineTuning(epochs=6, lr=5e-3, batch_size=8, precision="bf16"), 0), inputs)
        == TAGS
    )


def test_a_head_of_the_other_kind_of_task_is_refused(tiny: Encoder) -> None:
    texts, tokens = prepare_texts(tiny, ["good"]), prepare_tokens(tiny, [["good"]])
    for config in (FineTuning(head="crf"), FineTuning(layers="self-weighted")):
        with pytest.raises(UsageError, match=r"sentiment labels whole texts.*leave --head and --layers out"):
            fine_tune(tiny, texts, [["x"]], config, 0, task="sentiment")
    with pytest.raises(UsageError, match="ner labels tokens; leave --text-head out"):
        fine_tune(tiny, tokens, [["x"]], FineTuning(text_head="both"), 0, task="ner")


def test_a_head_may_learn_faster_than_the_encoder(tiny: Encoder) -> None:
    inputs = prepare_tokens(tiny, SENTENCES)
    config = FineTuning(epochs=6, lr=1e-9, head_lr=2e-2, batch_size=8, warmup=0)
    tuned = fine_tune(tiny, inputs, TAGS, config, seed=0)
    start = tiny.model.state_dict()
    assert all(torch.allclose(value, start[name], atol=1e-6) for name, value in tuned.model.state_dict().items())
    assert predict(tuned, inputs) == TAGS
    assert "lr=1e-09 (head 0.02) epochs" in config.describe()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 7), st.sampled_from([1, 50]), st.integers(0, 9))
def test_an_epoch_holds_every_item_once(lengths: list[int], size: int, together: int, seed: int) -> None:
    batches = list(_batches(lengths, size, together, np.random.default_rng(seed)))
    assert sorted(i for batch in batches for i in batch) == [i for i, length in enumerate(lengths) if length]
    assert [len(batch) for batch in batches if len(batch) != size] in ([], [sum(map(bool, lengths)) % size])


def test_batches_mix_lengths_unless_they_are_padded() -> None:
    lengths = list(range(1, 101))
    spread = {
        together: max(max(batch) - min(batch) for batch in _batches(lengths, 10, together, np.random.default_rng(0)))
        for together in (1, 50)
    }
    assert spread[50] == 9
    assert spread[1] > 50
