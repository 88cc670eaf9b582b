"""The measures, as functions of vectors. docs/diagnostics.md says where each is from and how to read it."""

from __future__ import annotations

import numpy as np

from tppc.encoders.margin import centred
from tppc.encoders.neighbours import nearest, unit

HUB_NEIGHBOURS = 10
FOLDS = 5
_PROBED = 1_000  # texts of each language: a probe on more takes longer and says the same


def cka(left: np.ndarray, right: np.ndarray) -> float:
    """Linear centred kernel alignment of n rows with the same n rows of another space, [n, G] and [n, H]: 0 to 1.

    Kornblith et al. 2019 (arXiv:1905.00414), after centring each column. Nought where a side is constant.
    With few rows for its dimensions it is high for any two spaces: compare it with that of shuffled rows.
    """
    left = left.astype(np.float64) - left.mean(0, dtype=np.float64)
    right = right.astype(np.float64) - right.mean(0, dtype=np.float64)
    own = np.linalg.norm(left.T @ left) * np.linalg.norm(right.T @ right)
    return float(np.linalg.norm(left.T @ right) ** 2 / own) if own > 0 else 0.0


def occurrences(queries: np.ndarray, keys: np.ndarray, k: int = HUB_NEIGHBOURS) -> np.ndarray:
    """How many of the n queries have each key among their k nearest by cosine, int64 [m]."""
    _, found = nearest(queries, keys, k)
    return np.bincount(found.reshape(-1), minlength=len(keys))


def skewness(values: np.ndarray) -> float:
    """The third standardised moment, E[(v - mean)^3] / sd^3; nought where all values are equal."""
    away = values.astype(np.float64) - values.mean()
    spread = np.sqrt((away**2).mean())
    return float((away**3).mean() / spread**3) if spread > 0 else 0.0


def language_probe(src: np.ndarray, tgt: np.ndarray, groups: np.ndarray) -> float:
    """How often a logistic regression tells from a vector which language its text is in: accuracy, cross-validated.

    Rows of both sides, [n, H] each, are standardised and split into folds so that a pair, and pairs that share a text
    (the same `groups`, int64 [n]), are never in training and test at once. Each language has n texts: chance is 0.5.
    The first 1,000 pairs are taken.
    """
    from tppc.evaluation.probing import Probing, cross_validated

    vectors = np.concatenate([unit(src[:_PROBED]), unit(tgt[:_PROBED])])
    groups = groups[:_PROBED]
    labels = ["src"] * len(groups) + ["tgt"] * len(groups)
    # Separable data has no finite optimum but for the penalty: 200 iterations answer as 1,000 do.
    return cross_validated(vectors, labels, Probing(max_iterations=200), FOLDS, np.concatenate([groups, groups]))


def own_language_nearest(src: np.ndarray, tgt: np.ndarray) -> float:
    """Of the n + m texts of both sides, [n, H] and [m, H], each without copies: the share whose nearest other text, of
    either language, is in the language of the text itself. Ties go to the source side.
    """
    both = np.concatenate([src, tgt])
    rows = np.arange(len(both))
    _, found = nearest(both, both, 1, without=(rows, rows))
    return float(((found[:, 0] < len(src)) == (rows < len(src))).mean())


def language_means_off(
    src: np.ndarray, tgt: np.ndarray, src_key: np.ndarray, tgt_key: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides' unit vectors with the mean of the side's distinct texts taken off: no label is used."""
    first = [np.unique(key, return_index=True)[1] for key in (src_key, tgt_key)]
    return centred(src, first[0]), centred(tgt, first[1])
