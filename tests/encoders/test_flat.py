"""Texts without padding give what the padded Hugging Face run gives: states, gradients, and no trace afterwards."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tppc.encoders import flat_attention
from tppc.encoders.embed import padded, sentence_vectors
from tppc.encoders.flat import flat_texts, text_vectors, token_states

SHAPE = {
    "vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "bos_token_id": 2, "eos_token_id": 3,
}  # fmt: skip
# ModernBERT's second layer sees 4 tokens to each side; RoBERTa's kin count positions from the padding's id on.
OWN: dict[str, dict[str, Any]] = {
    "bert": {"pad_token_id": 0},
    "xlm-roberta": {"pad_token_id": 1},
    "distilbert": {"pad_token_id": 0, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "modernbert": {
        "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "local_attention": 8, "global_attn_every_n_layers": 2,
    },
    "albert": {"pad_token_id": 0, "embedding_size": 16},
    "qwen3": {"pad_token_id": 0, "num_key_value_heads": 2, "head_dim": 8},  # causal, with fewer keys than queries
    "mpnet": {"pad_token_id": 1},  # these two have attention of their own, with relative positions
    "deberta-v2": {"pad_token_id": 0, "relative_attention": True},
}  # fmt: skip
WITH_POOLER = ("bert", "xlm-roberta", "albert", "mpnet")
CASES = [(kind, pooling) for kind in OWN for pooling in ("cls", "mean", "pooler")
         if pooling != "pooler" or kind in WITH_POOLER]  # fmt: skip


def make(kind: str, **changes: Any) -> Any:
    """A small model of random weights, not in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(kind, **{**SHAPE, **OWN[kind], **changes})
        return transformers.AutoModel.from_config(config).eval()


def texts(seed: int = 0) -> list[list[int]]:
    """Twenty texts of 1 to 31 tokens by length; one holds the id of a padding token."""
    draw = random.Random(seed)
    made = [[draw.randrange(4, 200) for _ in range(draw.choice([1, 2, 5, 5, 9, 31]))] for _ in range(20)]
    made.sort(key=len)
    made[-1][7] = 1
    return made


def gradients(model: Any, vectors: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    (vectors.float() * torch.linspace(-1, 1, vectors.shape[1])).sin().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5 * max(1.0, float(gradient.abs().max())), rtol=1e-4)


@pytest.mark.parametrize(("kind", "pooling"), CASES)
def test_vectors_and_gradients_are_those_of_the_padded_run(kind: str, pooling: Any) -> None:
    model = make(kind)
    pad = OWN[kind]["pad_token_id"]
    before = model.config._attn_implementation
    expected = sentence_vectors(model, *padded(texts(), pad), pooling)
    wanted = gradients(model, expected)
    found = text_vectors(model, flat_texts(texts()), pooling, pad)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert_close(gradients(model, found), wanted)
    assert model.config._attn_implementation == before
    assert not model.training


@pytest.mark.parametrize("kind", OWN)
def test_only_models_with_attention_of_their_own_are_padded(kind: str) -> None:
    shapes = []
    model = make(kind)
    text_vectors(model, flat_texts(texts()), "mean", 1)
    model.get_input_embeddings().register_forward_pre_hook(lambda _, given: shapes.append(tuple(given[0].shape)))
    text_vectors(model, flat_texts(texts()), "mean", 1)
    assert shapes == [(20, 31) if kind in ("mpnet", "deberta-v2") else (1, sum(map(len, texts())))]


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert", "distilbert"])
def test_in_bf16_the_error_is_no_larger_than_that_of_the_padded_run(kind: str) -> None:
    model = make(kind)
    pad = OWN[kind]["pad_token_id"]
    with torch.no_grad():
        exact = sentence_vectors(model, *padded(texts(), pad), "mean")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = sentence_vectors(model, *padded(texts(), pad), "mean").float()
            found = text_vectors(model, flat_texts(texts()), "mean", pad).float()
    assert (found - exact).norm() <= 1.5 * (rounded - exact).norm()


@pytest.mark.parametrize("kind", ["bert", "modernbert", "mpnet"])
def test_every_layer_comes_with_the_embeddings_first(kind: str) -> None:
    model = make(kind)
    pad = OWN[kind]["pad_token_id"]
    ids, mask = padded(texts(), pad)
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        states = token_states(model, flat_texts(texts()), pad=pad, layers=True)
        first = text_vectors(model, flat_texts(texts()), "cls", pad, layer=1)
    assert states.layers is not None
    assert len(states.layers) == 3
    for layer, one in zip(states.layers, expected, strict=True):
        torch.testing.assert_close(layer, one[mask.bool()], atol=1e-5, rtol=0)
    torch.testing.assert_close(states.last, states.layers[-1])
    torch.testing.assert_close(first, expected[1][:, 0], atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(4, 199), min_size=1, max_size=12), min_size=1, max_size=9))
