"""Train an encoder on translation pairs: the whole road from corpora to a saved encoder.

One step: take the global batch that (corpora, weights, seed, step) fixes; embed this rank's pairs, both sides in one
forward pass; gather the embeddings of all ranks; compute the objectives on this rank's rows; go backward; clip; step.
The random numbers of a step follow from (seed, step, rank) and the data from the step, so a checkpoint needs neither,
and a run that was killed and resumed ends with the weights of one that was not. (On GPUs to the extent that their
kernels are deterministic.)
"""

from __future__ import annotations

import itertools
import math
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tppc.corpora.corpus import Corpus
from tppc.corpora.stream import PairStream
from tppc.encoders.load import Encoder, load_encoder, renamed, save_encoder
from tppc.encoders.scratch import is_scratch, make_encoder, scratch_size
from tppc.errors import TppcError, UsageError
from tppc.training.batching import Batches, TokenBatch, prefetched, seed_of
from tppc.training.card import model_card
from tppc.training.checkpoints import (
    check_folder,
    checkpoint_step,
    claim_folder,
    complete_folder,
    locked,
    restore_heads_and_optimizer,
    save_checkpoint,
)
from tppc.training.config import DEFAULT_LR, SCRATCH_LR, TrainConfig
from tppc.training.diagnostics import alarms, geometry
from tppc.training.distribution import Ranks, everywhere, joined, on_main, raise_once, sum_over_ranks
from tppc.training.finite import broken_gradient, broken_loss, broken_weights
from tppc.training.model import PairModel, choose_precision
from tppc.training.objectives import GlobalPairs, Outcome
from tppc.training.optim import learning_rate, make_optimizer, trained_parameters
from tppc.training.tracking import Tracker, read_metrics

_VOCABULARY_PAIRS = 200_000  # pairs a scratch vocabulary is trained on at most, from each corpus


class StoppedError(TppcError):
    """SIGTERM arrived: the run is saved and can be resumed. Exit status 143, as a shell reports SIGTERM."""

    exit_code = 143


@dataclass(frozen=True)
class RunSummary:
    """A finished run. `last`: the last line of `metrics.jsonl`. `initial`: the untouched start of a scratch encoder."""

    out: Path
    encoder: Path
    initial: Path | None
    steps: int
    pairs: int
    resumed_from: int
    seconds: float
    control: bool
    last: dict[str, Any]


def train(config: TrainConfig, out: Path, resume: bool = False) -> RunSummary:
    """Train as `config` says and leave the run in `out`; with `resume`, go on from its last checkpoint.

    Under torchrun every process calls this. Raises `UsageError` for a folder that holds something else or is written to
    by another process, or settings that do not fit; `TppcError` for a damaged corpus, an encoder that cannot be loaded,
    or a loss, a gradient or weights that are not finite; `StoppedError` after SIGTERM. An error that all processes
    share is raised by rank 0; the others leave with `SystemExit`.
    """
    began = time.monotonic()
    with joined() as ranks, ExitStack() as held:
        corpora, config = everywhere(ranks, lambda: opened(config, ranks.world))
        on_main(ranks, lambda: held.enter_context(locked(out)))
        checkpoint = on_main(ranks, lambda: checked(config, corpora, out, resume))
        encoder = start_encoder(config, corpora, out, checkpoint, ranks)
        done = everywhere(ranks, lambda: checkpoint_step(checkpoint)) if checkpoint else 0
        assert config.steps is not None

        autocast, why = choose_precision(config, ranks.device, encoder.hidden_size)
        model = PairModel(encoder, config, ranks, autocast).to(ranks.device)
        model.train(config.dropout)  # no layer but dropout tells the two modes apart in these encoders
        optimizer = make_optimizer(model, config)
        if checkpoint:
            everywhere(ranks, lambda: restore_heads_and_optimizer(checkpoint, model, optimizer))

        batches = make_batches(config, corpora, encoder, ranks, model)
        with Tracker(out if ranks.main else None, config.steps, done) as tracker, terminations() as stop:
            tracker.say(describe(config, corpora, ranks, precision=why, done=done))
            if done == 0:
                model.initialise(batches.batch(0).to(ranks.device))

            def save(step: int) -> Path:
                return save_checkpoint(out, step, config, encoder=encoder, model=model, optimizer=optimizer)

            run_steps(
                config,
                model,
                optimizer,
                prefetched(batches, done, config.steps),
                ranks=ranks,
                tracker=tracker,
                save=save,
                stop=stop,
            )

        if problem := broken_weights(model, done or config.steps, None):
            raise_once(ranks, problem)
        seconds = time.monotonic() - began
        trained = replace(encoder, translation=model.translation())
        return on_main(ranks, lambda: finish(config, out, encoder=trained, corpora=corpora, done=done, seconds=seconds))


