"""Step 4b, `score`: how well an encoder takes the two texts of a pair for translations of each other.

`margin` is the ratio margin over k nearest neighbours (Artetxe and Schwenk 2019, arXiv:1811.01136, equation 2):

    margin(x, y) = cos(x, y) / (sum over z in NN_k(x) of cos(x, z) / 2k + sum over z in NN_k(y) of cos(y, z) / 2k)

with the neighbours of x among the distinct target texts of a window of rows that no row of the window pairs with x,
and those of y likewise: another translation, or a copy of the row, is no reason to doubt a pair. Before that the mean
of each language's vectors is taken off (`centre`): encoders put all texts, and each language, into a cone of their own,
and without it a threshold would have to be found for each encoder (numbers: docs/cleaning.md). `probability` is what
an encoder trained on Translation Pair Prediction says itself, sigma(scale * s + bias); `cosine` the plain cosine.

A window is a run of consecutive rows in corpus order, which is random order, cut by the number of rows alone, and every
batch is computed by one thread, so the numbers do not depend on workers; they are rounded, and the same on the
same kind of device.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tppc.builders.clean import bucket_name, write_funnel
from tppc.builders.engine import Engine, Task
from tppc.builders.progress import note
from tppc.builders.recipe import Recipe, Score
from tppc.builders.rejects import Rejects
from tppc.builders.row_files import read_rows, write_rows
from tppc.builders.runner import run_tasks
from tppc.builders.workspace import Workspace
from tppc.corpora.files import complete_or_absent
from tppc.corpora.manifest import Funnel
from tppc.encoders.embed import embed
from tppc.encoders.identity import digest_of_encoder, folder_of, shown_name
from tppc.encoders.load import Encoder, load_encoder, saved_settings
from tppc.encoders.margin import pair_margins, rowwise
from tppc.encoders.neighbours import unit
from tppc.encoders.probability import translation_probability
from tppc.errors import TppcError, UsageError

REASON = "similarity"
DECIMALS = 4
# What a pair must reach where the recipe does not say; cosines differ too much from one encoder to the next.
THRESHOLDS = {"margin": 0.53, "probability": 0.5}
_LIBRARIES = ("numpy", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Scorer:
    """An encoder and how it scores: everything that decides a score but the rows.

    `settings` has nothing open. `folder` is where the encoder is, on every machine that runs a task; it decides
    nothing.
    """

    settings: Score
    name: str
    folder: str
    device: str
    libraries: tuple[tuple[str, str], ...]

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the scores, wherever the encoder lies."""
        return {
            "settings": self.settings.model_dump(mode="json"),
            "device": self.device,
            "libraries": dict(self.libraries),
        }

    @property
    def facts(self) -> dict[str, str | None]:
        """What a manifest says about it."""
        return {"name": self.name, "sha256": self.settings.sha256, "device": self.device, **dict(self.libraries)}


def scorer_for(settings: Score) -> Scorer | None:
    """Find the encoder that the recipe asks for and settle what it leaves open; None where it asks for none.

    Raises `UsageError` for settings that do not fit the encoder, `TppcError` for one that is not there or another one.
    """
    if settings.encoder is None:
        if settings.sha256 is None:
            return None
        raise UsageError(
            f"the recipe asks for scores of the encoder with SHA-256 {settings.sha256}; say with --score-with where it "
            "is"
        )
    folder = folder_of(settings.encoder)
    digest = digest_of_encoder(folder)
    if settings.sha256 not in (None, digest):
        raise TppcError(
            f"{settings.encoder}: its files have the SHA-256 {digest}, but the recipe asks for {settings.sha256}; give "
            "that encoder with --score-with"
        )
    import torch

    knows = saved_settings(folder).get("translation") is not None
    kind = settings.kind if settings.kind != "auto" else "probability" if knows else "margin"
    if kind == "probability" and not knows:
        raise UsageError(
            f"{settings.encoder}: does not say how probable a translation is (`tppc_encoder.json` of an encoder that "
            "was trained on the objective tpp does); use kind = margin"
        )
    least = settings.min if settings.min is not None else THRESHOLDS.get(kind)
    if least is None and settings.drop:
        raise UsageError("score.kind = cosine has no threshold that suits every encoder; set score.min")
    return Scorer(
        settings=settings.model_copy(update={"encoder": None, "sha256": digest, "kind": kind, "min": least}),
        name=shown_name(settings.encoder),
        folder=str(folder.resolve()),
        device="cuda" if torch.cuda.is_available() else "cpu",
        libraries=tuple((name, metadata.version(name)) for name in _LIBRARIES),
    )


