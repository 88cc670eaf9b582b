"""`tppc corpora`: look at corpora."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tppc.cli.export import export
from tppc.cli.funnels import print_count, print_funnels
from tppc.cli.mix import mix
from tppc.cli.publish import pull
from tppc.cli.score import score
from tppc.cli.tune import tune

if TYPE_CHECKING:
    pass

Paths = Annotated[list[Path], typer.Argument(help="Corpus folders.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Split = Annotated[str, typer.Option(help="train, dev or test.")]
Count = Annotated[int, typer.Option("-n", min=1, help="Rows to show.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Look at, mix, score, export and pull corpora.", no_args_is_help=True, rich_markup_mode=None
    )
    for command in (show, head, stats, mix, score, export, pull, tune):
        group.command()(command)
    app.add_typer(group, name="corpora")


def show(paths: Paths, as_json: Json = False) -> None:
    """Show name, rows, funnel and licences of corpora.

    Example: tppc corpora show corpora/tatoeba/en-hi
    """
    from tppc.corpora.corpus import Corpus

    corpora = [Corpus(p) for p in paths]
    print_funnels(corpora, as_json)
    if not as_json:
        for corpus in corpora:
            for licence, rows in corpus.manifest.licences.items():
                print_count(f"{corpus.name} {licence}", rows)


def head(
    paths: Paths,
    split: Split = "train",
    n: Count = 10,
    as_json: Json = False,
) -> None:
    """Print the first rows of a split.

    Example: tppc corpora head corpora/tatoeba/en-hi -n 5 --split test
    """
    from tppc.corpora.corpus import Corpus

    for path in paths:
        corpus = Corpus(path)
        corpus.check_shards(split)
        rows: list[dict[str, Any]] = corpus.scan(split).head(n).collect().to_dicts()
        for row in rows:
            if as_json:
                typer.echo(json.dumps(row, ensure_ascii=False))
            else:
                typer.echo(f"{row['source_id']}\t{row['src_text']}\t{row['tgt_text']}")


def stats(paths: Paths, as_json: Json = False) -> None:
    """Print the statistics of every split: lengths in characters and words, ratio, score, scripts, language ID,
    repeated texts.

    Example: tppc corpora stats corpora/wikimatrix/en-hi
    """
    from tppc.corpora.corpus import Corpus

    found = {str(p): Corpus(p).manifest.model_dump(mode="json")["statistics"] for p in paths}
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{'corpus':<28}{'split':<7}{'measure':<11}{'mean':>10}{'median':>10}{'p95':>10}{'max':>10}")
    for path, pairs in found.items():
        for pair, splits in pairs.items():
            where = path if len(pairs) == 1 else f"{path} {pair}"
            for split, measures in splits.items():
                for line in _measures(measures):
                    typer.echo(f"{where[-27:]:<28}{split:<7}{line}")


def _measures(measures: dict[str, Any]) -> Iterator[str]:
    """Lines for people about one split's statistics."""
    for name in ("src_chars", "tgt_chars", "src_words", "tgt_words", "ratio", "score", "similarity"):
        if value := measures[name]:
            yield f"{name:<11}" + "".join(f"{value[k]:>10.2f}" for k in ("mean", "median", "p95", "max"))
    for name in ("src_scripts", "tgt_scripts", "src_lid", "tgt_lid"):
        if counts := measures[name]:
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:6]
            yield f"{name:<11} " + ", ".join(f"{k} {v:,}" for k, v in ordered)
    for side in ("src", "tgt"):
        if repeated := measures[f"{side}_repeated"]:
            shown = ", ".join(f"{count:,} x {text[:40]!r}" for text, count in repeated["texts"][:3])
            yield f"{side + ' often':<11} {shown or 'no text twice'}"
