"""What is put on an encoder to label tokens or texts: one file a head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tppc.evaluation.heads.bilstm import BilstmCrfHead
from tppc.evaluation.heads.crf import CrfHead
from tppc.evaluation.heads.head import Head, Unit
from tppc.evaluation.heads.layers import FullyWeightedSum, SelfWeightedSum, SummedLayers
from tppc.evaluation.heads.linear import LinearHead

HeadName = Literal["linear", "crf", "bilstm-crf"]
LayersName = Literal["last", "self-weighted", "fully-weighted"]

_HEADS: dict[HeadName, Callable[[int, int], Head]] = {
    "linear": LinearHead,
    "crf": CrfHead,
    "bilstm-crf": BilstmCrfHead,
}
_SUMS: dict[LayersName, Callable[[int, int], SelfWeightedSum | FullyWeightedSum]] = {
    "self-weighted": SelfWeightedSum,
    "fully-weighted": FullyWeightedSum,
}

__all__ = ["Head", "HeadName", "LayersName", "Unit", "make_head"]


def make_head(name: HeadName, layers: LayersName, *, width: int, depth: int, labels: int) -> Head:
    """A new head, random weights from torch's global generator.

    Args:
        width: of a state. depth: how many layers' states there are, the embeddings included. labels: how many.

    It takes states [n, width] where `layers` is `last`, else the states of every layer, [n, depth, width].
    """
    head = _HEADS[name](width, labels)
    return head if layers == "last" else SummedLayers(_SUMS[layers](depth, width), head)
