"""AdamW with warm-up. The learning rate is a function of the step, so there is no scheduler state to save."""

from __future__ import annotations

import torch
from torch import nn

from tppc.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """The rate of step `step` (from 0) of `steps`: linear up to `lr` over the warm-up, then linear down to 0, or
    constant.
    """
    assert config.lr is not None, "resolved by the trainer"
    warmup = config.warmup_steps(steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "constant":
        return config.lr
    return config.lr * max(0.0, (steps - step) / max(1, steps - warmup))


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training changes, by name, in a fixed order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); no decay for biases, LayerNorms, scales and other vectors and scalars."""
    parameters = trained_parameters(model)
    groups = [
        {"params": [p for p in parameters.values() if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters.values() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.lr or 0.0, betas=config.betas, fused=True)


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state as flat tensors, `<parameter>/<slot>`, for safetensors."""
    flat = {}
    for name, parameter in trained_parameters(model).items():
        for slot, value in optimizer.state.get(parameter, {}).items():
            flat[f"{name}/{slot}"] = value.detach().cpu().contiguous()
    return flat


def restore_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, flat: dict[str, torch.Tensor]) -> None:
    """Put `optimizer_tensors` back."""
    for name, parameter in trained_parameters(model).items():
        slots = {k.rpartition("/")[2]: v for k, v in flat.items() if k.rpartition("/")[0] == name}
        optimizer.state[parameter] = {slot: value.to(parameter.device) for slot, value in slots.items()}
