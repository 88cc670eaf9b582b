"""Vectors of many texts while a training runs: every rank embeds its share, every rank gets them all."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch

from tppc.encoders.embed import embed
from tppc.encoders.load import Encoder
from tppc.training.distribution import Ranks, gather_rows


def embed_over_ranks(
    encoder: Encoder, texts: Sequence[str], ranks: Ranks | None, autocast: torch.dtype | None = None
) -> np.ndarray:
    """Vectors of all texts, float32 [n, H], on every rank, each of which embeds every W-th. Every rank must call it.

    `autocast`: the type that products run in, None for float32.
    """
    device = encoder.model.device
    products = nullcontext() if autocast is None else torch.autocast(device.type, dtype=autocast)
    with products, torch.no_grad():
        if ranks is None or ranks.world == 1 or len(texts) < ranks.world:
            return embed(encoder, texts)
        own = torch.from_numpy(embed(encoder, texts[ranks.rank :: ranks.world])).to(ranks.device)
        return np.asarray(gather_rows(ranks, own, len(texts)).cpu().numpy())
