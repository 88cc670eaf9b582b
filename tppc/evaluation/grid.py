"""Run an experiment's cells: trainings first, then evaluations as their encoders are there, several at a time.

Each cell leaves a folder `cells/<digest>` whose `results.jsonl` (for a training `run.json`) is written last, so a
second start skips what is done and goes on with the rest; a training that was killed goes on from its last checkpoint.
One process a CUDA device; on the CPU this one, or as many as asked for, which share the threads. A cell that fails is
reported, the cells that need it are left out, and the others go on.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tppc.corpora.files import canonical_json, write_bytes
from tppc.errors import TppcError
from tppc.evaluation.data import TaskData
from tppc.evaluation.experiment import Experiment, TaskEntry
from tppc.evaluation.plan import Evaluation, Plan, Training, load_data
from tppc.evaluation.predictions import Predictions, results_of, write_predictions
from tppc.evaluation.protocol import answers
from tppc.evaluation.results import Result, Role, read_results
from tppc.training.checkpoints import locked
from tppc.training.trainer import StoppedError, train

Say = Callable[[str], None]
Cell = Training | Evaluation
RESULTS = "results.jsonl"
_TRAINED = "run.json"


@dataclass(frozen=True)
class Workers:
    """How cells are run: one process for each of `devices` (CUDA device numbers, or None for the CPU).

    `threads` are those of each process on the CPU.
    """

    devices: Sequence[int | None]
    threads: int | None


def workers(count: int | None = None, device: str | None = None) -> Workers:
    """One process a CUDA device; without one, or with `device="cpu"`, `count` processes that share the cores.

    One process on the CPU is this very one.
    """
    import torch

    if device != "cpu" and torch.cuda.is_available():
        found = range(torch.cuda.device_count())
        return Workers([i % len(found) for i in range(count or len(found))], None)
    processes = count or 1
    return Workers([None] * processes, max(1, torch.get_num_threads() // processes))


def is_done(cell: Cell, out: Path) -> bool:
    """Whether the cell was run to its end."""
    return (folder_of_cell(cell, out) / (_TRAINED if isinstance(cell, Training) else RESULTS)).is_file()


def folder_of_cell(cell: Cell, out: Path) -> Path:
    """Where a cell leaves what it made."""
    return out / "cells" / cell.digest[:20]


def run_folder(training: Training, out: Path) -> Path:
    """The run's folder of a training."""
    return out / "runs" / f"{training.name}-{training.digest[:8]}"


def run_grid(experiment: Experiment, plan: Plan, out: Path, by: Workers, say: Say) -> list[Result]:
    """Run what is not done yet, then write `results.jsonl` of all cells.

    Raises `TppcError` that names the cells that failed, after the others were run.
    """
    with locked(out):
        failed = _run(experiment, plan, out, by, say)
        results = [r for one in plan.evaluations if is_done(one, out) for r in _results(one, out)]
        write_bytes(out / RESULTS, "".join(r.model_dump_json() + "\n" for r in results).encode())
    if failed:
        named = "; ".join(f"{name}: {why}" for name, why in failed.items() if why)
        waiting = sum(not why for why in failed.values())
        raise TppcError(
            f"{len(failed) - waiting} cells failed ({named})"
            + (f", {waiting} wait for them" if waiting else "")
            + "; the others are done: mend what it says, and start again"
        )
    return results


def _results(one: Evaluation, out: Path) -> list[Result]:
    return read_results([folder_of_cell(one, out) / RESULTS])


def prediction_folders(plan: Plan, out: Path) -> list[Path]:
    """The folders that hold the predictions of a plan's cells, those that are done; not where somebody removed them."""
    folders = [folder_of_cell(one, out) for one in plan.evaluations if is_done(one, out)]
    return [folder for folder in folders if any(folder.glob("*.parquet"))]


def _run(experiment: Experiment, plan: Plan, out: Path, by: Workers, say: Say) -> dict[str, str]:
    """Run all cells that are not done; those that failed, by name, with the reason (none: another one failed)."""
    cells: list[Cell] = [*plan.trainings, *plan.evaluations]
    left = [cell for cell in cells if not is_done(cell, out)]
    if len(left) < len(cells):
        say(f"{len(cells) - len(left)} of {len(cells)} cells are done already")
    if not left:
        return {}
    runs = {one.digest: one for one in plan.trainings}
    failed: dict[str, str] = {}
    started, finished = time.monotonic(), 0
    with _pool(by) as pool:
        under_way: dict[Future[list[str]], Cell] = {}
        while left or under_way:
            for cell in _startable(left, runs, out, room=len(by.devices) - len(under_way)):
                left.remove(cell)
                say(f"starting {cell.name}")
                run = runs.get(cell.training or "") if isinstance(cell, Evaluation) else None
                under_way[pool.submit(run_cell, experiment, cell, out, run)] = cell
            done = wait(under_way, return_when=FIRST_COMPLETED).done
            for future in done:
                cell = under_way.pop(future)
                finished += 1
                try:
                    lines = future.result()
                except TppcError as error:
                    failed |= {cell.name: str(error)} | _waiting_for(cell, left)
                    lines = [f"{cell.name} failed: {error}"]
                except BrokenProcessPool:
                    raise TppcError(
                        f"a worker died while {cell.name} was run, out of memory perhaps; start again to go on"
                    ) from None
                minutes = (time.monotonic() - started) / 60
                for line in lines:
                    say(f"[{finished} done, {len(left) + len(under_way)} to go, {minutes:.1f} min] {line}")
    return failed


