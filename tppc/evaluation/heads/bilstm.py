"""The BiLSTM-CRF head of MLMA, for an encoder that stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tppc.evaluation.heads.crf import CrfHead
from tppc.evaluation.heads.head import Head, cut

HIDDEN = 300


class BilstmCrfHead(Head):
    """A bidirectional LSTM over a sentence's states, then a CRF (Lample et al. 2016).

    Sizes and dropout as the tagger of MLMA has them (Bao et al. 2019, Low-Resource Sequence Labeling):
    300 units each way, dropout 0.5 before and after the LSTM; without its character LSTM and word vectors.
    """

    def __init__(self, width: int, labels: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(width, HIDDEN, batch_first=True, bidirectional=True)
        self.chain = CrfHead(2 * HIDDEN, labels, dropout)

    def loss(self, states: Tensor, sizes: Sequence[int], gold: Tensor) -> Tensor:
        """The negative log-likelihood of the sentences' labels, a token."""
        return self.chain.loss(self._read(states, sizes), sizes, gold)

    def answers(self, states: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The likeliest sequences (Viterbi), and each place's marginal probabilities."""
        return self.chain.answers(self._read(states, sizes), sizes)

    def _read(self, states: Tensor, sizes: Sequence[int]) -> Tensor:
        """States [n, width] to the LSTM's, [n, 600], each sentence on its own."""
        rows, mask = cut(self.dropout(states), sizes)
        packed = nn.utils.rnn.pack_padded_sequence(rows, torch.tensor(sizes), batch_first=True, enforce_sorted=False)
        read, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        found: Tensor = read[mask]
        return found
