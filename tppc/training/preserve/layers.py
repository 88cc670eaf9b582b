"""Freezing: the embeddings and the lower layers stay as they were.

Translation pairs train the vector of a sentence; the lower layers hold what token-level tasks read, and realignment
harms those most (AlignFreeze, arXiv 2502.12959, froze the lower half). Frozen embeddings also save half of an mBERT's
optimiser state and of its traffic: 92 of 178 million parameters.
"""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from tppc.errors import TppcError, UsageError


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The model's transformer layers, lowest first, wherever the architecture keeps them.

    They are the module list that is as long as `num_hidden_layers` says and holds the most parameters: BERT's and
    XLM-R's `encoder.layer`, DistilBERT's `transformer.layer`, ModernBERT's `layers`. Raises `TppcError` for a model
    without such a list (ALBERT, whose layers are one).
    """
    count = int(model.config.num_hidden_layers)
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if not lists:
        raise TppcError(
            f"a {model.config.model_type} model keeps no list of its {count} layers, so that none can be frozen or "
            "adapted; train it whole"
        )
    return max(lists, key=lambda layers: sum(p.numel() for p in layers.parameters()))


def embeddings_of(model: PreTrainedModel) -> nn.Module:
    """All that lies below the first layer: word, position and type vectors with their norm, where the model says so."""
    module = getattr(model, "embeddings", None)
    found: nn.Module = module if isinstance(module, nn.Module) else model.get_input_embeddings()
    return found


def check_layers(model: PreTrainedModel, layers: int) -> None:
    """Raise `UsageError`, with the number of layers there are, where the lower `layers` cannot be frozen."""
    count = len(layers_of(model))
    if not 0 <= layers <= count:
        raise UsageError(
            f"freeze_layers = {layers}: the encoder has {count} layers, so it must be between 0 and {count}"
        )


def freeze(model: PreTrainedModel, *, embeddings: bool = False, layers: int = 0) -> str:
    """Freeze the embeddings, the lower `layers` layers, or both, in place; what was done, in words ("" for nothing).

    A frozen parameter gets no gradient and no optimiser state; where nothing below a layer is trained, its backward
    pass is not computed either. Dropout in a frozen layer stays as it is. Raises `UsageError` for more layers than
    there are (the message says how many), or where nothing of the encoder is left to train; `TppcError` for a model
    whose layers cannot be found.
    """
    done = []
    if layers:
        check_layers(model, layers)
    if embeddings:
        embeddings_of(model).requires_grad_(False)
        done.append("the embeddings")
    if layers:
        for layer in layers_of(model)[:layers]:
            layer.requires_grad_(False)
        done.append(f"the lower {layers} of {len(layers_of(model))} layers")
    if not done:
        return ""
    left = sum(p.numel() for p in model.parameters() if p.requires_grad)
    above = [n for n, p in model.named_parameters() if p.requires_grad and not n.startswith("pooler.")]
    if not above:
        raise UsageError(
            f"with {' and '.join(done)} frozen nothing of the encoder is left to train; freeze fewer layers"
        )
    total = sum(p.numel() for p in model.parameters())
    return f"frozen: {' and '.join(done)}; {left:,} of {total:,} parameters are trained"
