"""One fine-tuning loop for every labelled task.

An untouched copy of the encoder gets a linear head; both learn with AdamW, linear warm-up and linear decay to nought.
The last checkpoint is the result: nothing is selected, so neither source nor target development data can leak into a
score. Batches are cut from windows sorted by length, which saves about half of the padding; everything random (head,
order, dropout) follows from the seed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from tppc.encoders.embed import padded
from tppc.errors import TppcError
from tppc.evaluation.heads import LinearHead, Unit, target_states
from tppc.evaluation.subwords import Window, text_windows, token_windows

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

# Windows sorted by length together, in batches: enough to cut padding, few enough to keep the order random.
_SORTED_TOGETHER = 50
_PREDICTED_TOKENS = 16_384


class FineTuning(BaseModel):
    """Settings of a fine-tuning. Defaults as BERT's authors chose; an encoder made from scratch wants a higher rate."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(default=3, ge=1)
    lr: float = Field(default=5e-5, gt=0, description="peak learning rate of encoder and head")
    batch_size: int = Field(default=32, ge=1, description="windows (sentences, or parts of over-long ones) a step")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps in which the rate climbs")
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    freeze: bool = Field(default=False, description="train the head alone, on the encoder as it is")

    def describe(self) -> str:
        """The settings as they stand in a result's protocol."""
        what = "frozen encoder" if self.freeze else "whole encoder"
        return (
            f"{what}; linear head; AdamW lr={self.lr:g} epochs={self.epochs} batch={self.batch_size} "
            f"warmup={self.warmup:g} decay={self.weight_decay:g} {self.precision}"
        )


