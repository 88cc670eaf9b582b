"""Texts in pieces: none too large, all there, and texts that belong to no language take no part in alignment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cipher import cipher_pairs
from factory import write_corpus
from hypothesis import given
from hypothesis import strategies as st

from tppc.corpora.corpus import Corpus
from tppc.corpora.stream import PairStream
from tppc.encoders.scratch import make_encoder
from tppc.training.batching import Batches, HardTargets
from tppc.training.config import load_config
from tppc.training.distribution import Ranks
from tppc.training.model import PairModel
from tppc.training.pieces import cut, texts_in_pieces
from tppc.training.step import forward_backward

ONE = Ranks(0, 1, torch.device("cpu"))


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=40), micro=st.none() | st.integers(8, 120))
def test_every_text_is_in_one_piece_and_no_piece_is_too_large(lengths: list[int], micro: int | None) -> None:
    pieces = cut(lengths, micro)
    assert sorted(int(i) for piece in pieces for i in piece) == list(range(len(lengths)))
    in_order = [lengths[i] for piece in pieces for i in piece]
    assert in_order == sorted(lengths)
    for piece in pieces:
        assert micro is None or len(piece) == 1 or sum(lengths[i] for i in piece) <= micro
    texts = texts_in_pieces([[number] * n for number, n in enumerate(lengths)], micro)
    firsts = torch.cat([piece.ids[piece.first_tokens()] for piece in texts.pieces])
    assert firsts[texts.order].tolist() == list(range(len(lengths)))


def test_tokens_that_are_special_or_of_no_language_are_no_content() -> None:
    special = np.array([True, False, False, False])
    texts = texts_in_pieces([[0, 1, 2], [0, 3], [0, 1, 1, 1]], 4, [0, 1, -1], special)
    assert texts.tokens is not None
    content = torch.cat(list(texts.tokens.content))
    assert torch.cat(list(texts.tokens.languages)).tolist() == [1, 1, 0, 0, 0, -1, -1, -1, -1]
    assert content.tolist() == [False, True, False, True, True, False, False, False, False]


@pytest.mark.parametrize("name", ["identical", "mean-variance", "average-linkage"])
def test_texts_taken_along_as_negatives_do_not_move_the_languages(name: str, tmp_path: Path) -> None:
    pairs = [(f"{i % 7} {src}", f"{i % 7} {tgt}") for i, (src, tgt) in enumerate(cipher_pairs(60, seed=1))]
    corpus = Corpus(write_corpus(tmp_path / "corpus", {"train": pairs}, "cipher/en-hi"))
    encoder = make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1)

    def loss(*, second: bool, hard: HardTargets | None) -> float:
        objectives: dict[str, Any] = {"tpp": {"negatives": "corpus" if second else "all"}, name: {}}
        how = {"corpora": [str(corpus.path)], "objectives": objectives, "encoder": "scratch:tiny", "dropout": False}
        model = PairModel(encoder, load_config(None, how), ONE, None, ["en", "hi"]).eval()
        stream, other = (PairStream([corpus], batch_size=12, seed=seed) for seed in (1, 2))
        batches = Batches(stream, other if second else None, None, encoder, ONE, seed=1, wanted=model.wanted(encoder))
        return float(forward_backward(model, batches.batch(0, hard), seed=1).outcomes[name].loss.detach())

    alone = loss(second=False, hard=None)
    assert alone != 0
    rows = PairStream([corpus], batch_size=12, seed=3).batch(0)
    hard = HardTargets(rows.tgt_text, rows.src_key, rows.tgt_key, np.ones(12, dtype=bool))
    assert loss(second=True, hard=None) == pytest.approx(alone, rel=1e-4)
    assert loss(second=False, hard=hard) == pytest.approx(alone, rel=1e-4)