def run_steps(
    config: TrainConfig,
    model: PairModel,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[TokenBatch],
    *,
    ranks: Ranks,
    tracker: Tracker,
    save: Callable[[int], Path],
    stop: threading.Event,
) -> None:
    """One optimiser step a batch, with logs and checkpoints; the last step's checkpoint is always written.

    A loss or gradient that is not finite changes no weight, and weights that are not finite are never saved.
    """
    assert config.steps is not None
    replica: torch.nn.Module = model
    if ranks.world > 1:
        replica = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    parameters = list(trained_parameters(model).values())
    since, pairs, tokens, slots = time.monotonic(), 0, 0.0, 0.0

    for batch in batches:
        step = batch.step + 1
        torch.manual_seed(seed_of("step", config.seed, batch.step, ranks.rank))
        for group in optimizer.param_groups:
            group["lr"] = rate = learning_rate(config, batch.step)

        share, outcomes, seen = replica(batch.to(ranks.device))
        # DDP averages the ranks' gradients; the shares must be summed.
        (share * ranks.world).backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip or math.inf)

        names = list(outcomes)
        losses = [float(outcomes[n].loss.detach()) for n in names]
        sums = sum_over_ranks(ranks, [float(stop.is_set()), float(batch.tokens), float(batch.slots), *losses])
        stopping, by_name = sums[0] > 0, dict(zip(names, sums[3:], strict=True))
        pairs, tokens, slots = pairs + batch.total, tokens + sums[1], slots + sums[2]
        loss = sum(model.weights[n] * v for n, v in by_name.items())
        # Losses are summed over the ranks and gradients averaged, so all ranks find the same.
        if problem := broken_loss(loss, step, batch) or broken_gradient(norm, step, batch):
            raise_once(ranks, problem)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        if ranks.main and (step % config.log_every == 0 or step == config.steps or stopping):
            seconds = time.monotonic() - since
            line = {"step": step, "loss": loss, "losses": by_name, "lr": rate}
            line |= {"pairs_per_s": pairs / seconds, "tokens_per_s": tokens / seconds}
            line["padding_share"] = 1 - tokens / slots
            tracker.log(line | observations(config, seen, outcomes, loss, step))
            since, pairs, tokens, slots = time.monotonic(), 0, 0.0, 0.0
        tracker.step(step)

        if step % config.save_every == 0 or step == config.steps or stopping:
            if problem := broken_weights(model, step, batch):
                raise_once(ranks, problem)
            folder = on_main(ranks, partial(save, step))
            if stopping and step < config.steps:
                again = f"tppc train --resume --out {shlex.quote(str(folder.parents[1]))}"
                raise_once(
                    ranks, StoppedError(f"stopped by SIGTERM after step {step}; saved {folder}: `{again}` goes on")
                )


def observations(
    config: TrainConfig, seen: GlobalPairs, outcomes: dict[str, Outcome], loss: float, step: int
) -> dict[str, Any]:
    """What a logged step shows beside its loss: the batch's geometry, the objectives' numbers, alarms."""
    shape = geometry(seen)
    each = {n: {k: float(v) for k, v in o.numbers.items()} for n, o in outcomes.items()}
    first = next(iter(each.values()))
    return {
        "masked_share": shape.masked_share,
        "scale": first.get("scale"),
        "bias": first.get("bias"),
        "cos_pos": shape.cos_pos,
        "cos_neg": shape.cos_neg,
        "batch_p_at_1": shape.p_at_1,
        "objectives": each,
        "alarms": alarms(shape, first, loss, step > config.warmup_steps()),
    }


def opened(config: TrainConfig, world: int) -> tuple[list[Corpus], TrainConfig]:
    """The corpora, and the config with nothing left open (see `resolved`)."""
    corpora = [Corpus(c.path) for c in config.corpora]
    return corpora, resolved(config, corpora, world)


def checked(config: TrainConfig, corpora: list[Corpus], out: Path, resume: bool) -> Path | None:
    """Check the shards against their digests, then the run folder; the checkpoint to go on from, if any."""
    for corpus in corpora:
        corpus.check_shards("train")
    return check_folder(out, config, resume)


def resolved(config: TrainConfig, corpora: list[Corpus], world: int) -> TrainConfig:
    """The config with nothing left open: digests, steps, learning rate, and a length that a scratch encoder can take.

    Raises `UsageError` where a digest differs or a batch is smaller than the number of processes.
    """
    if config.batch_size < world:
        raise UsageError(f"{config.batch_size} pairs a batch are too few for {world} processes; raise --batch-size")
    settings = []
    for wanted, corpus in zip(config.corpora, corpora, strict=True):
        if wanted.digest is not None and wanted.digest != corpus.digest:
            raise UsageError(f"{corpus.path}: build digest {corpus.digest}, but the config asks for {wanted.digest}")
        settings.append(wanted.model_copy(update={"digest": corpus.digest}))
    steps = config.steps
    if steps is None:
        pairs = (config.epochs or 1.0) * sum(c.rows("train") for c in corpora)
        steps = max(1, math.ceil(pairs / config.batch_size))
    rate = config.lr or (SCRATCH_LR if is_scratch(config.encoder) else DEFAULT_LR)
    length = config.max_length
    if is_scratch(config.encoder):
        length = min(length, scratch_size(config.encoder).max_length)
    found = {"corpora": settings, "steps": steps, "epochs": None, "lr": rate, "max_length": length}
    return config.model_copy(update=found)


