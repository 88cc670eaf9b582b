"""How fast this machine trains and tokenises, in a few seconds: what `tppc doctor` measures.

A made encoder reads made sentences: 4 layers of 256 on a CPU, 12 of 768, an mBERT's, on a GPU. The figures compare
machines, and a machine with itself yesterday; a real encoder's speed follows from its size (see `tppc.training.flops`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from tppc.encoders.embed import tokenise
from tppc.encoders.flat import flat_texts, text_vectors
from tppc.encoders.load import Encoder
from tppc.encoders.scratch import train_vocabulary
from tppc.training.config import TrainConfig
from tppc.training.flops import peak_flops, training_work, utilisation
from tppc.training.model import choose_precision

_LETTERS = ("abcdefghijklmnoprstuvw", "कखगघचछजटडतदनपबमयरलवसह", "ابتجدرسعفقكلمنهوي", "あいうえおかきくけこさしすせそ")
_WARM = 2  # steps before the clock starts: the first ones choose kernels


@dataclass(frozen=True)
class Speed:
    """What a training step does a second: pairs, real tokens; `mfu` is None where the device's peak is unknown."""

    device: str
    precision: str
    layers: int
    hidden: int
    batch_size: int
    steps: int
    pairs_per_s: float
    tokens_per_s: float
    mfu: float | None


def made_sentences(count: int, seed: int = 0) -> list[str]:
    """`count` sentences of 3 to 14 words out of 400 in four scripts."""
    random = np.random.default_rng(seed)
    lexicons = [["".join(random.choice(list(a), random.integers(2, 8))) for _ in range(400)] for a in _LETTERS]
    return [" ".join(random.choice(lexicons[i % len(lexicons)], random.integers(3, 15))) for i in range(count)]


def device_name(device: torch.device) -> str:
    """A device's name as its maker calls it; `cpu` for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def automatic_precision(device: torch.device, hidden: int) -> tuple[torch.dtype | None, str]:
    """What `precision = "auto"` takes on a device for an encoder of `hidden` units, and why."""
    config = TrainConfig.model_validate({"corpora": ["unused"], "objectives": {"tpp": {}}})
    return choose_precision(config, device, hidden)


def made_encoder(device: torch.device, texts: list[str]) -> Encoder:
    """A random encoder of the size that suits the device, with a vocabulary of the texts."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    large = device.type == "cuda"
    layers, hidden, heads = (12, 768, 12) if large else (4, 256, 4)
    backend = train_vocabulary(texts, 4_000)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    config = BertConfig(
        vocab_size=backend.get_vocab_size(),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(config, add_pooling_layer=False)
    return Encoder("made", tokenizer, model.to(device), "mean", 128)  # type: ignore[arg-type]


def training_speed(encoder: Encoder, texts: list[str], seconds: float) -> Speed:
    """Train on the texts, taken two by two, for about `seconds` and at least one step; the encoder is worn out by it.

    A step is what the trainer's is: both sides in one pass without padding, cosines of all combinations, a float32
    loss, fused AdamW.
    """
    model, device = encoder.model, encoder.model.device
    size = 512 if device.type == "cuda" else 64
    autocast, why = automatic_precision(device, encoder.hidden_size)
    ids = sorted(tokenise(encoder, texts[: 2 * size]), key=len)
    batch = flat_texts(ids).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    pad = int(encoder.tokenizer.pad_token_id or 0)
    labels = torch.arange(size, device=device)

    def step() -> None:
        with torch.autocast(device.type, dtype=autocast, enabled=autocast is not None):
            vectors = text_vectors(model, batch, encoder.pooling, pad)
        unit = torch.nn.functional.normalize(vectors.float(), dim=-1)
        torch.nn.functional.cross_entropy(20 * unit[0::2] @ unit[1::2].T, labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    model.train()
    for _ in range(_WARM):
        step()
    _finished(device)
    began, steps = time.perf_counter(), 0
    while steps == 0 or time.perf_counter() - began < seconds:
        step()
        steps += 1
        _finished(device)
    took = time.perf_counter() - began
    tokens = sum(batch.lengths) * steps
    share = utilisation(
        training_work(model),
        tokens=tokens,
        squares=sum(n * n for n in batch.lengths) * steps,
        seconds=took,
        peak=peak_flops(device_name(device), bf16=autocast is not None),
    )
    shape = model.config
    return Speed(
        device=device_name(device),
        precision=why,
        layers=int(shape.num_hidden_layers),
        hidden=encoder.hidden_size,
        batch_size=size,
        steps=steps,
        pairs_per_s=size * steps / took,
        tokens_per_s=tokens / took,
        mfu=share,
    )


def tokeniser_speed(encoder: Encoder, texts: list[str], seconds: float) -> float:
    """Texts a second that one process tokenises, over about `seconds` and at least one round of all texts."""
    began, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - began < seconds:
        tokenise(encoder, texts)
        done += len(texts)
    return done / (time.perf_counter() - began)


def _finished(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
