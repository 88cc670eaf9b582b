"""Before the first step: sources opened and checked, settings resolved, the start encoder made or loaded."""

from __future__ import annotations

import itertools
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tppc.corpora.corpus import Corpus
from tppc.corpora.stream import PairStream
from tppc.corpora.texts import TextFile, TextStream
from tppc.encoders.load import Encoder, load_encoder, renamed, save_encoder
from tppc.encoders.scratch import is_scratch, make_encoder, scratch_size
from tppc.errors import UsageError
from tppc.training.batching import Batches, seed_of
from tppc.training.checkpoints import check_folder, claim_folder, complete_folder
from tppc.training.config import DEFAULT_LR, SCRATCH_LR, TrainConfig
from tppc.training.curriculum import Stage, StagedStream, settled, stages
from tppc.training.distribution import Ranks, everywhere, on_main
from tppc.training.mining import check_pool
from tppc.training.model import PairModel
from tppc.training.preserve.layers import check_layers
from tppc.training.preserve.start import check_pull
from tppc.training.trackers import check_trackers

_VOCABULARY_PAIRS = 200_000  # pairs a scratch vocabulary is trained on at most, from each corpus


@dataclass(frozen=True)
class Sources:
    """What a run reads: corpora of pairs, files of unpaired texts by language, and the stages in which it does."""

    corpora: list[Corpus]
    unpaired: dict[str, TextFile]
    stages: tuple[Stage, ...] = ()

    @property
    def languages(self) -> list[str]:
        """Codes of all languages, in a fixed order."""
        codes = {code for corpus in self.corpora for pair in corpus.pairs for code in (pair.src, pair.tgt)}
        return sorted(codes | set(self.unpaired))

    @property
    def pairs(self) -> int:
        """Pairs to train on, in all corpora."""
        return sum(corpus.rows("train") for corpus in self.corpora)


def opened(config: TrainConfig, world: int) -> tuple[Sources, TrainConfig]:
    """The sources, and the config with nothing left open (see `resolved`).

    Raises also `UsageError` for a tracker that is not installed, and where there is no compiler for `compile`.
    """
    check_trackers(config.track)
    if config.compile:
        check_compiler()
    corpora = [Corpus(c.path) for c in config.corpora]
    sources = Sources(corpora, {one.language: TextFile(Path(one.path)) for one in config.monolingual})
    return resolved(config, sources, world)


def check_compiler() -> None:
    """Raise `UsageError` where `torch.compile` would find no compiler: it builds C++ for CPUs and its launchers of CUDA
    kernels in C."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", os.environ.get("CC") or "gcc")):
        raise UsageError("--compile needs a C++ compiler (g++, or what CXX names); install one, or leave it out")


def checked(config: TrainConfig, sources: Sources, out: Path, resume: bool) -> Path | None:
    """Check the shards against their digests, then the run folder; the checkpoint to go on from, if any."""
    for corpus in sources.corpora:
        corpus.check_shards("train")
    return check_folder(out, config, resume)


def resolved(config: TrainConfig, sources: Sources, world: int) -> tuple[Sources, TrainConfig]:
    """The stages, and the config with nothing left open: digests, steps, learning rate, lengths, stages.

    Raises `UsageError` where a digest differs or a batch is smaller than the number of processes.
    """
    settings = []
    for wanted, corpus in zip(config.corpora, sources.corpora, strict=True):
        if wanted.digest is not None and wanted.digest != corpus.digest:
            raise UsageError(f"{corpus.path}: build digest {corpus.digest}, but the config asks for {wanted.digest}")
        settings.append(wanted.model_copy(update={"digest": corpus.digest}))
    files = []
    for one in config.monolingual:
        digest = sources.unpaired[one.language].digest
        if one.digest is not None and one.digest != digest:
            raise UsageError(f"{one.path}: its SHA-256 is {digest}, but the config asks for {one.digest}")
        files.append(one.model_copy(update={"digest": digest}))
    unpaired = config.monolingual_batch or 2 * config.batch_size
    smallest = min([config.batch_size] * bool(settings) + [unpaired] * bool(files))
    if smallest < world:
        raise UsageError(f"{smallest} pairs a batch are too few for {world} processes; raise --batch-size")
    steps = config.steps
    if steps is None and not settings:
        # Until the largest file has been read so often; all languages come in equal shares.
        most = max(file.rows for file in sources.unpaired.values())
        steps = max(1, math.ceil((config.epochs or 1.0) * most * len(files) / unpaired))
    # A curriculum that is resolved has the steps of every stage, and their sum is the run's.
    found_stages = stages(
        config.curriculum, sources.corpora, batch_size=config.batch_size, sampling=config.sampled(), steps=steps,
        epochs=config.epochs, paths=[one.path for one in settings],
    )  # fmt: skip
    if config.hard_negatives is not None:
        check_pool(config.hard_negatives, config.batch_size)
    rate = config.lr or (SCRATCH_LR if is_scratch(config.encoder) else DEFAULT_LR)
    length = config.max_length
    if is_scratch(config.encoder):
        length = min(length, scratch_size(config.encoder).max_length)
    found = {
        "corpora": settings, "monolingual": files, "monolingual_batch": unpaired if files else None,
        "curriculum": None if config.curriculum is None else settled(config.curriculum, found_stages),
        "steps": found_stages[-1].end, "epochs": None, "lr": rate, "max_length": length,
    }  # fmt: skip
    return replace(sources, stages=found_stages), config.model_copy(update=found)


def start_encoder(config: TrainConfig, sources: Sources, out: Path, checkpoint: Path | None, ranks: Ranks) -> Encoder:
    """The encoder to train: from the checkpoint, made from nothing (and kept as `initial/`), or loaded by name."""
    initial = out / "initial"
    if is_scratch(config.encoder):
        on_main(ranks, lambda: claim_folder(out, config))
        on_main(ranks, lambda: make_initial(config, sources, initial))
    name = config.encoder if not is_scratch(config.encoder) else str(initial)
    if checkpoint:
        name = str(checkpoint / "encoder")
    how: dict[str, Any] = {"pooling": config.pooling, "prefix": config.prefix, "max_length": config.max_length}
    encoder = everywhere(ranks, lambda: _fitting(config, load_encoder(name, **how, device=ranks.device)))
    # Only now: a name that cannot be loaded must not leave a folder behind that the next try is refused for.
    on_main(ranks, lambda: claim_folder(out, config))
    return renamed(encoder, config.encoder)


def _fitting(config: TrainConfig, encoder: Encoder) -> Encoder:
    """The encoder, if what is to be frozen is there and the pull to the start does not overshoot.

    Raises `UsageError` otherwise, before anything is written.
    """
    assert config.lr is not None, "resolved"
    check_pull(config.l2_start, config.lr)
    if config.freeze_layers:
        check_layers(encoder.model, config.freeze_layers)
    return encoder


def make_initial(config: TrainConfig, sources: Sources, folder: Path) -> None:
    """Make a scratch encoder from the sources' texts and keep its untouched start; one that is there stays."""
    if folder.is_dir():
        return

    def texts() -> Iterator[str]:
        for corpus in sources.corpora:
            rows = corpus.head("train", _VOCABULARY_PAIRS, ["src_text", "tgt_text"])
            yield from itertools.chain(rows["src_text"], rows["tgt_text"])
        for file in sources.unpaired.values():
            blocks = (file.block(number) for number in range(len(file.sizes)))
            yield from itertools.islice(itertools.chain.from_iterable(blocks), _VOCABULARY_PAIRS)

    encoder = make_encoder(config.encoder, texts(), config.seed)
    with complete_folder(folder) as temporary:
        save_encoder(encoder, temporary)


