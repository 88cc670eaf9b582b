"""Run an encoder without padding: the texts of a batch stand one after another in a single row of tokens.

Everything in an encoder works on each token alone, but attention. So the model gets one row [1, total] with the
positions of each text, and attention alone keeps the texts apart, see `flat_attention`.

Measured with a 43M encoder (12 x 384, XLM-R's code) on 128 random texts of Tatoeba (11.3 tokens a text, 16 lengths; 48%
of the padded rows is padding), forward and backward, in CPU seconds of one thread: 2.15 against 4.13 padded in float32,
0.77 against 1.39 in bf16 autocast. The order of the texts is kept; where they are not sorted by length, 2.38 and 1.00,
since only neighbours of one length share a call of attention. What loses are a few texts in a very small encoder: 16 in
2 layers of 128 took 12.7 ms against 9.8 in bf16, where 128 texts took 49 against 70.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from tppc.encoders.embed import padded
from tppc.encoders.flat_attention import Layout, kept_apart

if TYPE_CHECKING:
    from tppc.encoders.load import Pooling

# Relative distance of the flat and the padded run of a probe that counts as equal: float32, half precision.
_EQUAL, _EQUAL_IN_HALF = 1e-4, 3e-2


@dataclass(frozen=True)
class FlatTexts:
    """Texts one after another: token ids, int64 [total], and the length of each; best sorted by length."""

    ids: Tensor
    lengths: tuple[int, ...]

    def to(self, device: torch.device | str) -> FlatTexts:
        """The same texts on a device."""
        return FlatTexts(self.ids.to(device, non_blocking=True), self.lengths)

    def first_tokens(self) -> Tensor:
        """Where each text begins, int64 [B], on the device of the ids."""
        return torch.tensor([0, *self.lengths[:-1]]).cumsum(0).to(self.ids.device)


@dataclass(frozen=True)
class States:
    """What a model gives for flat texts.

    Attributes:
        last: states of the last layer, [total, H].
        layers: the states of every layer, embeddings first, [total, H] each; None where they were not asked for.
        pooler: the pooler's vectors, [B, H]; None where they were not asked for.
    """

    last: Tensor
    layers: tuple[Tensor, ...] | None = None
    pooler: Tensor | None = None


def flat_texts(ids: Sequence[Sequence[int]]) -> FlatTexts:
    """Put lists of token ids, none of them empty, one after another, in the order given."""
    lengths = tuple(len(one) for one in ids)
    assert all(lengths), "a text has at least its special tokens"
    joined = np.fromiter((i for one in ids for i in one), dtype=np.int64, count=sum(lengths))
    return FlatTexts(torch.from_numpy(joined), lengths)


def token_states(model: nn.Module, texts: FlatTexts, *, pad: int, layers: bool = False, pooler: bool = False) -> States:
    """The states of all tokens; gradients, dropout and autocast as the caller set them.

    A model that cannot run without padding runs on padded rows, with the same result: the first call finds out, by
    running a probe both ways. Activation checkpointing works in its non-reentrant form.

    Args:
        model: a Hugging Face encoder. pad: id of the padding token, for padded rows.
        layers: give the states of every layer too. pooler: give the vectors of the model's pooler too.
    """
    if runs_flat(model, texts.ids.device, pooler):
        return _run_flat(model, texts, layers, pooler)
    return _run_padded(model, texts, pad, layers, pooler)


def text_vectors(model: nn.Module, texts: FlatTexts, pooling: Pooling, pad: int, *, layer: int | None = None) -> Tensor:
    """Vectors [B, H] of texts, pooled as `embed.pool` does. `layer` is whose states are pooled, see `Encoder`."""
    states = token_states(model, texts, pad=pad, layers=layer is not None, pooler=pooling == "pooler")
    if states.pooler is not None:
        return states.pooler
    hidden = states.last if states.layers is None or layer is None else states.layers[layer]
    return pool_flat(hidden, texts, pooling)


def pool_flat(hidden: Tensor, texts: FlatTexts, how: Pooling) -> Tensor:
    """Token states [total, H] to vectors [B, H]: `cls` takes each text's first token, `mean` the mean of its tokens."""
    if how == "cls":
        return hidden[texts.first_tokens()]
    assert how == "mean", "the pooler's vectors come from the model"
    lengths = torch.tensor(texts.lengths, device=hidden.device)
    # Not index_add, whose sums on CUDA differ from run to run; and in float32, whatever the states are in.
    means: Tensor = torch.segment_reduce(hidden.float(), "mean", lengths=lengths, axis=0, unsafe=True)
    return means.to(hidden.dtype)


