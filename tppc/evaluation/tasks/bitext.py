"""Bitext mining: find the translations hidden in two sets of texts, as the BUCC shared task asks.

Candidates are mined by margin (`tppc.encoders.margin`; Artetxe and Schwenk 2019) among the distinct texts of both
sides (by key), and those at or above a threshold are given out. The threshold is chosen for the best F1 on a
development part, never on the part that is scored, or given by the user (Zweigenbaum et al. 2017 score so: precision,
recall and F1 over gold pairs).

`bitext-nearest` is what `mteb` calls bitext mining (its `BitextMining` tasks): for each gold pair the nearest target
by cosine is the answer, texts that stand twice stay two, and precision, recall and F1 are means over the gold targets
as classes, weighted by how often each is gold. Its F1 is at most its accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tppc.corpora.files import sha256_of_value
from tppc.corpora.keys import draw, side_keys
from tppc.encoders.margin import Candidates, Margin, Retrieval, mine
from tppc.encoders.neighbours import nearest
from tppc.evaluation.groups import joined
from tppc.evaluation.tasks.task import Labels

if TYPE_CHECKING:
    from tppc.evaluation.pairs import Pairs

NAME = "bitext"
NEAREST = "bitext-nearest"
METRICS = ("f1", "precision", "recall")
NEAREST_METRICS = ("f1", "accuracy", "precision", "recall")


@dataclass(frozen=True)
class Sides:
    """n source and m target texts, and which of them are translations: `gold`, int64 [g, 2], rows of both sides."""

    name: str
    digest: str
    src_lang: str
    tgt_lang: str
    src: list[str]
    tgt: list[str]
    gold: np.ndarray


def sides_of(pairs: Pairs) -> Sides:
    """Pairs as two sides in which every text has a translation: row i belongs to row i."""
    rows = np.arange(len(pairs.src), dtype=np.int64)
    return Sides(
        pairs.name, pairs.digest, pairs.src_lang, pairs.tgt_lang, pairs.src, pairs.tgt, np.stack([rows, rows], axis=1)
    )


def split_off(sides: Sides, share: float) -> tuple[Sides, Sides]:
    """A development part of about `share` of the texts, drawn by key, and the rest.

    Texts that gold pairs join, and equal texts, stay together, so the parts have no text in common. The draw depends on
    the texts alone.
    """
    keys = [side_keys(sides.src), side_keys(sides.tgt)]
    texts, numbers = np.unique(np.concatenate(keys), return_inverse=True)
    src, tgt = numbers[: len(sides.src)], numbers[len(sides.src) :]
    group = joined(src[sides.gold[:, 0]], tgt[sides.gold[:, 1]], len(texts))
    lowest = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, group, texts)
    chosen = np.array([draw(int(key), "bitext dev") < share for key in lowest])[group]
    return _part(sides, chosen[src], chosen[tgt], "dev part"), _part(sides, ~chosen[src], ~chosen[tgt], "test part")


def _part(sides: Sides, src: np.ndarray, tgt: np.ndarray, name: str) -> Sides:
    """The texts under both masks, and the gold pairs between them."""
    new_src, new_tgt = np.cumsum(src) - 1, np.cumsum(tgt) - 1
    inside = src[sides.gold[:, 0]]  # a gold pair's texts are in the same part
    gold = sides.gold[inside]
    return with_digest(
        replace(
            sides,
            name=f"{sides.name} ({name})",
            src=[text for text, kept in zip(sides.src, src.tolist(), strict=True) if kept],
            tgt=[text for text, kept in zip(sides.tgt, tgt.tolist(), strict=True) if kept],
            gold=np.stack([new_src[gold[:, 0]], new_tgt[gold[:, 1]]], axis=1),
        )
    )


def with_digest(sides: Sides) -> Sides:
    """The sides with the digest of their texts and gold pairs."""
    return replace(sides, digest=sha256_of_value([sides.src, sides.tgt, sides.gold.tolist()]))


@dataclass(frozen=True)
class Mining:
    """How to mine, see `tppc.encoders.margin.mine`."""

    k: int = 4
    margin: Margin = "ratio"
    retrieval: Retrieval = "max"

    def describe(self) -> str:
        """As it stands in a result's protocol."""
        return f"{self.margin} margin k={self.k}; {self.retrieval} retrieval"


@dataclass(frozen=True)
class Mined:
    """Candidates, the best first, among n distinct sources and m distinct targets, numbered in the order of their keys.

    Attributes:
        found: numbers and margins of the candidates. right: whether each is gold, bool [c].
        gold: the distinct gold pairs, int64 [g, 2]. sources: n.
    """

    found: Candidates
    right: np.ndarray
    gold: np.ndarray
    sources: int


def mined(sides: Sides, src: np.ndarray, tgt: np.ndarray, how: Mining) -> Mined:
    """Mine among the distinct texts of both sides, given the vectors of all, [n, H] and [m, H]."""
    src_first, src_of = np.unique(side_keys(sides.src), return_index=True, return_inverse=True)[1:]
    tgt_first, tgt_of = np.unique(side_keys(sides.tgt), return_index=True, return_inverse=True)[1:]
    found = mine(src[src_first], tgt[tgt_first], k=how.k, margin=how.margin, retrieval=how.retrieval)
    return judged(found, np.stack([src_of[sides.gold[:, 0]], tgt_of[sides.gold[:, 1]]], axis=1), len(src_first))