def make_batches(config: TrainConfig, sources: Sources, encoder: Encoder, ranks: Ranks, model: PairModel) -> Batches:
    """The stream of pairs and, where an objective draws negatives from the corpora, a second one with another seed."""

    def stream(seed: int) -> StagedStream:
        def of_stage(stage: Stage) -> PairStream:
            return PairStream(
                [sources.corpora[number] for number in stage.corpora],
                batch_size=config.batch_size,
                seed=stage.seed(seed),
                sampling=stage.sampling,
                window=config.window,
            )

        return StagedStream(sources.stages, of_stage)

    second = any(objective.needs_other for objective in model.of_pairs().values())
    unpaired = None
    if sources.unpaired:
        assert config.monolingual_batch is not None, "resolved"
        unpaired = TextStream(sources.unpaired, batch_size=config.monolingual_batch, seed=config.seed)
    return Batches(
        stream=stream(config.seed) if sources.corpora else None,
        other=stream(seed_of("second stream", config.seed)) if second else None,
        unpaired=unpaired,
        encoder=encoder,
        ranks=ranks,
        seed=config.seed,
        wanted=model.wanted(encoder),
        micro_tokens=config.micro_tokens,
        shuffled_pairs=config.shuffled_pairs,
    )


def describe(config: TrainConfig, sources: Sources, ranks: Ranks, *, precision: str, done: int) -> str:
    """One line about the run that starts."""
    kind = "CONTROL (shuffled pairs): " if config.shuffled_pairs else ""
    start = f", resumed after step {done}" if done else ""
    read = [f"{sources.pairs:,} pairs"] if sources.corpora else []
    if len(sources.stages) > 1:
        read[0] += f" ({', then '.join(f'{s.name} for {s.steps:,} steps' for s in sources.stages)})"
    read += [f"{sum(f.rows for f in sources.unpaired.values()):,} unpaired texts"] if sources.unpaired else []
    size = config.batch_size if sources.corpora else config.monolingual_batch
    told = f" ({negatives(config)})" if sources.corpora else ""
    return (
        f"{kind}{config.encoder} on {' and '.join(read)}, {config.steps:,} steps of {size}{told}, "
        f"{ranks.world} process(es) on {ranks.device.type}, {precision}{start}"
    )


def negatives(config: TrainConfig) -> str:
    """What each objective tells a pair's texts from."""
    kinds = {
        "all": f"{config.batch_size - 1} in-batch negatives a text, over all ranks",
        "one": "one negative a pair, from the batch",
        "corpus": "one negative a pair, from the corpora",
    }
    found = [
        (name, kinds[getattr(s, "negatives", "all")])
        for name, s in config.objectives.items()
        if name in ("tpp", "cosine", "infonce", "ntxent")
    ]
    if len({kind for _, kind in found}) == 1:
        return found[0][1]
    return "; ".join(f"{name}: {kind}" for name, kind in found) or "no negatives"
