"""`tppc evaluate ner`, `pos`, `sentiment`, `classification`: the tasks that are fine-tuned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from tppc.cli.evaluate.heads import (
    HeadOption,
    HeadRateOption,
    LayersOption,
    PrecisionOption,
    TextHeadOption,
    head_settings,
)
from tppc.cli.evaluate.options import (
    AllOption,
    AverageOption,
    BaselinesOption,
    BatchOption,
    ControlsOption,
    DataOption,
    DeviceOption,
    DevOption,
    EncodersOption,
    EpochsOption,
    FormatOption,
    FreezeOption,
    JsonOption,
    LabelsOption,
    NeutralOption,
    OracleOption,
    OutOption,
    PoolingOption,
    PredictionsOption,
    PrefixOption,
    RateOption,
    SeedsOption,
    SelectionOption,
    TestOption,
    TrainOption,
    format,
    measure_each,
    runs_of,
    say,
    selection_of,
)
from tppc.cli.evaluate.reading import ColumnsOption, ReaderOption, UnitOption, columns_of, unit_of
from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.results import Result

# Help of the tasks that are fine-tuned. They share their options; reading refuses one that a task has no use for.
_LABELLED = {
    "ner": """Named entities: train on English, test on other languages; micro-F1 over entities.

Example: tppc evaluate ner --data sample --encoder runs/x/encoder --baseline bert-base-multilingual-cased

Own files: tppc evaluate ner --train wnut17train.conll --test ar=anercorp.txt --labels per-loc-org --encoder E""",
    "pos": """Parts of speech from CoNLL-U: train on English, test on other languages; accuracy over words.

Example: tppc evaluate pos --train en_gum-ud-train.conllu --test hi=hi_pud-ud-test.conllu --encoder E""",
    "sentiment": """Sentiment of texts: train on English, test on other languages; macro-F1, average recall, accuracy.

Example: tppc evaluate sentiment --train english.train_text.txt --test hi=hindi.val_text.txt --encoder E

Tables keep neutral texts or drop them: --neutral both does both in turn.""",
    "classification": """Classes of texts (topics, hashtags, emoji): train on English, test on other languages.

Example: tppc evaluate classification --train hashtags.en.jsonl --test hi=hashtags.hi.jsonl --encoder E

Macro-F1 over the classes, accuracy, average recall, the right class among the five likeliest.""",
}


def _labelled(name: str) -> Callable[..., None]:
    def command(
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
        unit: UnitOption = "words",
        neutral: NeutralOption = "keep",
        seeds: SeedsOption = 5,
        epochs: EpochsOption = 3,
        lr: RateOption = 5e-5,
        batch_size: BatchOption = 32,
        freeze: FreezeOption = False,
        head: HeadOption = "linear",
        head_lr: HeadRateOption = None,
        layers: LayersOption = "last",
        text_head: TextHeadOption = "pooling",
        precision: PrecisionOption = "fp32",
        selection: SelectionOption = "last",
        average: AverageOption = 3,
        oracle: OracleOption = None,
        pooling: PoolingOption = None,
        prefix: PrefixOption = None,
        device: DeviceOption = None,
        out: OutOption = None,
        predictions: PredictionsOption = None,
        format_: FormatOption = "text",
        json_: JsonOption = False,
        all_metrics: AllOption = False,
    ) -> None:
        roles = runs_of(encoder, baseline, control)
        how = format(format_, json_)
        _refuse_unused(name, unit=unit, neutral=neutral)
        if not 0 < lr < float("inf"):
            raise UsageError(f"--lr must be above 0 and finite (it is {lr}); pretrained encoders want about 5e-5")
        heads = head_settings(head_lr, head=head, layers=layers, text_head=text_head, precision=precision)
        from tppc.evaluation.data import load_task_data
        from tppc.evaluation.finetune import FineTuning
        from tppc.evaluation.protocol import evaluate
        from tppc.evaluation.readers.options import ReadOptions
        from tppc.evaluation.tasks import task_named

        def options(neutral: str) -> ReadOptions:
            return ReadOptions(
                labels=labels,
                columns=columns_of(columns),
                neutral=cast("Any", neutral),
                reader=reader,
                unit=unit_of(unit),
            )

        chosen = selection_of(selection, average, oracle)
        files: dict[str, Any] = {"data": data, "train": train, "dev": dev, "tests": test or [], "oracle": oracle or []}
        loaded = [load_task_data(task_named(name), **files, options=options(one)) for one in both_or(neutral)]
        config = FineTuning(epochs=epochs, lr=lr, batch_size=batch_size, freeze=freeze, **heads)
        override: dict[str, Any] = {"pooling": pooling, "prefix": prefix, "device": device, "selection": chosen}

        def measure(part: Any, place: Path | None) -> list[Result]:
            return evaluate(name, roles, part, range(seeds), config, **override, predictions=place, say=say)

        measure_each(loaded, measure, out=out, predictions=predictions, how=how, all_metrics=all_metrics)

    return command


def register(app: typer.Typer) -> None:
    """Add a command for each task to `app`."""
    for name, text in _LABELLED.items():
        app.command(name, help=text)(_labelled(name))


def both_or(neutral: str) -> tuple[str, ...]:
    """What `--neutral` asks for, one after the other."""
    return ("keep", "drop") if neutral == "both" else (neutral,)


def _refuse_unused(task: str, *, unit: str, neutral: str) -> None:
    """Refuse an option that a task has no use for: it would be silently ignored."""
    if neutral not in ("keep", "drop", "both"):
        raise UsageError(f"--neutral must be keep, drop or both, not {neutral!r}")
    if unit != "words" and task != "ner":
        raise UsageError("--unit is for ner")
    if neutral != "keep" and task in ("ner", "pos"):
        raise UsageError("--neutral is for the classification of texts")
