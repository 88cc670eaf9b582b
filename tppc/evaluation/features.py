"""From prepared inputs to the states that a head labels.

Inputs run without padding, the windows of a batch by length. Where the encoder stays as it is, its states are computed
once for all epochs, seeds and tests.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tppc.encoders.flat import flat_texts, pool_flat, token_states
from tppc.errors import TppcError
from tppc.evaluation.heads import Unit
from tppc.evaluation.subwords import Window, text_windows, token_windows

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder, Pooling

Precision = Literal["fp32", "bf16"]
_TOKENS_TOGETHER = 16_384
_IN_MEMORY = 1 << 30  # bytes of kept states; more lie in a file


@dataclass(frozen=True)
class View:
    """What of an encoder's output a head sees.

    Attributes:
        every_layer: the states of all layers, not the last one's alone; for tokens.
        pooling: how texts become vectors; `both` is the first token's state and the mean, one after the other.
        precision: of the encoder's matrix products.
    """

    every_layer: bool
    pooling: Pooling | Literal["both"]
    precision: Precision


@dataclass(frozen=True)
class Prepared:
    """Inputs of a task as windows for one encoder: made once, used with every seed. `sizes` are targets an item."""

    unit: Unit
    windows: list[Window]
    sizes: list[int]
    _kept: weakref.WeakKeyDictionary[nn.Module, dict[View, Tensor]] = field(
        default_factory=weakref.WeakKeyDictionary, repr=False, compare=False
    )

    @cached_property
    def by_item(self) -> list[list[Window]]:
        """The windows of each item, in order."""
        found: list[list[Window]] = [[] for _ in self.sizes]
        for window in self.windows:
            found[window.item].append(window)
        return found

    @cached_property
    def lengths(self) -> list[int]:
        """How many subwords each item has in all, special ones included; 0 where it has no target."""
        return [sum(len(w.ids) for w in windows) for windows in self.by_item]

    @cached_property
    def starts(self) -> list[int]:
        """Where each item's targets begin among those of all items."""
        return [0, *np.cumsum(self.sizes).tolist()[:-1]]


def prepare_tokens(encoder: Encoder, sentences: Sequence[Sequence[str]]) -> Prepared:
    """Sentences of tokens, for a token task."""
    return Prepared("token", token_windows(encoder, sentences), [len(s) for s in sentences])


def prepare_texts(encoder: Encoder, texts: Sequence[str]) -> Prepared:
    """Whole texts, for a text task."""
    return Prepared("text", text_windows(encoder, texts), [1] * len(texts))


def item_states(model: nn.Module, encoder: Encoder, inputs: Prepared, items: Sequence[int], view: View) -> Tensor:
    """The states of the targets of some items, one item after another: float32 [n, H], or [n, layers, H].

    Args:
        model: the encoder's own model or a copy of it. items: their numbers; each has a target.
    """
    device = encoder.model.device
    windows = [w for item in items for w in inputs.by_item[item]]
    order = sorted(range(len(windows)), key=lambda i: len(windows[i].ids))
    texts = flat_texts([windows[i].ids for i in order])
    pad = encoder.tokenizer.pad_token_id
    pad = pad if isinstance(pad, int) else 0
    pooled = inputs.unit == "text"
    pooler = pooled and view.pooling == "pooler"
    moved = texts.to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=view.precision == "bf16"):
        states = token_states(model, moved, pad=pad, layers=view.every_layer, pooler=pooler)
    if pooled:
        if view.pooling == "both":
            vectors = torch.cat([pool_flat(states.last, moved, how) for how in ("cls", "mean")], 1)
        elif states.pooler is not None:
            vectors = states.pooler
        else:
            assert view.pooling != "pooler", "it was asked for"
            vectors = pool_flat(states.last, moved, view.pooling)
        return vectors[torch.tensor(np.argsort(order), device=device)].float()
    begins = np.empty(len(windows), dtype=np.int64)
    begins[order] = np.cumsum([0, *texts.lengths[:-1]])
    places = [begin + target for begin, w in zip(begins.tolist(), windows, strict=True) for target in w.targets]
    chosen = torch.tensor(places, device=device)
    if states.layers is not None:
        return torch.stack([layer[chosen] for layer in states.layers], 1).float()
    return states.last[chosen].float()


def batches_of_tokens(inputs: Prepared) -> list[list[int]]:
    """All items with a target, shortest first, in batches of at most 16,384 subwords (but at least one item)."""
    batches: list[list[int]] = []
    room = 0
    for item in sorted((i for i, n in enumerate(inputs.lengths) if n), key=lambda i: inputs.lengths[i]):
        if not batches or inputs.lengths[item] > room:
            batches.append([])
            room = _TOKENS_TOGETHER
        batches[-1].append(item)
        room -= inputs.lengths[item]
    return batches


def kept_states(encoder: Encoder, inputs: Prepared, view: View) -> Tensor:
    """The states of all targets by the untouched encoder, [n, ...] on the CPU, computed at the first call.

    Above one GiB they lie in a file without a name in the folder for temporary files. Raises `TppcError` where it has
    no room for them.
    """
    kept = inputs._kept.setdefault(encoder.model, {})
    if view not in kept:
        found: Tensor | None = None
        was_training = encoder.model.training
        encoder.model.train(False)
        try:
            for items in batches_of_tokens(inputs):
                with torch.no_grad():
                    states = item_states(encoder.model, encoder, inputs, items, view)
                if found is None:
                    found = _room((sum(inputs.sizes), *states.shape[1:]))
                found[target_numbers(inputs, items)] = states.cpu()
        finally:
            encoder.model.train(was_training)
        kept[view] = torch.empty(0, encoder.hidden_size) if found is None else found
    return kept[view]


def target_numbers(inputs: Prepared, items: Sequence[int]) -> Tensor:
    """The numbers of some items' targets among those of all items, int64 [n]."""
    return torch.cat([torch.arange(inputs.starts[i], inputs.starts[i] + inputs.sizes[i]) for i in items])


def _room(shape: tuple[int, ...]) -> Tensor:
    """An uninitialised float32 tensor, in memory or in a file that goes with it."""
    size = 4 * int(np.prod(shape))
    if size <= _IN_MEMORY:
        return torch.empty(shape)
    import os

    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # now or never: writing through a map has no way to fail
        except OSError as error:
            raise TppcError(
                f"{tempfile.gettempdir()}: no room for {size / 1e9:.1f} GB of an encoder's states ({error.strerror}); "
                "set TMPDIR to a folder that has it, or train on fewer sentences"
            ) from error
        return torch.from_numpy(np.memmap(file, dtype=np.float32, mode="r+", shape=shape))
