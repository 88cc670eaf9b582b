"""How probable a translation is, as an encoder says that was trained on Translation Pair Prediction."""

from __future__ import annotations

import numpy as np

from tppc.encoders.load import Translation
from tppc.encoders.margin import rowwise
from tppc.encoders.neighbours import unit


def translation_probability(src: np.ndarray, tgt: np.ndarray, head: Translation) -> np.ndarray:
    """sigma(scale * s + bias) of each row of [n, H] with the same row of the other, float64 [n]: what the loss sees."""
    alike = rowwise(unit(src), unit(tgt)) if head.similarity == "cosine" else rowwise(src, tgt)
    logits = head.scale * alike.astype(np.float64) + head.bias
    probability: np.ndarray = np.exp(-np.logaddexp(0.0, -logits))
    return probability
