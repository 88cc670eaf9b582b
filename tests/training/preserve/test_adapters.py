"""LoRA: the start computes what it did, what is saved is plain, and a checkpoint gives the adapters back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_models import FAMILIES, model_of
from transformers import AutoModel, PreTrainedModel

from tppc.errors import TppcError, UsageError
from tppc.training.preserve.adapters import LoraSettings, adapter_tensors, attach_lora, merged, restore_adapters
from tppc.training.preserve.layers import layers_of

IDS = torch.tensor([[1, 7, 9, 2], [1, 8, 30, 2]])
SETTINGS = LoraSettings(rank=4, alpha=8)


def states(model: PreTrainedModel) -> torch.Tensor:
    """Token states of two texts."""
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).last_hidden_state
    return found


def train(model: PreTrainedModel, steps: int = 3) -> None:
    """A few steps towards nothing in particular."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(steps):
        model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).last_hidden_state.pow(3).mean().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_train_alone_and_the_saved_encoder_is_plain(family: str, tmp_path: Path) -> None:
    model = model_of(family)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    untouched = states(model)
    assert "LoRA of rank 4 on" in attach_lora(model, SETTINGS, seed=3)
    assert torch.equal(states(model), untouched)
    train(model)
    trained = states(model)
    assert not torch.allclose(trained, untouched)
    plain = merged(model)
    assert list(plain.state_dict()) == list(start)
    plain.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    assert type(again) is type(model_of(family))
    assert torch.allclose(states(again), trained, atol=1e-5)
    layers = {n for layer in layers_of(plain) for n in (id(m.weight) for m in layer.modules() if hasattr(m, "weight"))}
    changed = {n for n, p in plain.named_parameters() if not torch.equal(p, start[n])}
    assert changed
    assert changed <= {n for n, p in plain.named_parameters() if id(p) in layers}
    assert torch.equal(states(model), trained)  # merging a copy leaves the run as it is


def test_adapters_come_back_from_a_checkpoint_to_the_bit(tmp_path: Path) -> None:
    model = model_of("bert")
    attach_lora(model, SETTINGS, seed=3)
    train(model)
    save_file(adapter_tensors(model), tmp_path / "adapters.safetensors")
    again = model_of("bert")
    attach_lora(again, SETTINGS, seed=4)
    restore_adapters(again, tmp_path / "adapters.safetensors")
    assert torch.equal(states(again), states(model))
    assert all(p.requires_grad == ("lora_" in n) for n, p in again.named_parameters())
    other = model_of("bert")
    attach_lora(other, LoraSettings(rank=2), seed=4)
    with pytest.raises(TppcError, match="another rank"):
        restore_adapters(other, tmp_path / "adapters.safetensors")
    (tmp_path / "adapters.safetensors").write_bytes(b"no tensors")
    with pytest.raises(TppcError, match="damaged checkpoint"):
        restore_adapters(again, tmp_path / "adapters.safetensors")


def test_the_start_of_adapters_follows_from_the_seed_and_leaves_other_random_numbers_alone() -> None:
    found = []
    for seed in (1, 1, 2):
        model = model_of("bert")
        torch.manual_seed(9)
        attach_lora(model, SETTINGS, seed=seed)
        found.append((adapter_tensors(model), torch.rand(1).item()))
    same = [all(torch.equal(found[0][0][k], other[k]) for k in other) for other, _ in found]
    assert same == [True, True, False]
    assert len({number for _, number in found}) == 1


def test_frozen_layers_and_attention_alone_get_fewer_adapters() -> None:
    model = model_of("modernbert")
    attach_lora(model, SETTINGS.model_copy(update={"targets": "attention"}), seed=1, frozen_layers=2)
    names = {name.rsplit(".lora_", 1)[0] for name in adapter_tensors(model)}
    assert names == {"layers.2.attn.Wqkv", "layers.2.attn.Wo"}
    with pytest.raises(UsageError, match="none of the encoder's 3 layers"):
        attach_lora(model_of("bert"), SETTINGS, seed=1, frozen_layers=3)


def test_without_peft_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UsageError, match=r"pip install 'tppc\[lora\]'"):
        attach_lora(model_of("bert"), SETTINGS, seed=1)
