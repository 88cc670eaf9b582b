"""Operations are counted as the architecture has them; an unknown device has no peak."""

from __future__ import annotations

import pytest
import torch
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel, ModernBertConfig, ModernBertModel

from tppc.training.flops import Work, peak_flops, training_work, utilisation
from tppc.training.preserve.adapters import LoraSettings, attach_lora
from tppc.training.preserve.layers import freeze


def mbert() -> BertModel:
    """multilingual BERT's shape, without memory for its weights."""
    with torch.device("meta"):
        return BertModel(BertConfig(vocab_size=119_547))


def test_an_mbert_costs_what_its_linear_weights_and_attention_say() -> None:
    work = training_work(mbert())
    assert work is not None
    assert work == Work(linear=6 * 84_934_656, attention=12 * 12 * 768)
    # Two texts of 16 tokens: 16.4 GFLOP a pair.
    assert work.flops(32, 2 * 16**2) / 1e9 == pytest.approx(16.4, abs=0.05)


def test_frozen_layers_cost_a_forward_pass_and_adapters_no_gradient_of_their_weight() -> None:
    half = mbert()
    freeze(half, embeddings=True, layers=6)
    assert training_work(half) == Work(linear=(2 + 6) * 84_934_656 // 2, attention=(4 + 12) * 6 * 768)
    only_layers = mbert()
    freeze(only_layers, layers=6)  # the gradient still goes down to the embeddings
    assert training_work(only_layers) == Work(linear=(4 + 6) * 84_934_656 // 2, attention=12 * 12 * 768)
    small = BertModel(
        BertConfig(vocab_size=9, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    )
    whole = training_work(small)
    attach_lora(small, LoraSettings(rank=1), seed=0)
    adapters = sum(p.numel() for n, p in small.named_parameters() if "lora_" in n)
    adapted = training_work(small)
    assert whole is not None
    assert adapted is not None
    assert adapted.linear == whole.linear * 4 // 6 + 6 * adapters


def test_gated_layers_are_counted_as_they_are() -> None:
    with torch.device("meta"):
        model = ModernBertModel(
            ModernBertConfig(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2)
        )
    work = training_work(model)
    assert work is not None
    assert work.linear == 6 * 2 * (4 * 64 * 64 + 3 * 64 * 96)


def test_a_model_that_runs_one_layer_many_times_is_not_guessed_at() -> None:
    assert training_work(AlbertModel(AlbertConfig(vocab_size=9, hidden_size=16, num_attention_heads=2))) is None
    assert utilisation(None, tokens=1, squares=1, seconds=1, peak=1e12) is None


@pytest.mark.parametrize(
    ("name", "half", "full"),
    [
        ("NVIDIA H200", 989.4, 66.9),
        ("NVIDIA H100 80GB HBM3", 989.4, 66.9),
        ("NVIDIA H100 PCIe", 756.0, 51.2),
        ("NVIDIA A100-SXM4-80GB", 312.0, 19.5),
        ("NVIDIA L4", 121.0, 30.3),
        ("NVIDIA L40S", 362.05, 91.6),
        ("NVIDIA GeForce RTX 4090", 165.2, 82.6),
        ("NVIDIA RTX A6000", 154.8, 38.7),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None, None),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None, None),
        ("AMD EPYC 9654", None, None),
        ("cpu", None, None),
    ],
)
def test_peaks_by_name(name: str, half: float | None, full: float | None) -> None:
    assert peak_flops(name, bf16=True) == (None if half is None else half * 1e12)
    assert peak_flops(name, bf16=False) == (None if full is None else full * 1e12)


def test_utilisation_is_a_share_or_unknown() -> None:
    how = {"tokens": 1_000.0, "squares": 20_000.0, "seconds": 2.0}
    assert utilisation(Work(50, 10), **how, peak=1e6) == pytest.approx((50_000 + 200_000) / 2e6)
    assert utilisation(Work(50, 10), **how, peak=None) is None
