"""Which rows belong together: those that a text joins, directly or over others."""

from __future__ import annotations

import numpy as np


def joined(left: np.ndarray, right: np.ndarray, nodes: int) -> np.ndarray:
    """The group of each of `nodes` nodes, int64 [nodes], where edges join `left` [e] with `right` [e]."""
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]  # scikit-learn brings it
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

    edges = coo_matrix((np.ones(len(left)), (left, right)), shape=(nodes, nodes))
    groups: np.ndarray = connected_components(edges, directed=False)[1].astype(np.int64)
    return groups


def groups_of_pairs(src_key: np.ndarray, tgt_key: np.ndarray) -> np.ndarray:
    """The group of each of n pairs, int64 [n]: pairs that share a text, on whichever side, are in one."""
    texts, numbers = np.unique(np.concatenate([src_key, tgt_key]), return_inverse=True)
    src, tgt = numbers[: len(src_key)], numbers[len(src_key) :]
    return joined(src, tgt, len(texts))[src]
