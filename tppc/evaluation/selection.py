"""Which weights of a fine-tuning are tested: the last, a mean of the last epochs, or those a development set prefers.

Zero-shot transfer promises that nothing of the target language was used. The last weights and the mean of the last k
epochs' weights select on nothing; `source-dev` takes the epoch with the best score on the source language's
development set, which says little about other languages (Keung et al. 2020 find it uncorrelated with them); `oracle`
takes each language's best epoch on its own development set, is no zero-shot transfer, and says so wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from tppc.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tppc.evaluation.finetune import Tuned

ORACLE = "ORACLE"


class Selection(BaseModel):
    """How the weights that are tested are chosen; `average` is the number of last epochs for `average`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    how: Literal["last", "average", "source-dev", "oracle"] = "last"
    average: int = Field(default=3, ge=2)

    def describe(self) -> str:
        """The selection as it stands in a result's protocol."""
        return {
            "last": "last checkpoint",
            "average": f"mean of the last {self.average} epochs' weights",
            "source-dev": "epoch selected on source-language dev",
            "oracle": f"{ORACLE}: epoch selected on each target language's own dev",
        }[self.how]


class Kept:
    """The weights worth keeping of a fine-tuning under way: called after every epoch, asked before every test.

    Args:
        epochs: of the fine-tuning. languages: those that have a development set for `oracle`, None standing for the
            source language's.
        score: the development score of a language with the weights as they are now; of the source language where it
            is None. Not called for `last` and `average`.

    Holds one more copy of the weights for `average` and `source-dev`, one a language for `oracle`. Of equal scores the
    earlier epoch counts. Raises `UsageError` for a mean over more epochs than there are.
    """

    def __init__(
        self,
        selection: Selection,
        epochs: int,
        languages: Sequence[str | None],
        score: Callable[[Tuned, str | None], float],
    ) -> None:
        if selection.how == "average" and selection.average > epochs:
            raise UsageError(
                f"the mean of the last {selection.average} epochs is asked for, but there are {epochs}; "
                "raise --epochs or lower --average"
            )
        self._selection = selection
        self._first_averaged = epochs - selection.average
        keys: dict[str, Sequence[str | None]] = {"source-dev": [None], "oracle": languages}
        self._asked = keys.get(selection.how, [])
        self._score = score
        self._best: dict[str | None, float] = {}
        self._weights: dict[str | None, dict[str, Tensor]] = {}
        self.epochs: dict[str | None, int] = {}

    def __call__(self, tuned: Tuned, epoch: int) -> None:
        """Look at the weights after `epoch` (from 0)."""
        if self._selection.how == "average" and epoch >= self._first_averaged:
            now = _weights(tuned, share=1 / self._selection.average)
            before = self._weights.setdefault(None, now)
            if before is not now:
                for name, more in now.items():
                    before[name] += more
        for key in self._asked:
            value = self._score(tuned, key)
            if key not in self._best or value > self._best[key]:
                self._best[key], self._weights[key], self.epochs[key] = value, _weights(tuned), epoch + 1

    def load(self, tuned: Tuned, language: str | None) -> None:
        """Put the weights that `language` (None: the source's development set) is asked with into model and head."""
        kept = self._weights.get(language, self._weights.get(None))
        if kept is not None:
            for name, parameter in _parameters(tuned):
                parameter.data.copy_(kept[name])


def _parameters(tuned: Tuned) -> list[tuple[str, nn.Parameter]]:
    """Everything that is trained, by name."""
    parts = (("model", tuned.model), ("head", tuned.head))
    return [(f"{part}.{n}", p) for part, module in parts for n, p in module.named_parameters() if p.requires_grad]


def _weights(tuned: Tuned, share: float = 1.0) -> dict[str, Tensor]:
    """A copy of what is trained, times `share`."""
    return {name: parameter.detach().clone().mul_(share) for name, parameter in _parameters(tuned)}
