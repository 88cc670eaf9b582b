"""Semantic similarity by pair classification: does the cosine tell translations from other pairs?

The measure is the area under the ROC curve (AUC): how often a translation has a higher cosine than a pair that is none,
ties counting half. Three kinds of other pairs, each text of the split once in turn (kinds are never mixed):

- `random`: a text and a text of the other language, drawn from the other pairs;
- `hard`: a text and its nearest text of the other language that is no translation of it, by the encoder that is
  measured, so each encoder meets what it confuses most;
- `tpp2021`: as the published code of Translation Pair Prediction draws them: one side of a pair is replaced by a text
  of another pair in *either* language, so that half of them are two texts of one language.

Beside it stands the AUC of a baseline that knows the language of each text and nothing else: it calls two texts
translations if their languages differ. That is 0.5 for the first two kinds and about 0.75 for the third: an accuracy of
75% under such negatives is language identification. Texts joined by a pair anywhere in the split (by key) are
translations, as in retrieval.

Where the encoder knows the logit of its training objective (`Encoder.translation`), `accuracy` says how often sigma of
it is on the right side of one half, translations and others weighing the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tppc.encoders.margin import rowwise
from tppc.encoders.neighbours import nearest, unit
from tppc.encoders.probability import translation_probability
from tppc.errors import TppcError

if TYPE_CHECKING:
    from tppc.encoders.load import Translation
    from tppc.evaluation.pairs import Pairs

NAME = "similarity"
KINDS = ("random", "hard", "tpp2021")
METRICS = tuple(f"auc {kind}" for kind in KINDS)
TRANSLATION = "translation"
_TRIES = 20


@dataclass(frozen=True)
class Combinations:
    """c pairs of texts: rows of the left and the right text among all 2n (sources, then targets), int64 [c]."""

    left: np.ndarray
    right: np.ndarray


class Partners:
    """Which texts of n pairs are translations of each other, by key."""

    def __init__(self, pairs: Pairs) -> None:
        self._src = np.unique(pairs.src_key, return_inverse=True)[1]
        tgt, self._tgt = np.unique(pairs.tgt_key, return_inverse=True)
        self._width = len(tgt)
        self._joined = np.unique(self._src * self._width + self._tgt)

    def are(self, src: np.ndarray, tgt: np.ndarray) -> np.ndarray:
        """Whether the source of row `src` and the target of row `tgt` are joined by a pair, bool [c]."""
        return np.isin(self._src[src] * self._width + self._tgt[tgt], self._joined)

    def same_pair(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether two rows share a text or a translation, bool [c]: neither may replace a text of the other."""
        shared: np.ndarray = (self._src[one] == self._src[other]) | (self._tgt[one] == self._tgt[other])
        shared |= self.are(one, other) | self.are(other, one)
        return shared


def translations(pairs: Pairs) -> Combinations:
    """The n pairs themselves."""
    rows = np.arange(len(pairs.src))
    return Combinations(rows, rows + len(rows))


