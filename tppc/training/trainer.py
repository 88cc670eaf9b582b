"""Train an encoder on translation pairs: the whole road from corpora to a saved encoder.

One step: take the global batch that (corpora, weights, seed, step) fixes; embed this rank's texts, both sides in one
forward pass without padding; gather the embeddings of all ranks; compute the objectives on this rank's rows; go
backward; sum the gradients of all ranks; clip; step. The random numbers of a step follow from (seed, step, rank) and
the data from the step, so a checkpoint needs neither, and a run that was killed and resumed ends with the weights of
one that was not. (On GPUs to the extent that their kernels are deterministic.)
"""

from __future__ import annotations

import math
import shlex
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tppc.corpora.ahead import ahead
from tppc.encoders.health import keep_health
from tppc.encoders.load import Encoder, save_encoder
from tppc.errors import TppcError
from tppc.training.batching import Batches, HardTargets, TokenBatch
from tppc.training.card import model_card
from tppc.training.checkpoints import checkpoint_step, complete_folder, locked
from tppc.training.config import TrainConfig
from tppc.training.curriculum import Stage, begins_afresh, on_schedule
from tppc.training.distribution import Ranks, everywhere, joined, on_main, raise_once, sum_gradients, sum_over_ranks
from tppc.training.finite import broken_gradient, broken_loss, broken_weights
from tppc.training.mining import forget_mined, load_mined, mine
from tppc.training.model import choose_precision
from tppc.training.optim import learning_rate, trained_parameters
from tppc.training.setup import Sources, checked, describe, make_batches, opened, start_encoder
from tppc.training.step import forward_backward, initialise
from tppc.training.tracking import Tracker, read_metrics
from tppc.training.trained import Trained, needs_start, prepare
from tppc.training.watching import Watch

_AHEAD = 4


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
        sources, config = everywhere(ranks, lambda: opened(config, ranks.world))
        on_main(ranks, lambda: held.enter_context(locked(out)))
        checkpoint = on_main(ranks, lambda: checked(config, sources, out, resume))
        encoder = start_encoder(config, sources, out, None if needs_start(config) else checkpoint, ranks)
        done = everywhere(ranks, lambda: checkpoint_step(checkpoint)) if checkpoint else 0
        assert config.steps is not None, "resolved"

        autocast, why = choose_precision(config, ranks.device, encoder.hidden_size)
        trained = everywhere(ranks, lambda: prepare(config, encoder, ranks, autocast, sources.languages))
        if checkpoint:
            everywhere(ranks, lambda: trained.restore(checkpoint))

        batches = everywhere(ranks, lambda: make_batches(config, sources, encoder, ranks, trained.model))
        tracker = Tracker(
            out if ranks.main else None, config.steps, done, track=config.track, config=config.model_dump(mode="json")
        )
        with tracker, terminations() as stop:
            tracker.say(describe(config, sources, ranks, precision=why, done=done))
            for note in trained.notes:
                tracker.say(note)
            if done == 0:
                for line in on_main(ranks, lambda: keep_health(encoder, sources.corpora, out)):
                    tracker.say(line)
            watch = everywhere(ranks, lambda: Watch(config, trained, sources, ranks, tracker, autocast))
            if done == 0:
                initialise(trained.model, batches.batch(0).to(ranks.device))
            watch.start(out, done)
            run_steps(
                config, trained, batches, done, stages=sources.stages, ranks=ranks, watch=watch, out=out, stop=stop
            )

        if problem := broken_weights(trained.model, done or config.steps, None):
            raise_once(ranks, problem)
        seconds = time.monotonic() - began
        return on_main(ranks, lambda: finish(config, out, trained.result(), sources, done=done, seconds=seconds))


