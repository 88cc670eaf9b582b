"""Tasks on a Ray cluster (extra `tppc[ray]`): the same functions, the same bytes.

A plain work folder and the cache of snapshots must be at the same paths on all machines; behind a URL (`--work`)
neither need be: tasks fetch what they read and put what they make. A machine that dies takes no finished output with
it, and the tasks that ran there run again elsewhere.
"""

from __future__ import annotations

import dataclasses
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tppc.builders.engine import ATTEMPTS, Engine, Task, code_digest, run, versions
from tppc.builders.progress import note
from tppc.builders.workspace import Workspace, with_paths
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    from tppc.builders.sources.base import Partition

# Tasks that the cluster has been handed for each of its cores: the next one is there when one ends.
_AHEAD = 2
_HOST = re.compile(r"(?:ray://)?([^\s/:]+):([0-9]{1,5})")


def _on_node(task: Task, work: Workspace, name: str) -> str | None:
    """Run a task on the machine that Ray chose; the message of its failure, None where there is none."""
    if task.name != name:
        return (
            "a machine of the cluster has another tppc, another version of a library or other Unicode data "
            f"(its own: {versions()}, code {code_digest()[:12]}); install the same on all machines"
        )
    try:
        run(task, work, name)
    except TppcError as error:
        return str(error)
    return None


def import_ray() -> Any:
    """The module. Raises `UsageError` where it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray: the package ray is not installed; install tppc[ray]") from error
    return ray


@contextmanager
def connected(engine: Engine) -> Iterator[Any]:
    """Yield ray, connected to the engine's cluster, or to one that is started for as long as this lasts.

    Raises `TppcError` where the cluster does not answer.
    """
    ray = import_ray()
    address = engine.address or os.environ.get("RAY_ADDRESS") or None
    if ray.is_initialized():
        yield ray
        return
    # Workers of the cluster are the parallelism: one thread each. Ours alone, so no secret of this machine travels.
    variables = {"POLARS_MAX_THREADS": "1", **{k: v for k, v in os.environ.items() if k.startswith("TPPC_")}}
    local = {} if address else {"num_cpus": engine.workers or os.cpu_count() or 1, "include_dashboard": False}
    try:
        if address is not None and (place := _HOST.fullmatch(address)):
            socket.create_connection((place[1], int(place[2])), timeout=10).close()  # ray itself asks for minutes
        ray.init(
            address=address or "local",
            log_to_driver=False,
            runtime_env={"env_vars": variables},
            logging_level=30,
            **local,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise TppcError(
            f"{address or 'ray'}: the Ray cluster cannot be reached ({(str(error).splitlines() or [''])[0]}); check "
            "--ray-address or RAY_ADDRESS, and that the cluster runs the same versions of Ray and Python"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def run_on_ray(tasks: Sequence[Task], work: Workspace, engine: Engine, advance: Callable[[int], None]) -> None:
    """Run tasks on the cluster. Raises `TppcError` for the first that fails, or whose process died `ATTEMPTS` times."""
    with connected(engine) as ray:
        remote = ray.remote(max_retries=0, num_cpus=1)(_on_node)
        waiting = [_placed(task, work) for task in reversed(tasks)]
        lost: dict[str, int] = {}
        running: dict[Any, Task] = {}
        try:
            while waiting or running:
                room = engine.workers or _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
                while waiting and len(running) < room:
                    task = waiting.pop()
                    running[remote.remote(task, work, task.name)] = task
                for reference in ray.wait(list(running), timeout=10)[0]:
                    task = running.pop(reference)
                    if _ended(ray, reference, task, lost):
                        advance(1)
                    else:
                        waiting.append(task)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _ended(ray: Any, reference: Any, task: Task, lost: dict[str, int]) -> bool:
    """Whether a task is done; False where its process or its machine died and it must run again."""
    try:
        message = ray.get(reference)
    except ray.exceptions.RayTaskError as error:  # before our own code ran
        raise TppcError(f"{task.subject}: cannot run on the cluster: {str(error.cause).splitlines()[0]}") from error
    except ray.exceptions.RayError as error:
        lost[task.name] = lost.get(task.name, 0) + 1
        what = type(error).__name__
        if lost[task.name] >= ATTEMPTS:
            raise TppcError(
                f"{task.subject}: its process on the cluster died {ATTEMPTS} times ({what}; out of memory?); finished "
                "parts are kept: run the same command again"
            ) from error
        note(f"{task.subject}: its process on the cluster died ({what}); running it again")
        return False
    if message is not None:
        raise TppcError(message)
    return True


def _placed(task: Task, work: Workspace) -> Task:
    """A task whose files other machines find: by a whole path, or on the store of the work folder."""
    arguments = dict(task.arguments)
    partition: Partition | None = arguments.get("partition")
    if partition is not None:
        files = {role: str(Path(path).resolve()) for role, path in partition.files.items()}
        arguments["partition"] = dataclasses.replace(partition, files=files)
    return dataclasses.replace(task, arguments=with_paths(arguments, work.staged))


def clear_nodes(work: Workspace) -> None:
    """Remove the copies that the cluster's machines keep of a work folder behind a URL."""
    import shutil

    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    @ray.remote(num_cpus=0, max_retries=0)
    def clear() -> None:
        shutil.rmtree(work.folder, ignore_errors=True)

    alive = [node["NodeID"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    strategies = [NodeAffinitySchedulingStrategy(node_id=node, soft=True) for node in alive]
    ray.wait([clear.options(scheduling_strategy=s).remote() for s in strategies], num_returns=len(alive), timeout=60)
