"""One negative a pair, for the objectives that judge each pair by itself."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tppc.training.objectives import GlobalPairs, uniform

Negatives = Literal["all", "one", "corpus"]
"""`all` other combinations of the batch; `one` a pair, its source or target replaced by another pair's of the batch
(the paper); `corpus`, one a pair, a side replaced by either side of a pair of a second stream (the released code)."""


def one_negative(pairs: GlobalPairs) -> tuple[Tensor, Tensor, Tensor]:
    """A pair that is no translation for each of this rank's n rows: left [n, H], right [n, H], and whether there is
    one, bool [N] over the whole batch.
    """
    count, device = len(pairs.src), pairs.src.device
    draws = uniform(pairs.draw, count, count + 1, device=device)
    replace_src = draws[:, count] < 0.5
    if pairs.other is not None:
        partner, usable = pairs.other, pairs.other_usable
        assert usable is not None, "a second stream comes with its mask"
    else:
        # Another's source before the own target is entry (other, own) of the mask, not (own, other).
        masked = torch.where(replace_src[:, None], pairs.masked.T, pairs.masked)
        allowed = ~masked & ~torch.eye(count, dtype=torch.bool, device=device)
        chosen = draws[:, :count].masked_fill(~allowed, -1.0).argmax(1)
        usable = allowed.any(1)
        partner = torch.where(replace_src[:, None], pairs.src[chosen], pairs.tgt[chosen])
    left = torch.where(replace_src[:, None], partner, pairs.src)[pairs.rows]
    right = torch.where(replace_src[:, None], pairs.tgt, partner)[pairs.rows]
    return left, right, usable
