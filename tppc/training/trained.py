"""What a run trains, and what a checkpoint must therefore hold: the model, its optimiser, and what keeps it near its
start (frozen layers, adapters, a pull back, a moving average).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tppc.encoders.load import Encoder
from tppc.errors import UsageError
from tppc.training.checkpoints import checkpoint_state, load_tensors, save_checkpoint
from tppc.training.config import TrainConfig
from tppc.training.distribution import Ranks
from tppc.training.model import PairModel
from tppc.training.optim import make_optimizer, optimizer_tensors, restore_optimizer, trained_parameters
from tppc.training.preserve import adapters, ema, layers, start

HEADS, OPTIMIZER = "heads.safetensors", "optimizer.safetensors"


@dataclass
class Trained:
    """One run's model and all that changes with it. `notes`: what was frozen or adapted, for people."""

    config: TrainConfig
    encoder: Encoder
    model: PairModel
    optimizer: torch.optim.Optimizer
    anchor: start.Anchor | None
    average: ema.Ema | None
    start_digest: str | None
    notes: list[str]

    def new_optimizer(self) -> None:
        """Begin a stage of a curriculum: the weights stay, the optimiser forgets."""
        self.optimizer = make_optimizer(self.model, self.config)

    def update(self, step: int, rate: float) -> None:
        """After the optimiser's step number `step` (from 1): the pull to the start, then the average."""
        if self.anchor is not None:
            self.anchor.pull(rate)
        if self.average is not None:
            self.average.update(step)

    def plain_encoder(self) -> Encoder:
        """The encoder as others load it: adapters multiplied out, with the logit of translation pairs."""
        network = adapters.merged(self.encoder.model) if self.config.lora is not None else self.encoder.model
        return replace(self.encoder, model=network, translation=self.model.translation())

    def result(self) -> Encoder:
        """What the run is for: the average of the weights where there is one, else the weights."""
        with self.average.applied() if self.average is not None else nullcontext():
            encoder = self.plain_encoder()
            if self.average is not None and self.config.lora is None:
                encoder = replace(encoder, model=copy.deepcopy(encoder.model))
            return encoder

    def save(self, out: Path, step: int) -> Path:
        """Write the checkpoint of `step` finished steps."""
        tensors: dict[str, Mapping[str, Tensor]] = {
            HEADS: self.model.heads.state_dict(),
            OPTIMIZER: optimizer_tensors(self.model, self.optimizer),
        }
        if self.config.lora is not None:
            tensors[adapters.FILE] = adapters.adapter_tensors(self.encoder.model)
        if self.average is not None:
            tensors[ema.FILE] = self.average.tensors()
        return save_checkpoint(out, step, self.config, self.plain_encoder(), tensors, self.start_digest)

    def restore(self, checkpoint: Path) -> None:
        """Put back what `save` wrote. Raises `TppcError` for a damaged checkpoint or another start encoder."""
        before = checkpoint_state(checkpoint).get("start")
        if self.start_digest is not None:
            start.refuse_other_start(self.start_digest, before, self.encoder.name)
        if self.config.lora is not None:
            adapters.restore_adapters(self.encoder.model, checkpoint / adapters.FILE)
        elif needs_start(self.config):  # without, the encoder was loaded from the checkpoint itself
            start.restore_weights(self.encoder.model, checkpoint / "encoder")
        with load_tensors(checkpoint, HEADS) as heads:
            self.model.heads.load_state_dict(heads)
        with load_tensors(checkpoint, OPTIMIZER) as flat:
            restore_optimizer(self.model, self.optimizer, flat)
        if self.average is not None:
            with load_tensors(checkpoint, ema.FILE) as flat:
                self.average.restore(flat)


def needs_start(config: TrainConfig) -> bool:
    """Whether a resumed run must load the encoder it started from, and not the checkpoint's alone."""
    return config.lora is not None or config.l2_start > 0


def prepare(config: TrainConfig, encoder: Encoder, ranks: Ranks, autocast: torch.dtype | None,
            languages: list[str]) -> Trained:  # fmt: skip
    """Build what is trained on a start encoder, which is changed in place.

    Raises `UsageError` for layers that cannot be frozen, adapted or checkpointed, and for a pull that overshoots.
    """
    network, notes = encoder.model, []
    digest = start.weights_digest(network) if needs_start(config) else None
    # Adapters freeze everything else anyway.
    if config.lora is None and (
        frozen := layers.freeze(network, embeddings=config.freeze_embeddings, layers=config.freeze_layers)
    ):
        notes.append(frozen)
    if config.activation_checkpointing:
        if not network.supports_gradient_checkpointing:
            raise UsageError(f"{encoder.name}: this kind of encoder cannot use activation_checkpointing; leave it out")
        network.gradient_checkpointing_enable(  # type: ignore[no-untyped-call]
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    if config.compile:
        network.compile(dynamic=True)
    model = PairModel(encoder, config, ranks, autocast, languages)
    if config.lora is not None:
        notes.append(adapters.attach_lora(network, config.lora, seed=config.seed, frozen_layers=config.freeze_layers))
    model.to(ranks.device)
    model.train(config.dropout)  # no layer but dropout tells the two modes apart in these encoders
    trained = trained_parameters(model)
    own = {name: p for name, p in trained.items() if name.startswith("encoder.")}
    assert config.lr is not None, "resolved"
    return Trained(
        config=config,
        encoder=encoder,
        model=model,
        optimizer=make_optimizer(model, config),
        anchor=start.Anchor(own, config.l2_start, config.lr) if config.l2_start else None,
        average=ema.Ema(trained, config.ema) if config.ema else None,
        start_digest=digest,
        notes=notes,
    )