def with_scorer(recipe: Recipe) -> tuple[Recipe, Scorer | None]:
    """The recipe with nothing open about its scores, and what computes them. Raises as `scorer_for`."""
    scorer = scorer_for(recipe.score)
    return recipe if scorer is None else recipe.model_copy(update={"score": scorer.settings}), scorer


def score(folder: Path, part: str, bucket: int, pair: str, scorer: Scorer) -> None:
    """Add `similarity` to a bucket that `identify` made, and refuse rows below the recipe's `min`. Resumable: finished
    windows stay in `folder`."""
    path = Path(part) / bucket_name(bucket)
    rejects, kept, refused = Rejects(), 0, 0
    if path.is_file():
        rows = read_rows(path)
        rows = rows.with_columns(similarities(rows, scorer, folder))
        out, rows = rows.filter(below(scorer)), rows.filter(~below(scorer))
        kept, refused = rows.height, out.height
        rejects.add_rows(with_reason(out, scorer))
        write_rows(rows, folder / bucket_name(bucket))
    rejected = {REASON: refused} if refused else {}
    write_funnel(folder, Funnel(read=kept + refused, rejected=rejected, kept={"train": kept}))
    rejects.save(folder)
    clear(folder)


def score_buckets(
    parts: Sequence[Path], places: Sequence[tuple[str, int]], scorer: Scorer, work: Workspace, engine: Engine
) -> list[Path]:
    """Run `score` over the outputs of `identify`, each of a pair and a bucket; the output folders in their order."""
    note(f"score: {described(scorer)}")
    tasks = [
        Task(
            "score",
            score,
            {"part": str(part), "bucket": bucket, "pair": pair, "scorer": scorer},
            {"part": part.name, "bucket": bucket, "pair": pair, **scorer.identity},
            resumable=True,
        )
        for part, (pair, bucket) in zip(parts, places, strict=True)
    ]
    return run_tasks(tasks, work, engine_for(scorer, engine))


def engine_for(scorer: Scorer, engine: Engine) -> Engine:
    """The engine for tasks that score: one process of this machine where they run on its GPU."""
    return replace(engine, workers=1) if scorer.device != "cpu" and engine.kind == "local" else engine


def below(scorer: Scorer) -> pl.Expr:
    """Whether a row's `similarity` is too low; a row without one passes."""
    if not scorer.settings.drop or scorer.settings.min is None:
        return pl.lit(False)
    # float32 as in the column: 0.7 is no number of that type, and 0.7 shall not be below 0.7.
    return (pl.col("similarity") < pl.lit(np.float32(scorer.settings.min), pl.Float32)).fill_null(False)


def with_reason(rows: pl.DataFrame, scorer: Scorer) -> pl.DataFrame:
    """Refused rows with `reason`, and the value in `detail`."""
    detail = pl.format("{} {}", pl.lit(scorer.settings.kind), pl.col("similarity"))
    return rows.with_columns(reason=pl.lit(REASON), detail=detail)


