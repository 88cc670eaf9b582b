"""The CRF head says what pytorch-crf says of rows of words, and what counting every labelling by hand gives."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchcrf import CRF

from tppc.evaluation.heads.crf import CrfHead
from tppc.evaluation.heads.head import cut

LABELS, WIDTH = 3, 5
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


def made(sizes: list[int], seed: int) -> tuple[CrfHead, Tensor, Tensor]:
    """A head with large transitions, states and gold labels."""
    draw = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = CrfHead(WIDTH, LABELS).eval()
    for parameter in head.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw)
    states = torch.randn(sum(sizes), WIDTH, generator=draw)
    return head, states, torch.randint(LABELS, (sum(sizes),), generator=draw)


def by_hand(head: CrfHead, states: Tensor) -> dict[tuple[int, ...], float]:
    """The probability of every labelling of one sentence."""
    with torch.no_grad():
        logits = head.emissions(states)
        crf = head.crf
        scores = {}
        for labels in itertools.product(range(LABELS), repeat=len(states)):
            score = crf.start_transitions[labels[0]] + crf.end_transitions[labels[-1]]
            score = score + sum(logits[i, y] for i, y in enumerate(labels))
            score = score + sum(crf.transitions[a, b] for a, b in itertools.pairwise(labels))
            scores[labels] = float(score)
    shares = torch.tensor(list(scores.values()), dtype=torch.float64).softmax(0)
    return dict(zip(scores, shares.tolist(), strict=True))


@settings(max_examples=15, deadline=None)
@given(SIZES, st.integers(0, 10_000))
def test_loss_answers_and_marginals_are_those_of_all_labellings(sizes: list[int], seed: int) -> None:
    head, states, gold = made(sizes, seed)
    with torch.no_grad():
        loss = float(head.loss(states, sizes, gold))
        found, probabilities = head.answers(states, sizes)
    expected_loss = 0.0
    first = 0
    for size in sizes:
        place = slice(first, first + size)
        shares = by_hand(head, states[place])
        expected_loss -= torch.tensor(shares[tuple(gold[place].tolist())], dtype=torch.float64).log().item()
        assert shares[tuple(found[place].tolist())] == pytest.approx(max(shares.values()), rel=1e-3)
        for i in range(size):
            for label in range(LABELS):
                marginal = sum(share for labels, share in shares.items() if labels[i] == label)
                assert float(probabilities[first + i, label]) == pytest.approx(marginal, abs=1e-4)
        first += size
    assert loss == pytest.approx(expected_loss / sum(sizes), rel=1e-3, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(SIZES, st.integers(0, 10_000))
def test_likelihood_and_viterbi_are_pytorch_crfs_on_each_sentence_alone(sizes: list[int], seed: int) -> None:
    head, states, gold = made(sizes, seed)
    reference = CRF(LABELS)
    reference.load_state_dict(head.crf.state_dict())
    with torch.no_grad():
        logits = head.emissions(states)
        parts = zip(torch.split(logits, sizes), torch.split(gold, sizes), strict=True)
        alone = []
        for one, labels in parts:
            whole = torch.ones(len(one), 1, dtype=torch.bool)
            likelihood = reference(one[:, None], labels[:, None], whole)
            alone.append((likelihood, reference.decode(one[:, None], whole)))
        loss, (found, _) = head.loss(states, sizes, gold), head.answers(states, sizes)
    torch.testing.assert_close(loss, -torch.stack([a for a, _ in alone]).sum() / sum(sizes), rtol=1e-4, atol=1e-4)
    assert found.tolist() == [label for _, [labels] in alone for label in labels]


def test_transitions_are_learnt_where_states_say_nothing() -> None:
    # Labels alternate; every state is the same, so only the chain can tell.
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = CrfHead(WIDTH, LABELS)
    states, gold = torch.zeros(6, WIDTH), torch.tensor([0, 1, 0, 1, 0, 1])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.5)
    for _ in range(30):
        optimizer.zero_grad()
        head.loss(states, [4, 2], gold).backward()
        optimizer.step()
    with torch.no_grad():
        found, probabilities = head.answers(torch.zeros(6, WIDTH), [6])
    assert found.tolist() == [0, 1, 0, 1, 0, 1]
    assert (probabilities.gather(1, found[:, None]) > 0.9).all()


def test_rows_are_cut_where_items_end() -> None:
    rows, mask = cut(torch.arange(6.0), [2, 1, 3])
    assert rows.tolist() == [[0, 1, 0], [2, 0, 0], [3, 4, 5]]
    assert mask.tolist() == [[True, True, False], [True, False, False], [True, True, True]]
