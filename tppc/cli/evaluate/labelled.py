"""`tppc evaluate ner`, `pos`, `sentiment`: the tasks that are fine-tuned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import typer

from tppc.cli.evaluate.options import (
    AllOption,
    BaselineOption,
    BatchOption,
    ColumnsOption,
    ControlOption,
    DataOption,
    DeviceOption,
    DevOption,
    EncoderOption,
    EpochsOption,
    FormatOption,
    FreezeOption,
    JsonOption,
    LabelsOption,
    NeutralOption,
    OutOption,
    PoolingOption,
    PrefixOption,
    RateOption,
    SeedsOption,
    TestOption,
    TrainOption,
    format,
    keep,
    roles_of,
    say,
    show,
)
from tppc.errors import UsageError

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
        roles = roles_of(encoder, baseline, control)
        how = format(format_, json_)
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
        keep(out, [])
        config = FineTuning(epochs=epochs, lr=lr, batch_size=batch_size, freeze=freeze)
        override = {"pooling": pooling, "prefix": prefix, "device": device}
        results = evaluate(name, roles, loaded, range(seeds), config, **override, say=say)
        keep(out, results)
        show(results, how, all_metrics)

    return command


def register(app: typer.Typer) -> None:
    """Add a command for each task to `app`."""
    for name, text in _LABELLED.items():
        app.command(name, help=text)(_labelled(name))


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
