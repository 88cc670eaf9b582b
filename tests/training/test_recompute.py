"""Memory and speed that cost nothing else: checkpointed activations and compiled encoders have the same gradients."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from cipher import cipher_pairs
from factory import write_corpus
from safetensors.torch import load_file

from tppc.encoders.flat import flat_texts, runs_flat, token_states
from tppc.encoders.load import save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import UsageError
from tppc.training.config import load_config
from tppc.training.tracking import read_metrics
from tppc.training.trainer import train

SIZE = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 40}  # fmt: skip
FAMILIES = {"Bert": "intermediate", "XLMRoberta": "intermediate", "ModernBert": "mlp.Wi"}


@pytest.mark.parametrize("training", [True, False], ids=["with dropout", "without"])
@pytest.mark.parametrize("family", FAMILIES)
def test_checkpointed_layers_run_twice_and_have_the_same_gradients(family: str, training: bool) -> None:
    import transformers

    more = {"pad_token_id": 0} if family == "ModernBert" else {}
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}Model")(getattr(transformers, f"{family}Config")(**SIZE, **more))
    model.train(training)
    texts = flat_texts([[2, 5, 6, 3], [2, 7, 8, 9, 3], [2, 7, 8, 11, 3]])
    assert runs_flat(model, texts.ids.device)
    calls: list[int] = []
    for name, module in model.named_modules():
        if name.endswith(FAMILIES[family]):
            module.register_forward_hook(lambda *_: calls.append(1))
    found = []
    for checkpointed in (False, True):
        if checkpointed:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.zero_grad()
        calls.clear()
        torch.manual_seed(3)
        token_states(model, texts, pad=0).last.square().sum().backward()
        assert len(calls) == (6 if checkpointed else 3)
        assert all(module.training == training for module in model.modules())
        found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(gradient, found[1][name]) for name, gradient in found[0].items())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus of 120 pairs and an encoder to start with."""
    folder, pairs = tmp_path_factory.mktemp("recompute"), cipher_pairs(120, seed=3)
    save_encoder(make_encoder("scratch:tiny", [text for pair in pairs for text in pair], 1), folder / "start")
    return write_corpus(folder / "corpus", {"train": pairs}, "cipher/en-hi"), folder / "start"


def run(made: tuple[Path, Path], out: Path, **more: Any) -> tuple[list[float], dict[str, torch.Tensor]]:
    how = {"corpora": [str(made[0])], "encoder": str(made[1]), "steps": 3, "batch_size": 12, "log_every": 1, "lr": 1e-3,
           "track": [], "precision": "fp32"}  # fmt: skip
    train(load_config(None, how | more), out)
    return [line["loss"] for line in read_metrics(out)], load_file(out / "encoder" / "model.safetensors")


@pytest.mark.parametrize("more", [{}, {"micro_tokens": 60, "dropout": False}], ids=["whole", "in pieces"])
def test_a_run_with_checkpointed_activations_is_the_run_without(
    made: tuple[Path, Path], tmp_path: Path, more: dict[str, Any]
) -> None:
    plain, checkpointed = (
        run(made, tmp_path / str(on), activation_checkpointing=on, **more) for on in (False, True)
    )  # fmt: skip
    assert plain[0] == checkpointed[0]
    assert all(torch.equal(weight, checkpointed[1][name]) for name, weight in plain[1].items())


def test_without_a_compiler_nothing_begins(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(UsageError, match=r"--compile needs a C\+\+ compiler"):
        run(made, tmp_path / "run", compile=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.skipif("TPPC_CHAOS_KILLS" not in os.environ, reason="compiles for a minute; `make chaos` does it")
def test_a_compiled_encoder_trains_as_the_plain_one(made: tuple[Path, Path], tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++, which torch.compile needs on a CPU")
    plain, compiled = (run(made, tmp_path / str(on), compile=on, dropout=False) for on in (False, True))
    assert compiled[0] == pytest.approx(plain[0], rel=1e-4)
    assert compiled[1].keys() == plain[1].keys()  # no trace of the compiler in what is saved


def test_an_encoder_that_cannot_checkpoint_is_refused(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertModel

    monkeypatch.setattr(BertModel, "supports_gradient_checkpointing", False)
    with pytest.raises(UsageError, match="start: this kind of encoder cannot use activation_checkpointing"):
        run(made, tmp_path / "run", activation_checkpointing=True)