def similarities(rows: pl.DataFrame, scorer: Scorer, folder: Path) -> pl.Series:
    """The column `similarity` of rows in corpus order: `src_text`, `tgt_text`, `src_key`, `tgt_key`.

    Finished windows are kept as files in `folder` until `clear`, so that a killed task goes on where it was. Null where
    a row's window has nothing to compare it with.
    """
    values = np.empty(rows.height, dtype=np.float32)
    for number, (start, stop) in enumerate(windows(rows.height, scorer.settings.window)):
        path = folder / f"window-{number:04d}.npy"
        if not path.is_file():
            found = _window(rows.slice(start, stop - start), scorer)
            with complete_or_absent(path) as temporary, temporary.open("wb") as file:
                np.save(file, found)
        values[start:stop] = np.load(path)
    return pl.Series("similarity", values, pl.Float32).fill_nan(None)


def clear(folder: Path) -> None:
    """Remove the files of finished windows."""
    for path in folder.glob("window-*.npy"):
        path.unlink()


def windows(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Bounds of as few windows of at most `size` rows as there can be, all of the same size but for one row."""
    count = -(-rows // size)
    return ((rows * i // count, rows * (i + 1) // count) for i in range(count))


def _window(rows: pl.DataFrame, scorer: Scorer) -> np.ndarray:
    """Scores of the rows of one window, rounded, float32 of shape [n]; NaN where there is none."""
    from threadpoolctl import threadpool_limits

    encoder, settings = _encoder(scorer), scorer.settings
    src, tgt = _vectors(rows, encoder, scorer)
    with threadpool_limits(1):  # the last bit of a matrix product depends on the number of threads
        if settings.kind == "probability":
            assert encoder.translation is not None, "the encoder was asked before"
            found = translation_probability(src, tgt, encoder.translation)
        elif settings.kind == "cosine":
            found = rowwise(unit(src), unit(tgt))
        else:
            found = _margin(src, tgt, rows["src_key"].to_numpy(), rows["tgt_key"].to_numpy(), settings)
    rounded: np.ndarray = np.round(found.astype(np.float64), DECIMALS).astype(np.float32)
    return rounded


def _vectors(rows: pl.DataFrame, encoder: Encoder, scorer: Scorer) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of both sides, [n, H] each; a text that stands more than once is embedded once."""
    numbers: dict[str, int] = {}
    texts = [*rows["src_text"], *rows["tgt_text"]]
    which = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), dtype=np.int64, count=len(texts))
    vectors = embed(encoder, list(numbers), scorer.settings.batch_tokens, threads=_threads(scorer.device))
    if not np.isfinite(vectors).all():
        raise TppcError(f"{scorer.name}: gives vectors that are not finite; its weights are broken")
    return vectors[which[: rows.height]], vectors[which[rows.height :]]


def _margin(
    src: np.ndarray, tgt: np.ndarray, src_keys: np.ndarray, tgt_keys: np.ndarray, settings: Score
) -> np.ndarray:
    """Ratio margins [n] of the pairs of a window, from vectors [n, H] and side keys [n]; NaN without neighbours."""
    return pair_margins(src, tgt, src_keys, tgt_keys, k=settings.k, centre=settings.centre)


def _threads(device: str) -> int | None:
    """Batches at a time: one in a worker, which is not alone; else one a core; a GPU takes one after another."""
    if device != "cpu":
        return None
    if multiprocessing.parent_process() is not None:
        return 1
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))


def _encoder(scorer: Scorer) -> Encoder:
    settings = scorer.settings
    pooling = settings.pooling or saved_settings(Path(scorer.folder)).get("pooling") or "mean"
    loaded = _loaded(scorer.folder, settings.sha256, str(pooling), settings.prefix, scorer.device)
    return replace(loaded, name=scorer.name)


@lru_cache(maxsize=1)
def _loaded(folder: str, sha256: str | None, pooling: str, prefix: str | None, device: str) -> Encoder:
    """One encoder a process; `sha256` tells apart what lay in a folder at different times."""
    return load_encoder(folder, pooling=pooling, prefix=prefix, device=device)


def described(scorer: Scorer) -> str:
    """One line about the scores, for people."""
    settings = scorer.settings
    least = f", at least {settings.min:g}" if settings.drop and settings.min is not None else ""
    return f"{settings.kind} by {scorer.name} on {scorer.device}{least}"
