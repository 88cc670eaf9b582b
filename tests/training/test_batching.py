"""Batches are a function of the step; ranks share them out; the control pairs no text with its own translation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tppc.corpora.ahead import ahead
from tppc.corpora.corpus import Corpus
from tppc.corpora.stream import PairStream
from tppc.encoders.scratch import make_encoder
from tppc.training.batching import Batches, HardTargets, TokenBatch, Wanted, draw_partners, exchange_targets
from tppc.training.distribution import Ranks
from tppc.training.objectives import false_negatives

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batches(cipher: Path) -> Batches:
    corpus = Corpus(cipher)
    encoder = make_encoder("scratch:tiny", corpus.scan("train").collect()["src_text"], 1)
    streams = [PairStream([corpus], batch_size=33, seed=seed, window=8) for seed in (1, 2)]
    ranks = Ranks(0, 1, CPU)
    return Batches(streams[0], streams[1], None, encoder, ranks, seed=1, wanted=Wanted(vectors=True))


def texts(batch: TokenBatch) -> list[list[int]]:
    """Token ids of each text, in the order of the batch."""
    assert batch.texts is not None
    by_length = [ids.tolist() for piece in batch.texts.pieces for ids in torch.split(piece.ids, list(piece.lengths))]
    return [by_length[i] for i in batch.texts.order]


def same(one: TokenBatch, other: TokenBatch) -> bool:
    return one.ids == other.ids and texts(one) == texts(other) and one.draw == other.draw


def test_a_stream_taken_up_anywhere_is_the_unbroken_one(batches: Batches) -> None:
    # 2,000 pairs in batches of 33: step 60 runs over the end of the first epoch.
    unbroken = [batches.batch(step) for step in range(70)]
    for start in (1, 33, 59, 60, 61):
        again = PairStream([Corpus(batches.stream._parts[0].corpus.path)], batch_size=33, seed=1, window=8)
        resumed = list(ahead(replace(batches, stream=again).batch, start, 70))
        assert all(same(a, b) for a, b in zip(unbroken[start:], resumed, strict=True))


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_out_every_batch(batches: Batches, world: int) -> None:
    whole = batches.batch(3)
    parts = [replace(batches, ranks=Ranks(r, world, CPU)).batch(3) for r in range(world)]
    assert len(texts(whole)) == 3 * 33
    assert sum(p.tokens for p in parts) == whole.tokens == sum(map(len, texts(whole)))
    for rank, part in enumerate(parts):
        assert texts(part) == [t for side in range(3) for t in texts(whole)[side * 33 : (side + 1) * 33][rank::world]]
        assert torch.equal(part.src_key, whole.src_key)
        assert part.draw == whole.draw


def test_no_pair_keeps_its_own_translation_in_the_control(batches: Batches) -> None:
    for step in range(5):
        batch = batches.stream.batch(step)
        control = exchange_targets(batch, draw_partners(batch, seed=1))
        assert control.src_text == batch.src_text
        assert sorted(control.tgt_text) == sorted(batch.tgt_text)
        assert not any(a == b for a, b in zip(control.tgt_text, batch.tgt_text, strict=True))
        by_text = dict(zip(batch.tgt_text, batch.tgt_key, strict=True))
        assert [by_text[t] for t in control.tgt_text] == list(control.tgt_key)
        assert control.tgt_text == exchange_targets(batch, draw_partners(batch, seed=1)).tgt_text
        assert control.tgt_text != exchange_targets(batch, draw_partners(batch, seed=2)).tgt_text


def test_no_translation_is_a_negative_in_the_control(batches: Batches) -> None:
    truth = batches.stream.batch(4)
    for rank, world in ((0, 1), (1, 2)):
        batch = replace(batches, shuffled_pairs=True, ranks=Ranks(rank, world, CPU)).batch(4)
        masked = false_negatives(batch.src_key, batch.tgt_key, batch.own_src_key, batch.own_tgt_key)
        own = {key: j for j, key in enumerate(batch.tgt_key.tolist())}
        expected = {(i, own[key]) for i, key in enumerate(truth.tgt_key.tolist())}
        assert {tuple(p) for p in masked.nonzero().tolist()} == expected  # no two of these pairs share a text
        assert not masked.diagonal().any()


def test_a_control_gives_no_source_a_translation_of_its_own_by_another_pair(batches: Batches) -> None:
    batch = batches.stream.batch(0)
    keys = batch.src_key.copy()
    keys[[3, 8, 20]] = keys[0]  # four pairs with one source: most derangements pass a target on among them
    doubled = replace(batch, src_key=keys, tgt_key=np.where(np.isin(np.arange(33), [5, 9, 11]), 7, batch.tgt_key))
    for seed in range(20):
        partner = draw_partners(doubled, seed)
        assert not (keys[partner] == keys).any()
        assert not (doubled.tgt_key[partner] == doubled.tgt_key).any()


@pytest.mark.parametrize("control", [False, True])
def test_a_negative_of_the_second_stream_shares_no_text_by_either_side(batches: Batches, control: bool) -> None:
    pairs, second = batches.stream.batch(2), batches.stream.batch(7)
    # Keys of the second stream's rows 0 to 3 are those of this row's source or target, on either side.
    src, tgt = second.src_key.copy(), second.tgt_key.copy()
    src[0], tgt[1], src[2], tgt[3] = pairs.src_key[0], pairs.tgt_key[1], pairs.tgt_key[2], pairs.src_key[3]

    class Fixed:
        def batch(self, step: int) -> object:
            return replace(second, src_key=src, tgt_key=tgt)

    batch = replace(batches, other=Fixed(), shuffled_pairs=control).batch(2)  # type: ignore[arg-type]
    assert batch.other_usable is not None
    assert batch.other_usable.tolist() == [False] * 4 + [True] * 29


def test_pieces_hold_every_text_once_and_no_more_tokens_than_they_may(batches: Batches) -> None:
    whole, cut = batches.batch(4), replace(batches, micro_tokens=100).batch(4)
    assert texts(cut) == texts(whole)
    assert cut.texts is not None
    assert len(cut.texts.pieces) > 3
    for piece in cut.texts.pieces:
        assert sum(piece.lengths) <= 100
        assert list(piece.lengths) == sorted(piece.lengths)


def test_mined_targets_are_one_more_side_of_every_rank(batches: Batches) -> None:
    rows = batches.stream.batch(2) if batches.stream is not None else None
    assert rows is not None
    hard = HardTargets([f"hard {i}" for i in range(33)], rows.src_key, rows.tgt_key, np.arange(33) != 5)
    plain = replace(batches, other=None)
    whole = plain.batch(2, hard)
    assert whole.sides == ("src", "tgt", "hard")
    parts = [replace(plain, ranks=Ranks(r, 2, CPU)).batch(2, hard) for r in range(2)]
    for rank, part in enumerate(parts):
        assert texts(part)[-len(range(rank, 33, 2)) :] == texts(whole)[66:][rank::2]
        assert part.hard_usable is not None
        assert part.hard_usable.tolist() == [i != 5 for i in range(33)]
