"""Attention for texts that stand one after another in a row: every token sees the tokens of its own text alone.

It is put into a Hugging Face model through the attention interface, for the time of a call; see `flat`. On the CPU the
texts of one length run together, without a mask. On CUDA, where many small calls cost more than padding, all lengths
run at once: in half precision by a kernel that knows borders, `varlen_attn` of PyTorch or flash-attn 2 (which has
dropout), else in padded rows; so attention alone is padded, and it is a few percent of the work.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_NAME = "tppc_flat"


class Layout:
    """How the texts of a call lie in the row: what attention must know."""

    def __init__(self, lengths: tuple[int, ...], device: torch.device) -> None:
        self.lengths, self.device = lengths, device
        self.runs = [(len(list(run)), length) for length, run in groupby(lengths)]  # (texts, tokens of each)
        self.longest = max(lengths)

    @cached_property
    def borders(self) -> Tensor:
        """Where the texts begin and end, int32 [B + 1]."""
        return torch.tensor([0, *self.lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32).to(self.device)

    @cached_property
    def held(self) -> Tensor:
        """Which places of padded rows hold a token, bool [B, longest]."""
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.arange(self.longest, device=self.device) < lengths[:, None]

    @cached_property
    def places(self) -> Tensor:
        """Where each token is in padded rows, one row after another, int64 [total]."""
        first = torch.arange(len(self.lengths)) * self.longest
        every = [torch.arange(f, f + n) for n, f in zip(self.lengths, first.tolist(), strict=True)]
        return torch.cat(every).to(self.device)


# The layout of the call that this thread is in the middle of.
_layout: ContextVar[Layout | None] = ContextVar("tppc_flat_layout", default=None)
# How many calls have a config switched, and what was set before; calls may come from several threads.
_switched: dict[int, tuple[int, str | None]] = {}
_switching = threading.Lock()


@contextmanager
def kept_apart(model: nn.Module, layout: Layout) -> Iterator[None]:
    """Run a model's attention on texts of that layout; whatever happens, everything is as before afterwards.

    Layers with (non-reentrant) activation checkpointing find the layout again when the backward pass reruns them.
    Transformers checkpoints a layer in training mode alone; here it does so without dropout too, so the layers, but
    not what they consist of, are in that mode meanwhile.
    """
    config: Any = model.config
    changed: list[tuple[Any, Callable[..., Any], bool]] = []
    if torch.is_grad_enabled():
        for module in model.modules():
            function: Any = getattr(module, "_gradient_checkpointing_func", None)
            if function is not None and getattr(module, "gradient_checkpointing", False):
                changed.append((module, function, module.training))
    try:
        for module, function, _ in changed:
            module._gradient_checkpointing_func = _rerun_apart(function, config, layout)
            module.training = True
        with _switched_to(config, layout):
            yield
    finally:
        for module, function, training in changed:
            module._gradient_checkpointing_func = function
            module.training = training


@contextmanager
def _switched_to(config: Any, layout: Layout) -> Iterator[None]:
    """Let the modules of a config use `_attention`, with that layout in this thread."""
    _register()
    with _switching:
        count, before = _switched.get(id(config), (0, config._attn_implementation))
        _switched[id(config)] = (count + 1, before)
        config._attn_implementation = _NAME
    token = _layout.set(layout)
    try:
        yield
    finally:
        _layout.reset(token)
        with _switching:
            count, before = _switched.pop(id(config))
            if count > 1:
                _switched[id(config)] = (count - 1, before)
            else:
                config._attn_implementation = before


def _rerun_apart(function: Callable[..., Any], config: Any, layout: Layout) -> Callable[..., Any]:
    """A checkpointing function whose layer runs with the layout, now and in the backward pass."""

    def checkpoint(layer: Callable[..., Any], *arguments: Any) -> Any:
        def apart(*given: Any) -> Any:
            with _switched_to(config, layout):
                return layer(*given)

        return function(apart, *arguments)

    return checkpoint


@cache
def _register() -> None:
    """Make the attention known to Hugging Face under its name; it does nothing until a config asks for it."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(_NAME, _attention)
    AttentionMaskInterface.register(_NAME, _mask)