def _run_flat(model: nn.Module, texts: FlatTexts, layers: bool, pooler: bool) -> States:
    with kept_apart(model, Layout(texts.lengths, texts.ids.device)):
        output = model(
            input_ids=texts.ids.unsqueeze(0),
            position_ids=_positions(model, texts).unsqueeze(0),
            output_hidden_states=layers,
        )
    last: Tensor = output.last_hidden_state.squeeze(0)
    states = States(last, tuple(one.squeeze(0) for one in output.hidden_states) if layers else None)
    if not pooler:
        return states
    layer: Any = model.pooler  # it takes the first token of each row, so each text's first token becomes a row
    return replace(states, pooler=layer(last[texts.first_tokens()].unsqueeze(1)))


def _run_padded(model: nn.Module, texts: FlatTexts, pad: int, layers: bool, pooler: bool) -> States:
    device = texts.ids.device
    ids, mask = padded([one.tolist() for one in torch.split(texts.ids, list(texts.lengths))], pad)
    output = model(input_ids=ids.to(device), attention_mask=mask.to(device), output_hidden_states=layers)
    tokens = mask.flatten().nonzero().squeeze(1).to(device)
    every = tuple(one.flatten(0, 1)[tokens] for one in output.hidden_states) if layers else None
    return States(output.last_hidden_state.flatten(0, 1)[tokens], every, output.pooler_output if pooler else None)


def _positions(model: nn.Module, texts: FlatTexts) -> Tensor:
    """The position of each token in its text, int64 [total], as the model numbers them.

    RoBERTa and its kin begin after the padding token's id, and give a padding token inside a text that id itself.
    """
    device = texts.ids.device
    lengths = torch.tensor(texts.lengths, device=device)
    begin = texts.first_tokens().repeat_interleave(lengths, output_size=len(texts.ids))  # of each token's text
    embeddings: Any = next((m for m in model.modules() if hasattr(m, "create_position_ids_from_input_ids")), None)
    if embeddings is None:
        return torch.arange(len(texts.ids), device=device) - begin
    held = texts.ids.ne(embeddings.padding_idx).long()
    counted = held.cumsum(0)
    return (counted - counted[begin] + held[begin]) * held + int(embeddings.padding_idx)


# Whether a model was seen to give the padded run's states: by kind of device, precision, and with its pooler or not.
_Case = tuple[str, torch.dtype, bool]
_verdicts: weakref.WeakKeyDictionary[nn.Module, dict[_Case, bool]] = weakref.WeakKeyDictionary()


def runs_flat(model: nn.Module, device: torch.device, pooler: bool = False) -> bool:
    """Whether flat texts give a model's true states. It is tried, since the attention interface is a convention that a
    model's code may keep in part: attention of its own, relative positions, a mask built elsewhere."""
    autocast = torch.is_autocast_enabled(device.type)
    precision = torch.get_autocast_dtype(device.type) if autocast else next(model.parameters()).dtype
    known = _verdicts.setdefault(model, {})
    case = (device.type, precision, pooler)
    if case not in known:
        known[case] = _probe(model, device, pooler, _EQUAL if precision.itemsize > 2 else _EQUAL_IN_HALF)
    return known[case]


def _probe(model: nn.Module, device: torch.device, pooler: bool, tolerance: float) -> bool:
    """Run a few made texts flat and padded, without dropout, and compare."""
    embeddings: Any = model.get_input_embeddings()  # type: ignore[operator]
    pad = int(embeddings.padding_idx or 0)
    some = [i for i in range(1, embeddings.num_embeddings) if i != pad][:: max(1, embeddings.num_embeddings // 32)]
    texts = flat_texts([some[:11], some[3:8], some[5:10], some[::-1][:2]]).to(device)
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            expected, found = _run_padded(model, texts, pad, False, pooler), _run_flat(model, texts, False, pooler)
    except Exception:  # other people's code may fail in any way on input that it does not expect
        return False
    finally:
        for module, was in training.items():
            module.training = was
    pairs = [(expected.last, found.last)]
    if expected.pooler is not None and found.pooler is not None:
        pairs.append((expected.pooler, found.pooler))
    return all(bool((a.float() - b.float()).norm() <= tolerance * a.float().norm()) for a, b in pairs)
