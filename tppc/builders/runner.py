"""Runs the tasks of a step where the engine says: here, in a pool of processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tppc.builders.engine import Engine, Task, run
from tppc.builders.pool import in_pool
from tppc.builders.progress import progress
from tppc.builders.workspace import Workspace


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
                in_pool(waiting, work, engine.workers or 1, advance)
    folders = [work.folder / name for name in names]
    work.bring(folders, reports=True)
    return folders
