"""How often a trainer takes pairs of each corpus, as exact shares.

Corpora of n_i pairs, with `method`:

- `proportional`: each by its pairs, so that an epoch holds every pair once;
- `equal`: every corpus the same share, and within a mixture every language pair the same share of that. This is the
  ALL setting of the TPP paper, "equally sampled" (its code up-samples the smaller languages to the largest);
- `temperature`: each part, a corpus or a language pair of a mixture, in proportion to n_i^(1/T) (Arivazhagan et al.
  2019, arXiv:1907.05019, 3): T = 1 is proportional, a large T nearly equal;
- `weights`: numbers of the user, one a corpus; the language pairs of a mixture by their pairs.

Shares are fractions of whole numbers, so that the order of a stream can follow from them by arithmetic, to the pair and
on every machine alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from tppc.errors import UsageError

Method = Literal["proportional", "equal", "temperature", "weights"]
#: T where none is given.
TEMPERATURE: Final = 5.0
_HEAVIEST: Final = 1_000_000_000  # beyond it a weight is a slip of the finger


class Sampling(BaseModel):
    """How often each corpus is taken; see the module. Validates from, and is written as, one word:
    `proportional`, `equal`, `temperature=2`, `weights=1,0.5`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    method: Method = "proportional"
    # From 0.05 on, the power of any number of rows is a number that a float can hold.
    temperature: float = Field(default=TEMPERATURE, ge=0.05, description="T of the method `temperature`")
    weights: tuple[Annotated[float, Field(gt=0, le=_HEAVIEST)], ...] | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _from_word(cls, value: Any, handler: ModelWrapValidatorHandler[Sampling]) -> Sampling:
        checked = handler(_fields(value) if isinstance(value, str) else value)
        if (checked.weights is None) == (checked.method == "weights"):
            raise ValueError("weights and the method `weights` go together")
        return checked

    @model_serializer
    def _word(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if self.method == "temperature":
            return f"temperature={_plain(self.temperature)}"
        return f"weights={','.join(map(_plain, self.weights))}" if self.weights is not None else self.method


#: Each corpus by its pairs.
PROPORTIONAL: Final = Sampling()


def _plain(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def _fields(word: str) -> dict[str, Any]:
    """The fields that a word says. Raises `ValueError` for a word that is none."""
    method, equals, value = word.strip().partition("=")
    if not equals:
        return {"method": method}
    if method not in ("temperature", "weights"):
        raise ValueError(f"{word!r}: only temperature and weights take numbers, as in temperature=2 or weights=1,0.5")
    try:
        numbers = [float(part) for part in value.split(",")]
    except ValueError:
        raise ValueError(f"{word!r}: {value!r} is no number; write {method}=2") from None
    if method == "weights":
        return {"method": method, "weights": tuple(numbers)}
    if len(numbers) != 1:
        raise ValueError(f"{word!r}: one temperature is needed, as in temperature=2")
    return {"method": method, "temperature": numbers[0]}


def parse_sampling(word: str) -> Sampling:
    """`proportional`, `equal`, `temperature=2` or `weights=1,0.5` as a `Sampling`. Raises `UsageError` for others."""
    try:
        return Sampling.model_validate(word)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        raise UsageError(
            f"sampling {word!r}: {reason}; choose proportional, equal, temperature=T or weights=W,W,..."
        ) from error


@dataclass(frozen=True)
class Shares:
    """Shares of corpora and of their parts.

    Attributes:
        of_corpora: one weight a corpus; only their ratios count.
        of_parts: for each corpus one weight a part; only the ratios within a corpus count.
        epoch: pairs in an epoch. Proportional: all there are. `equal` and `temperature`: as many as it takes until
            every pair has come at least once, so the largest part comes once and smaller ones more often (the
            up-sampling of the paper's code). `weights`: as many as there are, whichever they may be.
        exact: whether an epoch holds every pair exactly once.
    """

    of_corpora: tuple[Fraction, ...]
    of_parts: tuple[tuple[Fraction, ...], ...]
    epoch: int
    exact: bool


def shares(sampling: Sampling, rows: Sequence[Sequence[int]]) -> Shares:
    """The shares of corpora whose parts (language pairs; one for most corpora) have `rows`, each at least one.

    Raises `UsageError` where there are not as many weights as corpora.
    """
    assert all(n > 0 for parts in rows for n in parts), "a part without rows is none"
    if sampling.weights is not None and len(sampling.weights) != len(rows):
        said = ", ".join(map(_plain, sampling.weights))
        raise UsageError(f"{len(rows)} corpora need as many positive weights; these are {said}")
    by_rows = tuple(tuple(Fraction(n) for n in parts) for parts in rows)
    if sampling.method == "weights":
        assert sampling.weights is not None, "checked by the model"
        of_corpora, of_parts = tuple(Fraction(str(w)) for w in sampling.weights), by_rows
    elif sampling.method == "equal":
        of_corpora, of_parts = (Fraction(1),) * len(rows), tuple((Fraction(1),) * len(parts) for parts in rows)
    elif sampling.method == "temperature":
        of_parts = tuple(tuple(tempered(n, sampling.temperature) for n in parts) for parts in rows)
        of_corpora = tuple(sum(parts, Fraction(0)) for parts in of_parts)
    else:
        of_corpora, of_parts = tuple(sum(parts, Fraction(0)) for parts in by_rows), by_rows
    exact = sampling.method == "proportional"
    total = sum(map(sum, rows))
    epoch = total if exact or sampling.method == "weights" else _until_all(rows, of_corpora, of_parts)
    return Shares(of_corpora, of_parts, epoch, exact)


def tempered(rows: int, temperature: float) -> Fraction:
    """n^(1/T) as a fraction."""
    # Twelve digits: the power may differ in its last bit from one machine to the next.
    return Fraction(str(round(rows ** (1 / temperature), 12)))


def _until_all(
    rows: Sequence[Sequence[int]], of_corpora: Sequence[Fraction], of_parts: Sequence[Sequence[Fraction]]
) -> int:
    """Pairs to take until every pair of every part has come."""
    whole = sum(of_corpora, Fraction(0))
    return max(
        math.ceil(n * whole * sum(weights, Fraction(0)) / (corpus * weight))
        for corpus, parts, weights in zip(of_corpora, rows, of_parts, strict=True)
        for n, weight in zip(parts, weights, strict=True)
    )
