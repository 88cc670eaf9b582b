"""The tasks. A task is one file here and one entry in the registry."""

from tppc.errors import UsageError
from tppc.evaluation.tasks import bitext, classification, engagement, ner, pos, probe, retrieval, sentiment
from tppc.evaluation.tasks.task import Task

TASKS: dict[str, Task] = {
    task.name: task for task in (ner.TASK, pos.TASK, sentiment.TASK, classification.TASK, probe.TASK)
}
"""The tasks that are learnt from labels, in the order in which they are listed."""

PRIMARY = {
    retrieval.NAME: retrieval.METRICS[0],
    bitext.NAME: bitext.METRICS[0],
    bitext.NEAREST: bitext.NEAREST_METRICS[0],
    engagement.NAME: engagement.METRICS[0],
} | {name: task.metrics[0] for name, task in TASKS.items()}
"""The metric of each task that a table shows if not asked for more; of a task that is not here it shows all."""


def task_named(name: str) -> Task:
    """The task of that name that is learnt from labels. Raises `UsageError` for one there is not."""
    if name not in TASKS:
        raise UsageError(f"there is no task {name!r} with labels to learn; there is: {', '.join(TASKS)}")
    return TASKS[name]
