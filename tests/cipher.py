"""A synthetic bitext that tiny encoders can learn: two 'languages' of 200 words, one a cipher of the other."""

from __future__ import annotations

import numpy as np


def cipher_pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """`count` distinct pairs: 4 to 8 of 200 words, each word translated by the lexicon, neighbours exchanged."""
    lexicon = np.random.default_rng(7)

    def words(letters: str) -> list[str]:
        found: dict[str, None] = {}
        while len(found) < 200:
            found["".join(lexicon.choice(list(letters), size=lexicon.integers(3, 6)))] = None
        return list(found)

    left, right = words("abcdefghijklm"), words("कखगघचछजटठडतथदन")
    random = np.random.default_rng(seed)
    pairs: dict[tuple[str, str], None] = {}
    while len(pairs) < count:
        chosen = random.integers(0, 200, size=random.integers(4, 9))
        turned = chosen.copy()
        turned[: len(turned) // 2 * 2] = turned[: len(turned) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
        pairs[" ".join(left[i] for i in chosen), " ".join(right[i] for i in turned)] = None
    return list(pairs)
