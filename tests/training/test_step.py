"""A batch cut into pieces has the loss and the gradients of the whole, whatever the objectives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cipher import cipher_pairs
from factory import write_corpus

from tppc.corpora.corpus import Corpus
from tppc.corpora.stream import PairStream
from tppc.corpora.texts import TextFile, TextStream
from tppc.encoders.load import Encoder
from tppc.encoders.scratch import make_encoder
from tppc.training import objectives
from tppc.training.batching import Batches, HardTargets
from tppc.training.config import TrainConfig, load_config
from tppc.training.distribution import Ranks
from tppc.training.model import PairModel
from tppc.training.step import Seen, forward_backward, initialise

ONE = Ranks(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def cipher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of the cipher that share a number, so that there are identical strings."""
    pairs = [(f"{i % 7} {src}", f"{i % 7} {tgt}") for i, (src, tgt) in enumerate(cipher_pairs(400, seed=1))]
    return write_corpus(tmp_path_factory.mktemp("numbered"), {"train": pairs}, "cipher/en-hi")


@pytest.fixture(scope="module")
def encoder(cipher: Path) -> Encoder:
    rows = Corpus(cipher).scan("train").collect()
    return make_encoder("scratch:tiny", [*rows["src_text"], *rows["tgt_text"]], 1)


def config_of(cipher: Path, names: dict[str, Any], **more: Any) -> TrainConfig:
    settings = {"corpora": [str(cipher)], "objectives": names, "encoder": "scratch:tiny", "dropout": False}
    return load_config(None, settings | more)


def setup(
    cipher: Path, encoder: Encoder, names: dict[str, Any], unpaired: TextStream | None = None, **more: Any
) -> tuple[PairModel, Batches]:
    model = PairModel(encoder, config_of(cipher, names, **more), ONE, None, ["en", "hi"])
    stream = PairStream([Corpus(cipher)], batch_size=24, seed=1)
    other = PairStream([Corpus(cipher)], batch_size=24, seed=2) if "corpus" in str(names) else None
    return model, Batches(stream, other, unpaired, encoder, ONE, seed=1, wanted=model.wanted(encoder))


def gradients(model: PairModel, batches: Batches, hard: HardTargets | None = None) -> tuple[Seen, dict[str, Any]]:
    model.zero_grad(set_to_none=True)
    seen = forward_backward(model, batches.batch(3, hard), seed=1)
    return seen, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


CASES = [
    *({name: {}} for name in objectives.names()),
    {"tpp": {"negatives": "one"}},
    {"tpp": {"negatives": "corpus"}},
    {name: {"weight": 0.5} for name in objectives.names()},
]


@pytest.mark.parametrize("names", CASES, ids=lambda names: "-".join(f"{k}{v or ''}" for k, v in names.items())[:40])
def test_pieces_have_the_gradients_of_the_whole(cipher: Path, encoder: Encoder, names: dict[str, Any]) -> None:
    model, batches = setup(cipher, encoder, names)
    model.eval()
    initialise(model, batches.batch(0))
    seen, whole = gradients(model, batches)
    cut, pieces = gradients(model, replace(batches, micro_tokens=60))
    assert set(seen.outcomes) == set(names) == set(cut.outcomes)
    for name, outcome in seen.outcomes.items():
        assert float(outcome.loss.detach()) != 0
        assert float(cut.outcomes[name].loss.detach()) == pytest.approx(
            float(outcome.loss.detach()), rel=1e-4, abs=1e-6
        )
    assert whole.keys() == pieces.keys()
    assert any(name.startswith("encoder.") for name in whole)
    largest = max(float(g.norm()) for g in whole.values())
    for name, gradient in whole.items():
        assert float((gradient - pieces[name]).norm()) < 1e-4 * max(float(gradient.norm()), 0.1 * largest), name


def test_pieces_of_a_batch_with_dropout_draw_the_same_numbers_twice(cipher: Path, encoder: Encoder) -> None:
    model, batches = setup(cipher, encoder, {"tpp": {}})
    model.train()
    batches = replace(batches, micro_tokens=60)
    _, first = gradients(model, batches)
    torch.manual_seed(99)
    _, again = gradients(model, batches)
    assert all(torch.equal(first[name], again[name]) for name in first)
    # The gradient belongs to the loss of that dropout: a step along it lowers that very loss.
    before = float(forward_backward(model, batches.batch(3), seed=1).outcomes["tpp"].loss.detach())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in first:
                parameter.sub_(first[name], alpha=0.01 / max(1.0, float(first[name].norm())))
    assert float(forward_backward(model, batches.batch(3), seed=1).outcomes["tpp"].loss.detach()) < before


def test_mined_targets_go_through_pieces_too(cipher: Path, encoder: Encoder) -> None:
    model, batches = setup(cipher, encoder, {"infonce": {}})
    model.eval()
    assert batches.stream is not None
    rows, other = batches.stream.batch(3), batches.stream.batch(9)
    usable = torch.arange(24).numpy() % 3 != 0
    hard = HardTargets(other.tgt_text, other.src_key, other.tgt_key, usable)
    seen, whole = gradients(model, batches, hard)
    _, pieces = gradients(model, replace(batches, micro_tokens=60), hard)
    for name, gradient in whole.items():
        torch.testing.assert_close(gradient, pieces[name], rtol=1e-3, atol=1e-5)
    assert seen.pairs is not None
    assert seen.pairs.hard_masked is not None
    assert seen.pairs.hard_masked[:, ~usable].all()
    assert not seen.pairs.hard_masked[:, usable].all()
    bare, _ = gradients(model, batches)
    assert float(seen.outcomes["infonce"].loss.detach()) > float(bare.outcomes["infonce"].loss.detach())
    assert len(rows) == 24


def test_unpaired_texts_take_the_place_of_the_pairs(cipher: Path, encoder: Encoder, tmp_path: Path) -> None:
    rows = Corpus(cipher).scan("train").collect()
    files = {}
    for code, column in (("en", "src_text"), ("hi", "tgt_text")):
        (tmp_path / code).write_text("\n".join(rows[column]), "utf-8")
        files[code] = TextFile(tmp_path / code)
    unpaired = TextStream(files, batch_size=40, seed=1)
    names: dict[str, Any] = {"tpp": {}, "mlm": {}, "mean-variance": {}}
    monolingual = [{"language": code, "path": str(tmp_path / code)} for code in files]
    model, batches = setup(cipher, encoder, names, unpaired, monolingual=monolingual)
    model.eval()
    batch = batches.batch(3)
    assert batch.texts is not None
    assert batch.texts.tokens is None
    assert batch.unpaired is not None
    assert batch.unpaired.tokens is not None
    seen, whole = gradients(model, batches)
    assert set(seen.outcomes) == set(names)
    _, pieces = gradients(model, replace(batches, micro_tokens=60))
    for name, gradient in whole.items():
        torch.testing.assert_close(gradient, pieces[name], rtol=1e-3, atol=1e-5)
