"""The linear head: every target on its own."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from tppc.evaluation.heads.head import Head


class LinearHead(Head):
    """Dropout and one linear layer (Devlin et al. 2019, section 4), cross-entropy."""

    def __init__(self, width: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, labels)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: Tensor) -> Tensor:
        """States [n, width] to logits [n, labels]."""
        logits: Tensor = self.linear(self.dropout(states))
        return logits

    def loss(self, states: Tensor, sizes: Sequence[int], gold: Tensor) -> Tensor:
        """Mean cross-entropy of the targets."""
        return functional.cross_entropy(self(states), gold)

    def answers(self, states: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The likeliest labels, and the softmax of the logits."""
        logits = self(states)
        return logits.argmax(-1), logits.softmax(-1)
