"""What every head can do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Unit = Literal["token", "text"]


class Head(nn.Module):
    """Labels the n states of a batch, those of one item after those of another.

    `sizes` says how many states each item has (none has 0): a head may look at a sentence's states together.
    """

    @abstractmethod
    def loss(self, states: Tensor, sizes: Sequence[int], gold: Tensor) -> Tensor:
        """The loss a target: states, float32 [n, ...], and the right labels, int64 [n], to a scalar."""

    @abstractmethod
    def answers(self, states: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The labels found, int64 [n], and the probabilities of all labels of each target, float32 [n, labels].

        Where a head decides about a whole sentence the label found need not be the likeliest of its own place.
        """


def cut(flat: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """States one after another, [n, ...], to one row an item: [B, T, ...] filled with 0, and the mask, bool [B, T]."""
    rows = nn.utils.rnn.pad_sequence(list(torch.split(flat, list(sizes))), batch_first=True)
    lengths = torch.tensor(sizes, device=flat.device)
    return rows, torch.arange(rows.shape[1], device=flat.device) < lengths[:, None]
