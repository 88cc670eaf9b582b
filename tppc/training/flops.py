"""Floating-point operations of a training step, and what share of the device's peak they are (MFU).

For a linear weight of n numbers, one token costs 2n in the forward pass, 2n more where the gradient goes on to what
lies below, and 2n for the gradient of the weight where it is trained: 6n in the usual case. Attention over a text of T
tokens costs 4 H T a token and layer (scores and their use), 8 H T more in the backward pass. So an mBERT costs
6 x 84.93M + 12 x 12 x 768 T = 509.6M + 0.11M T a token. Look-ups, norms, activations, the loss and a language-model
head are left out: they are small, or counted by whoever adds them.

Only real tokens count, no padding; work that is done twice (activation checkpointing, cached gradients) counts once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from tppc.errors import TppcError
from tppc.training.preserve.layers import layers_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Dense peaks in TFLOP/s of the vendor's data sheets: bf16 tensor cores with float32 accumulation, and float32 without
# tensor cores (torch does not use TF32 unless told to). Sheets that print "with sparsity" are halved. The first pattern
# that fits the device's name counts; a slice of a GPU (MIG) and a laptop's chip have other peaks and none here.
_UNKNOWN = re.compile(r"\bMIG\b|Laptop|Max-Q|\b4090 D\b|\b5090 D\b|Mobile")
_PEAKS: tuple[tuple[str, float, float], ...] = (
    (r"\bB200\b", 2_250.0, 80.0),
    (r"\bGH200\b", 989.4, 66.9),
    (r"\bH200 NVL\b", 835.5, 60.0),
    (r"\bH200\b", 989.4, 66.9),
    (r"\bH100 PCIe\b", 756.0, 51.2),
    (r"\bH100 NVL\b", 835.5, 60.0),
    (r"\bH100\b", 989.4, 66.9),
    (r"\bA100\b", 312.0, 19.5),
    (r"\bA30\b", 165.0, 10.3),
    (r"\bA40\b", 149.7, 37.4),
    (r"\bA10G\b", 70.0, 35.0),
    (r"\bA10\b", 125.0, 31.2),
    (r"\bL40S\b", 362.05, 91.6),
    (r"\bL40\b", 181.05, 90.5),
    (r"\bL4\b", 121.0, 30.3),
    (r"\bRTX 6000 Ada\b", 364.2, 91.1),
    (r"\bRTX A6000\b", 154.8, 38.7),
    (r"\bRTX 5090\b", 209.5, 104.8),
    (r"\bRTX 4090\b", 165.2, 82.6),
    (r"\bRTX 4080\b", 97.5, 48.7),
    (r"\bRTX 3090 Ti\b", 80.0, 40.0),
    (r"\bRTX 3090\b", 71.0, 35.6),
)


def peak_flops(device: str, bf16: bool) -> float | None:
    """The peak of a device in FLOP/s, by its name as torch gives it; None for one that is not known, as for CPUs.

    Args:
        bf16: whether products run in bf16, else float32.
    """
    if _UNKNOWN.search(device):
        return None
    for pattern, half, full in _PEAKS:
        if re.search(pattern, device):
            return (half if bf16 else full) * 1e12
    return None


@dataclass(frozen=True)
class Work:
    """What a model costs: `linear` FLOP a token, `attention` FLOP a token and token of its text."""

    linear: int
    attention: int

    def flops(self, tokens: float, squares: float) -> float:
        """FLOP of a step.

        Args:
            tokens: real tokens, all texts together. squares: the squares of the texts' lengths, summed.
        """
        return self.linear * tokens + self.attention * squares


def training_work(model: PreTrainedModel) -> Work | None:
    """The cost of one forward and backward pass, by what of the model is trained (frozen layers, adapters).

    None for a model whose layers cannot be found, such as ALBERT, which runs one layer many times. Attention in a
    sliding window (ModernBERT) is counted in full.
    """
    try:
        layers = layers_of(model)
    except TppcError:
        return None
    trained_below = any(p.requires_grad for p in model.get_input_embeddings().parameters())
    linear = attention = 0
    hidden = int(model.config.hidden_size)
    for layer in layers:
        trained_here = any(p.requires_grad for p in layer.parameters())
        # The gradient passes through this layer where anything in it or below it is trained.
        passed = trained_below or trained_here
        for module in layer.modules():
            if isinstance(module, nn.Linear):
                count = module.weight.numel()
                linear += 2 * count + (2 * count if passed else 0) + (2 * count if module.weight.requires_grad else 0)
        attention += (12 if passed else 4) * hidden
        trained_below = passed
    return Work(linear, attention)


def utilisation(
    work: Work | None, *, tokens: float, squares: float, seconds: float, peak: float | None
) -> float | None:
    """MFU: the share of `peak` (of all devices together, FLOP/s) that the model's own operations were.

    None where the peak or the work is unknown.
    """
    return work.flops(tokens, squares) / seconds / peak if peak and work else None
