"""Options and small steps that the evaluation commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, cast

import typer

from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.results import Result, Role
    from tppc.evaluation.selection import Selection

Part = TypeVar("Part")
EncoderOption = Annotated[str | None, typer.Option(help="The trained encoder: folder or hub name.")]
BaselineOption = Annotated[str | None, typer.Option(help="The untouched encoder to compare with.")]
ControlOption = Annotated[str | None, typer.Option(help="A control: the same training steps on shuffled pairs.")]
# Commands that compare several pretraining runs of one kind take these three instead.
EncodersOption = Annotated[
    list[str] | None,
    typer.Option("--encoder", help="The trained encoder: folder or hub name; again for each pretraining run."),
]
BaselinesOption = Annotated[list[str] | None, typer.Option("--baseline", help="The untouched encoder to compare with.")]
ControlsOption = Annotated[
    list[str] | None,
    typer.Option("--control", help="A control: the same training steps on shuffled pairs; again for each run."),
]
PredictionsOption = Annotated[
    Path | None,
    typer.Option(help="Folder for every example's predictions; without, beside --out: results.predictions/."),
]
SelectionOption = Annotated[
    str, typer.Option(help="Weights to test: last, average (of the last epochs) or source-dev (the best epoch there).")
]
AverageOption = Annotated[int, typer.Option(min=2, help="How many last epochs --selection average is over.")]
OracleOption = Annotated[
    list[str] | None,
    typer.Option(
        help="LANGUAGE=FILE: select on this dev file of a target language: not zero-shot, as results then say."
    ),
]
DataOption = Annotated[
    str | None, typer.Option(help="'sample', or a folder with en.train.*, en.dev.*, hi.test.* files.")
]
TrainOption = Annotated[
    str | None, typer.Option(help="Training file, instead of --data: FILE (English) or LANGUAGE=FILE.")
]
DevOption = Annotated[
    str | None, typer.Option(help="Development file in the training language; reported, selects nothing.")
]
TestOption = Annotated[list[str] | None, typer.Option(help="Test file, LANGUAGE=FILE; once for each language.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Fine-tuning seeds: 0 to N-1.")]
EpochsOption = Annotated[int, typer.Option(min=1, help="Passes over the training data.")]
RateOption = Annotated[float, typer.Option(help="Peak learning rate; encoders made from scratch want about 1e-3.")]
BatchOption = Annotated[int, typer.Option(min=1, help="Sentences a step.")]
FreezeOption = Annotated[bool, typer.Option("--freeze", help="Train the head alone, on frozen features.")]
OutOption = Annotated[Path | None, typer.Option(help="Append the results to this JSON-lines file.")]
PoolingOption = Annotated[str | None, typer.Option(help="cls, mean or pooler, for all encoders instead of their own.")]
PrefixOption = Annotated[str | None, typer.Option(help="Put before every text, for all encoders instead of their own.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda or cuda:1; CUDA where there is one.")]
LabelsOption = Annotated[
    str | None, typer.Option(help="Map the labels: a map's name or a TOML file; what is lost is reported.")
]
NeutralOption = Annotated[
    str, typer.Option(help="keep or drop texts labelled neutral, in training and test alike, or both in turn.")
]
FormatOption = Annotated[str, typer.Option("--format", help="text, md, csv, json or latex.")]
LayoutOption = Annotated[
    str, typer.Option(help="long: a row a task and language; paper: a row an encoder, relative changes, marks.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="The table as JSON; short for --format json.")]
AllOption = Annotated[bool, typer.Option("--all-metrics", help="Every metric, not the main one alone.")]


def roles_of(encoder: str | None, baseline: str | None, control: str | None) -> dict[Role, str]:
    """Encoders by role, baseline first."""
    given = {"baseline": baseline, "control": control, "trained": encoder}
    roles = {role: name for role, name in given.items() if name is not None}
    if not roles:
        raise UsageError("no encoder to evaluate: give --encoder, and --baseline to compare it with")
    return cast("dict[Role, str]", roles)


def runs_of(encoder: list[str] | None, baseline: list[str] | None, control: list[str] | None) -> dict[Role, list[str]]:
    """Encoders by role, baseline first; several of a role are its pretraining runs."""
    given = {"baseline": baseline, "control": control, "trained": encoder}
    roles = {role: names for role, names in given.items() if names}
    if not roles:
        raise UsageError("no encoder to evaluate: give --encoder, and --baseline to compare it with")
    return cast("dict[Role, list[str]]", roles)


def selection_of(how: str, average: int, oracle: list[str] | None) -> Selection:
    """The selection that the options ask for. Raises `UsageError` where they do not go together."""
    from tppc.evaluation.selection import Selection

    if how not in ("last", "average", "source-dev"):
        raise UsageError(f"--selection must be last, average or source-dev, not {how!r}; for an oracle give --oracle")
    if oracle and how != "last":
        raise UsageError(f"--oracle selects already: leave --selection {how} out")
    return Selection(how="oracle" if oracle else cast("Literal['last']", how), average=average)


def predictions_beside(out: Path | None, given: Path | None) -> Path | None:
    """Where predictions go: the folder given, else one beside the results; nowhere without either."""
    return given or (out.with_suffix(".predictions") if out else None)


def format(how: str, json_: bool) -> str:
    """The format asked for; `--json` is short for one of them. Raises `UsageError` for one there is not."""
    if how not in ("text", "md", "csv", "json", "latex"):
        raise UsageError(f"--format must be text, md, csv, json or latex, not {how!r}")
    return "json" if json_ else how


def say(line: str) -> None:
    """One line for people, on stderr."""
    from tppc.evaluation.visible import visible

    typer.echo(visible(line), err=True)  # labels and names are strangers'


def keep(out: Path | None, results: list[Result]) -> None:
    """Append to the results file; called with nothing first, so that an unwritable file is found before the work."""
    if out is not None:
        from tppc.evaluation.results import append_results

        append_results(out, results)


def measure_each(
    parts: Iterable[Part],
    measure: Callable[[Part, Path], list[Result]],
    *,
    out: Path | None,
    predictions: Path | None,
    how: str,
    all_metrics: bool,
) -> None:
    """Measure on each part of the data, keep what was found as soon as it is there, and print the table of all.

    `measure` takes a part and the folder that predictions go to: where nobody keeps them, one that is removed once
    differences are tested.
    """
    keep(out, [])
    results: list[Result] = []
    with TemporaryDirectory(prefix="tppc-") as passing:
        place = predictions_beside(out, predictions) or Path(passing)
        for part in parts:
            found = measure(part, place)
            keep(out, found)
            results += found
        show(results, how, all_metrics, places=[place])


def show(results: list[Result], how: str, all_metrics: bool, layout: str = "long", places: Sequence[Path] = ()) -> None:
    """Print the table of results; `places` hold predictions to test differences by, where there are any."""
    if layout not in ("long", "paper"):
        raise UsageError(f"--layout must be long or paper, not {layout!r}")
    from tppc.evaluation.compared import by_model, incomplete
    from tppc.evaluation.paper_table import paper_table, render_paper
    from tppc.evaluation.predictions import prediction_files, read_predictions
    from tppc.evaluation.tables import Format, build_table, render

    answers = by_model([one for path in prediction_files(places) for one in read_predictions(path)])
    if missing := incomplete(answers, results):
        say(
            f"note: predictions of some seeds are not there ({len(missing)} of {len(answers)} encoders and test sets); "
            "differences from these are tested over seeds"
        )
    rows = build_table(results, all_metrics, answers)
    chosen = cast("Format", how)
    typer.echo(render(rows, chosen) if layout == "long" else render_paper(paper_table(rows), chosen))