def _mask(*arguments: Any, config: Any, **settings: Any) -> Any:
    """The mask for `_attention`: none for flat texts."""
    if _layout.get() is not None:
        return None
    from transformers import AttentionMaskInterface

    interface: Any = AttentionMaskInterface
    before = _switched.get(id(config), (0, None))[1] or "sdpa"
    return interface()[before](*arguments, config=config, **settings)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention within each text: [1, heads, total, D] to [1, total, heads, D].

    `sliding_window`, where a layer has one, counts the positions to each side that a token sees, its own included.
    """
    layout = _layout.get()
    if layout is None:  # another thread runs the same model on padded rows meanwhile
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **settings
        )
    causal = settings.get("is_causal")
    causal = bool(getattr(module, "is_causal", False) if causal is None else causal)
    tokens = [x.squeeze(0).transpose(0, 1) for x in (query, key, value)]  # [total, heads, D]
    window = sliding_window if sliding_window is not None and sliding_window < layout.longest else None
    attend = (_fused(tokens[0], dropout) or in_rows) if query.is_cuda else by_length
    return attend(tokens, layout, dropout, scaling, causal, window).unsqueeze(0), None


_Attend = Callable[[Sequence[Tensor], Layout, float, "float | None", bool, "int | None"], Tensor]


def by_length(
    tokens: Sequence[Tensor], layout: Layout, dropout: float, scaling: float | None, causal: bool, window: int | None
) -> Tensor:
    """Attention by one call of SDPA for each run of texts of one length.

    Args:
        tokens: query, key and value, [total, heads, D] each; key and value may have fewer heads.
        dropout: its probability. scaling: of the products; None for D^-1/2.
        causal: see no later token. window: see tokens at a distance below it; None for all.

    Returns states [total, heads, D].
    """
    sizes = [count * length for count, length in layout.runs]
    found = []
    # Cut with `split`: its gradient is one concatenation, where that of slices is a tensor of all tokens for each.
    cut = [torch.split(x, sizes) for x in tokens]
    for (count, length), *parts in zip(layout.runs, *cut, strict=True):
        query, key, value = (x.view(count, length, x.shape[1], x.shape[2]).transpose(1, 2) for x in parts)
        mask = _near(length, causal, window, query.device) if window is not None and window < length else None
        states = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout, is_causal=causal and mask is None, scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
        found.append(states.transpose(1, 2).reshape(count * length, states.shape[1], states.shape[3]))
    return torch.cat(found)


def in_rows(
    tokens: Sequence[Tensor], layout: Layout, dropout: float, scaling: float | None, causal: bool, window: int | None
) -> Tensor:
    """Attention by one call of SDPA on padded rows. Arguments and result as for `by_length`."""
    texts, longest = len(layout.lengths), layout.longest
    rows = []
    for x in tokens:
        empty = x.new_zeros(texts * longest, *x.shape[1:])
        rows.append(empty.index_copy(0, layout.places, x).view(texts, longest, *x.shape[1:]).transpose(1, 2))
    mask = layout.held[:, None, None, :].expand(texts, 1, longest, longest)
    if causal or window is not None:
        mask = mask & _near(longest, causal, window, mask.device)
    query, key, value = rows
    states = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )
    return states.transpose(1, 2).flatten(0, 1).index_select(0, layout.places)


def _near(length: int, causal: bool, window: int | None, device: torch.device) -> Tensor:
    """Whether a token (row) sees another (column), bool [length, length]: not later ones, or none too far away."""
    place = torch.arange(length, device=device)
    distance = place[:, None] - place
    seen = distance.abs() < (length if window is None else window)
    return seen & (distance >= 0) if causal else seen


def _fused(query: Tensor, dropout: float) -> _Attend | None:
    """A CUDA kernel for all lengths at once, where there is one for this precision and dropout."""
    if query.dtype not in (torch.float16, torch.bfloat16):
        return None
    return (_varlen() if dropout == 0 else None) or _flash()


@cache
def _varlen() -> _Attend | None:
    """PyTorch's own kernel, from the release on that lets the scale be given; it knows no dropout."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    if not {"scale", "window_size", "enable_gqa"} <= inspect.signature(varlen_attn).parameters.keys():
        return None

    def attend(
        tokens: Sequence[Tensor], layout: Layout, _: float, scaling: float | None, causal: bool, window: int | None
    ) -> Tensor:
        query, key, value = tokens
        borders, longest = layout.borders, layout.longest
        found = varlen_attn(
            query, key, value, borders, borders, longest, longest, scale=scaling, window_size=_sides(causal, window),
            enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
        assert isinstance(found, Tensor), "no sums were asked for"
        return found

    return attend


@cache
def _flash() -> _Attend | None:
    """flash-attn 2, where it is installed."""
    try:
        from flash_attn import flash_attn_varlen_func  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return None

    def attend(
        tokens: Sequence[Tensor], layout: Layout, dropout: float, scaling: float | None, causal: bool,
        window: int | None,
    ) -> Tensor:  # fmt: skip
        borders, longest = layout.borders, layout.longest
        found: Tensor = flash_attn_varlen_func(
            *tokens, borders, borders, longest, longest, dropout_p=dropout, softmax_scale=scaling, causal=causal,
            window_size=_sides(causal, window),
        )  # fmt: skip
        return found

    return attend


def _sides(causal: bool, window: int | None) -> tuple[int, int]:
    """How many tokens before and after itself a token sees, as the kernels want it; -1 for all."""
    reach = -1 if window is None else window - 1
    return reach, 0 if causal else reach
