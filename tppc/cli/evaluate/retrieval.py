"""`tppc evaluate retrieval`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tppc.cli.evaluate.options import (
    AllOption,
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
    keep,
    roles_of,
    say,
    show,
)

if TYPE_CHECKING:
    from tppc.evaluation.results import Result


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(retrieval)


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
    roles = roles_of(encoder, baseline, control)
    how = format(format_, json_)
    from tppc.corpora.corpus import Corpus
    from tppc.evaluation.overlap import overlap_notes
    from tppc.evaluation.protocol import evaluate
    from tppc.evaluation.tasks.retrieval import load_pairs

    results: list[Result] = []
    keep(out, results)
    corpora = [Corpus(folder) for folder in corpus]
    pairs = [load_pairs(one, split, limit) for one in corpora]
    for one in corpora:
        for name in dict.fromkeys(roles.values()):
            for note in overlap_notes(name, one, split):
                say(note)
    for found_pairs in pairs:
        found = evaluate("retrieval", roles, found_pairs, pooling=pooling, prefix=prefix, device=device, say=say)
        keep(out, found)
        results += found
    show(results, how, all_metrics)
