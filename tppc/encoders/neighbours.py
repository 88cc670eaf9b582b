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


def nearest(
    queries: np.ndarray, keys: np.ndarray, k: int, *, without: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` keys most alike to each query by cosine.

    Args:
        queries: [n, H]. keys: [m, H]. k: neighbours, at most m are given. without: combinations that do not count, as
        numbers of queries and numbers of keys, both [p].

    Returns `scores` float32 and `indices` int64, both [n, min(k, m)], best first; of equal scores the lower index comes
    first, also where the equal ones lie in different pieces of the computation. Where a query has fewer keys that
    count, the scores of the rest are -inf.
    """
    k = min(k, len(keys))
    scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
    indices = np.zeros((len(queries), k), dtype=np.int64)
    if k == 0 or len(queries) == 0:
        return scores, indices
    left, right = unit(queries), unit(keys)
    out_rows, out_columns = without or (np.empty(0, np.int64), np.empty(0, np.int64))
    columns = min(len(right), _COLUMNS)
    rows = max(1, _CELLS // columns)
    for top in range(0, len(left), rows):
        block = left[top : top + rows]
        for first in range(0, len(right), columns):
            similarity = block @ right[first : first + columns].T
            out_row, out_column = out_rows - top, out_columns - first
            here = (out_row >= 0) & (out_row < len(block)) & (out_column >= 0) & (out_column < similarity.shape[1])
            similarity[out_row[here], out_column[here]] = -np.inf
            _take_in(similarity, first, scores[top : top + rows], indices[top : top + rows])
    return scores, indices


def _take_in(similarity: np.ndarray, first: int, scores: np.ndarray, indices: np.ndarray) -> None:
    """Let the keys `first`, `first` + 1, ... compete with the best so far, in place.

    Args:
        similarity: [n, c], of which every column has a higher index than those taken in before.
        scores, indices: [n, k].
    """
    k = scores.shape[1]
    if similarity.shape[1] > k:
        # Everything at or above the k-th best score stays in play, or a tie would be cut at random.
        threshold = np.partition(similarity, -k, axis=1)[:, -k][:, None]
    else:
        threshold = np.full((len(similarity), 1), -np.inf, dtype=np.float32)
    row, column = np.nonzero((similarity >= threshold) & (similarity > scores[:, -1:]))
    # Old ones stand first, so that the stable sort gives the lower index to a tie.
    rows = np.concatenate([np.repeat(np.arange(len(scores)), k), row])
    values = np.concatenate([scores.reshape(-1), similarity[row, column]])
    numbers = np.concatenate([indices.reshape(-1), column + first])
    order = np.lexsort((-values, rows))
    rank = np.arange(len(order)) - np.searchsorted(rows[order], rows[order])
    best = order[rank < k]
    scores[:], indices[:] = values[best].reshape(-1, k), numbers[best].reshape(-1, k)
