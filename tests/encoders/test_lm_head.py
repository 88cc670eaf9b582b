"""The head that guesses tokens is the encoder's own: its logits are those of the whole masked language model."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tppc.encoders.lm_head import LmHead, load_lm_head
from tppc.encoders.load import Encoder

SIZE = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 40}  # fmt: skip
DISTIL = {"vocab_size": 60, "dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 40}
# Epsilons and activations that are nobody's default, so that a head that ignores them is found out.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", SIZE),
    "bert with relu": ("Bert", SIZE | {"hidden_act": "relu", "layer_norm_eps": 0.1}),
    "xlm-roberta": ("XLMRoberta", SIZE | {"layer_norm_eps": 0.1}),
    "modernbert": ("ModernBert", SIZE | {"pad_token_id": 0, "norm_eps": 0.1, "classifier_activation": "silu"}),
    "distilbert": ("DistilBert", DISTIL | {"activation": "relu"}),
}


def saved(folder: Path, family: str) -> Any:
    """A masked language model with random weights, biases and norms included, saved in `folder`."""
    import transformers

    name, settings = FAMILIES[family]
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForMaskedLM")(getattr(transformers, f"{name}Config")(**settings))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    model.save_pretrained(folder)
    return model.eval()


def loaded(folder: Path) -> Encoder:
    """The bare encoder of a folder; a head asks nothing of a tokeniser."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    return Encoder(name=str(folder), tokenizer=None, model=model, pooling="cls", max_length=40)  # type: ignore[arg-type]


def logits(encoder: Encoder, head: LmHead, ids: torch.Tensor) -> torch.Tensor:
    embeddings: Any = encoder.model.get_input_embeddings()
    found: torch.Tensor = head(encoder.model(ids).last_hidden_state, embeddings.weight)
    return found


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_logits_are_those_of_the_masked_language_model(
    tmp_path: Path, family: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = saved(tmp_path, family)
    encoder = loaded(tmp_path)
    capfd.readouterr()
    head = load_lm_head(encoder, str(tmp_path))
    assert capfd.readouterr().err == ""
    ids = torch.randint(5, 60, (3, 7))
    torch.testing.assert_close(logits(encoder, head, ids), model(ids).logits)


@torch.no_grad()
def test_the_names_of_old_files_are_known(tmp_path: Path) -> None:
    model = saved(tmp_path, "bert")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(tmp_path / "model.safetensors").items()
    }
    assert "cls.predictions.transform.LayerNorm.gamma" in old
    encoder = loaded(tmp_path)
    save_file(old, tmp_path / "model.safetensors", {"format": "pt"})
    ids = torch.randint(5, 60, (3, 7))
    torch.testing.assert_close(logits(encoder, load_lm_head(encoder, str(tmp_path)), ids), model(ids).logits)


def test_a_file_without_a_head_gets_a_new_one_and_a_note(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    saved(tmp_path / "whole", "bert")
    encoder = loaded(tmp_path / "whole")
    encoder.model.save_pretrained(tmp_path / "bare")
    capfd.readouterr()
    first, again, other = (load_lm_head(encoder, str(tmp_path / "bare"), seed) for seed in (1, 1, 2))
    assert f"the file of {tmp_path / 'bare'} has no head for masked tokens; a new one" in capfd.readouterr().err
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.dense.weight, other.dense.weight)
    load_lm_head(encoder, str(tmp_path / "bare"), quiet=True)
    assert capfd.readouterr().err == ""


def test_a_head_that_does_not_belong_to_the_embeddings_is_not_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "bert", "bert")
    encoder = loaded(tmp_path / "bert")
    encoder.model.config.tie_word_embeddings = False
    load_lm_head(encoder, str(tmp_path / "bert"))
    assert "has no head" in capfd.readouterr().err
    shutil.copytree(tmp_path / "bert", tmp_path / "smaller")
    tensors = load_file(tmp_path / "bert" / "model.safetensors")
    tensors["cls.predictions.bias"] = tensors["cls.predictions.bias"][:50].clone()
    save_file(tensors, tmp_path / "smaller" / "model.safetensors", {"format": "pt"})
    encoder.model.config.tie_word_embeddings = True
    load_lm_head(encoder, str(tmp_path / "smaller"))
    assert "has no head" in capfd.readouterr().err
