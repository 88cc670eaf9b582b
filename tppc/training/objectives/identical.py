"""Identical strings: a string that two languages share should mean the same in both.

    L = mean over shared strings w, language pairs (a, b), layers of || mean state of w in a - mean state in b ||^2 / H

MLMA's "Iden" ties the embeddings of strings that occur in the vocabularies of both languages (numbers, names,
punctuation). An encoder with one shared vocabulary gives such strings one embedding anyway, and the loss would be 0; so
it is put on their CONTEXTUAL states here, over all tokens w of the global batch that occur in both languages. It needs
no pairs, and does nothing for languages that share no string. Sums are taken over ranks with their gradients, so the
loss does not depend on how many there are. Relations: `mean-variance` centres all tokens of a language at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from tppc.training.distribution import Ranks, everyones, total_over_ranks
from tppc.training.objectives import ObjectiveSettings, Outcome, StateObjective, TokenTexts


class Settings(ObjectiveSettings):
    """`strings`: the most shared strings of a step, those that occur most; each has a sum by language and layer."""

    strings: int = Field(default=256, ge=1, le=65_536)


@dataclass(frozen=True)
class Plan:
    """For each piece: places of tokens that count, and the cell (string, language) of each. `counts`: [U, G] tokens in
    each cell over all ranks.
    """

    places: Sequence[Tensor]
    cells: Sequence[Tensor]
    counts: Tensor
    ranks: Ranks


class Identical(StateObjective):
    """Features of a piece: sums of states by cell, [U * G, L + 1, H]."""

    additive = True

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings

    def prepare(self, texts: TokenTexts, groups: int, ranks: Ranks, draw: int) -> Plan:
        """Find the strings that two languages share in the batch of all ranks."""
        ids = torch.cat(list(texts.ids)).cpu()
        languages = torch.cat(list(texts.languages)).cpu()
        content = torch.cat(list(texts.content)).cpu()
        codes, occurrences = torch.unique((ids * groups + languages)[content], return_counts=True)
        found: dict[int, list[int]] = {}
        for one, many in everyones(ranks, (codes.tolist(), occurrences.tolist())):
            for code, count in zip(one, many, strict=True):
                found.setdefault(code // groups, [0] * groups)[code % groups] += count
        shared = [(token, counts) for token, counts in found.items() if sum(c > 0 for c in counts) > 1]
        shared = sorted(shared, key=lambda item: (-sum(item[1]), item[0]))[: self.settings.strings]
        number = torch.full((int(ids.max()) + 1,), -1) if len(ids) else torch.empty(0, dtype=torch.int64)
        for index, (token, _) in enumerate(shared):
            if token < len(number):
                number[token] = index
        device = texts.ids[0].device
        strings = torch.where(content, number[ids], -1)
        sizes = [len(part) for part in texts.ids]
        places, cells = [], []
        for part, group in zip(torch.split(strings, sizes), torch.split(languages, sizes), strict=True):
            place = (part >= 0).nonzero().squeeze(1)
            places.append(place.to(device))
            cells.append((part[place] * groups + group[place]).to(device))
        counts = torch.tensor([counts for _, counts in shared], device=device).reshape(-1, groups)
        return Plan(places, cells, counts, ranks)

    def features(self, layers: Sequence[Tensor], piece: int, plan: Plan) -> Tensor:
        """Sums over the piece's tokens."""
        states = torch.stack([x[plan.places[piece]] for x in layers], 1)
        sums = states.new_zeros(plan.counts.numel(), *states.shape[1:])
        return sums.index_add(0, plan.cells[piece], states)

    def forward(self, features: Tensor, plan: Plan) -> Outcome:
        """This rank's share: 1 / W of a loss that all ranks compute alike."""
        strings, groups = plan.counts.shape
        shared = {"shared_strings": torch.tensor(float(strings))}
        if not strings:
            return Outcome(0.0 * features.sum(), shared)
        total = total_over_ranks(plan.ranks, features).view(strings, groups, *features.shape[1:])
        means = total / plan.counts.clamp(min=1)[:, :, None, None]
        loss, couples = features.new_zeros(()), 0
        for a in range(groups):
            for b in range(a + 1, groups):
                both = (plan.counts[:, a] > 0) & (plan.counts[:, b] > 0)
                couples += int(both.sum())
                loss = loss + (means[both, a] - means[both, b]).square().mean((-1, -2)).sum()
        return Outcome(loss / max(1, couples) / plan.ranks.world, shared)


def build(settings: Settings, hidden_size: int) -> Identical:
    """The objective; `hidden_size` decides nothing here."""
    return Identical(settings)
