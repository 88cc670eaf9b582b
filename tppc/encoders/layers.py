"""Vectors of texts at every layer of an encoder, from one run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tppc.encoders.embed import tokenise
from tppc.encoders.load import Encoder

_BATCH_TOKENS = 16_384


def layer_vectors(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Vectors of `texts` at each layer, float32 [L + 1, n, H] in the order given; 0 are the embeddings.

    Pooled as the encoder pools; the states that its pooler reads, those of [CLS], where it has one.
    """
    import torch

    from tppc.encoders.flat import flat_texts, pool_flat, token_states

    ids = tokenise(encoder, list(texts))
    order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
    layers = int(encoder.model.config.num_hidden_layers) + 1
    result = np.empty((layers, len(ids), encoder.hidden_size), dtype=np.float32)
    how = "cls" if encoder.pooling == "pooler" else encoder.pooling
    pad = int(encoder.tokenizer.pad_token_id or 0)
    was_training = encoder.model.training
    encoder.model.train(False)
    try:
        with torch.inference_mode():
            start = 0
            while start < len(order):
                stop, total = start, 0
                while stop < len(order) and (stop == start or total + len(ids[order[stop]]) <= _BATCH_TOKENS):
                    total += len(ids[order[stop]])
                    stop += 1
                rows = order[start:stop]
                batch = flat_texts([ids[i] for i in rows]).to(encoder.model.device)
                states = token_states(encoder.model, batch, pad=pad, layers=True)
                assert states.layers is not None, "they were asked for"
                for number, hidden in enumerate(states.layers):
                    result[number, rows] = pool_flat(hidden, batch, how).float().cpu().numpy()
                start = stop
    finally:
        encoder.model.train(was_training)
    return result
