"""Numbers that are not finite: found before they reach a weight or a file."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from tppc.errors import TppcError
from tppc.training.batching import TokenBatch

_REMEDY = "lower --lr, try --precision fp32, or look at these pairs; the last checkpoint is untouched"
_SHOWN = 8


def broken_loss(loss: float, step: int, batch: TokenBatch) -> TppcError | None:
    """The error for a loss that is not a number any more, with the batch's pairs; None for one that is."""
    if math.isfinite(loss):
        return None
    return TppcError(f"the loss is {loss} at step {step} ({_pairs(batch)}); {_REMEDY}")


def broken_gradient(norm: Tensor, step: int, batch: TokenBatch) -> TppcError | None:
    """The error for a gradient whose norm over all parameters is not finite, with the batch's pairs; None otherwise."""
    if math.isfinite(value := float(norm)):
        return None
    return TppcError(f"the gradient's norm is {value} at step {step} ({_pairs(batch)}); {_REMEDY}")


@torch.no_grad()
def broken_weights(model: nn.Module, step: int, batch: TokenBatch | None) -> TppcError | None:
    """The error for weights that are not finite after `step`, with the pairs of its batch if there is one."""
    broken = [name for name, p in model.named_parameters() if not bool(torch.isfinite(p).all())]
    if not broken:
        return None
    pairs = f" ({_pairs(batch)})" if batch is not None else ""
    return TppcError(f"{len(broken)} weights, {broken[0]} first, are not finite after step {step}{pairs}; {_REMEDY}")


def _pairs(batch: TokenBatch) -> str:
    if not batch.ids:
        return "unpaired texts"
    more = f" and {len(batch.ids) - _SHOWN} more" if len(batch.ids) > _SHOWN else ""
    return f"pairs {', '.join(batch.ids[:_SHOWN])}{more}"
