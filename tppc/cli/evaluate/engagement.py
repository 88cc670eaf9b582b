"""`tppc evaluate engagement`: who engages with which text, from frozen text vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tppc.cli.evaluate.options import (
    AllOption,
    BaselinesOption,
    ControlsOption,
    DeviceOption,
    EncodersOption,
    FormatOption,
    JsonOption,
    OutOption,
    PoolingOption,
    PredictionsOption,
    PrefixOption,
    SeedsOption,
    format,
    measure_each,
    runs_of,
    say,
)
from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.results import Result


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(engagement)


def engagement(
    *,
    encoder: EncodersOption = None,
    baseline: BaselinesOption = None,
    control: ControlsOption = None,
    data: Annotated[
        str | None, typer.Option(help="'sample', or a folder with hi.train.tsv and hi.test.tsv for each language.")
    ] = None,
    train: Annotated[
        list[str] | None, typer.Option(help="Interactions to learn from, LANGUAGE=FILE; once for each language.")
    ] = None,
    test: Annotated[
        list[str] | None, typer.Option(help="Interactions to find again, LANGUAGE=FILE; once for each language.")
    ] = None,
    users: Annotated[
        Path | None, typer.Option(help="Vectors of the users, JSON lines or Parquet; learnt without.")
    ] = None,
    seeds: SeedsOption = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the interactions; at least 500 steps.")] = 10,
    lr: Annotated[float, typer.Option(help="Learning rate of the projections.")] = 1e-3,
    dimensions: Annotated[int, typer.Option(min=1, help="Of the space of users and texts.")] = 128,
    pooling: PoolingOption = None,
    prefix: PrefixOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
    predictions: PredictionsOption = None,
    format_: FormatOption = "text",
    json_: JsonOption = False,
    all_metrics: AllOption = False,
) -> None:
    """Predict who engages with which text: users and frozen text vectors projected into one space; HITS@10 of 1,000.

    Example: tppc evaluate engagement --train hi=likes.train.tsv --test hi=likes.test.tsv --encoder runs/x/encoder

    Lines are `user<TAB>text`, or JSON lines or Parquet with user, text and item. Each language is learnt by itself.
    """
    roles = runs_of(encoder, baseline, control)
    how = format(format_, json_)
    if not 0 < lr < float("inf"):
        raise UsageError(f"--lr must be above 0 and finite (it is {lr})")
    from tppc.evaluation.engagement.data import files_of, load_engagement
    from tppc.evaluation.engagement.projections import ProjectionTraining
    from tppc.evaluation.protocol import evaluate

    loaded = [
        load_engagement(to_learn, to_find, code, users=users)
        for code, (to_learn, to_find) in files_of(data, train or [], test or []).items()
    ]
    config = ProjectionTraining(epochs=epochs, lr=lr, dimensions=dimensions)
    override: dict[str, Any] = {"pooling": pooling, "prefix": prefix, "device": device}

    def measure(part: Any, place: Path | None) -> list[Result]:
        return evaluate("engagement", roles, part, range(seeds), config, **override, predictions=place, say=say)

    measure_each(loaded, measure, out=out, predictions=predictions, how=how, all_metrics=all_metrics)
