"""An exponential moving average of the weights, which forgets the last steps' noise.

    mean <- d_t mean + (1 - d_t) theta,     d_t = min(decay, (1 + t) / (10 + t))

after step t (from 1). The lower bound lets a short run forget its start: with 0.999 alone, after 500 steps six tenths
of the average would still be the untouched encoder. d_t follows from the step, so the mean is all there is to save.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tppc.errors import TppcError

FILE = "ema.safetensors"


class Ema:
    """The mean of `parameters` (by name, float32); `decay` below 1."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self.decay = decay
        self._parameters = dict(parameters)
        self._mean = {name: p.detach().float().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step` (from 1); the same on every rank, so nothing is exchanged."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = [p.detach().float() for p in self._parameters.values()]
        if now:
            torch._foreach_lerp_(list(self._mean.values()), now, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The parameters are the mean inside the block, and what they were, to the bit, after it."""
        kept = {name: p.detach().clone() for name, p in self._parameters.items()}
        try:
            self._set(self._mean)
            yield
        finally:
            self._set(kept)

    @torch.no_grad()
    def _set(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

    def tensors(self) -> dict[str, Tensor]:
        """The mean, by name, on the CPU: for safetensors."""
        return {name: mean.cpu().contiguous() for name, mean in self._mean.items()}

    def restore(self, flat: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave. Raises `TppcError` where it is of other parameters."""
        if {k: v.shape for k, v in flat.items()} != {k: v.shape for k, v in self._mean.items()}:
            raise TppcError("the checkpoint's average is of other weights; resume with the settings of the run")
        for name, mean in self._mean.items():
            mean.copy_(flat[name])
