"""An encoder read at a layer gives that layer's states, pooled, whichever way it is run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tppc.encoders.embed import embed
from tppc.encoders.layers import layer_vectors
from tppc.encoders.load import Encoder, at_layer
from tppc.encoders.scratch import make_encoder
from tppc.errors import UsageError

TEXTS = ["one two", "three", "four five six seven", "one two"]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder("scratch:tiny", TEXTS, 1)


def by_hand(encoder: Encoder, text: str, layer: int) -> np.ndarray:
    """One text alone, without padding, through Hugging Face."""
    ids = encoder.tokenizer([text], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        states = encoder.model(input_ids=ids, output_hidden_states=True).hidden_states[layer][0]
    vector: np.ndarray = (states[0] if encoder.pooling == "cls" else states.mean(0)).numpy()
    return vector


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_every_layer_is_that_of_the_model(encoder: Encoder, pooling: str) -> None:
    read = replace(encoder, pooling=pooling)  # type: ignore[arg-type]
    layers = int(encoder.model.config.num_hidden_layers)
    found = layer_vectors(read, TEXTS)
    assert found.shape == (layers + 1, len(TEXTS), encoder.hidden_size)
    for layer in range(layers + 1):
        expected = np.stack([by_hand(read, text, layer) for text in TEXTS])
        assert found[layer] == pytest.approx(expected, abs=1e-4)
        assert embed(at_layer(read, layer), TEXTS) == pytest.approx(expected, abs=1e-4)
    assert embed(read, TEXTS) == pytest.approx(found[-1], abs=1e-4)


def test_a_layer_there_is_not_is_named_and_a_pooler_sees_the_last_alone(encoder: Encoder) -> None:
    with pytest.raises(UsageError, match=r"it has the layers 0 \(embeddings\) to"):
        at_layer(encoder, 99)
    with pytest.raises(UsageError, match="its pooler sees the last layer only"):
        at_layer(replace(encoder, pooling="pooler"), 1)
