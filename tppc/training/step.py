"""The forward and backward passes of one step.

What the objectives see of a batch (vectors of pairs, features of token states) is computed piece by piece. Where a
batch is one piece, that is a plain forward and backward pass. Where it is several (`micro_tokens`), the pieces run once
without gradients, the losses are computed on what they gave, and each piece runs again to carry the losses' gradients
on (GradCache, Gao et al. 2021): a batch of any size in the memory of one piece, with the negatives and the gradient of
the whole, for a third more arithmetic. The second run of a piece draws the same random numbers as the first because
both start from a seed of (seed, step, rank, piece). Heads see the whole batch once, so a scale or a bias gets its
gradient once. Masked texts have losses that add up, and go piece by piece anyway.

Gradients are this rank's; the caller sums them over ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tppc.training.batching import TokenBatch, seed_of
from tppc.training.distribution import sum_over_ranks
from tppc.training.model import PairModel
from tppc.training.objectives import GlobalPairs, Outcome
from tppc.training.pieces import Texts


@dataclass(frozen=True)
class Seen:
    """What a step saw: each objective's share of the loss and its numbers, and the batch's embeddings if it has any."""

    outcomes: Mapping[str, Outcome]
    pairs: GlobalPairs | None


def forward_backward(model: PairModel, batch: TokenBatch, seed: int) -> Seen:
    """Add this rank's gradients of all objectives of one batch to the parameters'.

    Args:
        seed: the run's; random numbers of a piece follow from it, the step, the rank and the piece.
    """
    outcomes: dict[str, Outcome] = {}
    pairs = None
    for kind, texts in (("pairs", batch.texts), ("unpaired", batch.unpaired)):
        if texts is not None:
            found, seen = _features_pass(model, batch, texts, paired=kind == "pairs", seed=seed)
            outcomes |= found
            pairs = pairs or seen
    for name, masked in batch.masked.items():
        count = sum_over_ranks(model.ranks, [float(masked.guesses)])[0]
        total = torch.zeros(())
        for number, (piece, places, labels) in enumerate(zip(masked.pieces, masked.places, masked.labels, strict=True)):
            _seed(seed, batch.step, model.ranks.rank, name, number)
            loss = model.guessed(piece, places, labels) / max(1.0, count)
            torch.autograd.backward(model.weights[name] * loss)
            total = total + loss.detach().cpu()
        outcomes[name] = Outcome(total)
    return Seen({name: outcomes[name] for name in model.weights if name in outcomes}, pairs)


def _features_pass(
    model: PairModel, batch: TokenBatch, texts: Texts, *, paired: bool, seed: int
) -> tuple[dict[str, Outcome], GlobalPairs | None]:
    """Everything that looks at one set of texts: their vectors where they are pairs, their token states."""
    vectors = paired and bool(model.of_pairs())
    by_states = model.of_states() if texts.tokens is not None else {}
    plans: dict[str, Any] = {}
    if texts.tokens is not None:
        groups = len(model.languages)
        plans = {n: o.prepare(texts.tokens, groups, model.ranks, batch.draw) for n, o in by_states.items()}

    def piece(number: int) -> list[Tensor]:
        """What the objectives take of one piece: vectors first, then the features of each state objective."""
        _seed(seed, batch.step, model.ranks.rank, "pairs" if paired else "unpaired", number)
        found, layers = model.run(texts.pieces[number], vectors=vectors, layers=bool(by_states))
        features = [o.features(layers, number, plans[n]) for n, o in by_states.items()]
        return features if found is None else [found, *features]

    added = [False] * vectors + [o.additive for o in by_states.values()]
    several = len(texts.pieces) > 1
    with torch.set_grad_enabled(not several):
        given = [piece(number) for number in range(len(texts.pieces))]
    whole = [
        torch.stack(parts).sum(0) if add else torch.cat(list(parts))
        for add, parts in zip(added, zip(*given, strict=True), strict=True)
    ]
    if several:
        whole = [one.detach().requires_grad_() for one in whole]

    outcomes: dict[str, Outcome] = {}
    pairs = None
    left = list(whole)
    if vectors:
        pairs = model.pairs(batch, left.pop(0)[texts.order])
        outcomes |= {name: objective(pairs) for name, objective in model.of_pairs().items()}
    outcomes |= {n: o(features, plans[n]) for (n, o), features in zip(by_states.items(), left, strict=True)}
    torch.autograd.backward(torch.stack([model.weights[n] * o.loss for n, o in outcomes.items()]).sum())
    if several:
        _carry_back(piece, given, [one.grad for one in whole], added)
    return outcomes, pairs


def _carry_back(
    piece: Any, given: Sequence[Sequence[Tensor]], gradients: Sequence[Tensor | None], added: Sequence[bool]
) -> None:
    """Run the pieces again, each with its part of the gradients of what they gave together."""
    at = [0] * len(added)
    for number, parts in enumerate(given):
        mine: list[Tensor | None] = []
        for which, (part, gradient, add) in enumerate(zip(parts, gradients, added, strict=True)):
            if gradient is None or add:
                mine.append(gradient)
                continue
            mine.append(gradient[at[which] : at[which] + len(part)])
            at[which] += len(part)
        again = [(tensor, gradient) for tensor, gradient in zip(piece(number), mine, strict=True)
                 if gradient is not None and tensor.requires_grad]  # fmt: skip
        torch.autograd.backward([tensor for tensor, _ in again], [gradient for _, gradient in again])


@torch.no_grad()
def initialise(model: PairModel, batch: TokenBatch) -> None:
    """Let the objectives set their parameters from the first global batch, without dropout."""
    if batch.texts is None or not model.of_pairs():
        return
    was_training = model.training
    model.eval()
    found = [model.run(piece, vectors=True, layers=False)[0] for piece in batch.texts.pieces]
    pairs = model.pairs(batch, torch.cat([one for one in found if one is not None])[batch.texts.order])
    for objective in model.of_pairs().values():
        objective.initialise(pairs)
    model.train(was_training)


def _seed(seed: int, step: int, rank: int, kind: str, piece: int) -> None:
    torch.manual_seed(seed_of("step", seed, step, rank, kind, piece))
