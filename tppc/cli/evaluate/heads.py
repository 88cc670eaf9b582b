"""Options that choose what is put on an encoder, and how precisely it runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tppc.errors import UsageError

HeadOption = Annotated[
    str, typer.Option(help="linear, crf or bilstm-crf (MLMA's, meant for --freeze with --lr 1e-3); for tokens.")
]
LayersOption = Annotated[
    str,
    typer.Option(help="last, self-weighted or fully-weighted: which layers' states the head reads; for tokens."),
]
TextHeadOption = Annotated[
    str,
    typer.Option(help="pooling (the encoder's own), cls, mean or both: what a text's label is read from."),
]
HeadRateOption = Annotated[
    float | None,
    typer.Option(help="Peak learning rate of the head, instead of --lr; few steps want one far above the encoder's."),
]
PrecisionOption = Annotated[str, typer.Option(help="fp32 or bf16, in training and in tests.")]

_WORDS = {
    "head": ("linear", "crf", "bilstm-crf"),
    "layers": ("last", "self-weighted", "fully-weighted"),
    "text_head": ("pooling", "cls", "mean", "both"),
    "precision": ("fp32", "bf16"),
}


def head_settings(head_lr: float | None, **given: str) -> dict[str, Any]:
    """The settings of a fine-tuning that the options ask for. Raises `UsageError` for a word that is no choice, and for
    a rate that is none."""
    if head_lr is not None and not 0 < head_lr < float("inf"):
        raise UsageError(f"--head-lr must be above 0 and finite (it is {head_lr}); heads learn well with about 1e-3")
    for name, word in given.items():
        if word not in _WORDS[name]:
            raise UsageError(f"--{name.replace('_', '-')} must be one of {', '.join(_WORDS[name])}, not {word!r}")
    return {"head_lr": head_lr, **given}
