"""`tppc train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tppc.errors import TppcError, UsageError

_HELP = """Train an encoder on translation pairs.

Example: tppc train --corpus corpora/tatoeba/en-hi --encoder bert-base-multilingual-cased --out runs/en-hi

On many GPUs: torchrun --nproc-per-node 8 -m tppc train ... (the losses do not depend on how many there are).
What each setting means and where the presets' numbers come from: docs/training.md.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("train", help=_HELP)(train)


def train(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the run; must be new, or a run with --resume.")],
    corpus: Annotated[list[Path] | None, typer.Option(help="Folder of a corpus; repeat for a mixture.")] = None,
    weight: Annotated[list[float] | None, typer.Option(help="Sampling weight, one a corpus; without, by rows.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Hub name, folder, scratch:tiny or scratch:small.")] = None,
    pooling: Annotated[str | None, typer.Option(help="cls, mean or pooler; the encoder's own by default.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Text before every text, such as 'query: '.")] = None,
    objective: Annotated[list[str] | None, typer.Option(help="tpp or infonce, with =WEIGHT; repeat to add up.")] = None,
    preset: Annotated[str | None, typer.Option(help="default, paper or released.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings; options here win over it.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in a batch, over all processes.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the corpora, instead of --steps.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate (2e-5; scratch encoders 2e-3).")] = None,
    warmup: Annotated[float | None, typer.Option(help="Warm-up: steps, or a share of all if below 1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything drawn.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens of a text at most.")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    log_every: Annotated[int | None, typer.Option(help="Steps between lines of metrics.jsonl.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in --out, with its settings.")
    ] = False,
    shuffled_pairs: Annotated[
        bool, typer.Option("--shuffled-pairs", help="Control: exchange the targets within each batch.")
    ] = False,
    no_dropout: Annotated[bool, typer.Option("--no-dropout", help="Train without dropout.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Parse, train, print."""
    import os

    from tppc.training.config import load_config
    from tppc.training.trainer import train as run

    overrides: dict[str, Any] = {
        "corpora": _corpora(corpus, weight),
        "encoder": encoder,
        "pooling": pooling,
        "prefix": prefix,
        "objectives": dict(_objective(text) for text in objective) if objective else None,
        "batch_size": batch_size,
        "steps": steps,
        "epochs": epochs,
        "lr": lr,
        "warmup": warmup,
        "seed": seed,
        "precision": precision,
        "max_length": max_length,
        "save_every": save_every,
        "log_every": log_every,
        "shuffled_pairs": True if shuffled_pairs else None,
        "dropout": False if no_dropout else None,
    }
    main = os.environ.get("RANK", "0") == "0"
    try:
        settings = load_config(config or _own_config(out, corpus, resume), overrides, preset)
    except TppcError as error:
        if main:
            raise
        raise typer.Exit(error.exit_code) from error  # rank 0 says the same
    summary = run(settings, out, resume)
    if not main:
        return
    if as_json:
        import json
        from dataclasses import asdict

        typer.echo(json.dumps(asdict(summary), default=str))
        return
    last = summary.last
    typer.echo(
        f"{summary.encoder}: {summary.steps:,} steps, {summary.pairs:,} pairs, {summary.seconds:,.0f} s; "
        f"loss {last['loss']:.4f}, P@1 in the last batch {last['batch_p_at_1']:.2f}"
        f"{'; a control: it saw shuffled pairs' if summary.control else ''}"
    )


def _own_config(out: Path, corpora: list[Path] | None, resume: bool) -> Path | None:
    """The settings of the run that is to go on, where the command names no others.

    Raises `UsageError` where there is no such run.
    """
    if corpora or not resume:
        return None
    if not (out / "config.toml").is_file():
        raise UsageError(f"{out}: nothing to resume there (no config.toml); choose the folder of a run")
    return out / "config.toml"


def _corpora(paths: list[Path] | None, weights: list[float] | None) -> list[dict[str, Any]] | None:
    """Corpora with their weights, in order."""
    if not paths:
        if weights:
            raise UsageError("--weight needs as many --corpus options")
        return None
    if weights and len(weights) != len(paths):
        raise UsageError(f"{len(paths)} corpora, {len(weights)} weights: give one --weight for each --corpus, or none")
    chosen: list[float | None] = list(weights) if weights else [None] * len(paths)
    return [{"path": str(p), **({} if w is None else {"weight": w})} for p, w in zip(paths, chosen, strict=True)]


def _objective(text: str) -> tuple[str, dict[str, float]]:
    """`tpp=0.5` to a name and its settings."""
    name, equals, weight = text.partition("=")
    try:
        return name, {"weight": float(weight)} if equals else {}
    except ValueError:
        raise UsageError(f"--objective {text!r}: the weight is not a number; write {name}=0.5") from None
