"""`tppc evaluate`: measure encoders on retrieval, NER, POS and sentiment, and draw tables of results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.results import Result, Role

app = typer.Typer(
    name="evaluate",
    help="Measure encoders: retrieval, zero-shot NER, POS and sentiment; tables of results.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

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


def register(root: typer.Typer) -> None:
    """Add `tppc evaluate` to the command line."""
    root.add_typer(app)


@app.command()
def retrieval(
    *,
    corpus: Annotated[list[Path], typer.Option(help="Corpus folder; may be given several times.")],
    encoder: EncoderOption = None,
    baseline: BaselineOption = None,
    control: ControlOption = None,
    split: Annotated[str, typer.Option(help="Split whose pairs are searched.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Search the first N pairs only.")] = None,
    pooling: PoolingOption = None,
    prefix: PrefixOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
    format_: FormatOption = "text",
    json_: JsonOption = False,
    all_metrics: AllOption = False,
) -> None:
    """Find translations among a corpus's held-out pairs, both ways: P@1 and mean reciprocal rank.

    Example: tppc evaluate retrieval --corpus corpora/tatoeba/en-hi --encoder runs/x/encoder --out results.jsonl
    """
    roles = _roles(encoder, baseline, control)
    how = _format(format_, json_)
    from tppc.corpora.corpus import Corpus
    from tppc.evaluation.overlap import overlap_notes
    from tppc.evaluation.protocol import evaluate
    from tppc.evaluation.tasks.retrieval import load_pairs

    results: list[Result] = []
    _keep(out, results)
    corpora = [Corpus(folder) for folder in corpus]
    pairs = [load_pairs(one, split, limit) for one in corpora]
    for one in corpora:
        for name in dict.fromkeys(roles.values()):
            for note in overlap_notes(name, one, split):
                _say(note)
    for found_pairs in pairs:
        found = evaluate("retrieval", roles, found_pairs, pooling=pooling, prefix=prefix, device=device, say=_say)
        _keep(out, found)
        results += found
    _show(results, how, all_metrics)


# Help of the tasks that are fine-tuned. They share their options; reading refuses one that a task has no use for.
_LABELLED = {
    "ner": """Named entities: train on English, test on other languages; micro-F1 over entities.

Example: tppc evaluate ner --data sample --encoder runs/x/encoder --baseline bert-base-multilingual-cased

Own files: tppc evaluate ner --train wnut17train.conll --test ar=anercorp.txt --labels per-loc-org --encoder E""",
    "pos": """Parts of speech from CoNLL-U: train on English, test on other languages; accuracy over words.

Example: tppc evaluate pos --train en_gum-ud-train.conllu --test hi=hi_pud-ud-test.conllu --encoder E""",
    "sentiment": """Sentiment of texts: train on English, test on other languages; macro-F1 and accuracy.

