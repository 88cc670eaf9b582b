"""The BiLSTM reads each sentence by itself, both ways."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.evaluation.heads import bilstm


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_a_sentence_is_answered_alike_in_any_company(sizes: list[int]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = bilstm.BilstmCrfHead(8, 4).eval()
        states = torch.randn(sum(sizes), 8)
        gold = torch.randint(4, (sum(sizes),))
    with torch.no_grad():
        together, probabilities = head.answers(states, sizes)
        parts = list(zip(torch.split(states, sizes), torch.split(gold, sizes), sizes, strict=True))
        alone = [head.answers(one, [size]) for one, _, size in parts]
        loss = sum(float(head.loss(one, [size], labels)) * size for one, labels, size in parts) / sum(sizes)
        assert float(head.loss(states, sizes, gold)) == pytest.approx(loss, rel=1e-3)
    assert together.tolist() == torch.cat([a for a, _ in alone]).tolist()
    torch.testing.assert_close(probabilities, torch.cat([b for _, b in alone]), atol=1e-4, rtol=0)


def test_it_tells_by_neighbours_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    # The label of the middle token is whether both neighbours are 1; its own state is always the same.
    monkeypatch.setattr(bilstm, "HIDDEN", 16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = bilstm.BilstmCrfHead(2, 2, dropout=0.0)
        optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
        cases = [(a, b) for a in (-1.0, 1.0) for b in (-1.0, 1.0)]
        states = torch.tensor([[[a, 0], [0, 1], [b, 0]] for a, b in cases]).flatten(0, 1)
        gold = torch.tensor([[0, int(a == b == 1), 0] for a, b in cases]).flatten()
        for _ in range(60):
            optimizer.zero_grad()
            head.loss(states, [3] * 4, gold).backward()
            optimizer.step()
    with torch.no_grad():
        assert head.eval().answers(states, [3] * 4)[0].tolist() == gold.tolist()
