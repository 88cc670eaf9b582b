"""`tppc demo`: the main job on the samples."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for corpora, runs, results and report.")] = Path("demo"),
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0..N-1, each with a training and a control.")] = 1,
) -> None:
    """Build, train, evaluate and report on the samples inside the package; no network, under four minutes on two cores.

    Example: tppc demo --out demo
    """
    from tppc.corpora.corpus import Corpus
    from tppc.demo import demo as run
    from tppc.evaluation.tables import build_table, render

    start = time.monotonic()

    def say(line: str) -> None:
        typer.echo(f"[{time.monotonic() - start:5.0f} s] {line}", err=True)

    results, report = run(out, say, seeds=range(seeds))
    typer.echo("pairs kept (of those read)")
    for path in sorted((out / "corpora").glob("*/*/manifest.json")):
        funnel = Corpus(path.parent).manifest.funnel
        name = path.parent.relative_to(out / "corpora").as_posix()
        typer.echo(f"  {name:<20}{sum(funnel.kept.values()):>7,} of {funnel.read:,}")
    typer.echo("\nbefore, after the same steps on shuffled pairs (control), after training on the pairs (%)")
    typer.echo(render([row for row in build_table(results) if not row.dataset.endswith(":dev")], "text"))
    typer.echo(f"report: {report}   ({time.monotonic() - start:.0f} s)")
