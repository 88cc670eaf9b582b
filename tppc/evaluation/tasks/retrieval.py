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

from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    from tppc.corpora.corpus import Corpus
    from tppc.encoders.load import Encoder

NAME = "retrieval"
_ROWS = 1_024  # queries scored at once: 1,024 x 10,000 candidates are 40 MB


@dataclass(frozen=True)
class Pairs:
    """n pairs to search, row i of one side belonging to row i of the other; keys are int64 of shape (n,)."""

    name: str
    digest: str
    src_lang: str
    tgt_lang: str
    src: list[str]
    tgt: list[str]
    src_key: np.ndarray
    tgt_key: np.ndarray


def load_pairs(corpus: Corpus, split: str = "test", limit: int | None = None) -> Pairs:
    """The pairs of a corpus's split, at most the first `limit` (a corpus's order is random already).

    Raises `TppcError` for a split that is not there, is empty, or whose shards were changed; `UsageError` for a limit
    below 1.
    """
    from tppc.corpora.files import sha256_of_value

    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1 (it is {limit})")
    corpus.check_shards(split)
    frame = corpus.scan(split).select("src_text", "tgt_text", "src_key", "tgt_key")
    rows = (frame.head(limit) if limit else frame).collect()
    if not len(rows):
        raise TppcError(f"{corpus.path}: its {split} split is empty; build it with --holdout dev=N,test=N")
    src, tgt = rows["src_text"].to_list(), rows["tgt_text"].to_list()
    return Pairs(
        name=f"{corpus.name}:{split}" + (f" (first {limit})" if limit and limit == len(rows) else ""),
        digest=sha256_of_value([src, tgt]),
        src_lang=corpus.pair.src,
        tgt_lang=corpus.pair.tgt,
        src=src,
        tgt=tgt,
        src_key=rows["src_key"].to_numpy(),
        tgt_key=rows["tgt_key"].to_numpy(),
    )


def _right_candidates(query_key: np.ndarray, key: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Query and candidate index of every right answer: of candidates paired with a row of the query's key."""
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
    from tppc.encoders.neighbours import unit

    if not (np.isfinite(queries).all() and np.isfinite(keys).all()):
        raise TppcError(
            "the encoder gave vectors that are not finite numbers; its weights are damaged or its training diverged"
        )
    candidates, first = np.unique(key, return_index=True)
    left, right = unit(queries), unit(keys[first])
    row, column = _right_candidates(query_key, key, candidates)
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


def chance(query_key: np.ndarray, key: np.ndarray) -> tuple[float, float]:
    """Expected P@1 and mean reciprocal rank when the candidates are put in random order.

    With m right ones among N, the best has rank r with probability C(N - r, m - 1) / C(N, m).
    """
    candidates = np.unique(key)
    total = len(candidates)
    right = np.bincount(_right_candidates(query_key, key, candidates)[0], minlength=len(query_key))
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
    return _both_ways(
        pairs,
        [(float((r == 1).mean()), float((1 / r).mean())) for r in (found.forward, found.backward)],
    )


def score_by_chance(pairs: Pairs) -> Mapping[str, float]:
    """The same figures for a random order of the candidates, computed exactly."""
    return _both_ways(pairs, [chance(pairs.src_key, pairs.tgt_key), chance(pairs.tgt_key, pairs.src_key)])


def _both_ways(pairs: Pairs, values: list[tuple[float, float]]) -> Mapping[str, float]:
    ways = [f"{pairs.src_lang}>{pairs.tgt_lang}", f"{pairs.tgt_lang}>{pairs.src_lang}"]
    result = {}
    for index, metric in enumerate(METRICS):
        result[metric] = sum(v[index] for v in values) / 2
    for index, metric in enumerate(METRICS):
        for way, value in zip(ways, values, strict=True):
            result[f"{metric} {way}"] = value[index]
    return result


METRICS = ("p@1", "mrr")