def test_a_text_has_the_same_vector_in_any_company_and_order(ids: list[list[int]]) -> None:
    model = _BERT
    with torch.no_grad():
        together = text_vectors(model, flat_texts(ids), "mean", 0)
        alone = torch.cat([text_vectors(model, flat_texts([one]), "mean", 0) for one in ids])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_activation_checkpointing_recomputes_the_same_gradients(kind: str) -> None:
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if kind == "bert" else {}
    model = make(kind, **still).train()
    wanted = {n: g.clone() for n, g in gradients(model, text_vectors(model, flat_texts(texts()), "mean", 0)).items()}
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    functions = [getattr(m, "_gradient_checkpointing_func", None) for m in model.modules()]
    assert any(functions)
    calls = 0
    inner = model.get_submodule("encoder.layer.0" if kind == "bert" else "layers.0")

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    inner.register_forward_pre_hook(count)
    layer = inner.attention.self if kind == "bert" else inner.attn
    layer.register_forward_pre_hook(count)
    found = gradients(model, text_vectors(model, flat_texts(texts()), "mean", 0))
    assert calls > 2, "the backward pass runs the layer again"
    assert_close(found, wanted)
    assert [getattr(m, "_gradient_checkpointing_func", None) for m in model.modules()] == functions


def test_dropout_is_on_in_training_and_follows_the_seed() -> None:
    model = make("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5).train()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(text_vectors(model, flat_texts(texts()), "mean", 0))
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-3)


def test_an_error_inside_the_model_leaves_nothing_switched() -> None:
    model = make("bert")
    text_vectors(model, flat_texts([[4, 5]]), "mean", 0)
    before = model.config._attn_implementation
    with pytest.raises((IndexError, RuntimeError)):
        text_vectors(model, flat_texts([[4] * 65, [5]]), "mean", 0)  # more tokens than the model has positions
    assert model.config._attn_implementation == before
    assert flat_attention._switched == {}
    ids, mask = padded([[4, 5, 6], [7]], 0)
    assert model(input_ids=ids, attention_mask=mask).last_hidden_state.isfinite().all()


@pytest.mark.parametrize("before", ["sdpa", "eager"])
def test_padded_and_flat_runs_of_one_model_may_overlap(before: str) -> None:
    model = make("bert")
    model.set_attn_implementation(before)
    pad, some = 0, texts()
    with torch.no_grad():
        expected = sentence_vectors(model, *padded(some, pad), "mean")

        def run(number: int) -> Tensor:
            with torch.no_grad():
                if number % 2:
                    return text_vectors(model, flat_texts(some), "mean", pad)
                return sentence_vectors(model, *padded(some, pad), "mean")

        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(run, range(60)):
                torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert model.config._attn_implementation == before


def reference(
    query: Tensor, key: Tensor, value: Tensor, borders: Tensor, borders_k: Tensor, longest: int, longest_k: int,
    *, scale: float, window_size: tuple[int, int], enable_gqa: bool,
) -> Tensor:  # fmt: skip
    """What the documentation of `torch.nn.attention.varlen.varlen_attn` promises, in the plainest way."""
    assert torch.equal(borders, borders_k)
    assert borders.dtype == torch.int32
    assert longest == longest_k == int(borders.diff().max())
    found = []
    for first, last in zip(borders.tolist(), borders.tolist()[1:], strict=False):
        q, k, v = (x[first:last].transpose(0, 1) for x in (query, key, value))
        place = torch.arange(last - first)
        left, right = (n if n >= 0 else last for n in window_size)
        distance = place[None, :] - place[:, None]
        mask = (distance >= -left) & (distance <= right)
        found.append(
            functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=enable_gqa)
        )
    return torch.cat([one.transpose(0, 1) for one in found])


def attending(kind: str, attend: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Vectors and gradients with that kind of attention in the place of the CPU's."""
    model = make(kind)
    monkeypatch.setattr(flat_attention, "by_length", attend)
    vectors = text_vectors(model, flat_texts(texts()), "mean", 0)
    return vectors, gradients(model, vectors)


@pytest.mark.parametrize("kind", ["bert", "modernbert", "qwen3"])
def test_the_ways_of_cuda_give_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.nn.attention import varlen

    expected, wanted = attending(kind, flat_attention.by_length, monkeypatch)
    monkeypatch.setattr(varlen, "varlen_attn", reference)
    flat_attention._varlen.cache_clear()
    try:
        kernel = flat_attention._varlen()
        assert kernel is not None
        for attend in (flat_attention.in_rows, kernel):
            found, gradient = attending(kind, attend, monkeypatch)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
            assert_close(gradient, wanted)
    finally:
        flat_attention._varlen.cache_clear()


def test_no_kernel_without_dropout_is_used_where_there_is_dropout() -> None:
    query = torch.zeros(3, 2, 8, dtype=torch.bfloat16)
    assert flat_attention._fused(query, 0.0) is not None
    assert flat_attention._fused(query, 0.1) is flat_attention._flash()
    assert flat_attention._fused(query.float(), 0.0) is None


_BERT = make("bert")