Example: tppc evaluate sentiment --train english.train_text.txt --test hi=hindi.val_text.txt --encoder E""",
}


def _labelled(name: str) -> Callable[..., None]:
    def command(
        *,
        encoder: EncoderOption = None,
        baseline: BaselineOption = None,
        control: ControlOption = None,
        data: DataOption = None,
        train: TrainOption = None,
        dev: DevOption = None,
        test: TestOption = None,
        labels: LabelsOption = None,
        columns: ColumnsOption = None,
        neutral: NeutralOption = "keep",
        seeds: SeedsOption = 5,
        epochs: EpochsOption = 3,
        lr: RateOption = 5e-5,
        batch_size: BatchOption = 32,
        freeze: FreezeOption = False,
        pooling: PoolingOption = None,
        prefix: PrefixOption = None,
        device: DeviceOption = None,
        out: OutOption = None,
        format_: FormatOption = "text",
        json_: JsonOption = False,
        all_metrics: AllOption = False,
    ) -> None:
        roles = _roles(encoder, baseline, control)
        how = _format(format_, json_)
        _refuse_unused(name, labels=labels, columns=columns, neutral=neutral)
        if not 0 < lr < float("inf"):
            raise UsageError(f"--lr must be above 0 and finite (it is {lr}); pretrained encoders want about 5e-5")
        from tppc.evaluation.data import load_task_data
        from tppc.evaluation.finetune import FineTuning
        from tppc.evaluation.protocol import evaluate
        from tppc.evaluation.tasks import task_named
        from tppc.evaluation.tasks.task import ReadOptions

        options = ReadOptions(labels=labels, columns=_columns(columns), neutral=cast("Any", neutral))
        loaded = load_task_data(task_named(name), data=data, train=train, dev=dev, tests=test or [], options=options)
        _keep(out, [])
        config = FineTuning(epochs=epochs, lr=lr, batch_size=batch_size, freeze=freeze)
        override = {"pooling": pooling, "prefix": prefix, "device": device}
        results = evaluate(name, roles, loaded, range(seeds), config, **override, say=_say)
        _keep(out, results)
        _show(results, how, all_metrics)

    return command


for _name, _help in _LABELLED.items():
    app.command(_name, help=_help)(_labelled(_name))


def _refuse_unused(task: str, *, labels: str | None, columns: str | None, neutral: str) -> None:
    """Refuse an option that a task has no use for: it would be silently ignored."""
    if neutral not in ("keep", "drop"):
        raise UsageError(f"--neutral must be keep or drop, not {neutral!r}")
    if labels is not None and task == "pos":
        raise UsageError("--labels is for ner and sentiment: UPOS tags are the same everywhere")
    if columns is not None and task != "ner":
        raise UsageError("--columns is for ner: the other formats say where their labels are")
    if neutral != "keep" and task != "sentiment":
        raise UsageError("--neutral is for sentiment")


@app.command()
def table(
    paths: Annotated[list[Path], typer.Argument(help="Files of results.")],
    format_: FormatOption = "text",
    json_: JsonOption = False,
    all_metrics: AllOption = False,
) -> None:
    """Draw a table of results: means and deviations over seeds, gains, p-values of paired t-tests over seeds.

    Example: tppc evaluate table results.jsonl --format md
    """
    how = _format(format_, json_)
    from tppc.evaluation.results import read_results

    _show(read_results(paths), how, all_metrics)


def _roles(encoder: str | None, baseline: str | None, control: str | None) -> dict[Role, str]:
    """Encoders by role, baseline first."""
    given = {"baseline": baseline, "control": control, "trained": encoder}
    roles = {role: name for role, name in given.items() if name is not None}
    if not roles:
        raise UsageError("no encoder to evaluate: give --encoder, and --baseline to compare it with")
    return cast("dict[Role, str]", roles)


def _columns(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    try:
        token, tag = (int(part) for part in given.split(","))
    except ValueError:
        raise UsageError(f"--columns {given!r}: write two numbers, as in --columns 1,2") from None
    if token < 0 or tag < 0 or token == tag:
        raise UsageError(f"--columns {given!r}: two different columns are wanted, counted from 0")
    return token, tag


def _format(how: str, json_: bool) -> str:
    if how not in ("text", "md", "csv", "json"):
        raise UsageError(f"--format must be text, md, csv or json, not {how!r}")
    return "json" if json_ else how


def _say(line: str) -> None:
    from tppc.evaluation.visible import visible

    typer.echo(visible(line), err=True)  # labels and names are strangers'


def _keep(out: Path | None, results: list[Result]) -> None:
    """Append to the results file; called with nothing first, so that an unwritable file is found before the work."""
    if out is not None:
        from tppc.evaluation.results import append_results

        append_results(out, results)


def _show(results: list[Result], how: str, all_metrics: bool) -> None:
    from tppc.evaluation.tables import Format, build_table, render

    typer.echo(render(build_table(results, all_metrics), cast("Format", how)))
