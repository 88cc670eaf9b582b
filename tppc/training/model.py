"""The module that is trained: an encoder, an optional projection, and the objectives with their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tppc.encoders.flat import FlatTexts, pool_flat, token_states
from tppc.encoders.lm_head import load_lm_head
from tppc.encoders.load import Encoder, Translation
from tppc.training import objectives
from tppc.training.batching import TokenBatch, Wanted
from tppc.training.config import TrainConfig
from tppc.training.distribution import Ranks, gather_rows
from tppc.training.masking import vocabulary_of
from tppc.training.objectives import GlobalPairs, MaskedObjective, Objective, PairObjective, StateObjective
from tppc.training.objectives.tpp import Tpp


class PairModel(nn.Module):
    """What runs in a step, piece by piece; `step` says in which order.

    Parameters that no objective reaches (a pooler that is not pooled with) are frozen: they have no gradient.
    """

    def __init__(
        self,
        encoder: Encoder,
        config: TrainConfig,
        ranks: Ranks,
        autocast: torch.dtype | None,
        languages: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder.model
        self.languages = list(languages)
        self.pooling, self.ranks, self.autocast = encoder.pooling, ranks, autocast
        self.pad = int(encoder.tokenizer.pad_token_id or 0)
        self.weights = {name: settings.weight for name, settings in config.objectives.items()}
        # The head has nothing to do with the encoder's file: the next user of the encoder never sees it.
        self.heads = nn.ModuleDict(
            {
                name: objectives.build(name, settings, encoder.hidden_size)
                for name, settings in config.objectives.items()
            }
        )
        if config.projection == "linear":
            self.heads["projection"] = _projection(encoder.hidden_size, config.seed)
        if self.masked():
            self.heads["lm_head"] = load_lm_head(encoder, encoder.name, config.seed, quiet=not ranks.main)
        pooler = getattr(self.encoder, "pooler", None)
        if pooler is not None and (self.pooling != "pooler" or not self.of_pairs()):
            pooler.requires_grad_(False)

    def objective(self, name: str) -> Objective:
        """The objective of that name."""
        module = self.heads[name]
        assert isinstance(module, Objective), "heads are objectives, the projection and the head for masked tokens"
        return module

    def of_pairs(self) -> dict[str, PairObjective]:
        """The objectives that look at vectors of pairs."""
        return {n: o for n in self.weights if isinstance(o := self.heads[n], PairObjective)}

    def of_states(self) -> dict[str, StateObjective]:
        """The objectives that look at states of tokens."""
        return {n: o for n in self.weights if isinstance(o := self.heads[n], StateObjective)}

    def masked(self) -> dict[str, MaskedObjective]:
        """The objectives that guess tokens."""
        return {n: o for n in self.weights if isinstance(o := self.heads[n], MaskedObjective)}

    def wanted(self, encoder: Encoder) -> Wanted:
        """What the objectives want of a batch."""
        masked = self.masked()
        tokens = bool(masked or self.of_states())
        return Wanted(
            vectors=bool(self.of_pairs()),
            states=bool(self.of_states()),
            masked={name: objective.settings for name, objective in masked.items()},
            of_pairs=frozenset(name for name, objective in masked.items() if objective.pairs),
            languages={code: number for number, code in enumerate(self.languages)},
            vocabulary=vocabulary_of(encoder) if tokens else None,
        )

    def translation(self) -> Translation | None:
        """The logit of "is a translation" as it stands, for whoever scores pairs with the encoder alone; None where TPP
        is not an objective, or looks at the vectors through a projection that is no part of the encoder."""
        head = next((head for head in self.heads.values() if isinstance(head, Tpp)), None)
        if head is None or "projection" in self.heads:
            return None
        return Translation(head.settings.similarity, head.log_scale.exp().item(), head.bias.item())

    def run(self, texts: FlatTexts, *, vectors: bool, layers: bool) -> tuple[Tensor | None, Sequence[Tensor]]:
        """One piece through the encoder: pooled vectors [B, H] and the states of all layers, float32, as wanted."""
        pooler = vectors and self.pooling == "pooler"
        with torch.autocast(texts.ids.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            states = token_states(self.encoder, texts, pad=self.pad, layers=layers, pooler=pooler)
        found = None
        if vectors:
            pooled = states.pooler if states.pooler is not None else pool_flat(states.last, texts, self.pooling)
            found = pooled.float()  # what follows (projection, dot products, losses) is float32 always
        return found, [one.float() for one in states.layers or ()]

    def guessed(self, texts: FlatTexts, places: Tensor, labels: Tensor) -> Tensor:
        """Sum of the cross-entropies of the tokens that stood at `places` of a piece."""
        with torch.autocast(texts.ids.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            states = token_states(self.encoder, texts, pad=self.pad).last[places]
            logits = self.heads["lm_head"](states, self.encoder.get_input_embeddings().weight)
        return nn.functional.cross_entropy(logits.float(), labels, reduction="sum")

    def pairs(self, batch: TokenBatch, vectors: Tensor) -> GlobalPairs:
        """The global batch from this rank's vectors [K n, H], with gradients to them."""
        assert batch.src_key is not None
        assert batch.tgt_key is not None
        if "projection" in self.heads:
            vectors = self.heads["projection"](vectors)
        count = len(vectors) // len(batch.sides)
        local = vectors.view(len(batch.sides), count, -1).transpose(0, 1)  # one gather for all sides
        everything = gather_rows(self.ranks, local, batch.total)
        side: Mapping[str, Tensor] = {name: everything[:, i] for i, name in enumerate(batch.sides)}
        return GlobalPairs(
            src=side["src"],
            tgt=side["tgt"],
            rows=torch.arange(self.ranks.rank, batch.total, self.ranks.world, device=vectors.device),
            masked=objectives.false_negatives(batch.src_key, batch.tgt_key, batch.own_src_key, batch.own_tgt_key),
            draw=batch.draw,
            other=side.get("other"),
            other_usable=batch.other_usable,
            hard=side.get("hard"),
            hard_masked=_hard_masked(batch),
        )


