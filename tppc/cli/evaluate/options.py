"""Options and small steps that the evaluation commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.results import Result, Role

EncoderOption = Annotated[str | None, typer.Option(help="The trained encoder: folder or hub name.")]
BaselineOption = Annotated[str | None, typer.Option(help="The untouched encoder to compare with.")]
ControlOption = Annotated[str | None, typer.Option(help="A control: the same training steps on shuffled pairs.")]
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
LabelsOption = Annotated[str | None, typer.Option(help="Map the labels by name; what is lost is reported.")]
ColumnsOption = Annotated[str | None, typer.Option(help="TOKEN,TAG columns from 0 (ner); found where not given.")]
NeutralOption = Annotated[str, typer.Option(help="keep or drop neutral texts, in training and test alike (sentiment).")]
FormatOption = Annotated[str, typer.Option("--format", help="text, md, csv or json.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The table as JSON; short for --format json.")]
AllOption = Annotated[bool, typer.Option("--all-metrics", help="Every metric, not the main one alone.")]


def roles_of(encoder: str | None, baseline: str | None, control: str | None) -> dict[Role, str]:
    """Encoders by role, baseline first."""
    given = {"baseline": baseline, "control": control, "trained": encoder}
    roles = {role: name for role, name in given.items() if name is not None}
    if not roles:
        raise UsageError("no encoder to evaluate: give --encoder, and --baseline to compare it with")
    return cast("dict[Role, str]", roles)


def format(how: str, json_: bool) -> str:
    if how not in ("text", "md", "csv", "json"):
        raise UsageError(f"--format must be text, md, csv or json, not {how!r}")
    return "json" if json_ else how


def say(line: str) -> None:
    from tppc.evaluation.visible import visible

    typer.echo(visible(line), err=True)  # labels and names are strangers'


def keep(out: Path | None, results: list[Result]) -> None:
    """Append to the results file; called with nothing first, so that an unwritable file is found before the work."""
    if out is not None:
        from tppc.evaluation.results import append_results

        append_results(out, results)


def show(results: list[Result], how: str, all_metrics: bool) -> None:
    from tppc.evaluation.tables import Format, build_table, render

    typer.echo(render(build_table(results, all_metrics), cast("Format", how)))
