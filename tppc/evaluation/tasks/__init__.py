"""The tasks. A task is one file here and one entry in the registry."""

from tppc.errors import UsageError
from tppc.evaluation.tasks import ner, pos, retrieval, sentiment
from tppc.evaluation.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (ner.TASK, pos.TASK, sentiment.TASK)}

PRIMARY = {retrieval.NAME: retrieval.METRICS[0]} | {name: task.metrics[0] for name, task in TASKS.items()}
"""The metric of each task that a table shows if not asked for more."""


def task_named(name: str) -> Task:
    """The fine-tuned task of that name. Raises `UsageError` for one there is not."""
    if name not in TASKS:
        raise UsageError(f"there is no task {name!r} to fine-tune; there is: {', '.join(TASKS)}")
    return TASKS[name]
