"""Margins: how much nearer two texts are to each other than to their neighbours, and mining by them.

Artetxe and Schwenk 2019 (arXiv:1811.01136): with `around` the mean cosine of x and y with their k
nearest neighbours on the other side,

    around(x, y) = sum over z in NN_k(x) of cos(x, z) / 2k + sum over z in NN_k(y) of cos(y, z) / 2k
    ratio = cos(x, y) / around(x, y);  distance = cos(x, y) - around(x, y);  absolute = cos(x, y)

A denominator below 0.01 counts as 0.01: neighbours that are unlike on average say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tppc.encoders.neighbours import nearest, unit

Margin = Literal["ratio", "distance", "absolute"]
Retrieval = Literal["forward", "backward", "intersection", "max"]
MARGINS: tuple[Margin, ...] = get_args(Margin)
RETRIEVALS: tuple[Retrieval, ...] = get_args(Retrieval)
_LEAST = 0.01


def centred(vectors: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Unit vectors [n, H] of one language with the mean of the rows `among` (all of them) taken off, unit again."""
    own = unit(vectors)
    return unit(own - (own if among is None else own[among]).mean(0))


def rowwise(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Dot product of each row of [n, H] with the same row of the other: [n]."""
    products: np.ndarray = np.einsum("ij,ij->i", left, right)
    return products


def margin_of(cosine: np.ndarray, around: np.ndarray, margin: Margin = "ratio") -> np.ndarray:
    """Margins from cosines of pairs and of their neighbourhoods, arrays of one shape."""
    if margin == "absolute":
        return cosine
    margins: np.ndarray = cosine - around if margin == "distance" else cosine / np.maximum(around, _LEAST)
    return margins


def pair_margins(
    src: np.ndarray, tgt: np.ndarray, src_keys: np.ndarray, tgt_keys: np.ndarray, *, k: int, centre: bool
) -> np.ndarray:
    """Ratio margins [n] of n pairs from their vectors [n, H] and side keys [n]; NaN where a text has no neighbours.

    Neighbours are looked for among the distinct texts of the other side (by key) that no pair joins with the text:
    another translation, or a copy of the pair, is no reason to doubt it. `centre` takes off each side's mean first.
    """
    src_first, src_of = np.unique(src_keys, return_index=True, return_inverse=True)[1:]
    tgt_first, tgt_of = np.unique(tgt_keys, return_index=True, return_inverse=True)[1:]
    src, tgt = (centred(src, src_first), centred(tgt, tgt_first)) if centre else (unit(src), unit(tgt))
    own = np.unique(np.stack([src_of, tgt_of]), axis=1)
    forth = neighbourhood(src[src_first], tgt[tgt_first], k, (own[0], own[1]))
    back = neighbourhood(tgt[tgt_first], src[src_first], k, (own[1], own[0]))
    return margin_of(rowwise(src, tgt), (forth[src_of] + back[tgt_of]) / 2)


def neighbourhood(
    queries: np.ndarray, keys: np.ndarray, k: int, own: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Mean cosine of the k nearest keys of each query, [n]; NaN where there is none. `own`: those that do not count."""
    scores, _ = nearest(queries, keys, k, without=own)
    there = np.isfinite(scores)
    total = np.where(there, scores, 0).sum(1)
    mean: np.ndarray = np.where(there.any(1), total / np.maximum(there.sum(1), 1), np.nan).astype(np.float32)
    return mean


@dataclass(frozen=True)
class Candidates:
    """Mined pairs: numbers of sources and targets, int64 [c], and their margins, float32 [c]; the best first."""

    src: np.ndarray
    tgt: np.ndarray
    score: np.ndarray


def mine(
    src: np.ndarray, tgt: np.ndarray, *, k: int = 4, margin: Margin = "ratio", retrieval: Retrieval = "max"
) -> Candidates:
    """Candidate translations among n source and m target texts, from their vectors [n, H] and [m, H].

    `forward`: for each source, its neighbour with the best margin; `backward`: the same for each target;
    `intersection`: what both give; `max`: of what either gives, the best first, each text at most once. This is what
    LASER's `mine_bitexts.py` does; unlike in `pair_margins`, a text's translation is one of its neighbours. Of equal
    margins the lower source number comes first, then the lower target number.
    """
    forth, there = nearest(src, tgt, k)
    back, here = nearest(tgt, src, k)
    around_src, around_tgt = forth.mean(1), back.mean(1)
    forward = margin_of(forth, (around_src[:, None] + around_tgt[there]) / 2, margin)
    backward = margin_of(back, (around_tgt[:, None] + around_src[here]) / 2, margin)
    n, m = np.arange(len(src)), np.arange(len(tgt))
    best_tgt, best_src = there[n, forward.argmax(1)], here[m, backward.argmax(1)]
    if retrieval == "forward":
        found = n, best_tgt, forward.max(1)
    elif retrieval == "backward":
        found = best_src, m, backward.max(1)
    elif retrieval == "intersection":
        mutual = best_src[best_tgt] == n
        found = n[mutual], best_tgt[mutual], forward.max(1)[mutual]
    else:
        found = (
            np.concatenate([n, best_src]),
            np.concatenate([best_tgt, m]),
            np.concatenate([forward.max(1), backward.max(1)]),
        )
    left, right, score = found
    order = np.lexsort((right, left, -score))
    if retrieval == "max":
        order = _each_once(left, right, order)
    return Candidates(left[order], right[order], score[order].astype(np.float32))


def _each_once(left: np.ndarray, right: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Of the candidates in this order those of which neither text stood before."""
    seen_left: set[int] = set()
    seen_right: set[int] = set()
    kept = []
    for number, i, j in zip(order.tolist(), left[order].tolist(), right[order].tolist(), strict=True):
        if i not in seen_left and j not in seen_right:
            seen_left.add(i)
            seen_right.add(j)
            kept.append(number)
    return np.array(kept, dtype=np.int64)
