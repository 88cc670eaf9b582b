"""Sums of an encoder's layers with learnt weights, as MLMA's tagger reads its encoder (Bao et al. 2019).

With the states h_0 (embeddings) to h_L of a token:

    self-weighted:   h = sum_l a_l h_l,      a = softmax over l of tanh(W2 tanh(W1 [h_0; ...; h_L] + b1) + b2)
    fully-weighted:  h = sum_l A_l * h_l,    A = softmax over l of a parameter [L + 1, width], * by dimension

The first weighs layers for each token anew (512 hidden units), the second each dimension the same way everywhere. In
their paper the first serves named entities better, the second parts of speech.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tppc.evaluation.heads.head import Head

_HIDDEN = 512


class SelfWeightedSum(nn.Module):
    """States [n, depth, width] to [n, width], the layers weighted by a perceptron on all of them."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(depth * width, _HIDDEN)
        self.outer = nn.Linear(_HIDDEN, depth)
        for layer in (self.inner, self.outer):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor) -> Tensor:
        """The sum of the layers."""
        weights = torch.tanh(self.outer(torch.tanh(self.inner(states.flatten(1))))).softmax(-1)
        return (weights.unsqueeze(-1) * states).sum(1)


class FullyWeightedSum(nn.Module):
    """States [n, depth, width] to [n, width], the layers weighted in each dimension by a parameter."""

    def __init__(self, depth: int, width: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.empty(depth, width))
        nn.init.normal_(self.weights, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        """The sum of the layers."""
        return (self.weights.softmax(0) * states).sum(1)


class SummedLayers(Head):
    """A head on a sum of layers."""

    def __init__(self, layers: SelfWeightedSum | FullyWeightedSum, head: Head) -> None:
        super().__init__()
        self.layers, self.head = layers, head

    def loss(self, states: Tensor, sizes: Sequence[int], gold: Tensor) -> Tensor:
        """The head's loss on the sums of states [n, depth, width]."""
        return self.head.loss(self.layers(states), sizes, gold)

    def answers(self, states: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The head's answers on the sums of states [n, depth, width]."""
        return self.head.answers(self.layers(states), sizes)
