"""Texts to vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from tppc.encoders.load import Encoder, Pooling
from tppc.encoders.tokens import token_ids

if TYPE_CHECKING:
    import torch

_TOKENISED_TOGETHER = 4_096


def pool(hidden: torch.Tensor, mask: torch.Tensor, how: Pooling) -> torch.Tensor:
    """Token states [B, T, H] and their mask [B, T] (1 for a token, 0 for padding) to vectors [B, H].

    `cls`: the first token's state. `mean`: the mean over the tokens under the mask. `pooler` is a layer of the model,
    not a function of its states: see `sentence_vectors`.
    """
    if how == "cls":
        return hidden[:, 0]
    assert how == "mean", "the pooler's vectors come from the model"
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def sentence_vectors(
    model: torch.nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    pooling: Pooling,
    layer: int | None = None,
) -> torch.Tensor:
    """Run the model on token ids [B, T] and pool: vectors [B, H]. Gradients flow as the caller set them.

    `layer` is whose states are pooled, see `Encoder`.
    """
    output = model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=layer is not None)
    if pooling == "pooler":
        vectors: torch.Tensor = output.pooler_output
        return vectors
    states = output.last_hidden_state if layer is None else output.hidden_states[layer]
    return pool(states, attention_mask, pooling)


def tokenise(encoder: Encoder, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
    """Token ids of each text, with the encoder's prefix and special tokens, cut at `max_length` (the encoder's own)."""
    prefixed = [encoder.prefix + t for t in texts] if encoder.prefix else texts
    return token_ids(encoder.tokenizer, prefixed, max_length or encoder.max_length)


def padded(ids: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad B lists of token ids to the longest: `input_ids` and `attention_mask`, int64 of shape [B, T]."""
    import torch

    longest = max(len(i) for i in ids)
    matrix = np.full((len(ids), longest), pad, dtype=np.int64)
    mask = np.zeros((len(ids), longest), dtype=np.int64)
    for row, one in enumerate(ids):
        matrix[row, : len(one)] = one
        mask[row, : len(one)] = 1
    return torch.from_numpy(matrix), torch.from_numpy(mask)


def embed(
    encoder: Encoder, texts: Sequence[str], batch_tokens: int = 16_384, *, threads: int | None = None
) -> np.ndarray:
    """Vectors of `texts`, float32 of shape [n, H], in the order given; not normalised.

    Texts run in batches of like length, each of at most `batch_tokens` tokens with padding (but at least one text).

    Args:
        threads: None runs one batch after another, each with all threads of torch; a number runs so many batches at a
        time with one thread each, and the vectors are then the same to the last bit whatever the number.
    """
    import torch

    texts = list(texts)
    result = np.empty((len(texts), encoder.hidden_size), dtype=np.float32)
    ids: list[list[int]] = []
    for start in range(0, len(texts), _TOKENISED_TOGETHER):
        ids += tokenise(encoder, texts[start : start + _TOKENISED_TOGETHER])
    order = sorted(range(len(ids)), key=lambda i: (len(ids[i]), i))
    pad = int(encoder.tokenizer.pad_token_id or 0)
    device = encoder.model.device

    def run(rows: list[int]) -> None:
        with torch.inference_mode():
            input_ids, mask = padded([ids[i] for i in rows], pad)
            vectors = sentence_vectors(
                encoder.model, input_ids.to(device), mask.to(device), encoder.pooling, encoder.layer
            )
            result[rows] = vectors.float().cpu().numpy()

    was_training = encoder.model.training
    encoder.model.train(False)
    try:
        if threads is None:
            for rows in _batches(order, ids, batch_tokens):
                run(rows)
        else:
            before = torch.get_num_threads()
            # How many threads torch gives to an operation is set in the thread that calls it, for MKL in the process.
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                # Longest first: no thread is left alone with the largest batch at the end.
                list(pool.map(run, reversed(list(_batches(order, ids, batch_tokens)))))
            torch.set_num_threads(before)
    finally:
        encoder.model.train(was_training)
    return result


def _batches(order: Sequence[int], ids: Sequence[Sequence[int]], batch_tokens: int) -> Iterator[list[int]]:
    """Numbers of texts, in the order of their length, cut into batches."""
    start = 0
    while start < len(order):
        stop = start + 1
        # The longest of a batch is its last text, so `count * length` is the batch's size with padding.
        while stop < len(order) and (stop + 1 - start) * len(ids[order[stop]]) <= batch_tokens:
            stop += 1
        yield list(order[start:stop])
        start = stop
