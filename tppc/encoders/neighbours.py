"""Exact nearest neighbours by cosine, in bounded memory."""

from __future__ import annotations

import numpy as np

_CELLS = 1 << 24  # similarities held at once: 64 MB of float32
_COLUMNS = 1 << 14


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of [n, H] scaled to length 1, float32; a row of zeros stays one."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)


def nearest(queries: np.ndarray, keys: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` keys most alike to each query by cosine.

    Args:
        queries: [n, H]. keys: [m, H]. k: neighbours, at most m are given.

    Returns `scores` float32 and `indices` int64, both [n, min(k, m)], best first; of equal scores the lower index comes
    first, also where the equal ones lie in different pieces of the computation.
    """
    k = min(k, len(keys))
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    indices = np.zeros((len(queries), k), dtype=np.int64)
    if k == 0 or len(queries) == 0:
        return scores, indices
    left, right = unit(queries), unit(keys)
    columns = min(len(right), _COLUMNS)
    rows = max(1, _CELLS // columns)
    for top in range(0, len(left), rows):
        block = left[top : top + rows]
        best, where = scores[top : top + rows], indices[top : top + rows]
        for first in range(0, len(right), columns):
            similarity = block @ right[first : first + columns].T
            numbers = np.broadcast_to(np.arange(first, first + similarity.shape[1]), similarity.shape)
            if similarity.shape[1] > k:
                # Everything at or above the k-th best score stays in play, or a tie would be cut at random.
                threshold = np.partition(similarity, -k, axis=1)[:, -k][:, None]
                similarity = np.where(similarity >= threshold, similarity, -np.inf)
                width = int((similarity >= threshold).sum(1).max())
                keep = np.argsort(-similarity, axis=1, kind="stable")[:, :width]
                similarity = np.take_along_axis(similarity, keep, 1)
                numbers = np.take_along_axis(numbers, keep, 1)
            # Earlier columns stand first, so the stable sort gives the lower index to a tie.
            both = np.concatenate([best, similarity], axis=1)
            names = np.concatenate([where, numbers], axis=1)
            order = np.argsort(-both, axis=1, kind="stable")[:, :k]
            best, where = np.take_along_axis(both, order, 1), np.take_along_axis(names, order, 1)
        scores[top : top + rows], indices[top : top + rows] = best, where
    return scores, indices
