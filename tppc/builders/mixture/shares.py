"""How many rows of each corpus a mixture takes, and which.

Corpora of n_i rows get weights w_i: their rows (`proportional`), one each (`equal`, the ALL setting of the paper), n_i
to the power of 1 / T (`temperature`, Arivazhagan et al. 2019, arXiv:1907.05019, 3), or numbers of the user
(`weights`). Nothing is taken twice: without a total, a mixture is the largest one in which the weights hold exactly;
with one, a corpus that is exhausted gives what it has and the others make up for it. Caps then cut single corpora.

Which rows of a corpus: those with the lowest `lot`, a number drawn from the order key and a seed. So the choice does
not depend on the other corpora, and a larger mixture of the same seed holds a smaller one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tppc.corpora.sampling import Method, tempered

_BITS = 16
_SHIFT = np.uint64(64 - _BITS)


class MixSettings(BaseModel):
    """The recipe of a mixture. `weights` and `caps` have one entry a corpus, in the order in which they are given."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: Method = "proportional"
    # From 0.05 on, the power of any number of rows is a number that a float can hold.
    temperature: float = Field(default=5.0, ge=0.05, description="T; 1 is proportional, a large one nearly equal")
    weights: list[Annotated[float, Field(gt=0)]] | None = None
    caps: list[Annotated[int, Field(ge=1)] | None] | None = Field(default=None, description="at most so many rows each")
    rows: int | None = Field(default=None, ge=1, description="train rows in all; None: as many as the weights allow")
    seed: int = 0

    @model_validator(mode="after")
    def _weights_go_with_their_method(self) -> MixSettings:
        if (self.weights is None) == (self.method == "weights"):
            raise ValueError("weights and the method `weights` go together")
        return self


def shares(rows: Sequence[int], settings: MixSettings) -> list[int]:
    """Rows that each corpus gives, for corpora that have `rows`."""
    weights = _weights(rows, settings)
    if settings.rows is None:
        total = min((Fraction(n) / w for n, w in zip(rows, weights, strict=True) if n), default=Fraction(0))
        given = [int(total * w) if n else 0 for n, w in zip(rows, weights, strict=True)]
        return [min(n, cap) for n, cap in zip(given, _caps(given, settings), strict=True)]
    return _filled([min(n, cap) for n, cap in zip(rows, _caps(rows, settings), strict=True)], weights, settings.rows)


def _weights(rows: Sequence[int], settings: MixSettings) -> list[Fraction]:
    if settings.method == "proportional":
        return [Fraction(n) for n in rows]
    if settings.method == "equal":
        return [Fraction(1)] * len(rows)
    if settings.method == "weights":
        assert settings.weights is not None, "the settings have been checked"
        return [Fraction(str(w)) for w in settings.weights]
    return [tempered(n, settings.temperature) for n in rows]


def _caps(rows: Sequence[int], settings: MixSettings) -> list[int]:
    caps = settings.caps or [None] * len(rows)
    return [n if cap is None else cap for n, cap in zip(rows, caps, strict=True)]


def _filled(room: Sequence[int], weights: Sequence[Fraction], total: int) -> list[int]:
    """`total` rows by weight, where corpus i has room for `room[i]`; what one cannot give, the others do."""
    given = [0] * len(room)
    open_to = {i for i, n in enumerate(room) if n}
    left = min(total, sum(room))
    while open_to:
        whole = sum((weights[i] for i in open_to), Fraction(0))
        full = {i for i in open_to if left * weights[i] / whole >= room[i]}
        if not full:
            break
        for i in full:
            given[i] = room[i]
        left -= sum(room[i] for i in full)
        open_to -= full
    if open_to:
        whole = sum((weights[i] for i in open_to), Fraction(0))
        exact = {i: left * weights[i] / whole for i in open_to}
        for i, value in exact.items():
            given[i] = int(value)
        # Largest remainders get the rows that rounding down left over.
        spare = left - sum(given[i] for i in open_to)
        for i in sorted(open_to, key=lambda i: (int(exact[i]) - exact[i], i))[:spare]:
            given[i] += 1
    return given


def lots(order_keys: np.ndarray, seed: int) -> np.ndarray:
    """Numbers that decide which rows are taken, uint64 of shape (n,): the finaliser of SplitMix64 (Steele et al. 2014)
    over order keys (uint64, shape (n,)) and a seed.
    """
    value = order_keys.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % (1 << 64))
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = value ^ (value >> np.uint64(31))
    return result


class Lottery:
    """Finds the highest lot that is still taken, when the lots of a corpus come by twice, in memory that does not grow.

    The first time they are counted by their upper bits (`count`); `aim` then knows in which of 65,536 bins the limit
    lies, and the second time (`collect`) only the lots of that bin are kept.
    """

    def __init__(self) -> None:
        self.bins = np.zeros(1 << _BITS, dtype=np.int64)
        self._bin, self._below, self._wanted = -1, 0, 0
        self._found: list[np.ndarray] = []

    @property
    def rows(self) -> int:
        """Lots counted so far."""
        return int(self.bins.sum())

    def count(self, lots: np.ndarray) -> None:
        """Count lots, uint64 of shape (n,)."""
        self.bins += np.bincount((lots >> _SHIFT).astype(np.int64), minlength=len(self.bins))

    def aim(self, wanted: int) -> bool:
        """Ask for the limit that leaves `wanted` lots; whether the lots must come by again to find it."""
        self._wanted = wanted
        if not 0 < wanted < self.rows:
            return False
        totals = np.cumsum(self.bins)
        self._bin = int(np.searchsorted(totals, wanted))
        self._below = int(totals[self._bin] - self.bins[self._bin])
        return True

    def collect(self, lots: np.ndarray) -> None:
        """Keep the lots of the bin in which the limit lies."""
        self._found.append(lots[(lots >> _SHIFT).astype(np.int64) == self._bin])

    def limit(self) -> np.uint64 | None:
        """The highest lot that is taken; None where all are or none is."""
        if self._bin < 0:
            return None
        ordered = np.sort(np.concatenate(self._found))
        return np.uint64(ordered[self._wanted - self._below - 1])