def start_encoder(
    config: TrainConfig, corpora: list[Corpus], out: Path, checkpoint: Path | None, ranks: Ranks
) -> Encoder:
    """The encoder to train: from the checkpoint, made from nothing (and kept as `initial/`), or loaded by name."""
    initial = out / "initial"
    if is_scratch(config.encoder):
        on_main(ranks, lambda: claim_folder(out, config))
        on_main(ranks, lambda: make_initial(config, corpora, initial))
    name = config.encoder if not is_scratch(config.encoder) else str(initial)
    if checkpoint:
        name = str(checkpoint / "encoder")
    how: dict[str, Any] = {"pooling": config.pooling, "prefix": config.prefix, "max_length": config.max_length}
    encoder = everywhere(ranks, lambda: load_encoder(name, **how, device=ranks.device))
    # Only now: a name that cannot be loaded must not leave a folder behind that the next try is refused for.
    on_main(ranks, lambda: claim_folder(out, config))
    return renamed(encoder, config.encoder)


def make_initial(config: TrainConfig, corpora: list[Corpus], folder: Path) -> None:
    """Make a scratch encoder from the corpora's train texts and keep its untouched start; one that is there stays."""
    if folder.is_dir():
        return

    def texts() -> Iterator[str]:
        for corpus in corpora:
            rows = corpus.scan("train").select("src_text", "tgt_text").head(_VOCABULARY_PAIRS).collect()
            yield from itertools.chain(rows["src_text"], rows["tgt_text"])

    encoder = make_encoder(config.encoder, texts(), config.seed)
    with complete_folder(folder) as temporary:
        save_encoder(encoder, temporary)


def make_batches(
    config: TrainConfig, corpora: list[Corpus], encoder: Encoder, ranks: Ranks, model: PairModel
) -> Batches:
    """The stream of pairs and, where an objective draws negatives from the corpora, a second one with another seed."""

    def stream(seed: int) -> PairStream:
        return PairStream(
            corpora, batch_size=config.batch_size, seed=seed, weights=config.weights, window=config.window
        )

    second = any(model.objective(name).needs_other for name in model.weights)
    other = stream(seed_of("second stream", config.seed)) if second else None
    return Batches(stream(config.seed), other, encoder, ranks, config.seed, config.shuffled_pairs)


@contextmanager
def terminations() -> Iterator[threading.Event]:
    """An event that SIGTERM sets, so that the step in progress ends and is saved. Only the main thread can listen."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)


def describe(config: TrainConfig, corpora: list[Corpus], ranks: Ranks, *, precision: str, done: int) -> str:
    """One line about the run that starts."""
    rows = sum(c.rows("train") for c in corpora)
    kind = "CONTROL (shuffled pairs): " if config.shuffled_pairs else ""
    start = f", resumed after step {done}" if done else ""
    return (
        f"{kind}{config.encoder} on {rows:,} pairs, {config.steps:,} steps of {config.batch_size} "
        f"({negatives(config)}), {ranks.world} process(es) on "
        f"{ranks.device.type}, {precision}{start}"
    )


def negatives(config: TrainConfig) -> str:
    """What each objective tells a pair's texts from."""
    kinds = {
        "all": f"{config.batch_size - 1} in-batch negatives a text, over all ranks",
        "one": "one negative a pair, from the batch",
        "corpus": "one negative a pair, from the corpora",
    }
    found = [(name, kinds[getattr(s, "negatives", "all")]) for name, s in config.objectives.items()]
    if len({kind for _, kind in found}) == 1:
        return found[0][1]
    return "; ".join(f"{name}: {kind}" for name, kind in found)


def finish(
    config: TrainConfig, out: Path, *, encoder: Encoder, corpora: list[Corpus], done: int, seconds: float
) -> RunSummary:
    """Write `encoder/` with its model card."""
    last = (read_metrics(out) or [{}])[-1]
    with complete_folder(out / "encoder") as temporary:
        save_encoder(encoder, temporary)
        (temporary / "README.md").write_text(model_card(config, corpora, encoder.pooling, last), "utf-8")
    assert config.steps is not None
    initial = out / "initial"
    return RunSummary(
        out=out,
        encoder=out / "encoder",
        initial=initial if initial.is_dir() else None,
        steps=config.steps,
        pairs=config.steps * config.batch_size,
        resumed_from=done,
        seconds=seconds,
        control=config.shuffled_pairs,
        last=last,
    )
