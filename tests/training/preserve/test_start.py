"""The pull to the start does what its equation says; the start is known by its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import model_of
from torch import nn

from tppc.errors import TppcError, UsageError
from tppc.training.preserve.start import Anchor, refuse_other_start, restore_weights, weights_digest


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=5), st.floats(0, 10), st.lists(st.floats(1e-4, 0.09), max_size=4)
)
@settings(max_examples=50, deadline=None)
def test_each_pull_takes_its_share_of_the_way_back(drift: list[float], strength: float, rates: list[float]) -> None:
    start = torch.linspace(-1, 1, len(drift))
    weight = nn.Parameter(start.clone())
    anchor = Anchor({"w": weight}, strength, highest_rate=0.09)
    with torch.no_grad():
        weight += torch.tensor(drift)
    expected = torch.tensor(drift, dtype=torch.float64)
    for rate in rates:
        anchor.pull(rate)
        expected = expected * (1 - rate * strength)
    assert torch.allclose(weight.detach().double() - start.double(), expected, atol=1e-5)


def test_the_distance_is_relative_to_the_start() -> None:
    weights = {"a": nn.Parameter(torch.tensor([3.0, 0.0])), "b": nn.Parameter(torch.tensor([4.0]))}
    anchor = Anchor(weights, 1.0, highest_rate=0.1)
    assert anchor.distance() == 0.0
    with torch.no_grad():
        weights["b"] += 0.5
    assert anchor.distance() == pytest.approx(0.1)


def test_a_pull_that_overshoots_is_refused() -> None:
    with pytest.raises(UsageError, match=r"l2_start = 500 at a learning rate of 0\.01 .* must be below 100"):
        Anchor({"w": nn.Parameter(torch.zeros(1))}, 500, highest_rate=0.01)


def test_the_digest_tells_starts_apart_by_one_bit_and_by_name() -> None:
    one, same = model_of("bert"), model_of("bert")
    assert weights_digest(one) == weights_digest(same)
    with torch.no_grad():
        same.embeddings.LayerNorm.bias[0] += 1e-7
    found = weights_digest(same)
    assert found != weights_digest(one)
    refuse_other_start(found, found, "E")
    refuse_other_start(found, None, "E")
    with pytest.raises(TppcError, match=r"E: its weights are not those that the run started from"):
        refuse_other_start(found, weights_digest(one), "E")
    half = nn.Linear(2, 2).bfloat16()
    assert weights_digest(half) != weights_digest(half.float())


def test_saved_weights_come_back_into_the_same_model(tmp_path: Path) -> None:
    model, other = model_of("distilbert"), model_of("distilbert")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    model.save_pretrained(tmp_path)
    restore_weights(other, tmp_path)
    assert weights_digest(other) == weights_digest(model)
    with pytest.raises(TppcError, match="damaged checkpoint"):
        restore_weights(model_of("bert"), tmp_path)
