"""Keys: what makes two texts, or two pairs, the same.

A *side key* is the 64-bit xxh3 of a text's comparison form; a pair's identity is (src_key, tgt_key). The *order key* is
the xxh3 of a pair's identity: rows sorted by it are in an order that is the same everywhere and random to a
trainer, with equal pairs side by side.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
import xxhash


def comparison_form(text: str) -> str:
    """NFKC, case-folded, white space folded; combining marks are KEPT (dropping them would merge Hindi and Arabic
    words).

    This is Unicode's toNFKC_Casefold without the removal of ignorable characters (The Unicode Standard, 3.13, R5):
    folding runs between two normalisations, since either can undo the other.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def side_key(text: str) -> int:
    """The signed 64-bit key of one text."""
    value = xxhash.xxh3_64_intdigest(comparison_form(text).encode("utf-8", "surrogatepass"))
    return value - (1 << 64) if value >= 1 << 63 else value


def side_keys(texts: Iterable[str]) -> np.ndarray:
    """Keys of many texts, int64 of shape (n,)."""
    return np.fromiter((side_key(t) for t in texts), dtype=np.int64)


def order_keys(src_keys: Sequence[int] | np.ndarray, tgt_keys: Sequence[int] | np.ndarray) -> np.ndarray:
    """Order keys of pairs, uint64 of shape (n,): xxh3 of the two keys as 16 little-endian bytes."""
    pairs = np.stack([np.asarray(src_keys, dtype="<i8"), np.asarray(tgt_keys, dtype="<i8")], axis=1)
    data = pairs.tobytes()
    digest = xxhash.xxh3_64_intdigest
    return np.fromiter((digest(data[i : i + 16]) for i in range(0, len(data), 16)), dtype=np.uint64, count=len(pairs))


def draw(key: int, purpose: str) -> float:
    """A number in [0, 1) that depends on a side key and a purpose alone: draws the hold-out."""
    return xxhash.xxh3_64_intdigest(purpose.encode() + struct.pack("<q", key)) / 2**64
