"""Losses against numbers worked out by hand, and what must hold for every objective."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tppc.errors import UsageError
from tppc.training import objectives
from tppc.training.diagnostics import alarms, geometry
from tppc.training.objectives import GlobalPairs, false_negatives


def pairs(src: Any, tgt: Any, masked: torch.Tensor | None = None, **more: Any) -> GlobalPairs:
    src, tgt = torch.as_tensor(src).float(), torch.as_tensor(tgt).float()
    masked = torch.zeros(len(src), len(src), dtype=torch.bool) if masked is None else masked
    return GlobalPairs(src, tgt, torch.arange(len(src)), masked, **more)


def build(name: str, size: int = 2, **settings: Any) -> Any:
    return objectives.build(name, objectives.parse_settings(name, settings), size)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


PRINTED = {"similarity": "dot", "scale": 1.0, "learn_scale": False, "bias": 0.0, "learn_bias": False}


def test_the_papers_loss_by_hand() -> None:
    # z = s.t: 2 and 3 for the pairs. With two pairs the only negative of each is the other one, on either side.
    batch = pairs([[1, 0], [0, 1]], [[2, 1], [4, 3]])
    loss = float(build("tpp", negatives="one", **PRINTED)(batch).loss.detach())
    # Replacing the source of pair 0: s1.t0 = 1, its target: s0.t1 = 4; of pair 1: s0.t1 = 4, s1.t0 = 1.
    possible = [
        (softplus(-2) + softplus(-3) + softplus(first) + softplus(second)) / 4 for first in (1, 4) for second in (4, 1)
    ]
    assert any(math.isclose(loss, value, rel_tol=1e-6) for value in possible)


def test_the_default_loss_by_hand() -> None:
    batch = pairs([[1, 0], [0, 1]], [[2, 1], [4, 3]])
    objective = build("tpp", similarity="dot", scale=1.0)
    objective.initialise(batch)
    # Logits 2, 4, 1, 3: their mean is 2.5.
    assert objective.bias.item() == -2.5
    positives, negatives = softplus(0.5) + softplus(-0.5), softplus(1.5) + softplus(-1.5)
    assert float(objective(batch).loss.detach()) == pytest.approx((positives + negatives) / 4, rel=1e-6)
    balanced = build("tpp", similarity="dot", scale=1.0, balanced=True)
    balanced.initialise(batch)
    assert float(balanced(batch).loss.detach()) == pytest.approx(positives / 4 + negatives / 4, rel=1e-6)
    cosine = build("tpp", scale=10.0)
    cosine.initialise(batch)
    a, b, c, d = (10 * v for v in (2 / math.sqrt(5), 4 / 5, 1 / math.sqrt(5), 3 / 5))
    mean = (a + b + c + d) / 4
    expected = (softplus(mean - a) + softplus(b - mean) + softplus(c - mean) + softplus(mean - d)) / 4
    assert float(cosine(batch).loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_negatives_from_a_second_stream_by_hand() -> None:
    batch = pairs(
        [[1, 0], [0, 1]], [[2, 1], [4, 3]], other=torch.tensor([[5.0, 6.0], [7.0, 8.0]]),
        other_usable=torch.tensor([True, False]),
    )  # fmt: skip
    loss = float(build("tpp", negatives="corpus", **PRINTED)(batch).loss.detach())
    # The other text of pair 0 replaces its source (5*2 + 6*1 = 16) or its target (5); that of pair 1 may not be used.
    assert any(loss == pytest.approx((softplus(-2) + softplus(-3) + softplus(z)) / 3, rel=1e-6) for z in (16, 5))


def test_infonce_by_hand() -> None:
    batch = pairs([[3, 0], [0, 2]], [[1, 0], [1, 1]])
    loss = float(build("infonce", temperature=0.5)(batch).loss.detach())
    half = 1 / math.sqrt(2)
    z = [[2.0, 2 * half], [0.0, 2 * half]]
    rows = sum(math.log(sum(math.exp(v) for v in z[i])) - z[i][i] for i in range(2))
    columns = sum(math.log(sum(math.exp(z[i][j]) for i in range(2))) - z[j][j] for j in range(2))
    assert loss == pytest.approx((rows + columns) / 4, rel=1e-6)


OF_PAIRS = ["cosine", "infonce", "ntxent", "tpp"]


@pytest.mark.parametrize("name", ["cosine", "infonce", "tpp"])
def test_a_masked_combination_does_not_count(name: str) -> None:
    # Pairs 1 and 4 have the same target. On axes, moving target 4 towards source 1 changes entry (1, 4) alone.
    masked = false_negatives(torch.arange(5), torch.tensor([10, 11, 12, 13, 11]))
    assert masked.nonzero().tolist() == [[1, 4], [4, 1]]

    more = {"margin": -0.5} if name == "cosine" else {}

    def pull(mask: torch.Tensor) -> float:
        tgt = torch.eye(5, requires_grad=True)
        (gradient,) = torch.autograd.grad(build(name, **more)(pairs(torch.eye(5), tgt, mask)).loss, tgt)
        return float(gradient[4, 1])

    assert pull(torch.zeros_like(masked)) > 0
    assert pull(masked) == 0


def test_every_way_in_which_two_pairs_share_a_text_is_masked() -> None:
    src, tgt = torch.tensor([1, 1, 3, 4, 5]), torch.tensor([10, 11, 11, 1, 15])
    shared = {(0, 1), (1, 2), (0, 3), (1, 3)}  # same source; same target; target of 3 is the source of 0 and 1
    assert {tuple(p) for p in false_negatives(src, tgt).nonzero().tolist()} == shared | {(b, a) for a, b in shared}


@pytest.mark.parametrize("name", OF_PAIRS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_the_shares_of_the_rows_add_up(name: str, ranks: int) -> None:
    torch.manual_seed(0)
    src, tgt = torch.randn(7, 4), torch.randn(7, 4)
    masked = false_negatives(torch.tensor([1, 2, 3, 4, 1, 6, 7]), torch.arange(7) + 10)
    hard = {"hard": torch.randn(7, 4), "hard_masked": masked | torch.eye(7, dtype=torch.bool)}
    for settings in [{}, {"negatives": "one"}] if name in ("tpp", "cosine") else [{}]:
        objective = build(name, 4, **settings)
        whole = objective(GlobalPairs(src, tgt, torch.arange(7), masked, draw=5, **hard)).loss
        shares = [
            objective(GlobalPairs(src, tgt, torch.arange(r, 7, ranks), masked, draw=5, **hard)).loss
            for r in range(ranks)
        ]
        assert float(torch.stack(shares).sum().detach()) == pytest.approx(float(whole.detach()), rel=1e-6)


def test_wrong_settings_name_the_field() -> None:
    with pytest.raises(UsageError, match="unknown objective 'nope': choose from average-linkage, cosine"):
        objectives.parse_settings("nope", {})
    with pytest.raises(UsageError, match=r"objectives\.tpp\.negatives"):
        objectives.parse_settings("tpp", {"negatives": "none"})
    with pytest.raises(UsageError, match=r"objectives\.infonce\.colour"):
        objectives.parse_settings("infonce", {"colour": 1})


def test_a_collapsed_batch_raises_the_alarm_and_an_aligned_one_does_not() -> None:
    torch.manual_seed(0)
    point = torch.randn(1, 8).expand(32, 8)
    collapsed = geometry(pairs(point, point))
    assert (collapsed.p_at_1, alarms(collapsed, {}, 0.69, warmed_up=True)) == (0.0, ["collapse"])
    assert alarms(collapsed, {}, 0.69, warmed_up=False) == []
    noise = geometry(pairs(torch.randn(64, 8), torch.randn(64, 8)))
    assert noise.p_at_1 < 0.1
    texts = torch.randn(32, 8)
    aligned = geometry(pairs(texts, texts + 0.1 * torch.randn(32, 8)))
    assert aligned.p_at_1 > 0.9
    assert aligned.cos_pos > 0.9
    assert abs(aligned.cos_neg) < 0.2
    assert alarms(aligned, {"live": 0.5}, 0.1, warmed_up=True) == []
    assert alarms(aligned, {"live": 0.0}, 300.0, warmed_up=True) == ["saturated"]


def test_a_control_is_not_taught_to_tear_translations_apart() -> None:
    # Pairs (1, 11), (2, 12), (3, 13), (4, 14), each with the target of the one before.
    src, own = torch.tensor([1, 2, 3, 4]), torch.tensor([11, 12, 13, 14])
    masked = false_negatives(src, own.roll(1), src.roll(1), own)
    assert masked.nonzero().tolist() == [[0, 1], [1, 2], [2, 3], [3, 0]]
    # A second pair of source 1: neither may its own target be a negative of the other.
    src = torch.tensor([1, 2, 1, 4])
    masked = false_negatives(src, own.roll(1), src.roll(1), own)
    assert {(0, 1), (2, 3), (0, 3), (2, 1)} <= {tuple(p) for p in masked.nonzero().tolist()}


@pytest.mark.parametrize(
    ("name", "settings"), [("tpp", {}), ("tpp", {"negatives": "one"}), ("infonce", {})], ids=["all", "one", "infonce"]
)
def test_a_mask_that_is_not_symmetric_covers_its_entries_alone(name: str, settings: dict[str, Any]) -> None:
    masked = torch.zeros(3, 3, dtype=torch.bool)
    masked[0, 1] = masked[1, 2] = masked[2, 0] = True
    pulled = torch.zeros(3, 3)
    for draw in range(60):
        tgt = torch.eye(3, requires_grad=True)
        batch = pairs(torch.eye(3), tgt, masked, draw=draw)
        (gradient,) = torch.autograd.grad(build(name, **settings)(batch).loss, tgt)
        pulled += gradient.T.abs()  # on axes, (i, j): what target j is pushed along source i
    assert (pulled[masked] == 0).all()
    assert (pulled[~masked & ~torch.eye(3).bool()] > 0).all()


def test_a_batch_without_negatives_does_not_look_perfect() -> None:
    everything = ~torch.eye(4, dtype=torch.bool)
    bare = geometry(pairs(torch.eye(4), torch.eye(4), everything))
    assert (bare.p_at_1, bare.negatives) == (0.0, 0)
    assert alarms(bare, {}, 0.1, warmed_up=False) == ["no negatives"]
    # One source has a rival, and it wins: the others count for nothing.
    everything[0, 1] = False
    one = geometry(pairs(torch.eye(4), torch.eye(4).roll(1, 0), everything))
    assert (one.p_at_1, one.negatives) == (0.0, 1)
    assert geometry(pairs(torch.eye(4), torch.eye(4), everything)).p_at_1 == 1.0
    second = {"other": torch.eye(4), "other_usable": torch.ones(4, dtype=torch.bool)}
    assert geometry(pairs(torch.eye(4), torch.eye(4), ~torch.eye(4, dtype=torch.bool), **second)).negatives == 4
