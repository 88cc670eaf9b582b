"""The float32 matrix products of an encoder's linear layers on a CPU, by whichever library is faster there.

PyTorch gives them to MKL, which on AMD's processors does without their AVX-512: one core of an EPYC did 100 GFLOP/s,
where oneDNN, which PyTorch brings along as well, did 150 to 240 at the shapes of a 12 x 384 encoder, forward and both
gradients. So there `linear` asks oneDNN. It is no other precision: both sum float32 products in float32, in an order of
their own. Everywhere else (Intel, ARM, CUDA, half precision, inside `torch.compile`) PyTorch's own choice stands.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

# Multiplications below which the call itself (about 12 microseconds, against 3) costs more than is gained.
_FEWEST = 1 << 22


@cache
def prefers_onednn() -> bool:
    """Whether this machine's float32 products are oneDNN's: an AMD processor with AVX-512, and a PyTorch that has both
    libraries. A rule, not a race: two runs of one machine must not differ in their last bits."""
    mkldnn: Any = torch.backends.mkldnn
    mkl: Any = torch.backends.mkl
    if not (mkldnn.is_available() and mkl.is_available()):
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not _made_by_amd():
        return False
    return _works()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`: x [..., I], weight [O, I], bias [O] to [..., O], with all gradients."""
    if not _applies(x, weight) or not prefers_onednn():
        return functional.linear(x, weight, bias)
    rows = x.reshape(-1, x.shape[-1])
    needed = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias))
    found: Tensor = _Linear.apply(rows, weight, bias) if needed else _product(rows, weight, bias)  # type: ignore[no-untyped-call]
    return found.view(*x.shape[:-1], weight.shape[0])


class Linear(nn.Linear):
    """A linear layer whose product is `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """As `torch.nn.Linear`."""
        return linear(input, self.weight, self.bias)


def with_quick_products(model: nn.Module) -> None:
    """Let every plain linear layer of a model use `linear`; parameters, names and hooks stay as they are."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear


def _applies(x: Tensor, weight: Tensor) -> bool:
    if torch.compiler.is_compiling() or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return x.dtype == weight.dtype == torch.float32 and x.numel() * weight.shape[0] >= _FEWEST


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [M, I] times weight [O, I] transposed, plus bias; both may be transposed views."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


class _Linear(torch.autograd.Function):
    """`_product` with gradients, which are products of the same kind."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight.t(), None) if of_x else None,
            _product(gradient.t(), x.t(), None) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _made_by_amd() -> bool:
    """The vendor as Linux tells it; other systems keep PyTorch's choice."""
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return False


def _works() -> bool:
    """Whether this PyTorch has the operation, and it gives what is expected: it is not a documented one."""
    x, weight, bias = (torch.linspace(-1, 1, n).view(shape) for n, shape in ((6, (2, 3)), (12, (4, 3)), (4, (4,))))
    try:
        found = (_product(x, weight, bias), _product(x.t(), x.t(), None))
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.allclose(found[0], functional.linear(x, weight, bias)) and torch.allclose(found[1], x.t() @ x)
