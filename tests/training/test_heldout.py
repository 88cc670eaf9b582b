"""Held-out retrieval: the dev pairs of every corpus, the same answer on any number of ranks, no trace in the training."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from cipher import cipher_pairs
from factory import write_corpus, write_mixture

from tppc.corpora.corpus import Corpus
from tppc.encoders.load import Encoder
from tppc.encoders.ranking import both_ways
from tppc.encoders.scratch import make_encoder
from tppc.errors import TppcError
from tppc.training.distribution import Ranks
from tppc.training.heldout import HeldOut, dev_retrieval, forgotten, held_out

PAIRS = cipher_pairs(400, seed=2)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """A random encoder of two layers."""
    return make_encoder("scratch:tiny", [text for pair in PAIRS for text in pair], 1)


def test_the_dev_pairs_of_several_corpora_by_language_pair(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a", {"train": PAIRS[:9], "dev": PAIRS[10:40]}, "a/en-hi")
    write_mixture(
        tmp_path / "b", {"en-hi": {"dev": PAIRS[35:60]}, "en-ja": {"dev": PAIRS[60:64], "train": PAIRS[70:80]}}
    )
    write_corpus(tmp_path / "c", {"train": PAIRS[90:99]}, "c/en-hi")
    corpora = [Corpus(tmp_path / name) for name in "abc"]
    found = held_out(corpora, 20)
    assert {name: len(h.src) for name, h in found.items()} == {"en-hi": 20, "en-ja": 4}
    texts = set(zip(found["en-hi"].src, found["en-hi"].tgt, strict=True))
    assert len(texts) == 20
    assert len(texts & set(PAIRS[10:40])) >= 9
    assert len(texts & set(PAIRS[35:60])) >= 9
    assert len(held_out(corpora)["en-hi"].src) == 50  # five of the pairs stand in both
    assert set(found) == set(held_out(corpora[::-1], 20))
    with pytest.raises(TppcError, match=r"no dev split to retrieve in while training; .* eval_every = 0"):
        held_out([Corpus(tmp_path / "c")])
    shard = next((tmp_path / "a" / "data" / "en-hi").glob("dev-*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(TppcError, match="its SHA-256 differs"):
        held_out([Corpus(tmp_path / "a")])


def test_what_is_measured_is_both_directions_with_ties_lost(encoder: Encoder) -> None:
    same = HeldOut(["a b", "c d", "e f"], ["a b", "c d", "e f"], np.array([1, 2, 3]), np.array([4, 5, 6]))
    assert dev_retrieval(encoder, {"xx-yy": same}) == {"xx-yy": {"p@1": 1.0, "mrr": 1.0, "n": 3.0}}
    one_point = np.ones((3, 4))
    assert both_ways(one_point, one_point, same.src_key, same.tgt_key) == {"p@1": 0.0, "mrr": pytest.approx(1 / 3)}


def test_a_look_leaves_no_trace(encoder: Encoder, tmp_path: Path) -> None:
    write_corpus(tmp_path / "a", {"dev": PAIRS[:30]}, "a/en-hi")
    held = held_out([Corpus(tmp_path / "a")])
    model = encoder.model.train(True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = dev_retrieval(encoder, held)
    assert torch.equal(torch.rand(3), expected)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert dev_retrieval(encoder, held) == first
    half = dev_retrieval(encoder, held, autocast=torch.bfloat16)
    assert half["en-hi"]["n"] == first["en-hi"]["n"]
    model.train(False)


def look(rank: int, encoder: Encoder, held: dict[str, HeldOut], folder: Path) -> None:
    """One of three ranks, in a process of its own."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=3)
    found = dev_retrieval(encoder, held, Ranks(rank, 3, torch.device("cpu")))
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def test_three_ranks_find_what_one_finds(encoder: Encoder, tmp_path: Path) -> None:
    write_mixture(tmp_path / "a", {"en-hi": {"dev": PAIRS[:50]}, "en-ja": {"dev": PAIRS[50:51]}})
    held = held_out([Corpus(tmp_path / "a")])
    # Forked, since three interpreters that import torch would take most of a minute on a busy machine.
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=look, args=(r, encoder, held, tmp_path), daemon=True) for r in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join(20)
    assert [process.exitcode for process in started] == [0, 0, 0]
    alone = dev_retrieval(encoder, held)
    for rank in range(3):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found.keys() == alone.keys()
        assert all(found[pair][m] == pytest.approx(alone[pair][m], abs=0.03) for pair in alone for m in ("p@1", "mrr"))


def test_forgetting_is_a_loss_beyond_chance() -> None:
    def scores(share: float, n: int) -> dict[str, dict[str, float]]:
        return {"en-hi": {"p@1": share, "mrr": share, "n": float(n)}}

    assert forgotten(scores(0.90, 1_000), scores(0.95, 1_000)) == ["en-hi"]
    assert forgotten(scores(0.94, 1_000), scores(0.95, 1_000)) == []
    assert forgotten(scores(0.90, 50), scores(0.95, 50)) == []
    assert forgotten(scores(0.99, 50), scores(0.95, 50)) == []