@contextmanager
def _pool(by: Workers) -> Iterator[Executor]:
    """What runs cells: processes of their own, or this one."""
    if by.devices == [None]:
        yield _Here()
        return
    context = multiprocessing.get_context("spawn")
    devices = context.Queue()
    for device in by.devices:
        devices.put(device)
    with ProcessPoolExecutor(len(by.devices), context, _start_worker, (devices, by.threads)) as pool:
        yield pool


class _Here(Executor):
    """Runs what is submitted, at once, in this process."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except StoppedError:
            raise  # the whole grid was told to stop, not this cell
        except TppcError as error:
            future.set_exception(error)
        return future


def _startable(left: list[Cell], runs: dict[str, Training], out: Path, room: int) -> list[Cell]:
    """The first cells that need nothing which is not there, at most `room`."""
    ready = (c for c in left if isinstance(c, Training) or c.training is None or is_done(runs[c.training], out))
    return [cell for _, cell in zip(range(room), ready, strict=False)]


def _waiting_for(cell: Cell, left: list[Cell]) -> dict[str, str]:
    """Take the cells that need a failed training out of those left; their names, with no reason of their own."""
    waiting = [c for c in left if isinstance(c, Evaluation) and c.training == cell.digest]
    for one in waiting:
        left.remove(one)
    return {one.name: "" for one in waiting}


def _start_worker(devices: Any, threads: int | None) -> None:
    """Give a worker its device and threads; it ends with the process that started it, however that ends."""
    device = devices.get()
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if device is None else str(device)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None, "a worker has a parent"
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_cell(experiment: Experiment, cell: Cell, out: Path, run: Training | None) -> list[str]:
    """Run one cell in this process; what is to be told of it. `run` is the training that an evaluation needs."""
    folder = folder_of_cell(cell, out)
    if isinstance(cell, Training):
        return [_train(cell, folder, run_folder(cell, out), out / "logs" / f"{cell.name}.log")]
    path = cell.path or (
        str(run_folder(run, out) / "encoder") if run else next(iter(experiment.encoders.values())).path
    )
    said: list[str] = []
    results: list[Result] = []
    for parts in _answers(experiment, cell, path, said.append):
        named = [one if cell.role == "trivial" else _named(one, cell) for one in parts]
        write_predictions(folder, named)
        results += [result for one in named for result in results_of(one)]
    write_bytes(folder / RESULTS, "".join(r.model_dump_json() + "\n" for r in results).encode())
    return [f"{cell.name}: {line}" for line in said] or [cell.name]


def _train(cell: Training, folder: Path, out: Path, log: Path) -> str:
    """Train, or go on; what the training tells goes to its log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("a", encoding="utf-8") as file, redirect_stderr(file):
        summary = train(cell.config, out, resume=(out / "config.toml").is_file())
    write_bytes(folder / _TRAINED, canonical_json({"name": cell.name, "steps": summary.steps, "pairs": summary.pairs}))
    loss = summary.last.get("loss")
    told = f", loss {loss:.4f}" if isinstance(loss, float) else ""
    return f"{cell.name}: {summary.steps:,} steps{told} ({time.monotonic() - started:.0f} s)"


def _answers(experiment: Experiment, cell: Evaluation, path: str, say: Say) -> Iterator[list[Predictions]]:
    entry = experiment.tasks[cell.task]
    data = _data(cell.task, entry.model_dump_json())
    how: dict[str, Any] = {"pooling": cell.pooling, "prefix": cell.prefix, "only": [cell.role], "say": say}
    encoders: dict[Role, str] = {"baseline" if cell.role == "trivial" else cell.role: path}
    for one in [data] if isinstance(data, TaskData) else data:
        seeds = [0 if cell.seed is None else cell.seed]
        if entry.seeded:
            how |= {"config": experiment.fine_tuning_of(entry), "selection": experiment.selection}
        yield from answers(entry.task, encoders, one, seeds, **how)


@cache
def _data(name: str, entry: str) -> Any:
    """A task's data, read once in each process."""
    return load_data(name, TaskEntry.model_validate_json(entry))


def _named(one: Predictions, cell: Evaluation) -> Predictions:
    """Answers under the names that the experiment gives."""
    return replace(one, encoder=cell.encoder, start=cell.start, recipe=cell.recipe, run=cell.run)
