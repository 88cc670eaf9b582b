"""`tppc evaluate bitext`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

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
from tppc.errors import UsageError

if TYPE_CHECKING:
    from tppc.evaluation.mining_data import MiningData
    from tppc.evaluation.results import Result
    from tppc.evaluation.tasks.bitext import Mining, Sides

GoldOption = Annotated[
    Path | None,
    typer.Option(help="Gold pairs, id<TAB>id, for --src and --tgt of id<TAB>text; else line i is line i."),
]
DevSrcOption = Annotated[Path | None, typer.Option(help="Source side of a development set to choose the threshold on.")]
DevTgtOption = Annotated[Path | None, typer.Option(help="Its target side.")]
DevGoldOption = Annotated[Path | None, typer.Option(help="Its gold pairs.")]
ShareOption = Annotated[
    float, typer.Option(help="Without a development set: this share of the texts chooses the threshold, unscored.")
]
ThresholdOption = Annotated[float | None, typer.Option(help="Use this threshold instead of choosing one.")]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(bitext)


def bitext(
    *,
    corpus: CorpusOption = None,
    split: SplitOption = "test",
    pairs: PairsOption = None,
    src: SrcOption = None,
    tgt: TgtOption = None,
    gold: GoldOption = None,
    pair: PairOption = None,
    limit: LimitOption = None,
    dev_src: DevSrcOption = None,
    dev_tgt: DevTgtOption = None,
    dev_gold: DevGoldOption = None,
    dev_share: ShareOption = 0.2,
    threshold: ThresholdOption = None,
    margin: Annotated[str, typer.Option(help="ratio, distance or absolute.")] = "ratio",
    mine: Annotated[str, typer.Option(help="forward, backward, intersection or max.")] = "max",
    k: Annotated[int, typer.Option("--k", min=1, help="Neighbours of a text that its margin is taken over.")] = 4,
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
    """Mine translations out of two sets of texts by margin: F1, precision, recall; and F1 as mteb counts it.

    Example: tppc evaluate bitext --src test.de --tgt test.en --gold test.gold --pair de-en --encoder runs/x/encoder
    """
    roles = runs_of(encoder, baseline, control)
    how = format(format_, json_)
    chosen = _mining(k, margin, mine)
    if threshold is not None and not math.isfinite(threshold):
        raise UsageError(f"--threshold must be a finite number (it is {threshold}); leave it out to have one chosen")
    if gold is not None and limit is not None:
        raise UsageError("--limit cuts pairs: with --gold give smaller files")
    from tppc.evaluation.mining_data import mining_data
    from tppc.evaluation.protocol import evaluate

    dev = _dev_files(dev_src, dev_tgt, dev_gold, pair)
    settings: dict[str, Any] = {"threshold": threshold, "share": dev_share}
    data: list[MiningData] = []
    if gold is not None:
        data.append(mining_data(_gold_sides(src, tgt, gold, pair, "--gold"), chosen, dev=dev, **settings))
        src = tgt = None
    from tppc.evaluation.tasks.bitext import sides_of

    for folder in corpus or []:
        tested = pairs_of([folder], None, None, None, pair=pair, split=split, limit=limit)
        own = _dev_split(folder, split, pair) if dev is None and threshold is None else []
        for number, one in enumerate(tested):
            data.append(mining_data(sides_of(one), chosen, dev=own[number] if own else dev, **settings))
    if pairs or src or tgt or not data:
        for one in pairs_of(None, pairs, src, tgt, pair=pair, split=split, limit=limit):
            data.append(mining_data(sides_of(one), chosen, dev=dev, **settings))
    override: dict[str, Any] = {"pooling": pooling, "prefix": prefix, "device": device, "layer": layer}

    def measure(part: Any, place: Path | None) -> list[Result]:
        return evaluate("bitext", roles, part, **override, predictions=place, say=say)

    measure_each(data, measure, out=out, predictions=predictions, how=how, all_metrics=all_metrics)


def _mining(k: int, margin: str, retrieval: str) -> Mining:
    from tppc.encoders.margin import Margin, Retrieval
    from tppc.evaluation.tasks.bitext import Mining

    for option, given, known in (("--margin", margin, get_args(Margin)), ("--mine", retrieval, get_args(Retrieval))):
        if given not in known:
            raise UsageError(f"{option} must be one of {', '.join(known)}, not {given!r}")
    return Mining(k, margin, retrieval)  # type: ignore[arg-type]  # checked above


def _dev_split(folder: Path, split: str, pair: str | None) -> list[Sides]:
    """The development split of a corpus, language pair by language pair; nothing where it has none or it is scored."""
    from tppc.corpora.corpus import Corpus
    from tppc.evaluation.tasks.bitext import sides_of

    if split == "dev" or not Corpus(folder).rows("dev"):
        return []
    return [sides_of(one) for one in pairs_of([folder], None, None, None, pair=pair, split="dev", limit=None)]


def _dev_files(src: Path | None, tgt: Path | None, gold: Path | None, pair: str | None) -> Sides | None:
    if src is None and tgt is None and gold is None:
        return None
    if gold is not None:
        return _gold_sides(src, tgt, gold, pair, "--dev-gold")
    from tppc.evaluation.tasks.bitext import sides_of

    [found] = pairs_of(None, None, src, tgt, pair=pair, split="dev", limit=None)
    return sides_of(found)


def _gold_sides(src: Path | None, tgt: Path | None, gold: Path, pair: str | None, option: str) -> Sides:
    from tppc.corpora.languages import parse_pair
    from tppc.evaluation.mining_data import read_sides

    if src is None or tgt is None or pair is None:
        dev = "dev-" if option == "--dev-gold" else ""
        raise UsageError(f"{option} is about two files: give --{dev}src, --{dev}tgt and --pair too")
    return read_sides(src, tgt, gold, parse_pair(pair))