def run_steps(
    config: TrainConfig,
    trained: Trained,
    batches: Batches,
    done: int,
    *,
    stages: Sequence[Stage],
    ranks: Ranks,
    watch: Watch,
    out: Path,
    stop: threading.Event,
) -> None:
    """One optimiser step a batch, with logs and checkpoints; the last step's checkpoint is always written.

    A loss or gradient that is not finite changes no weight, and weights that are not finite are never saved.
    """
    assert config.steps is not None, "resolved"
    model = trained.model
    parameters = list(trained_parameters(model).values())
    for batch in upcoming(config, trained.encoder, batches, done, out, ranks, watch):
        step = batch.step + 1
        if begins_afresh(config.curriculum, stages, batch.step):
            trained.new_optimizer()
        rate = learning_rate(config, *on_schedule(config.curriculum, stages, batch.step))
        for group in trained.optimizer.param_groups:
            group["lr"] = rate

        seen = forward_backward(model, batch.to(ranks.device), config.seed)
        sum_gradients(ranks, parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.clip or math.inf)

        names = list(seen.outcomes)
        losses = [float(seen.outcomes[n].loss.detach()) for n in names]
        stopping, *numbers = sum_over_ranks(ranks, [float(stop.is_set()), *watch.work(batch), *losses])
        by_name = dict(zip(names, numbers[-len(names) :], strict=True))
        loss = sum(model.weights[n] * v for n, v in by_name.items())
        # Losses and gradients are summed over the ranks, so all ranks find the same.
        if problem := broken_loss(loss, step, batch) or broken_gradient(norm, step, batch):
            raise_once(ranks, problem)
        trained.optimizer.step()
        trained.optimizer.zero_grad(set_to_none=True)
        trained.update(step, rate)

        last = step == config.steps or stopping > 0
        watch.step(batch, seen, numbers[: -len(names)], losses=by_name, loss=loss, rate=rate, last=last)
        if step % config.save_every == 0 or last:
            if problem := broken_weights(model, step, batch):
                raise_once(ranks, problem)
            folder = on_main(ranks, lambda: trained.save(out, step))  # noqa: B023  (called at once)
            if stopping and step < config.steps:
                again = f"tppc train --resume --out {shlex.quote(str(out))}"
                raise_once(
                    ranks, StoppedError(f"stopped by SIGTERM after step {step}; saved {folder}: `{again}` goes on")
                )


def upcoming(
    config: TrainConfig, encoder: Encoder, batches: Batches, done: int, out: Path, ranks: Ranks, watch: Watch
) -> Iterator[TokenBatch]:
    """The batches from step `done` on, prepared ahead by a thread; negatives are mined where the run wants them.

    Nothing is prepared beyond the next mining, which looks at the weights of its step.
    """
    assert config.steps is not None, "resolved"
    every = config.hard_negatives.every if config.hard_negatives is not None else config.steps
    while done < config.steps:
        first = done // every * every
        end = min(config.steps, first + every)
        hard: list[HardTargets] = []
        if config.hard_negatives is not None and first >= config.warmup_steps():
            assert batches.stream is not None, "checked by the config"
            mine(encoder, batches.stream, ranks, config.hard_negatives, first=first, last=end, out=out)
            hard = everywhere(ranks, lambda: load_mined(out, first, config.batch_size))  # noqa: B023
            found = sum(int(one.usable.sum()) for one in hard) / (len(hard) * config.batch_size)
            watch.say(f"step {first}: mined a hard negative for {found:.0%} of the next pairs")
        mined = dict(enumerate(hard, first))
        yield from ahead(lambda step: batches.batch(step, mined.get(step)), done, end, depth=_AHEAD)  # noqa: B023
        done = end
    if config.hard_negatives is not None:
        on_main(ranks, lambda: forget_mined(out))


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


def finish(
    config: TrainConfig, out: Path, encoder: Encoder, sources: Sources, *, done: int, seconds: float
) -> RunSummary:
    """Write `encoder/` with its model card."""
    last = (read_metrics(out) or [{}])[-1]
    with complete_folder(out / "encoder") as temporary:
        save_encoder(encoder, temporary)
        card = model_card(config, sources.corpora, encoder.pooling, last)
        (temporary / "README.md").write_text(card, "utf-8")
    assert config.steps is not None, "resolved"
    initial = out / "initial"
    return RunSummary(
        out=out,
        encoder=out / "encoder",
        initial=initial if initial.is_dir() else None,
        steps=config.steps,
        pairs=config.steps * config.batch_size if sources.corpora else 0,
        resumed_from=done,
        seconds=seconds,
        control=config.shuffled_pairs,
        last=last,
    )