@dataclass(frozen=True)
class Prepared:
    """Inputs of a task as windows for one encoder: made once, used with every seed. `sizes` are targets an item."""

    unit: Unit
    windows: list[Window]
    sizes: list[int]


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned copy of an encoder with its head; `labels` are in the order of the logits.

    `what` names the fine-tuning in messages, and `lr` is the peak rate that it had.
    """

    encoder: Encoder
    model: nn.Module
    head: LinearHead
    labels: tuple[str, ...]
    unit: Unit
    what: str
    lr: float


def prepare_tokens(encoder: Encoder, sentences: Sequence[Sequence[str]]) -> Prepared:
    """Sentences of tokens, for a token task."""
    return Prepared("token", token_windows(encoder, sentences), [len(s) for s in sentences])


def prepare_texts(encoder: Encoder, texts: Sequence[str]) -> Prepared:
    """Whole texts, for a text task."""
    return Prepared("text", text_windows(encoder, texts), [1] * len(texts))


def fine_tune(
    encoder: Encoder,
    inputs: Prepared,
    gold: Sequence[Sequence[str]],
    config: FineTuning,
    seed: int,
    task: str = "fine-tuning",
) -> Tuned:
    """Fine-tune a copy of `encoder`; the encoder itself stays as it is.

    Args:
        inputs: the prepared training inputs. gold: the labels of each item, as many as the item has targets.
        seed: of head, order and dropout. The global random state is left as it was.
        task: its name, for messages.

    Raises `TppcError` where the loss or a gradient is no longer a finite number.
    """
    assert [len(g) for g in gold] == inputs.sizes, "every target needs one gold label"
    labels = tuple(sorted({label for one in gold for label in one}))
    number = {label: i for i, label in enumerate(labels)}
    answers = [[number[label] for label in one] for one in gold]
    devices = list(range(torch.cuda.device_count())) if encoder.model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        model = copy.deepcopy(encoder.model)
        head = LinearHead(encoder.hidden_size, len(labels)).to(encoder.model.device)
        what = f"{task} with seed {seed}"
        tuned = Tuned(encoder, model, head, labels, inputs.unit, what, config.lr)
        _train(tuned, inputs.windows, answers, config, np.random.default_rng(seed))
    return tuned


def _train(
    tuned: Tuned,
    windows: Sequence[Window],
    answers: Sequence[Sequence[int]],
    config: FineTuning,
    order: np.random.Generator,
) -> None:
    """Run the loop: forward, cross-entropy over the batch's targets, clip, step."""
    model, head = tuned.model, tuned.head
    model.requires_grad_(not config.freeze)
    model.train(not config.freeze)
    head.train()
    parameters = [p for part in (model, head) for p in part.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1]
    rest = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, fused=True)
    steps = config.epochs * math.ceil(len(windows) / config.batch_size)
    climb = max(1, round(config.warmup * steps))
    step = 0
    for _ in range(config.epochs):
        for batch in _batches(windows, config.batch_size, order):
            rate = min((step + 1) / climb, (steps - step) / max(1, steps - climb))
            for group in optimizer.param_groups:
                group["lr"] = config.lr * rate
            wanted = torch.tensor([a for w in batch for a in answers[w.item][w.start : w.start + len(w.targets)]])
            logits = _logits(tuned, batch, config.precision, grad_encoder=not config.freeze)
            loss = functional.cross_entropy(logits, wanted.to(logits.device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            norm = nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
            if not math.isfinite(float(loss.detach())) or not math.isfinite(float(norm)):
                raise _diverged(tuned, f"diverged at step {step + 1} of {steps}")
            optimizer.step()
            step += 1
    model.eval()
    head.eval()


def _diverged(tuned: Tuned, how: str) -> TppcError:
    """The error of a fine-tuning whose numbers are no longer finite."""
    return TppcError(
        f"{tuned.encoder.name}: {tuned.what} {how}; "
        f"lower --lr (it is {tuned.lr:g}), or look whether the encoder's weights are finite"
    )


def _logits(tuned: Tuned, batch: Sequence[Window], precision: str, grad_encoder: bool) -> Tensor:
    """Logits [n, labels] of all targets of a batch, float32, in the order of the windows."""
    device = tuned.encoder.model.device
    pad = tuned.encoder.tokenizer.pad_token_id
    ids, mask = padded([w.ids for w in batch], int(pad) if isinstance(pad, int) else 0)
    rows = torch.tensor([i for i, w in enumerate(batch) for _ in w.targets])
    columns = torch.tensor([c for w in batch for c in w.targets])
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        with torch.set_grad_enabled(grad_encoder and torch.is_grad_enabled()):
            states = target_states(
                tuned.model, ids.to(device), mask.to(device), (rows.to(device), columns.to(device)),
                unit=tuned.unit, pooling=tuned.encoder.pooling,
            )  # fmt: skip
        logits: Tensor = tuned.head(states)
    return logits.float()


def _batches(windows: Sequence[Window], size: int, order: np.random.Generator) -> Iterator[list[Window]]:
    """One epoch: shuffled, sorted by length in large chunks, cut, the batches shuffled. Every window once."""
    shuffled = order.permutation(len(windows))
    batches: list[np.ndarray] = []
    chunk = size * _SORTED_TOGETHER
    for first in range(0, len(shuffled), chunk):
        part = shuffled[first : first + chunk]
        part = part[np.argsort([len(windows[i].ids) for i in part], kind="stable")]
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    for number in order.permutation(len(batches)):
        yield [windows[i] for i in batches[number]]


def predict(tuned: Tuned, inputs: Prepared) -> list[list[str]]:
    """The likeliest label of every target, by item: one for each token of a sentence, or one for a text.

    Raises `TppcError` where a logit is no finite number: the last step's update is seen here only.
    """
    found: list[list[str]] = [[""] * size for size in inputs.sizes]
    windows = sorted(inputs.windows, key=lambda w: len(w.ids))
    filled = 0
    with torch.inference_mode():
        first = 0
        while first < len(windows):
            last = first + 1
            while last < len(windows) and (last + 1 - first) * len(windows[last].ids) <= _PREDICTED_TOKENS:
                last += 1
            batch = windows[first:last]
            logits = _logits(tuned, batch, "fp32", grad_encoder=False)
            if not bool(logits.isfinite().all()):
                raise _diverged(tuned, "ended in logits that are not finite numbers")
            best = iter(logits.argmax(-1).tolist())
            for window in batch:
                for offset in range(len(window.targets)):
                    found[window.item][window.start + offset] = tuned.labels[next(best)]
                    filled += 1
            first = last
    assert filled == sum(inputs.sizes), "every gold token must get a prediction"
    return found
