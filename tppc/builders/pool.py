"""Processes of this machine that run tasks, kept from one step to the next."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from tppc.builders.engine import ATTEMPTS, TEMPORARY, Engine, Task, run
from tppc.builders.progress import note
from tppc.builders.workspace import Workspace
from tppc.errors import TppcError


def _worker() -> None:
    # One thread a worker: the workers are the parallelism, and polars would start a thread pool of its own in each.
    os.environ["POLARS_MAX_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends the workers

    def follow() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)  # a parent that was killed cannot end its workers

    threading.Thread(target=follow, daemon=True).start()


_pools: list[tuple[int, ProcessPoolExecutor]] = []  # the one whose processes wait for the next step
_keeping: list[bool] = []


@contextmanager
def kept_workers() -> Iterator[None]:
    """Keep the processes of one step for the next: starting them takes longer than many a task."""
    _keeping.append(True)
    try:
        yield
    finally:
        _keeping.pop()
        _end_pools()


def start_workers(engine: Engine, module: str) -> None:
    """Start the processes of this machine that the next step will want, while this one is still busy: inside
    `kept_workers`. Each takes half a second to import `module`, which holds what it runs."""
    if engine.kind == "local" and _keeping and (workers := engine.workers or 1) > 1:
        pool = _pool(workers)
        for _ in range(workers):
            pool.submit(_imported, module)
        _pools.append((workers, pool))


def _imported(module: str) -> None:
    """What a worker is asked first: its answer takes as long as the imports."""
    importlib.import_module(module)


def _end_pools() -> None:
    while not _keeping and _pools:
        _pools.pop()[1].shutdown(wait=False)  # they take half a second to end, in which the work folder is cleared


def _pool(workers: int) -> ProcessPoolExecutor:
    """A pool of that many processes: the one that waits, or a new one."""
    while _pools:
        size, pool = _pools.pop()
        if size == workers:
            return pool
        pool.shutdown()
    # spawn: fork is unsafe beside the threads that polars and pyarrow hold.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_worker)


def in_pool(tasks: Sequence[Task], work: Workspace, workers: int, advance: Callable[[int], None]) -> None:
    """Run tasks in a pool. When one of its processes dies, the tasks that had begun run again, each alone, so that the
    one that cannot be run is found; the others go on in a new pool.
    """
    waiting, deaths = list(tasks), 0
    while waiting:
        done = _until_death(waiting, work, workers, advance)
        waiting = [task for task in waiting if task.name not in done]
        begun = [task for task in waiting if list(work.folder.glob(f"{TEMPORARY}{task.name}.*"))]
        if waiting and not begun:
            deaths += 1
            if deaths == ATTEMPTS:
                raise _dead(waiting[0])
        for task in begun:
            _alone(task, work)
            advance(1)
        waiting = [task for task in waiting if task not in begun]


def _until_death(tasks: Sequence[Task], work: Workspace, workers: int, advance: Callable[[int], None]) -> set[str]:
    """Names of the tasks that were done in a pool: all of them, unless one of its processes died."""
    done: set[str] = set()
    pool = _pool(workers)
    futures = {pool.submit(run, task, work, task.name): task for task in tasks}
    try:
        for future in as_completed(futures):
            future.result()
            done.add(futures[future].name)
            advance(1)
    except BrokenProcessPool:
        pool.shutdown()
        note("a worker process was ended from outside (out of memory?); what it had begun runs again")
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    else:
        _pools.append((workers, pool))
        _end_pools()
    return {task.name for task in tasks if task.name in done or work.has(task.name)}


def _alone(task: Task, work: Workspace) -> None:
    """Run a task in a process of its own. Raises `TppcError` that names it if the process dies each time."""
    for _ in range(ATTEMPTS - 1):
        for left in work.folder.glob(f"{TEMPORARY}{task.name}.*"):
            shutil.rmtree(left, ignore_errors=True)
        if task.name in _until_death([task], work, 1, lambda amount: None):
            return
    raise _dead(task)


def _dead(task: Task) -> TppcError:
    return TppcError(
        f"{task.subject}: its process was ended from outside {ATTEMPTS} times (out of memory?); finished parts are "
        "kept: run the same command again, with fewer --workers"
    )
