"""Linear layers by oneDNN are linear layers: the same values and gradients as PyTorch's own."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from tppc.encoders import products

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not products._works(), reason="this PyTorch has no oneDNN linear"
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Let oneDNN do every product however small, on any machine; what it was asked for is noted."""
    seen: list[tuple[int, ...]] = []
    product = products._product

    def noted(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        seen.append((*x.shape, weight.shape[0]))
        return product(x, weight, bias)

    monkeypatch.setattr(products, "prefers_onednn", lambda: True)
    monkeypatch.setattr(products, "_FEWEST", 0)
    monkeypatch.setattr(products, "_product", noted)
    return seen


@needs_onednn
@pytest.mark.parametrize("shape", [(1, 5), (37, 5), (1, 37, 5), (2, 3, 7, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_a_linear_layer(
    asked: list[tuple[int, ...]], shape: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 9, bias=bias)
    quick = copy.deepcopy(layer)
    products.with_quick_products(quick)
    x = torch.randn(shape)
    results = []
    for module in (layer, quick):
        given = x.clone().requires_grad_()
        out = module(given)
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
        results.append([out, given.grad, *(p.grad for p in module.parameters())])
    assert len(asked) == 3, "forward, and two gradients"
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert found.stride() == expected.stride()


@needs_onednn
def test_a_transposed_input_is_read_as_what_it_is(asked: list[tuple[int, ...]]) -> None:
    x, layer = torch.randn(5, 37).t(), nn.Linear(5, 9)
    with torch.no_grad():
        torch.testing.assert_close(products.linear(x, layer.weight, layer.bias), layer(x))
    assert asked == [(37, 5, 9)]


@needs_onednn
def test_frozen_weights_get_no_gradient_and_cost_none(asked: list[tuple[int, ...]]) -> None:
    layer = products.Linear(5, 9).requires_grad_(False)
    x = torch.randn(37, 5, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert len(asked) == 2
    asked.clear()
    layer(x.detach())
    assert len(asked) == 1


def test_other_precisions_devices_and_small_products_stay_with_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> torch.Tensor:
        raise AssertionError("oneDNN was asked")

    monkeypatch.setattr(products, "prefers_onednn", lambda: True)
    monkeypatch.setattr(products, "_product", refused)
    layer = products.Linear(5, 9)
    x = torch.randn(37, 5)
    torch.testing.assert_close(layer(x), functional.linear(x, layer.weight, layer.bias))  # too small
    monkeypatch.setattr(products, "_FEWEST", 0)
    assert layer.double()(x.double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.float()(x).dtype == torch.bfloat16
    with pytest.raises(AssertionError, match="oneDNN was asked"):
        layer(x)


def test_only_plain_linear_layers_change(tmp_path: Path) -> None:
    class Own(nn.Linear):
        """A layer with a meaning of its own."""

    model = nn.Sequential(nn.Linear(3, 4), Own(4, 4), nn.Bilinear(4, 4, 2))
    products.with_quick_products(model)
    assert [type(m) for m in model] == [products.Linear, Own, nn.Bilinear]
    torch.save(model.state_dict(), tmp_path / "state.pt")
    nn.Sequential(nn.Linear(3, 4), Own(4, 4), nn.Bilinear(4, 4, 2)).load_state_dict(
        torch.load(tmp_path / "state.pt", weights_only=True)
    )
