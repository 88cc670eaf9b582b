"""How well texts find their translations among many, by cosine: what held-out retrieval and the retrieval task share.

The candidates are the distinct texts of the other side (distinct by key, see `tppc.corpora.keys`). A candidate is right
if it, or a text with the same key, is paired with the query or with a text of the query's key: Tatoeba has many texts
with several translations, and finding another reference is no error. The rank of the best right candidate is one more
than the number of wrong candidates that score at least as high, so a tie counts against the encoder: one that maps all
texts to one point gets nothing.
"""

from __future__ import annotations

import numpy as np

from tppc.encoders.neighbours import unit
from tppc.errors import TppcError

_ROWS = 1_024  # queries scored at once: 1,024 x 10,000 candidates are 40 MB


def right_candidates(query_key: np.ndarray, key: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Query and candidate index of every right answer: of candidates paired with a row of the query's key.

    Args:
        query_key, key: text keys of both sides, int64 (n,). candidates: the distinct keys of `key`, in order.
    """
    column = np.searchsorted(candidates, key)
    order = np.argsort(query_key, kind="stable")
    sorted_keys = query_key[order]
    first = np.searchsorted(sorted_keys, query_key, side="left")
    count = np.searchsorted(sorted_keys, query_key, side="right") - first
    query = np.repeat(np.arange(len(query_key)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    found = np.stack([query, column[order[np.repeat(first, count) + within]]], axis=1)
    found = np.unique(found, axis=0)
    return found[:, 0], found[:, 1]


def ranks(queries: np.ndarray, keys: np.ndarray, query_key: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Rank (from 1) of the best right candidate for every query, int64 of shape (n,).

    Args:
        queries, keys: vectors [n, H], row i of one belonging to row i of the other; not normalised.
        query_key, key: text keys of both, int64 (n,).

    Raises `TppcError` where a vector holds something that is not a finite number.
    """
    if not (np.isfinite(queries).all() and np.isfinite(keys).all()):
        raise TppcError(
            "the encoder gave vectors that are not finite numbers; its weights are damaged or its training diverged"
        )
    candidates, first = np.unique(key, return_index=True)
    left, right = unit(queries), unit(keys[first])
    row, column = right_candidates(query_key, key, candidates)
    result = np.empty(len(left), dtype=np.int64)
    for top in range(0, len(left), _ROWS):
        scores = left[top : top + _ROWS] @ right.T
        here = slice(*np.searchsorted(row, [top, top + len(scores)]))
        rows, columns = row[here] - top, column[here]
        best = np.full(len(scores), -np.inf, dtype=np.float32)
        np.maximum.at(best, rows, scores[rows, columns])
        scores[rows, columns] = -np.inf
        result[top : top + len(scores)] = 1 + (scores >= best[:, None]).sum(1)
    return result


def both_ways(src: np.ndarray, tgt: np.ndarray, src_key: np.ndarray, tgt_key: np.ndarray) -> dict[str, float]:
    """`p@1` and `mrr` (mean reciprocal rank) of n pairs, each the mean of both directions; arguments as of `ranks`."""
    found = [ranks(src, tgt, src_key, tgt_key), ranks(tgt, src, tgt_key, src_key)]
    return {
        "p@1": sum(float((r == 1).mean()) for r in found) / 2,
        "mrr": sum(float((1 / r).mean()) for r in found) / 2,
    }