def identical(sides: Sides) -> Mined:
    """What a trivial baseline finds: texts that are the same on both sides (names, numbers), by key."""
    src, tgt = np.unique(side_keys(sides.src)), np.unique(side_keys(sides.tgt))
    _, left, right = np.intersect1d(src, tgt, return_indices=True)
    gold_src = np.searchsorted(src, side_keys(sides.src))[sides.gold[:, 0]]
    gold_tgt = np.searchsorted(tgt, side_keys(sides.tgt))[sides.gold[:, 1]]
    found = Candidates(left, right, np.ones(len(left), np.float32))
    return judged(found, np.stack([gold_src, gold_tgt], axis=1), len(src))


def judged(found: Candidates, gold: np.ndarray, sources: int) -> Mined:
    """Candidates beside the gold pairs, int64 [g, 2], of which some may be there twice."""
    distinct = np.unique(gold, axis=0)
    pairs = set(map(tuple, distinct.tolist()))
    right = [pair in pairs for pair in zip(found.src.tolist(), found.tgt.tolist(), strict=True)]
    return Mined(found, np.array(right, dtype=bool), distinct, sources)


def best_threshold(found: Mined) -> float:
    """The score from which on candidates give the best F1: half way between the last one in and the first one out.

    Candidates of one score are all in or all out; of equal F1 the higher threshold is taken. Infinity where no
    candidate is right.
    """
    score, right = found.found.score, found.right
    if not right.any():
        return float("inf")
    f1 = 2 * np.cumsum(right) / (np.arange(1, len(score) + 1) + len(found.gold))
    last_of_score = np.append(score[1:] < score[:-1], True)
    best = int(np.where(last_of_score, f1, -1).argmax())
    if best + 1 == len(score):
        return float(score[best])
    return (float(score[best]) + float(score[best + 1])) / 2


@dataclass(frozen=True)
class Answers:
    """For each distinct source, in the order of the keys: its gold targets, those given out, and their margins."""

    gold: list[list[str]]
    predicted: list[list[str]]
    values: list[list[float]]


def answers(mined: Mined, threshold: float) -> Answers:
    """What is given out at a threshold, beside what is gold."""
    every = range(mined.sources)
    made = Answers([[] for _ in every], [[] for _ in every], [[] for _ in every])
    for source, target in mined.gold.tolist():
        made.gold[source].append(str(target))
    found = mined.found
    for source, target, score in zip(found.src.tolist(), found.tgt.tolist(), found.score.tolist(), strict=True):
        if score >= threshold:
            made.predicted[source].append(str(target))
            made.values[source].append(float(score))
    return made


def counts(gold: Labels, predicted: Labels) -> np.ndarray:
    """Of each source the pairs that are gold and given out, that are given out, and that are gold: int64 [n, 3]."""
    rows = [(len(set(g) & set(p)), len(p), len(g)) for g, p in zip(gold, predicted, strict=True)]
    return np.array(rows, dtype=np.int64).reshape(-1, 3)


def f1_of(sums: np.ndarray) -> np.ndarray:
    """F1 from sums of `counts`, [..., 3] to [...]; 0 where nothing is gold or given out."""
    f1: np.ndarray = 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)
    return f1


def score(gold: Labels, predicted: Labels) -> Mapping[str, float]:
    """F1, precision and recall of the pairs that were given out; 0 where nothing was."""
    sums = counts(gold, predicted or [[]] * len(gold)).sum(0)
    both, given, there = (int(one) for one in sums)
    return {
        "f1": float(f1_of(sums)),
        "precision": both / given if given else 0.0,
        "recall": both / there if there else 0.0,
    }


def nearest_targets(sides: Sides, src: np.ndarray, tgt: np.ndarray) -> tuple[list[list[str]], list[list[str]]]:
    """For each gold pair the row of its target and of the target nearest to its source, as labels."""
    _, found = nearest(src[sides.gold[:, 0]], tgt, 1)
    return [[str(j)] for j in sides.gold[:, 1].tolist()], [[str(j)] for j in found[:, 0].tolist()]


def score_nearest(gold: Labels, predicted: Labels) -> Mapping[str, float]:
    """F1, accuracy, precision and recall as `mteb` counts them: weighted means over the gold targets as classes."""
    from sklearn.metrics import precision_recall_fscore_support

    labels, guesses = [g[0] for g in gold], [p[0] for p in predicted]
    precision, recall, f1, _ = precision_recall_fscore_support(labels, guesses, average="weighted", zero_division=0)
    hits = sum(label == guess for label, guess in zip(labels, guesses, strict=True))
    return {
        "f1": float(f1),
        "accuracy": hits / len(labels),
        "precision": float(precision),
        "recall": float(recall),
    }
