"""Sums of layers: the formulas of MLMA, written out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tppc.evaluation.heads import make_head
from tppc.evaluation.heads.layers import FullyWeightedSum, SelfWeightedSum, SummedLayers

DEPTH, WIDTH = 3, 4


def states(count: int) -> Tensor:
    return torch.randn(count, DEPTH, WIDTH, generator=torch.Generator().manual_seed(1))


def test_the_fully_weighted_sum_weighs_each_dimension_alike_for_all_tokens() -> None:
    layers, given = FullyWeightedSum(DEPTH, WIDTH), states(2)
    layers.weights.data = torch.randn(DEPTH, WIDTH, generator=torch.Generator().manual_seed(2))
    found = layers(given)
    for n in range(2):
        for d in range(WIDTH):
            exponents = [math.exp(float(layers.weights[k, d])) for k in range(DEPTH)]
            expected = sum(e / sum(exponents) * float(given[n, k, d]) for k, e in enumerate(exponents))
            torch.testing.assert_close(float(found[n, d]), expected, rtol=1e-5, atol=1e-6)


def test_the_self_weighted_sum_weighs_layers_by_what_the_token_is() -> None:
    layers, given = SelfWeightedSum(DEPTH, WIDTH), states(2)
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
        found = layers(given)
        for n in range(2):
            hidden = [
                math.tanh(float(w @ given[n].flatten() + b))
                for w, b in zip(layers.inner.weight, layers.inner.bias, strict=True)
            ]
            scores = [
                math.exp(math.tanh(sum(float(w) * h for w, h in zip(row, hidden, strict=True)) + float(b)))
                for row, b in zip(layers.outer.weight, layers.outer.bias, strict=True)
            ]
            expected = sum(score / sum(scores) * given[n, k] for k, score in enumerate(scores))
            torch.testing.assert_close(found[n], expected, rtol=1e-4, atol=1e-4)
    different = layers(torch.stack([given[0], 5 * given[1]]))
    assert not torch.allclose(different[1], 5 * found[1]), "the weights follow the token"


def test_a_head_is_made_by_name_on_the_last_layer_or_on_a_sum() -> None:
    with torch.random.fork_rng():
        for name in ("linear", "crf", "bilstm-crf"):
            for kind in ("last", "self-weighted", "fully-weighted"):
                head = make_head(name, kind, width=WIDTH, depth=DEPTH, labels=2)  # type: ignore[arg-type]
                given = states(5)[:, 0] if kind == "last" else states(5)
                head.loss(given, [2, 3], torch.tensor([0, 1, 1, 0, 1])).backward()
                assert all(p.grad is not None for p in head.parameters())
                assert isinstance(head, SummedLayers) == (kind != "last")
