"""The numbers behind the paper's Figures 1 and 3, measured in the embedding space itself.

The published code measures its Figure 3 inside two t-SNE maps that were fitted apart and scaled apart; a distance there
says nothing about the embeddings. Here every number comes from the vectors: cosine and Euclidean distance of each pair
before and after training, the paired change, and a bootstrap interval over pairs. t-SNE is kept as an illustration,
with one fit for both encoders, so that its two panels share one map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tppc.evaluation.significance import paired_bootstrap

Matrix = NDArray[np.floating]


def unit(vectors: Matrix) -> Matrix:
    """Rows scaled to length 1, float64 of the same shape; a zero row stays zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1.0, norms)


def cosine(a: Matrix, b: Matrix) -> Matrix:
    """Cosine of each row of `a` with the same row of `b`: [n, H], [n, H] -> [n]."""
    products: Matrix = (unit(a) * unit(b)).sum(axis=1)
    return products


def distance(a: Matrix, b: Matrix) -> Matrix:
    """Euclidean distance of each row of `a` to the same row of `b`: [n, H], [n, H] -> [n]; nothing is normalised."""
    gap: Matrix = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    lengths: Matrix = np.sqrt((gap * gap).sum(axis=1))
    return lengths


def non_translations(src_keys: NDArray[np.int64], tgt_keys: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """For each pair i the index j of another pair whose target is no translation of source i; -1 where there is none.

    The partners are a rotation of a drawn order, so each target is used once. The rotation with the fewest clashes of
    keys (two pairs that share a side) among the first 16 is taken, and what still clashes is -1.
    """
    count = len(src_keys)
    if count < 2:
        return np.full(count, -1, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(count)
    best: NDArray[np.int64] | None = None
    for shift in range(1, min(count, 17)):
        partner = np.empty(count, dtype=np.int64)
        partner[order] = np.roll(order, shift)
        clash = (src_keys == src_keys[partner]) | (tgt_keys == tgt_keys[partner])
        partner[clash] = -1
        if best is None or (partner < 0).sum() < (best < 0).sum():
            best = partner
        if not clash.any():
            break
    assert best is not None, "there is at least one rotation"
    return best


def separation(near: Matrix, far: Matrix) -> float:
    """Probability that a value of `near` is below one of `far`, ties counting half: the area under the ROC curve.

    It has no unit and no scale, so it compares encoders whose vectors have different lengths.
    """
    joined = np.concatenate([near, far])
    _, inverse, counts = np.unique(joined, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    above = ranks[len(near) :].sum() - len(far) * (len(far) + 1) / 2
    return float(above / (len(near) * len(far)))


@dataclass(frozen=True)
class Change:
    """Mean of `after - before` over n pairs, and the 95% interval of a paired percentile bootstrap."""

    before: float
    after: float
    mean: float
    low: float
    high: float
    n: int


def change(before: Matrix, after: Matrix, seed: int) -> Change:
    """The paired change of n values, with the percentile interval of a paired bootstrap over pairs."""
    found = paired_bootstrap(before, after, seed=seed)
    return Change(float(before.mean()), float(after.mean()), found.difference, found.low, found.high, found.n)


@dataclass(frozen=True)
class Sides:
    """Embeddings of n held-out pairs by one encoder: `src` and `tgt`, each [n, H]."""

    src: Matrix
    tgt: Matrix


@dataclass(frozen=True)
class Distances:
    """One measure of n translations and m <= n non-translations, by the encoder before and after training."""

    measure: str
    pairs_before: Matrix
    pairs_after: Matrix
    others_before: Matrix
    others_after: Matrix
    pairs: Change
    others: Change | None
    separation_before: float | None
    separation_after: float | None


def distances(before: Sides, after: Sides, partner: NDArray[np.int64], seed: int) -> tuple[Distances, Distances]:
    """Cosine distance (1 - cosine) and Euclidean distance of pairs and of source i with target `partner[i]`.

    The two encoders may have different widths. Where `partner` is -1 throughout, the numbers of non-translations are
    None and their arrays empty.
    """

    def cosine_distance(a: Matrix, b: Matrix) -> Matrix:
        return 1.0 - cosine(a, b)

    found = []
    has = partner >= 0
    for measure, function in (("cosine", cosine_distance), ("L2", distance)):
        near = [function(sides.src, sides.tgt) for sides in (before, after)]
        far = [function(sides.src[has], sides.tgt[partner[has]]) for sides in (before, after)]
        some = bool(has.any())
        found.append(
            Distances(
                measure, near[0], near[1], far[0], far[1],
                pairs=change(near[0], near[1], seed),
                others=change(far[0], far[1], seed) if some else None,
                separation_before=separation(near[0], far[0]) if some else None,
                separation_after=separation(near[1], far[1]) if some else None,
            )
        )  # fmt: skip
    return found[0], found[1]


@dataclass(frozen=True)
class Map:
    """Two-dimensional t-SNE coordinates of n pairs, each array [n, 2], all four from one fit."""

    before: Sides
    after: Sides


def joint_map(before: Sides, after: Sides, seed: int) -> Map | None:
    """One t-SNE fit over both sides of both encoders, 4n unit vectors; None where widths differ or n < 3.

    Without one width there is no space that holds both encoders' vectors, so no joint fit.
    """
    from sklearn.manifold import TSNE

    count = len(before.src)
    if count < 3 or before.src.shape[1] != after.src.shape[1]:
        return None
    stacked = np.concatenate([unit(m) for m in (before.src, before.tgt, after.src, after.tgt)])
    perplexity = min(30.0, (len(stacked) - 1) / 3)
    # `exact` is plain numpy: a few seconds for 240 points, and the same result on any number of threads.
    fit = TSNE(n_components=2, perplexity=perplexity, init="pca", method="exact", random_state=seed)
    parts = np.split(np.asarray(fit.fit_transform(stacked), dtype=np.float64), 4)
    return Map(Sides(parts[0], parts[1]), Sides(parts[2], parts[3]))
