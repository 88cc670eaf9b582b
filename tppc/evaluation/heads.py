"""Linear heads: what is put on an encoder to label tokens or texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

from tppc.encoders.embed import pool

if TYPE_CHECKING:
    from tppc.encoders.load import Pooling

Unit = Literal["token", "text"]


class LinearHead(nn.Module):
    """Dropout and one linear layer (Devlin et al. 2019, section 4): states [n, H] to logits [n, labels]."""

    def __init__(self, hidden_size: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden_size, labels)
        nn.init.normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.dropout(states))
        return logits


def target_states(
    model: nn.Module, ids: Tensor, mask: Tensor, targets: tuple[Tensor, Tensor], *, unit: Unit, pooling: Pooling
) -> Tensor:
    """The states that a head labels.

    Args:
        ids, mask: int64 [B, T]. targets: rows and columns of the n labelled positions, int64 [n] each (token heads).
        unit: `token` takes the last layer's states at the targets, [n, H]; `text` pools each row as the encoder
            does, [B, H].
    """
    output = model(input_ids=ids, attention_mask=mask)
    states: Tensor
    if unit == "token":
        states = output.last_hidden_state[targets[0], targets[1]]
    elif pooling == "pooler":
        states = output.pooler_output
    else:
        states = pool(output.last_hidden_state, mask, pooling)
    return states
