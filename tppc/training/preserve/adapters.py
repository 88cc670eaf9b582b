"""LoRA (Hu et al. 2021, arXiv 2106.09685): the encoder's own weights stay, products of two thin matrices are trained.

Every chosen linear layer W becomes W + (alpha / rank) B A, with A of [rank, in] drawn at random and B of [out, rank]
zero, so that the start computes what it did. `peft` (extra `tppc[lora]`) builds the layers into the model where it is.
What is saved as an encoder is merged: plain Hugging Face weights that need no peft. A checkpoint keeps A and B beside
it, since they cannot be had back from the product.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from tppc.errors import TppcError, UsageError
from tppc.training.preserve.layers import check_layers, layers_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FILE = "adapters.safetensors"


class LoraSettings(BaseModel):
    """`rank` of the products, `alpha` (their factor is alpha / rank), `dropout` on their input; `targets`: all linear
    layers of the transformer, or those of its attention alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rank: int = Field(default=16, ge=1, le=4_096)
    alpha: float = Field(default=32.0, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Literal["all", "attention"] = "all"


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise UsageError("LoRA needs the library peft: pip install 'tppc[lora]'") from error
    return peft


def _targets(model: PreTrainedModel, settings: LoraSettings, above: int) -> list[str]:
    """Full names of the linear layers to adapt, in the layers from number `above` (from 0) on."""
    names = {id(module): name for name, module in model.named_modules()}
    found = []
    for layer in layers_of(model)[above:]:
        for inner, module in layer.named_modules():
            attention = any(part.startswith("att") for part in inner.split("."))
            if isinstance(module, nn.Linear) and (attention or settings.targets == "all"):
                found.append(names[id(module)])
    return found


def attach_lora(model: PreTrainedModel, settings: LoraSettings, *, seed: int, frozen_layers: int = 0) -> str:
    """Build adapters into `model`, in place, and freeze everything else of it; what was done, in words.

    Args:
        seed: of the random matrices A; the same on every rank. frozen_layers: lower layers that get no adapter.

    Raises `UsageError` without peft, or for more frozen layers than leave one to adapt.
    """
    peft = _peft()
    check_layers(model, frozen_layers)
    targets = _targets(model, settings, frozen_layers)
    if not targets:
        raise UsageError(
            f"freeze_layers = {frozen_layers} leaves none of the encoder's {len(layers_of(model))} layers for LoRA; "
            "freeze fewer"
        )
    config = peft.LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=targets
    )
    mode = model.training
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(config, model)
    model.train(mode)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return (
        f"LoRA of rank {settings.rank} on {len(targets)} linear layers: {trained:,} parameters are trained, "
        f"{trained / sum(p.numel() for p in model.parameters()):.1%} of all"
    )


def adapter_tensors(model: PreTrainedModel) -> dict[str, Tensor]:
    """A and B of every adapted layer, by name, on the CPU: for safetensors."""
    state = _peft().get_peft_model_state_dict(model)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(state.items())}


def restore_adapters(model: PreTrainedModel, file: Path) -> None:
    """Put back what `adapter_tensors` gave. Raises `TppcError` for a damaged file or adapters of another shape."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        flat = load_file(file)
    except (OSError, SafetensorError) as error:
        raise TppcError(f"{file}: damaged checkpoint ({error}); delete it to resume from the one before") from error
    have = adapter_tensors(model)
    if {k: v.shape for k, v in flat.items()} != {k: v.shape for k, v in have.items()}:
        raise TppcError(f"{file}: adapters of other layers or another rank; resume with the settings of the run")
    _peft().set_peft_model_state_dict(model, flat)


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the model with its adapters multiplied out: the plain architecture, W + (alpha / rank) B A."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    plain = copy.deepcopy(model)
    for name, module in list(plain.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            plain.set_submodule(name, module.get_base_layer())
    del plain.peft_config
    return plain