def wrong_targets(pairs: Pairs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """For each source a drawn target of another pair: rows of both, int64; a source without one is left out."""
    rows = np.arange(len(pairs.src))
    return _drawn(rows, np.random.default_rng([seed, 0]), len(rows), Partners(pairs).are)


def random_others(pairs: Pairs, seed: int) -> Combinations:
    """For each source a target, and for each target a source, of another pair: 2n at most.

    A text without one (in a split of a single pair, say) is left out.
    """
    count, partners = len(pairs.src), Partners(pairs)
    forth, there = wrong_targets(pairs, seed)
    back, here = _drawn(
        np.arange(count), np.random.default_rng([seed, 1]), count, lambda one, other: partners.are(other, one)
    )
    return Combinations(np.concatenate([forth, here]), np.concatenate([there, back]) + count)


def hard_others(pairs: Pairs, src: np.ndarray, tgt: np.ndarray) -> Combinations:
    """For each source the nearest target, and for each target the nearest source, that is no translation of it.

    Args:
        src, tgt: vectors [n, H].
    """
    count = len(pairs.src)
    left, right = [], []
    for flip, own, other, own_key, other_key in (
        (False, src, tgt, pairs.src_key, pairs.tgt_key),
        (True, tgt, src, pairs.tgt_key, pairs.src_key),
    ):
        first, number = np.unique(own_key, return_index=True, return_inverse=True)[1:]
        there, other_number = np.unique(other_key, return_index=True, return_inverse=True)[1:]
        joined = np.unique(np.stack([number, other_number]), axis=1)
        scores, found = nearest(own[first], other[there], 1, without=(joined[0], joined[1]))
        has = np.isfinite(scores[:, 0])[number]
        rows, partner = np.arange(count)[has], there[found[number, 0]][has]
        left.append(partner if flip else rows)
        right.append(rows if flip else partner)
    return Combinations(np.concatenate(left), np.concatenate(right) + count)


def others_of_2021(pairs: Pairs, seed: int) -> Combinations:
    """One for each pair, n at most: a drawn side of it is replaced by a drawn text, in either language, of another."""
    count, partners, random = len(pairs.src), Partners(pairs), np.random.default_rng(seed)
    rows, donor = _drawn(np.arange(count), random, count, partners.same_pair)
    kept = rows + count * random.integers(0, 2, len(rows))  # the side that stays
    given = donor + count * random.integers(0, 2, len(rows))
    return Combinations(np.where(kept < count, kept, given), np.where(kept < count, given, kept))


def _drawn(
    rows: np.ndarray, random: np.random.Generator, count: int, refused: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """For each row another one of `count`, drawn among those that are not refused; rows that have none are left out."""
    found = random.integers(0, count, len(rows))
    open_ = np.flatnonzero(refused(rows, found))
    for _ in range(_TRIES):
        found[open_] = random.integers(0, count, len(open_))
        open_ = open_[refused(rows[open_], found[open_])]
    kept = np.ones(len(rows), dtype=bool)
    for row in open_.tolist():  # those with few or none: look at all
        allowed = np.flatnonzero(~refused(np.full(count, rows[row]), np.arange(count)))
        kept[row] = len(allowed) > 0
        found[row] = random.choice(allowed) if len(allowed) else 0
    return rows[kept], found[kept]


def auc(near: np.ndarray, far: np.ndarray) -> float:
    """How often a value of `near` is above one of `far`, ties counting half: the area under the ROC curve."""
    from scipy.stats import rankdata  # type: ignore[import-untyped]  # scikit-learn brings it

    ranks = rankdata(np.concatenate([near, far]))
    above = ranks[: len(near)].sum() - len(near) * (len(near) + 1) / 2
    return float(above / (len(near) * len(far)))


@dataclass(frozen=True)
class Answers:
    """Every combination that was asked about, by row: its kind (`translation`, `random`, `hard`, `tpp2021`), its cosine
    and, where the encoder knows it, the probability of a translation.
    """

    kind: list[str]
    cosine: list[float]
    probability: list[float] | None


def ask(pairs: Pairs, src: np.ndarray, tgt: np.ndarray, head: Translation | None = None, seed: int = 0) -> Answers:
    """Cosines of all translations and others, from the vectors [n, H] of both sides.

    Raises `TppcError` for vectors that are not finite, and for pairs that give no others at all.
    """
    if not (np.isfinite(src).all() and np.isfinite(tgt).all()):
        raise TppcError(
            "the encoder gave vectors that are not finite numbers; its weights are damaged or its training diverged"
        )
    kinds, left, right = _asked(pairs, hard_others(pairs, src, tgt), seed)
    vectors = np.concatenate([src, tgt])
    lengths = unit(vectors)
    return Answers(
        kind=kinds,
        cosine=rowwise(lengths[left], lengths[right]).tolist(),
        probability=None if head is None else translation_probability(vectors[left], vectors[right], head).tolist(),
    )


def languages_alone(pairs: Pairs, seed: int = 0) -> Answers:
    """What the baseline says that knows the language of each text and nothing else: 1 where the two differ, else 0.

    Its `hard` others are those drawn for `random`: all of them are in two languages, whichever they are.
    Raises `TppcError` for pairs that give no others at all.
    """
    kinds, left, right = _asked(pairs, random_others(pairs, seed), seed)
    crossing = ((left < len(pairs.src)) != (right < len(pairs.src))).astype(np.float64).tolist()
    return Answers(kinds, crossing, crossing)


def _asked(pairs: Pairs, hard: Combinations, seed: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The kind of every combination, and the rows of its texts among all 2n."""
    kinds = {
        TRANSLATION: translations(pairs),
        "random": random_others(pairs, seed),
        "hard": hard,
        "tpp2021": others_of_2021(pairs, seed),
    }
    if not all(len(kinds[kind].left) for kind in KINDS):
        raise TppcError(f"{pairs.name}: every text is a translation of every other; give more pairs")
    left, right = (np.concatenate([getattr(c, side) for c in kinds.values()]) for side in ("left", "right"))
    return [kind for kind, found in kinds.items() for _ in range(len(found.left))], left, right


def score(gold: Sequence[Sequence[str]], values: Sequence[Sequence[float]]) -> Mapping[str, float]:
    """The AUC of each kind of others; with probabilities also the accuracy, both classes weighing the same.

    Args:
        gold: the kind of each combination, one label. values: its cosine, or its cosine and probability.
    """
    which, numbers = np.array([one[0] for one in gold]), np.array(values, dtype=np.float64)
    cosine, translation = numbers[:, 0], which == TRANSLATION
    found = {f"auc {kind}": auc(cosine[translation], cosine[which == kind]) for kind in KINDS}
    if numbers.shape[1] == 2:
        yes = numbers[:, 1] > 0.5
        hits = float(yes[translation].mean())
        found |= {f"accuracy {kind}": (hits + float((~yes[which == kind]).mean())) / 2 for kind in KINDS}
    return found