def _hard_masked(batch: TokenBatch) -> Tensor | None:
    """Which mined target is no negative of which source: of a pair that shares a text with the source's, or none."""
    if batch.hard_src_key is None or batch.hard_tgt_key is None or batch.hard_usable is None:
        return None
    assert batch.src_key is not None
    assert batch.tgt_key is not None
    masked = objectives.share_a_text(batch.src_key, batch.tgt_key, batch.hard_src_key, batch.hard_tgt_key)
    if batch.own_src_key is not None and batch.own_tgt_key is not None:
        masked |= objectives.share_a_text(batch.own_src_key, batch.own_tgt_key, batch.hard_src_key, batch.hard_tgt_key)
    return masked | ~batch.hard_usable[None, :]


def _projection(size: int, seed: int) -> nn.Linear:
    """The released code's new layer on the pooler: weights N(0, 0.02), bias 0."""
    layer = nn.Linear(size, size)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        layer.weight.normal_(0.0, 0.02)
        layer.bias.zero_()
    return layer


def choose_precision(config: TrainConfig, device: torch.device, hidden_size: int) -> tuple[torch.dtype | None, str]:
    """The autocast type (None for float32) and one line that says why.

    `auto` takes bf16 where it pays: on GPUs that compute in it, and on CPUs with AVX512-BF16 or AMX for encoders of at
    least 256 hidden units (below that the casts cost more than the products save). Weights stay float32.
    """
    if config.precision == "fp32":
        return None, "fp32 (asked for)"
    if config.precision == "bf16":
        return torch.bfloat16, "bf16 autocast (asked for)"
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "bf16 autocast (the GPU computes in it)"
        return None, "fp32 (this GPU does not compute in bf16)"
    # The public torch.cpu has no test for bf16 alone; these two are what oneDNN itself asks.
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if native and hidden_size >= 256:
        return torch.bfloat16, "bf16 autocast (the CPU has AVX512-BF16 or AMX)"
    return None, "fp32 (the encoder is small)" if native else "fp32 (the CPU has neither AVX512-BF16 nor AMX)"
