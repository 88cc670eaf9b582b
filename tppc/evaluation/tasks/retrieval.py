"""Translation retrieval: find a text's translation among all texts of the other side, by cosine.

Both directions are measured, with no training. The candidates are the distinct texts of the other side (distinct by
key, see `tppc.corpora.keys`). A candidate is right if it, or a text with the same key, is paired with the query or
with a text of the query's key: Tatoeba has many texts with several translations, and finding another reference is no
error. The rank of the best right candidate is one more than the number of wrong candidates that score at least as
high, so a tie counts against the encoder: one that maps all texts to one point gets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tppc.encoders.ranking import ranks, right_candidates
from tppc.evaluation.pairs import Pairs

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

NAME = "retrieval"


def right_and_all(query_key: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many candidates are right for each query, and how many there are at all, int64 (n,) each."""
    candidates = np.unique(key)
    right = np.bincount(right_candidates(query_key, key, candidates)[0], minlength=len(query_key))
    return right, np.full(len(right), len(candidates), dtype=np.int64)


def chance(query_key: np.ndarray, key: np.ndarray) -> tuple[float, float]:
    """Expected P@1 and mean reciprocal rank when the candidates are put in random order."""
    right, total = right_and_all(query_key, key)
    return expected_scores(right, int(total[0]))


def expected_scores(right: np.ndarray, total: int) -> tuple[float, float]:
    """Expected P@1 and mean reciprocal rank when the candidates are put in random order.

    With m right ones among N, the best has rank r with probability C(N - r, m - 1) / C(N, m).

    Args:
        right: of each query, how many of the `total` candidates are right, int64 (n,).
    """
    expected = {}
    for m in np.unique(right).tolist():
        probability, reciprocal = m / total, 0.0
        for rank in range(1, total - m + 2):
            reciprocal += probability / rank
            probability *= (total - rank - m + 1) / (total - rank) if rank < total else 0.0
        expected[m] = reciprocal
    return float((right / total).mean()), float(np.mean([expected[m] for m in right.tolist()]))


@dataclass(frozen=True)
class Ranks:
    """Ranks of all queries, both directions, int64 (n,) each."""

    forward: np.ndarray
    backward: np.ndarray


def retrieve(encoder: Encoder, pairs: Pairs) -> Ranks:
    """Embed both sides and rank, both ways."""
    from tppc.encoders.embed import embed

    src, tgt = embed(encoder, pairs.src), embed(encoder, pairs.tgt)
    return Ranks(ranks(src, tgt, pairs.src_key, pairs.tgt_key), ranks(tgt, src, pairs.tgt_key, pairs.src_key))


def score(found: Ranks, pairs: Pairs) -> Mapping[str, float]:
    """P@1 and mean reciprocal rank: the mean of both directions first, then each direction."""
    return score_values(np.stack([found.forward, found.backward], axis=1), pairs.src_lang, pairs.tgt_lang)


def score_by_chance(pairs: Pairs) -> Mapping[str, float]:
    """The same figures for a random order of the candidates, computed exactly."""
    return score_values(chance_values(pairs), pairs.src_lang, pairs.tgt_lang)


def chance_values(pairs: Pairs) -> np.ndarray:
    """What `score_values` wants of a random order: right candidates and all of each query, both ways, [n, 4]."""
    there = right_and_all(pairs.src_key, pairs.tgt_key)
    back = right_and_all(pairs.tgt_key, pairs.src_key)
    return np.stack([*there, *back], axis=1)


def score_values(values: np.ndarray, src_lang: str, tgt_lang: str) -> Mapping[str, float]:
    """The figures of numbers that were kept for each pair, int64 [n, 2] (ranks) or [n, 4] (see `chance_values`)."""
    if values.shape[1] == 4:
        ways = [expected_scores(values[:, i], int(values[0, i + 1])) for i in (0, 2)]
    else:
        ways = [(float((values[:, i] == 1).mean()), float((1 / values[:, i]).mean())) for i in (0, 1)]
    names = [f"{src_lang}>{tgt_lang}", f"{tgt_lang}>{src_lang}"]
    result = {}
    for index, metric in enumerate(METRICS):
        result[metric] = sum(v[index] for v in ways) / 2
    for index, metric in enumerate(METRICS):
        for name, value in zip(names, ways, strict=True):
            result[f"{metric} {name}"] = value[index]
    return result


METRICS = ("p@1", "mrr")
