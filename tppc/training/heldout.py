"""Held-out retrieval while a training runs: does a dev text find its translation among the others?

Every rank embeds every W-th text and gathers the rest, so no rank waits in a collective while another works alone (the
watchdog of nccl would end such a wait), and the ranking itself, at most 1,000 by 1,000, is done by all alike. It
draws no random number and changes no weight: a run with it ends with the bits of one without.

It is a look at the training and picks no checkpoint: the dev pairs are the training's own languages, and what is chosen
by them must be reported as such.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from tppc.encoders.ranking import both_ways
from tppc.errors import TppcError
from tppc.training.distribution import Ranks
from tppc.training.embedding import embed_over_ranks

if TYPE_CHECKING:
    from tppc.corpora.corpus import Corpus
    from tppc.encoders.load import Encoder

MOST = 1_000
AT_START = "held_out_at_start.json"


@dataclass(frozen=True)
class HeldOut:
    """n dev pairs of one language pair, row i of one side belonging to row i of the other; keys int64 (n,)."""

    src: list[str]
    tgt: list[str]
    src_key: np.ndarray
    tgt_key: np.ndarray


def held_out(corpora: Sequence[Corpus], limit: int = MOST) -> dict[str, HeldOut]:
    """The dev pairs of the corpora by language pair, at most `limit` of each, each pair of texts once.

    Several corpora of one language pair give alike many as far as they have them; of each the first, which are a random
    choice (corpora are in the order of a hash). A corpus without a dev split gives none. Raises `TppcError` where none
    has one, or a shard was changed.
    """
    import polars as pl

    found: dict[str, list[pl.DataFrame]] = {}
    for corpus in corpora:
        if not corpus.rows("dev"):
            continue
        corpus.check_shards("dev")
        for pair in corpus.pairs:
            if corpus.manifest.rows("dev", str(pair)):
                columns = ("src_text", "tgt_text", "src_key", "tgt_key")
                rows = corpus.scan("dev", pair).select(columns).head(limit).collect()
                found.setdefault(str(pair), []).append(rows.with_columns(place=pl.int_range(pl.len())))
    if not found:
        names = ", ".join(c.address for c in corpora)
        raise TppcError(
            f"{names}: no dev split to retrieve in while training; build the corpus with --holdout dev=N,test=N, or "
            "train with eval_every = 0"
        )
    result = {}
    for name, frames in sorted(found.items()):
        rows = pl.concat(frames).sort("place", maintain_order=True)  # one of each corpus in turn
        rows = rows.unique(["src_key", "tgt_key"], keep="first", maintain_order=True).head(limit)
        keys = rows["src_key"].to_numpy(), rows["tgt_key"].to_numpy()
        result[name] = HeldOut(rows["src_text"].to_list(), rows["tgt_text"].to_list(), *keys)
    return result


def dev_retrieval(
    encoder: Encoder, held: Mapping[str, HeldOut], ranks: Ranks | None = None, autocast: torch.dtype | None = None
) -> dict[str, dict[str, float]]:
    """`p@1`, `mrr` (each the mean of both directions, ties against the encoder) and `n` by language pair.

    Every rank must call it; every rank gets the result. `autocast`: the type that products run in, None for float32.
    Raises `TppcError` where a vector is not finite.
    """
    result = {}
    for name, pairs in held.items():
        vectors = embed_over_ranks(encoder, [*pairs.src, *pairs.tgt], ranks, autocast)
        src, tgt = vectors[: len(pairs.src)], vectors[len(pairs.src) :]
        result[name] = {**both_ways(src, tgt, pairs.src_key, pairs.tgt_key), "n": float(len(pairs.src))}
    return result


def forgotten(now: Mapping[str, Mapping[str, float]], start: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Language pairs whose P@1 lies below that of the start by more than two points and two standard errors."""
    lost = []
    for name, scores in now.items():
        before = start.get(name, {}).get("p@1", 0.0)
        error = math.sqrt(before * (1 - before) / max(1.0, scores["n"]))
        if scores["p@1"] < before - max(0.02, 2 * error):
            lost.append(name)
    return lost


def read_scores(file: Path) -> dict[str, dict[str, float]]:
    """What `dev_retrieval` found, from the file a run keeps of its start; nothing where there is none.

    Raises `TppcError` for a damaged file.
    """
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_bytes())
        return {str(pair): {str(k): float(v) for k, v in scores.items()} for pair, scores in found.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise TppcError(
            f"{file}: cannot be read ({error}); delete it, and the run goes on without comparing with its start"
        ) from error
