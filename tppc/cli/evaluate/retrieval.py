"""`tppc evaluate retrieval` and `tppc evaluate similarity`: tasks over pairs of texts that train nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    format,
    measure_each,
    runs_of,
    say,
)
from tppc.cli.evaluate.pair_options import (
    CorpusOption,
    LayerOption,
    LimitOption,
    PairOption,
    PairsOption,
    SplitOption,
    SrcOption,
    TgtOption,
    pairs_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tppc.evaluation.results import Result

_HELP = {
    "retrieval": """Find translations among many texts, both ways: P@1 and mean reciprocal rank.

Example: tppc evaluate retrieval --corpus corpora/tatoeba/en-hi --encoder runs/x/encoder --out results.jsonl

Own files: tppc evaluate retrieval --src test.en --tgt test.hi --pair en-hi --encoder E --pooling mean --layer 7""",
    "similarity": """Tell translations from other pairs by cosine: AUC, beside a baseline that only knows the languages.

Example: tppc evaluate similarity --corpus corpora/tatoeba/en-hi --encoder runs/x/encoder --baseline B""",
}


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    for name, text in _HELP.items():
        app.command(name, help=text)(_over_pairs(name))


def _over_pairs(task: str) -> Callable[..., None]:
    def command(
        *,
        corpus: CorpusOption = None,
        split: SplitOption = "test",
        pairs: PairsOption = None,
        src: SrcOption = None,
        tgt: TgtOption = None,
        pair: PairOption = None,
        limit: LimitOption = None,
        encoder: EncodersOption = None,
        baseline: BaselinesOption = None,
        control: ControlsOption = None,
        pooling: PoolingOption = None,
        layer: LayerOption = None,
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
        from tppc.evaluation.protocol import evaluate

        override: dict[str, Any] = {"pooling": pooling, "prefix": prefix, "device": device, "layer": layer}

        def measure(part: Any, place: Path | None) -> list[Result]:
            return evaluate(task, roles, part, **override, predictions=place, say=say)

        measure_each(
            pairs_of(corpus, pairs, src, tgt, pair=pair, split=split, limit=limit),
            measure,
            out=out,
            predictions=predictions,
            how=how,
            all_metrics=all_metrics,
        )

    return command
