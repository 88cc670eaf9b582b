"""`tppc evaluate diagnose`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tppc.cli.evaluate.options import (
    BaselineOption,
    ControlOption,
    DeviceOption,
    EncoderOption,
    FormatOption,
    JsonOption,
    OutOption,
    PoolingOption,
    PrefixOption,
    format,
    roles_of,
    say,
)
from tppc.cli.evaluate.pair_options import (
    CorpusOption,
    PairOption,
    PairsOption,
    SplitOption,
    SrcOption,
    TgtOption,
    pairs_of,
)

if TYPE_CHECKING:
    from tppc.evaluation.diagnostics.diagnose import Measured


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(diagnose)


def diagnose(
    *,
    corpus: CorpusOption = None,
    split: SplitOption = "test",
    pairs: PairsOption = None,
    src: SrcOption = None,
    tgt: TgtOption = None,
    pair: PairOption = None,
    limit: Annotated[int, typer.Option(min=1, help="The first N pairs only.")] = 1_000,
    layers: Annotated[bool, typer.Option("--layers/--no-layers", help="Measure every layer too.")] = True,
    encoder: EncoderOption = None,
    baseline: BaselineOption = None,
    control: ControlOption = None,
    pooling: PoolingOption = None,
    prefix: PrefixOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
    format_: FormatOption = "text",
    json_: JsonOption = False,
) -> None:
    """What an encoder's space is like, before and after: cosines, margin, hubness, CKA by layer, language probe.

    Example: tppc evaluate diagnose --corpus corpora/tatoeba/en-hi --encoder runs/x/encoder --baseline runs/x/initial
    """
    roles = roles_of(encoder, baseline, control)
    how = format(format_, json_)
    from tppc.evaluation.diagnostics.diagnose import diagnose as measure
    from tppc.evaluation.diagnostics.table import Format, build_rows, render_rows
    from tppc.evaluation.results import append_results

    if out is not None:
        append_results(out, [])
    settings: dict[str, Any] = {"pooling": pooling, "prefix": prefix, "device": device, "by_layer": layers}
    measured: list[Measured] = []
    for one in pairs_of(corpus, pairs, src, tgt, pair=pair, split=split, limit=limit):
        found = measure(roles, one, **settings, say=say)
        if out is not None:
            append_results(out, [m.diagnostic for m in found])
        measured += found
    typer.echo(render_rows(build_rows(measured), cast("Format", how)))
