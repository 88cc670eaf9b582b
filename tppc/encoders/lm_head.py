"""The head that guesses tokens from an encoder's states, for masked language modelling.

Every encoder of the BERT family ends in the same head: a dense layer, an activation, a LayerNorm, and a product with
the input embeddings plus a bias. `AutoModel` leaves it out, so it is read from the encoder's file where that has one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tppc.encoders.load import looks_local
from tppc.encoders.products import Linear, linear
from tppc.encoders.scratch import is_scratch

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder


@dataclass(frozen=True)
class _Place:
    """Where a family keeps its head: dense layer, LayerNorm, output bias; and which fields of its config, where any
    does, say the activation and the LayerNorm's epsilon.
    """

    dense: str
    norm: str
    bias: str
    activation: str = ""
    epsilon: str = ""


_PLACES = (
    _Place(  # BERT
        "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias",
        activation="hidden_act", epsilon="layer_norm_eps",
    ),
    _Place("lm_head.dense", "lm_head.layer_norm", "lm_head.bias", epsilon="layer_norm_eps"),  # RoBERTa: always gelu
    _Place("head.dense", "head.norm", "decoder.bias", activation="classifier_activation", epsilon="norm_eps"),
    _Place("vocab_transform", "vocab_layer_norm", "vocab_projector.bias", activation="activation"),  # DistilBERT
)  # fmt: skip


class LmHead(nn.Module):
    """States [m, H] and the input embeddings [V, H] to logits [m, V]. The embeddings are given, not held: they are the
    encoder's own, and are trained through both uses.
    """

    def __init__(self, hidden_size: int, vocabulary: int, seed: int = 0) -> None:
        super().__init__()
        self.dense = Linear(hidden_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=1e-12)
        self.activation: Callable[[Tensor], Tensor] = nn.functional.gelu
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            self.dense.weight.normal_(0.0, 0.02)
            self.dense.bias.zero_()

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """Logits of all tokens at the given states."""
        hidden = self.norm(self.activation(self.dense(states)))
        return linear(hidden, embeddings, self.bias)


def load_lm_head(encoder: Encoder, name: str, seed: int = 0, *, quiet: bool = False) -> LmHead:
    """The head of the encoder that was loaded from `name`; a new one, with a note on stderr (unless `quiet`), where its
    file has none for the input embeddings.
    """
    embeddings: Any = encoder.model.get_input_embeddings()
    vocabulary, width = embeddings.weight.shape
    head = LmHead(width, vocabulary, seed)
    if not _fill(head, name, encoder.model.config) and not quiet:
        print(f"note: the file of {name} has no head for masked tokens; a new one is trained", file=sys.stderr)
    return head


def _fill(head: LmHead, name: str, config: Any) -> bool:
    """Read a head from a model's file; whether there is one that fits."""
    from safetensors import safe_open
    from transformers.activations import ACT2FN

    file = _weights_of(name)
    if file is None or not getattr(config, "tie_word_embeddings", True):
        return False
    with safe_open(file, "pt") as weights:
        there = set(weights.keys())
        for place in _PLACES:
            if f"{place.dense}.weight" not in there:
                continue
            # Files made from TensorFlow's, as of the first BERTs, call a norm's weight and bias gamma and beta.
            of_norm = ("gamma", "beta") if f"{place.norm}.gamma" in there else ("weight", "bias")
            pieces = {
                "dense.weight": f"{place.dense}.weight", "dense.bias": f"{place.dense}.bias",
                "norm.weight": f"{place.norm}.{of_norm[0]}", "norm.bias": f"{place.norm}.{of_norm[1]}",
                "bias": place.bias,
            }  # fmt: skip
            found = {ours: weights.get_tensor(theirs).float() for ours, theirs in pieces.items() if theirs in there}
            shapes = {k: v.shape for k, v in head.state_dict().items()}
            if any(shapes[ours] != tensor.shape for ours, tensor in found.items()):
                return False
            head.load_state_dict(found, strict=False)
            if place.activation:
                head.activation = ACT2FN[getattr(config, place.activation)]
            if place.epsilon:
                head.norm.eps = float(getattr(config, place.epsilon))
            return True
    return False


def _weights_of(name: str) -> str | None:
    """The file of an encoder's weights: of a folder, or of a hub name as it lies in the cache after loading."""
    local = Path(name) / "model.safetensors"
    if local.is_file():
        return str(local)
    from huggingface_hub import try_to_load_from_cache

    if is_scratch(name) or looks_local(name):
        return None
    cached = try_to_load_from_cache(name, "model.safetensors")
    return cached if isinstance(cached, str) else None
