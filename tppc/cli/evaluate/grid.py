"""`tppc evaluate grid`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tppc.cli.evaluate.options import AllOption, FormatOption, JsonOption, LayoutOption, format, say, show
from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.plan import Evaluation, Plan, Training


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(grid)


def grid(
    experiment: Annotated[Path, typer.Argument(help="TOML file of the experiment.")],
    out: Annotated[Path, typer.Option(help="Folder of the grid; what is done there is not done again.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Cells at a time: one a CUDA device without it, one on the CPU.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; CUDA where there is one.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and do nothing.")] = False,
    format_: FormatOption = "text",
    json_: JsonOption = False,
    layout: LayoutOption = "paper",
    all_metrics: AllOption = False,
) -> None:
    """Cross encoders, corpora, objectives, tasks and seeds, trainings included; resumable; the results as a table.

    Example: tppc evaluate grid experiment.toml --out runs/grid --dry-run

    The file's keys are described in docs/evaluation.md.
    """
    how = format(format_, json_)
    if device not in (None, "cpu", "cuda"):
        raise UsageError(f"--device {device}: a grid runs on cpu or on all of cuda")
    from tppc.evaluation import grid as run
    from tppc.evaluation.experiment import load_experiment
    from tppc.evaluation.plan import plan

    settings = load_experiment(experiment)
    cells = plan(settings)
    if dry_run:
        _print(cells, out)
        return
    results = run.run_grid(settings, cells, out, run.workers(workers, device), say)
    show(results, how, all_metrics, layout, run.prediction_folders(cells, out))


def _print(cells: Plan, out: Path) -> None:
    """One line a cell: what it is, whether it is done."""
    from tppc.evaluation.grid import is_done

    every: list[Training | Evaluation] = [*cells.trainings, *cells.evaluations]
    for cell in every:
        kind = "train" if cell in cells.trainings else "evaluate"
        typer.echo(f"{'done' if is_done(cell, out) else 'to do'}\t{kind}\t{cell.digest[:12]}\t{cell.name}")
    done = sum(is_done(cell, out) for cell in every)
    say(f"{len(cells.trainings)} trainings, {len(cells.evaluations)} evaluations; {done} of {len(every)} done")
