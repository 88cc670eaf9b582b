"""Freezing finds the layers of every family, says how many there are, and what is frozen stays to the bit."""

from __future__ import annotations

import pytest
import torch
from small_models import FAMILIES, SHAPE, model_of
from transformers import AlbertConfig, AlbertModel

from tppc.errors import TppcError, UsageError
from tppc.training.preserve.layers import freeze, layers_of


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_frozen_stays_and_the_rest_moves(family: str) -> None:
    model = model_of(family)
    said = freeze(model, embeddings=True, layers=2)
    assert "the embeddings and the lower 2 of 3 layers" in said
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    ids = torch.tensor([[1, 7, 9, 2], [1, 8, 30, 2]])
    model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.pow(3).sum().backward()
    optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    top = {id(p) for p in layers_of(model)[2].parameters()}
    frozen = {id(p) for layer in layers_of(model)[:2] for p in layer.parameters()}
    names = {id(p): name for name, p in model.named_parameters()}
    assert moved & {names[i] for i in top}
    assert not moved & {names[i] for i in frozen}
    assert not [name for name in moved if "embed" in name]


def test_the_number_of_layers_is_said_where_too_many_are_asked_for() -> None:
    with pytest.raises(UsageError, match=r"freeze_layers = 4: the encoder has 3 layers"):
        freeze(model_of("bert"), layers=4)
    with pytest.raises(UsageError, match="nothing of the encoder is left to train"):
        freeze(model_of("bert"), embeddings=True, layers=3)


def test_nothing_asked_for_is_nothing_done() -> None:
    model = model_of("bert")
    assert freeze(model) == ""
    assert all(p.requires_grad for p in model.parameters())


def test_a_model_whose_layers_are_one_is_refused_in_words() -> None:
    model = AlbertModel(AlbertConfig(**SHAPE, embedding_size=8))
    with pytest.raises(TppcError, match="albert model keeps no list of its 3 layers"):
        freeze(model, layers=1)
