"""States arrive in the order of the gold labels, whatever is batched together; a frozen encoder runs once."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.encoders.embed import pool
from tppc.encoders.load import Encoder
from tppc.errors import TppcError
from tppc.evaluation import features
from tppc.evaluation.features import View, batches_of_tokens, item_states, kept_states, prepare_texts, prepare_tokens
from tppc.evaluation.finetune import FineTuning, fine_tune, predict

_word = st.sampled_from(["Anna", "in", "abcdefgh", "\u200c", "z" * 40])
LAST = View(False, "mean", "fp32")


def one_by_one(encoder: Encoder, sentences: list[list[str]], layers: bool) -> torch.Tensor:
    """The states of every token, each window run by Hugging Face alone."""
    found = []
    for window in prepare_tokens(encoder, sentences).windows:
        with torch.no_grad():
            output = encoder.model(input_ids=torch.tensor([window.ids]), output_hidden_states=True)
        states = torch.stack(output.hidden_states, 2)[0] if layers else output.last_hidden_state[0]
        found.append(states[window.targets])
    return torch.cat(found)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(_word, min_size=1, max_size=12), min_size=1, max_size=5), st.booleans(), st.randoms())
def test_states_are_those_of_the_tokens_in_order(
    tiny: Encoder, sentences: list[list[str]], layers: bool, random: Any
) -> None:
    inputs = prepare_tokens(tiny, sentences)
    items = list(range(len(sentences)))
    random.shuffle(items)
    with torch.no_grad():
        found = item_states(tiny.model, tiny, inputs, items, View(layers, "mean", "fp32"))
    expected = one_by_one(tiny, [sentences[i] for i in items], layers)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler", "both"])
def test_texts_keep_their_order_and_pooling(tiny: Encoder, pooling: Any) -> None:
    texts = ["good film", "Anna lives in Paris very", "bad", "", "good film in Paris"]
    inputs = prepare_texts(tiny, texts)
    found = item_states(tiny.model, tiny, inputs, [3, 1, 0, 4, 2], View(False, pooling, "fp32"))
    for vector, item in zip(found, [3, 1, 0, 4, 2], strict=True):
        ids = torch.tensor([inputs.windows[item].ids])
        output = tiny.model(input_ids=ids)
        mask = torch.ones_like(ids)
        expected = output.pooler_output if pooling == "pooler" else torch.cat(
            [pool(output.last_hidden_state, mask, how) for how in (("cls", "mean") if pooling == "both" else (pooling,))], 1
        )  # fmt: skip
        torch.testing.assert_close(vector, expected[0], atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=30))
def test_batches_hold_every_item_once_and_no_more_than_fits(sizes: list[int]) -> None:
    inputs = features.Prepared("token", [], sizes)
    inputs.__dict__["lengths"] = sizes
    before = features._TOKENS_TOGETHER
    features._TOKENS_TOGETHER = 50
    try:
        batches = batches_of_tokens(inputs)
    finally:
        features._TOKENS_TOGETHER = before
    assert sorted(i for batch in batches for i in batch) == [i for i, size in enumerate(sizes) if size]
    assert all(sum(sizes[i] for i in batch) <= 50 for batch in batches)


def test_a_frozen_encoder_runs_once_for_all_epochs_seeds_and_tests(tiny: Encoder) -> None:
    encoder = replace(tiny, model=_counting(tiny))
    sentences = [["Anna", "likes", "Paris"], ["Paris"], [], ["abcdefgh"] * 5]
    gold = [["O"] * len(s) for s in sentences[:-1]] + [["X"] * 5]
    inputs = prepare_tokens(encoder, sentences)
    config = FineTuning(epochs=3, lr=1e-2, freeze=True, head="bilstm-crf", layers="self-weighted")
    kept_states(encoder, inputs, config.view(encoder))
    ran = encoder.model.ran
    for seed in (0, 1):
        assert [len(p) for p in predict(fine_tune(encoder, inputs, gold, config, seed), inputs)] == [3, 1, 0, 5]
    assert encoder.model.ran == ran > 0


def test_many_states_lie_in_a_file_and_are_the_same(tiny: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = [["Anna", "likes", "Paris"], ["Paris"]]
    in_memory = kept_states(tiny, prepare_tokens(tiny, sentences), LAST)
    monkeypatch.setattr(features, "_IN_MEMORY", 0)
    assert torch.equal(kept_states(tiny, prepare_tokens(tiny, sentences), LAST), in_memory)

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(TppcError, match=r"no room for 0.0 GB of an encoder's states \(No space left.*set TMPDIR"):
        kept_states(tiny, prepare_tokens(tiny, sentences), LAST)


def _counting(tiny: Encoder) -> Any:
    """A copy of the model that counts its forward passes in `ran`."""
    import copy

    model = copy.deepcopy(tiny.model)
    model.ran = 0

    def count(module: Any, *_: Any) -> None:
        module.ran += 1

    model.register_forward_pre_hook(count)
    return model
