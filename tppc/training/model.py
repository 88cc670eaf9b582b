"""The module that is trained: an encoder, an optional projection, and the objectives with their parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tppc.encoders.embed import sentence_vectors
from tppc.encoders.load import Encoder, Translation
from tppc.training import objectives
from tppc.training.batching import TokenBatch
from tppc.training.config import TrainConfig
from tppc.training.distribution import Ranks, gather_rows
from tppc.training.objectives import GlobalPairs, Objective, Outcome
from tppc.training.objectives.tpp import Tpp


class PairModel(nn.Module):
    """Embeds a rank's pairs, gathers those of all ranks, and sums the weighted objectives.

    Parameters that no objective reaches (a pooler that is not pooled with) are frozen: DDP waits for every gradient.
    """

    def __init__(self, encoder: Encoder, config: TrainConfig, ranks: Ranks, autocast: torch.dtype | None) -> None:
        super().__init__()
        self.encoder = encoder.model
        self.pooling, self.ranks, self.autocast = encoder.pooling, ranks, autocast
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
        pooler = getattr(self.encoder, "pooler", None)
        if pooler is not None and self.pooling != "pooler":
            pooler.requires_grad_(False)

    def objective(self, name: str) -> Objective:
        """The objective of that name."""
        module = self.heads[name]
        assert isinstance(module, Objective), "heads are objectives and the projection"
        return module

    def translation(self) -> Translation | None:
        """The logit of "is a translation" as it stands, for whoever scores pairs with the encoder alone; None where TPP
        is not an objective, or looks at the vectors through a projection that is no part of the encoder."""
        head = next((head for head in self.heads.values() if isinstance(head, Tpp)), None)
        if head is None or "projection" in self.heads:
            return None
        return Translation(head.settings.similarity, head.log_scale.exp().item(), head.bias.item())

    def pairs(self, batch: TokenBatch) -> GlobalPairs:
        """Embeddings of the global batch, float32, with gradients to this rank's rows."""
        device = batch.order.device
        with torch.autocast(device.type, dtype=self.autocast, enabled=self.autocast is not None):
            pieces = [sentence_vectors(self.encoder, ids, mask, self.pooling) for ids, mask in batch.pieces]
        vectors = torch.cat(pieces)[
            batch.order
        ].float()  # what follows (projection, dot products, losses) is float32 always
        if "projection" in self.heads:
            vectors = self.heads["projection"](vectors)
        count = len(vectors) // batch.sides
        local = vectors.view(batch.sides, count, -1).transpose(0, 1)  # one gather for all sides
        everything = gather_rows(self.ranks, local, batch.total)
        return GlobalPairs(
            src=everything[:, 0],
            tgt=everything[:, 1],
            rows=torch.arange(self.ranks.rank, batch.total, self.ranks.world, device=device),
            masked=objectives.false_negatives(batch.src_key, batch.tgt_key, batch.own_src_key, batch.own_tgt_key),
            draw=batch.draw,
            other=everything[:, 2] if batch.sides == 3 else None,
            other_usable=batch.other_usable,
        )

    def forward(self, batch: TokenBatch) -> tuple[Tensor, dict[str, Outcome], GlobalPairs]:
        """This rank's share of the weighted loss, each objective's outcome, and the batch's embeddings."""
        pairs = self.pairs(batch)
        outcomes = {name: self.objective(name)(pairs) for name in self.weights}
        loss = torch.stack([self.weights[n] * o.loss for n, o in outcomes.items()]).sum()
        return loss, outcomes, pairs

    @torch.no_grad()
    def initialise(self, batch: TokenBatch) -> None:
        """Let the objectives set their parameters from the first global batch, without dropout."""
        was_training = self.training
        self.eval()
        pairs = self.pairs(batch)
        for name in self.weights:
            self.objective(name).initialise(pairs)
        self.train(was_training)


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
