"""The start of a training: which one it was, and a pull back to it.

The pull is the gradient step of the L2-SP penalty (Li et al. 2018, arXiv 1802.01483), lambda/2 |theta - theta_0|^2,
taken beside Adam and not through it, as AdamW takes weight decay:

    theta <- theta - eta_t lambda (theta - theta_0)        after the optimiser's step, eta_t its learning rate

Through Adam it would be divided by the gradient's size: the vector of a word that no batch holds would then go back by
a whole step of the learning rate however small lambda is. A drift halves in ln 2 / (eta lambda) steps: with eta = 2e-5
lambda = 50 means 700 steps, and 0.01, a usual weight decay, 3.5 million. Weight decay pulls the same weights to zero:
set it to 0 beside this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from tppc.errors import TppcError, UsageError


def weights_digest(model: nn.Module) -> str:
    """Hex SHA-256 over the names, shapes and bytes of a model's weights, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        # Seen as bytes, since numpy has no bfloat16.
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(data.numpy())
    return digest.hexdigest()


def refuse_other_start(found: str, before: str | None, name: str) -> None:
    """Raise `TppcError` where the start encoder that a resumed run loads again is not the one it began with.

    Args:
        found: `weights_digest` of what was loaded now. before: what the checkpoint says, None where it says nothing.
    """
    if before is not None and found != before:
        raise TppcError(
            f"{name}: its weights are not those that the run started from (SHA-256 {found[:12]}, not {before[:12]}), "
            "and the run needs them; put the first ones back, or start a new run"
        )


def restore_weights(model: nn.Module, folder: Path) -> None:
    """Load the weights of a saved encoder into a model of the same shape, in place.

    Raises `TppcError` for a damaged file or one of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        flat: dict[str, Tensor] = {}
        for file in sorted(folder.glob("*.safetensors")):
            flat |= load_file(file)
        model.load_state_dict(flat)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise TppcError(f"{folder}: damaged checkpoint ({reason}); delete it to resume from the one before") from error


def check_pull(strength: float, highest_rate: float) -> None:
    """Raise `UsageError` where one step back at that learning rate would overshoot the start."""
    if strength * highest_rate >= 1:
        raise UsageError(
            f"l2_start = {strength:g} at a learning rate of {highest_rate:g} throws every weight beyond its start; "
            f"it must be below {1 / highest_rate:g}"
        )


class Anchor:
    """The start's values of some parameters, and the pull to them; `strength` is lambda of the module's equation.

    Make it before a checkpoint is loaded: it copies what the parameters hold then. It has no state of its own, so that
    a checkpoint keeps nothing of it but which start it was (`weights_digest`).
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], strength: float, highest_rate: float) -> None:
        """Keep the values of `parameters`. `highest_rate`: the peak learning rate.

        Raises `UsageError` where one step at that rate would overshoot the start.
        """
        check_pull(strength, highest_rate)
        self.strength = strength
        self._parameters: list[Tensor] = list(parameters.values())
        self._start = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def pull(self, rate: float) -> None:
        """One step back; call it after the optimiser's step of the same learning rate, alike on every rank."""
        if self._parameters and self.strength:
            torch._foreach_lerp_(self._parameters, self._start, rate * self.strength)

    @torch.no_grad()
    def distance(self) -> float:
        """How far the parameters are from the start, as a share of the start's own norm; all of them as one vector."""
        away = [float((p - s).pow(2).sum()) for p, s in zip(self._parameters, self._start, strict=True)]
        norm = sum(float(s.pow(2).sum()) for s in self._start)
        return float((sum(away) / norm) ** 0.5) if norm else 0.0
