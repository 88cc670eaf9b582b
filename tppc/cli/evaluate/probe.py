"""`tppc evaluate probe`: what a logistic regression reads from frozen vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tppc.cli.evaluate.labelled import both_or
from tppc.cli.evaluate.options import (
    AllOption,
    BaselinesOption,
    ControlsOption,
    DataOption,
    DeviceOption,
    DevOption,
    EncodersOption,
    FormatOption,
    JsonOption,
    LabelsOption,
    NeutralOption,
    OutOption,
    PoolingOption,
    PredictionsOption,
    PrefixOption,
    TestOption,
    TrainOption,
    format,
    measure_each,
    runs_of,
    say,
)
from tppc.cli.evaluate.reading import ColumnsOption, ReaderOption, columns_of
from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.results import Result


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(probe)


def probe(
    *,
    encoder: EncodersOption = None,
    baseline: BaselinesOption = None,
    control: ControlsOption = None,
    data: DataOption = None,
    train: TrainOption = None,
    dev: DevOption = None,
    test: TestOption = None,
    labels: LabelsOption = None,
    columns: ColumnsOption = None,
    reader: ReaderOption = None,
    neutral: NeutralOption = "keep",
    inverse_penalty: Annotated[float, typer.Option("--c", help="scikit-learn's C: less is a stronger penalty.")] = 1.0,
    pooling: PoolingOption = None,
    prefix: PrefixOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
    predictions: PredictionsOption = None,
    format_: FormatOption = "text",
    json_: JsonOption = False,
    all_metrics: AllOption = False,
) -> None:
    """Classify texts by a logistic regression on frozen vectors: train on English, test on other languages.

    Example: tppc evaluate probe --data sample --encoder runs/x/encoder --baseline bert-base-multilingual-cased

    Takes the files of `classification` and `sentiment`. The encoder is not trained and the optimum is one: no seeds.
    """
    roles = runs_of(encoder, baseline, control)
    how = format(format_, json_)
    if neutral not in ("keep", "drop", "both"):
        raise UsageError(f"--neutral must be keep, drop or both, not {neutral!r}")
    if not 0 < inverse_penalty < float("inf"):
        raise UsageError(f"--c must be above 0 and finite (it is {inverse_penalty})")
    from tppc.evaluation.data import load_task_data
    from tppc.evaluation.probing import Probing
    from tppc.evaluation.protocol import evaluate
    from tppc.evaluation.readers.options import ReadOptions
    from tppc.evaluation.tasks import task_named

    files: dict[str, Any] = {"data": data, "train": train, "dev": dev, "tests": test or []}
    loaded = [
        load_task_data(
            task_named("probe"),
            **files,
            options=ReadOptions(labels=labels, columns=columns_of(columns), neutral=cast("Any", one), reader=reader),
        )
        for one in both_or(neutral)
    ]
    config = Probing(inverse_penalty=inverse_penalty)
    override: dict[str, Any] = {"pooling": pooling, "prefix": prefix, "device": device}

    def measure(part: Any, place: Path | None) -> list[Result]:
        return evaluate("probe", roles, part, (0,), config, **override, predictions=place, say=say)

    measure_each(loaded, measure, out=out, predictions=predictions, how=how, all_metrics=all_metrics)
