"""What a run looks at while it trains: speed, the batch's geometry, alarms, held-out retrieval."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from tppc.corpora.files import canonical_json, write_bytes
from tppc.encoders.flat import runs_flat
from tppc.training.batching import TokenBatch
from tppc.training.config import TrainConfig
from tppc.training.diagnostics import alarms, geometry
from tppc.training.distribution import Ranks, on_main
from tppc.training.flops import Work, peak_flops, training_work, utilisation
from tppc.training.heldout import AT_START, HeldOut, dev_retrieval, forgotten, held_out, read_scores
from tppc.training.setup import Sources
from tppc.training.step import Seen
from tppc.training.tracking import Tracker
from tppc.training.trained import Trained


class Watch:
    """Collects what a logged line says; every rank has one, rank 0 writes.

    Raises `TppcError` where held-out retrieval is asked for and no corpus has a dev split.
    """

    def __init__(
        self, config: TrainConfig, trained: Trained, sources: Sources, ranks: Ranks, tracker: Tracker,
        autocast: torch.dtype | None,
    ) -> None:  # fmt: skip
        self.config, self.trained, self.ranks, self.tracker, self.autocast = config, trained, ranks, tracker, autocast
        self._held: dict[str, HeldOut] = {}
        if config.eval_every:
            self._held = held_out(sources.corpora, config.eval_pairs)
        self._at_start: dict[str, dict[str, float]] = {}
        self._work: Work | None = training_work(trained.encoder.model)
        name = torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else ""
        peak = peak_flops(name, autocast is not None) if name else None
        self._peak = peak * ranks.world if peak else None
        self._since, self._pairs = time.monotonic(), 0
        self._totals = [0.0, 0.0, 0.0]

    def start(self, out: Path, done: int) -> None:
        """Before the first step: held-out retrieval of the untouched encoder, which later ones are compared with; a run
        that goes on reads what it kept of it.
        """
        if not self._held:
            return
        file = out / AT_START
        if done:
            self._at_start = on_main(self.ranks, lambda: read_scores(file))
            return
        self._at_start = dev_retrieval(self.trained.encoder, self._held, self.ranks, self.autocast)
        on_main(self.ranks, lambda: write_bytes(file, canonical_json(self._at_start)))
        scores = ", ".join(f"{pair} {s['p@1']:.3f}" for pair, s in self._at_start.items())
        self.tracker.say(f"before the first step: held-out P@1 {scores}")
        self._since = time.monotonic()

    def say(self, text: str) -> None:
        """One line for people."""
        self.tracker.say(text)

    def work(self, batch: TokenBatch) -> list[float]:
        """This rank's tokens, squares of lengths and slots with padding, to be summed over ranks."""
        lengths = [n for piece in batch.pieces() for n in piece.lengths]
        slots = batch.tokens
        if not runs_flat(self.trained.encoder.model, self.ranks.device):
            slots = sum(len(piece.lengths) * max(piece.lengths) for piece in batch.pieces())
        return [float(batch.tokens), float(sum(n * n for n in lengths)), float(slots)]

    def step(
        self, batch: TokenBatch, seen: Seen, work: list[float], *, losses: dict[str, float], loss: float, rate: float,
        last: bool,
    ) -> None:  # fmt: skip
        """Step `batch.step` is done; `work` is that of all ranks. Writes a line where one is due."""
        step = batch.step + 1
        self._pairs += batch.total
        self._totals = [a + b for a, b in zip(self._totals, work, strict=True)]
        due = step % self.config.log_every == 0 or last
        look = bool(self._held) and (step % self.config.eval_every == 0 or last)
        if (due or look) and self.ranks.device.type == "cuda":
            torch.cuda.synchronize(self.ranks.device)
        seconds = time.monotonic() - self._since
        dev = dev_retrieval(self.trained.encoder, self._held, self.ranks, self.autocast) if look else {}
        if self.ranks.main and (due or look):
            line: dict[str, Any] = {"step": step, "loss": loss, "losses": losses, "lr": rate}
            tokens, squares, slots = self._totals
            line |= {"pairs_per_s": self._pairs / seconds, "tokens_per_s": tokens / seconds}
            line["padding_share"] = 1 - tokens / slots
            if self.ranks.device.type == "cuda":
                line["mfu"] = utilisation(self._work, tokens=tokens, squares=squares, seconds=seconds, peak=self._peak)
            if self.trained.anchor is not None:
                line["distance"] = self.trained.anchor.distance()
            line |= self._observations(seen, loss, step)
            if dev:
                line["dev"] = dev
                line["alarms"] += ["forgetting"] if forgotten(dev, self._at_start) else []
            self.tracker.log(line)
        if due or look:
            self._since, self._pairs, self._totals = time.monotonic(), 0, [0.0, 0.0, 0.0]
        self.tracker.step(step)

    def _observations(self, seen: Seen, loss: float, step: int) -> dict[str, Any]:
        """The batch's geometry, the objectives' numbers, alarms."""
        each = {n: {k: float(v) for k, v in o.numbers.items()} for n, o in seen.outcomes.items()}
        found: dict[str, Any] = {"objectives": each, "alarms": []}
        if seen.pairs is None:
            return found
        shape = geometry(seen.pairs)
        first = next((numbers for numbers in each.values() if "scale" in numbers), {})
        return found | {
            "masked_share": shape.masked_share,
            "scale": first.get("scale"),
            "bias": first.get("bias"),
            "cos_pos": shape.cos_pos,
            "cos_neg": shape.cos_neg,
            "batch_p_at_1": shape.p_at_1,
            "alarms": alarms(shape, first, loss, step > self.config.warmup_steps()),
        }
