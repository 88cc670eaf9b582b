"""The CRF head: the labels of a sentence together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchcrf import CRF

from tppc.evaluation.heads.head import Head, cut
from tppc.evaluation.heads.linear import LinearHead


class CrfHead(Head):
    """A linear-chain conditional random field (Lafferty et al. 2001) over the linear head's logits, by pytorch-crf.

    A sentence is the chain of its tokens, one state each: subwords that are not labelled, and the borders of the
    windows that a long sentence is read in, are gone before the CRF, so a transition is always from one token to the
    next.
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.emissions = LinearHead(width, labels, dropout)
        self.crf = CRF(labels, batch_first=True)

    def loss(self, states: Tensor, sizes: Sequence[int], gold: Tensor) -> Tensor:
        """The negative log-likelihood of the sentences' labels, a token."""
        return -self._log_likelihood(self.emissions(states), sizes, gold) / len(gold)

    def answers(self, states: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The likeliest sequences (Viterbi), and each place's marginal probabilities."""
        logits = self.emissions(states)
        best = [label for one in self.crf.decode(*cut(logits, sizes)) for label in one]
        found = torch.tensor(best, device=states.device)
        # The gradient of log p(y | x) by the logits is the indicator of y less the marginals.
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self._log_likelihood(leaf, sizes, found), leaf)
        marginals = torch.nn.functional.one_hot(found, logits.shape[1]) - gradient
        return found, marginals.clamp(0, 1)

    def _log_likelihood(self, logits: Tensor, sizes: Sequence[int], labels: Tensor) -> Tensor:
        """log p(labels | logits), summed over the sentences."""
        rows, mask = cut(logits, sizes)
        likelihood: Tensor = self.crf(rows, cut(labels, sizes)[0], mask, reduction="sum")
        return likelihood
