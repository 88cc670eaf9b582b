"""Hard negatives, mined by the encoder itself while it trains.

Every `every` steps the pairs of the coming steps are embedded with the weights as they are, and for each source the
nearest target of another pair is taken along as a further negative of its batch (Xiong et al. 2021, ANCE; the pool is
the stretch of the stream that is about to be trained on, so nothing is read twice). Two guards keep translations from
being taught apart: a target whose pair shares a text with the source's is never taken, and neither is one that is as
near as `guard` times the source's own translation (positive-aware mining, Moreira et al. 2024), which is likely one.

What was mined depends on weights that are gone later, so it is kept in the run (`mined/`) before it is used: a run that
is killed and resumed reads it again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from tppc.corpora.files import complete_or_absent
from tppc.encoders.load import Encoder
from tppc.encoders.neighbours import unit
from tppc.errors import TppcError, UsageError
from tppc.training.batching import HardTargets
from tppc.training.curriculum import Pairs
from tppc.training.distribution import Ranks, on_main
from tppc.training.embedding import embed_over_ranks

_LARGEST_POOL = 500_000
_SCHEMA = pa.schema([("text", pa.string()), ("src_key", pa.int64()), ("tgt_key", pa.int64()), ("usable", pa.bool_())])


class HardNegatives(BaseModel):
    """`every`: steps between two minings. `guard`: a target must be less similar than this share of the source's own.
    `neighbours`: how many of the nearest are looked through for one that both guards let pass.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    every: int = Field(ge=1, le=100_000)
    guard: float = Field(default=0.95, gt=0, le=1)
    neighbours: int = Field(default=16, ge=1, le=1_000)


def check_pool(settings: HardNegatives, batch_size: int) -> None:
    """Raise `UsageError` where the pool would not fit into memory, or FAISS is not installed."""
    if settings.every * batch_size > _LARGEST_POOL:
        raise UsageError(
            f"hard negatives every {settings.every} steps of {batch_size} pairs are searched among "
            f"{settings.every * batch_size:,} pairs at once; mine at least every {_LARGEST_POOL // batch_size} steps"
        )
    _faiss()


def _faiss() -> object:
    try:
        import faiss
    except ImportError as error:
        raise UsageError("hard negatives need the library faiss: pip install 'tppc[mining]'") from error
    return faiss


def mined_file(out: Path, first: int) -> Path:
    """Where the targets for the steps from `first` on are kept."""
    return out / "mined" / f"step-{first:06d}.parquet"


def mine(
    encoder: Encoder, stream: Pairs, ranks: Ranks, settings: HardNegatives, *, first: int, last: int, out: Path
) -> None:
    """Mine targets for the steps `first` to `last` (not included) and keep them.

    Every rank embeds its share; rank 0 searches and writes. What was mined for these steps before is taken as it is.
    """
    file = mined_file(out, first)
    if not on_main(ranks, file.is_file):
        batches = [stream.batch(step) for step in range(first, last)]
        src = [t for b in batches for t in b.src_text]
        tgt = [t for b in batches for t in b.tgt_text]
        keys = np.concatenate([b.src_key for b in batches]), np.concatenate([b.tgt_key for b in batches])
        sides = [embed_over_ranks(encoder, texts, ranks) for texts in (src, tgt)]

        def search() -> None:
            chosen = choose(sides[0], sides[1], keys[0], keys[1], settings)
            usable = chosen >= 0
            place = np.where(usable, chosen, 0)
            table = pa.table(
                [pa.array([tgt[i] for i in place]), keys[0][place], keys[1][place], usable], schema=_SCHEMA
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            with complete_or_absent(file) as temporary:
                pq.write_table(table, temporary, compression="zstd")

        on_main(ranks, search)


def choose(
    src: np.ndarray, tgt: np.ndarray, src_key: np.ndarray, tgt_key: np.ndarray, settings: HardNegatives
) -> np.ndarray:
    """For each of N pairs the number of the pair whose target is its hard negative, int64 [N]; -1 where there is none.

    Args:
        src, tgt: vectors, [N, H]. src_key, tgt_key: [N], of the texts.
    """
    faiss = _faiss()
    left, right = unit(src), unit(tgt)
    index = faiss.IndexFlatIP(right.shape[1])  # type: ignore[attr-defined]
    index.add(right)
    scores, found = index.search(left, min(settings.neighbours + 1, len(right)))
    own = (left * right).sum(1, keepdims=True)
    related = (
        (src_key[:, None] == src_key[found]) | (tgt_key[:, None] == tgt_key[found])
        | (src_key[:, None] == tgt_key[found]) | (tgt_key[:, None] == src_key[found])
    )  # fmt: skip
    passes = ~related & (scores < settings.guard * own)
    best = passes.argmax(1)  # neighbours come nearest first
    chosen: np.ndarray = np.where(passes.any(1), found[np.arange(len(found)), best], -1)
    return chosen


def load_mined(out: Path, first: int, batch_size: int) -> list[HardTargets]:
    """The mined targets of the steps from `first` on, one batch each. Raises `TppcError` for a damaged file."""
    file = mined_file(out, first)
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise TppcError(f"{file}: unreadable ({error}); delete it and resume from the checkpoint before it") from error
    return [
        HardTargets(
            part["text"].to_pylist(), part["src_key"].to_numpy(), part["tgt_key"].to_numpy(), part["usable"].to_numpy()
        )
        for part in (table.slice(at, batch_size) for at in range(0, table.num_rows, batch_size))
    ]


def forget_mined(out: Path) -> None:
    """Remove what was mined: the run is over."""
    shutil.rmtree(out / "mined", ignore_errors=True)
