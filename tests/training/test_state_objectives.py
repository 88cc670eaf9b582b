"""Losses over token states and over projections, against definitions written down another way."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tppc.training import objectives
from tppc.training.distribution import Ranks
from tppc.training.objectives import GlobalPairs, TokenTexts, false_negatives

ONE = Ranks(0, 1, torch.device("cpu"))
LAYERS, WIDTH = 3, 5


def build(name: str, **settings: Any) -> Any:
    return objectives.build(name, objectives.parse_settings(name, settings), WIDTH)


def made(sizes: tuple[int, ...], seed: int = 0) -> tuple[TokenTexts, list[list[torch.Tensor]]]:
    """Random tokens of two languages in pieces of the given sizes, and the states of each piece by layer."""
    random = torch.Generator().manual_seed(seed)
    ids = [torch.randint(0, 9, (n,), generator=random) for n in sizes]
    languages = [torch.randint(0, 2, (n,), generator=random) for n in sizes]
    content = [torch.rand(n, generator=random) > 0.2 for n in sizes]
    states = [[torch.randn(n, WIDTH, generator=random) for _ in range(LAYERS)] for n in sizes]
    return TokenTexts(ids, languages, content), states


def loss_of(objective: Any, texts: TokenTexts, states: list[list[torch.Tensor]], draw: int = 3) -> torch.Tensor:
    plan = objective.prepare(texts, 2, ONE, draw)
    parts = [objective.features(layers, number, plan) for number, layers in enumerate(states)]
    features = torch.stack(parts).sum(0) if objective.additive else torch.cat(parts)
    loss: torch.Tensor = objective(features, plan).loss
    return loss


def clouds(texts: TokenTexts, states: list[list[torch.Tensor]], layer: int) -> list[torch.Tensor]:
    everything = torch.cat([layers[layer] for layers in states])
    languages, content = torch.cat(list(texts.languages)), torch.cat(list(texts.content))
    return [everything[(languages == g) & content] for g in (0, 1)]


def test_mean_and_variance_are_those_of_all_content_tokens() -> None:
    texts, states = made((13, 21))
    expected = 0.0
    for layer in range(LAYERS):
        a, b = clouds(texts, states, layer)
        means = float((a.mean(0) - b.mean(0)).square().sum())
        variances = float((a.var(0, unbiased=False) - b.var(0, unbiased=False)).square().sum())
        expected += (0.1 * means + 0.01 * variances) / LAYERS
    assert float(loss_of(build("mean-variance"), texts, states)) == pytest.approx(expected, rel=1e-4)


def test_average_linkage_is_the_energy_distance_of_the_clouds() -> None:
    texts, states = made((13, 21))

    def within(cloud: torch.Tensor) -> float:
        count = len(cloud)
        return float(torch.cdist(cloud, cloud).sum() / (count * (count - 1)))

    between = energy = 0.0
    for layer in range(LAYERS):
        a, b = clouds(texts, states, layer)
        linkage = float(torch.cdist(a, b).mean())
        between += linkage / LAYERS
        energy += (2 * linkage - within(a) - within(b)) / LAYERS
    assert float(loss_of(build("average-linkage"), texts, states)) == pytest.approx(energy, abs=1e-4)
    assert float(loss_of(build("average-linkage", within=False), texts, states)) == pytest.approx(between, rel=1e-4)


def test_the_gradient_of_equal_states_is_a_number() -> None:
    texts, states = made((30,))
    same = [torch.ones(30, WIDTH, requires_grad=True) for _ in range(LAYERS)]
    loss_of(build("average-linkage"), texts, [same]).backward()  # type: ignore[no-untyped-call]
    assert all(bool(one.grad is not None and one.grad.isfinite().all()) for one in same)
    assert states


def test_a_sample_of_tokens_has_the_size_asked_for_and_follows_from_the_draw() -> None:
    texts, states = made((300, 200))
    objective = build("average-linkage", tokens=20)
    plan = objective.prepare(texts, 2, ONE, 3)
    assert torch.bincount(plan.languages).tolist() == [20, 20]
    first, again, other = (float(loss_of(objective, texts, states, draw)) for draw in (3, 3, 4))
    assert first == again != other


def test_identical_strings_are_drawn_together_by_their_contextual_states() -> None:
    texts, states = made((13, 21))
    ids = torch.cat(list(texts.ids))
    languages, content = torch.cat(list(texts.languages)), torch.cat(list(texts.content))
    distances = []
    for token in range(9):
        places = [(ids == token) & (languages == g) & content for g in (0, 1)]
        if not all(bool(p.any()) for p in places):
            continue
        for layer in range(LAYERS):
            everything = torch.cat([layers[layer] for layers in states])
            a, b = (everything[p].mean(0) for p in places)
            distances.append(float((a - b).square().mean()))
    assert len(distances) > LAYERS
    expected = sum(distances) / len(distances)
    assert float(loss_of(build("identical"), texts, states)) == pytest.approx(expected, rel=1e-4)
    alone = TokenTexts([torch.arange(4)], [torch.tensor([0, 0, 1, 1])], [torch.ones(4, dtype=torch.bool)])
    assert float(loss_of(build("identical"), alone, [[torch.randn(4, WIDTH)] * LAYERS])) == 0.0


def test_ntxent_by_its_definition() -> None:
    torch.manual_seed(0)
    src, tgt = torch.randn(6, WIDTH), torch.randn(6, WIDTH)
    masked = false_negatives(torch.tensor([1, 2, 3, 1, 5, 6]), torch.arange(6) + 10)
    objective = build("ntxent")
    loss = float(objective(GlobalPairs(src, tgt, torch.arange(6), masked)).loss.detach())
    vectors = F.normalize(objective.head(torch.cat([src, tgt])), dim=-1)
    similar = (vectors @ vectors.T / 0.1).tolist()
    total = 0.0
    for x in range(12):
        related = {x} | {y for y in range(12) if y % 6 != x % 6 and masked[x % 6, y % 6]}
        others = [y for y in range(12) if y not in related]
        assert (x + 6) % 12 in others
        total -= math.log(math.exp(similar[x][(x + 6) % 12]) / sum(math.exp(similar[x][y]) for y in others))
    assert loss == pytest.approx(total / 12, rel=1e-4)


def test_cosine_with_a_margin_is_that_of_torch() -> None:
    torch.manual_seed(0)
    src, tgt = torch.randn(4, WIDTH), torch.randn(4, WIDTH)
    batch = GlobalPairs(src, tgt, torch.arange(4), torch.zeros(4, 4, dtype=torch.bool))
    loss = float(build("cosine", margin=0.1)(batch).loss)
    left, right = src.repeat_interleave(4, 0), tgt.repeat(4, 1)
    own = torch.eye(4).flatten().bool()
    each = F.cosine_embedding_loss(left, right, torch.where(own, 1.0, -1.0), margin=0.1, reduction="none")
    assert loss == pytest.approx(0.5 * float(each[own].mean() + each[~own].mean()), rel=1e-5)


def test_a_margin_makes_infonce_harder_and_a_mined_target_is_one_more_candidate() -> None:
    torch.manual_seed(0)
    src, tgt = torch.randn(4, WIDTH), torch.randn(4, WIDTH)
    none = torch.zeros(4, 4, dtype=torch.bool)
    batch = GlobalPairs(src, tgt, torch.arange(4), none)
    plain, strict = (float(build("infonce", margin=m)(batch).loss.detach()) for m in (0.0, 0.3))
    assert strict > plain
    for name in objectives.TAKE_HARD:
        objective = build(name)
        bare = float(objective(batch).loss.detach())
        hard = GlobalPairs(src, tgt, torch.arange(4), none, hard=src, hard_masked=none)
        hidden = GlobalPairs(src, tgt, torch.arange(4), none, hard=src, hard_masked=~none)
        assert float(objective(hard).loss.detach()) > bare
        assert float(objective(hidden).loss.detach()) == pytest.approx(bare, rel=1e-6)
