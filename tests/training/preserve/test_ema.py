"""The average follows its equation, is lent to the model and taken back to the bit, and survives a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tppc.errors import TppcError
from tppc.training.preserve.ema import Ema


def walk(ema: Ema, weight: nn.Parameter, first: int, last: int) -> list[float]:
    """Weights of steps first to last, each taken in by the average."""
    values = []
    for step in range(first, last + 1):
        with torch.no_grad():
            weight.fill_(float(torch.sin(torch.tensor(step * 1.7))))
        values.append(weight.item())
        ema.update(step)
    return values


def test_the_mean_is_the_equations() -> None:
    weight = nn.Parameter(torch.tensor([5.0]))
    ema = Ema({"w": weight}, 0.9)
    mean = 5.0
    for step, value in enumerate(walk(ema, weight, 1, 200), 1):
        decay = min(0.9, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * value
    assert ema.tensors()["w"].item() == pytest.approx(mean, abs=1e-5)


def test_a_short_run_forgets_its_start() -> None:
    weight = nn.Parameter(torch.tensor([100.0]))
    ema = Ema({"w": weight}, 0.9999)
    walk(ema, weight, 1, 500)
    assert abs(ema.tensors()["w"].item()) < 1


def test_the_mean_is_lent_and_the_weights_come_back_to_the_bit() -> None:
    model = nn.Linear(3, 3)
    ema = Ema(dict(model.named_parameters()), 0.5)
    with torch.no_grad():
        model.weight += 1 / 3
    ema.update(1)
    before = model.weight.detach().clone()
    with ema.applied():
        assert torch.equal(model.weight, ema.tensors()["weight"])
        assert not torch.equal(model.weight, before)
    assert torch.equal(model.weight, before)


def test_resumed_and_unbroken_means_are_equal_to_the_bit(tmp_path: Path) -> None:
    weight = nn.Parameter(torch.zeros(1))
    unbroken = Ema({"w": weight}, 0.99)
    walk(unbroken, weight, 1, 40)
    again = nn.Parameter(torch.zeros(1))
    first = Ema({"w": again}, 0.99)
    walk(first, again, 1, 17)
    save_file(first.tensors(), tmp_path / "ema.safetensors")
    second = Ema({"w": again}, 0.99)
    second.restore(load_file(tmp_path / "ema.safetensors"))
    walk(second, again, 18, 40)
    assert torch.equal(second.tensors()["w"], unbroken.tensors()["w"])
    with pytest.raises(TppcError, match="of other weights"):
        Ema({"v": again}, 0.99).restore(load_file(tmp_path / "ema.safetensors"))
