"""`tppc train`."""

from __future__ import annotations

from collections.abc import Sequence
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
    corpus: Annotated[list[str] | None, typer.Option(help="Folder or URL of a corpus; repeat for a mixture.")] = None,
    weight: Annotated[list[float] | None, typer.Option(help="Sampling weight, one a corpus; without, by rows.")] = None,
    sampling: Annotated[
        str | None, typer.Option(help="How often each corpus comes: proportional, equal, temperature=T, weights=W,W.")
    ] = None,
    curriculum: Annotated[
        str | None, typer.Option(help="Corpora one after the other: tatoeba,wikidata+opus,wikimatrix.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Hub name, folder, scratch:tiny or scratch:small.")] = None,
    pooling: Annotated[str | None, typer.Option(help="cls, mean or pooler; the encoder's own by default.")] = None,
    prefix: Annotated[str | None, typer.Option(help="Text before every text, such as 'query: '.")] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help="tpp, cosine, infonce, ntxent, mlm, tlm, identical, mean-variance or average-linkage, with =WEIGHT; "
            "repeat to add up."
        ),
    ] = None,
    monolingual: Annotated[
        list[str] | None, typer.Option(help="LANGUAGE=FILE of unpaired texts for mlm and the alignment terms; repeat.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="default, paper or released.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings; options here win over it.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pairs in a batch, over all processes.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the corpora, instead of --steps.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate (2e-5; scratch encoders 2e-3).")] = None,
    warmup: Annotated[float | None, typer.Option(help="Warm-up: steps, or a share of all if below 1.")] = None,
    micro_tokens: Annotated[
        int | None, typer.Option(help="Tokens of one forward pass; larger batches run in pieces, with the same loss.")
    ] = None,
    hard_negatives: Annotated[
        int | None, typer.Option(help="Mine a hard negative for each pair every N steps, with the encoder itself.")
    ] = None,
    freeze_layers: Annotated[int | None, typer.Option(help="Leave the lower N layers as they are.")] = None,
    freeze_embeddings: Annotated[
        bool, typer.Option("--freeze-embeddings", help="Leave the embeddings as they are.")
    ] = False,
    lora: Annotated[
        int | None, typer.Option(help="Train low-rank adapters of this rank instead of all weights.")
    ] = None,
    l2_start: Annotated[
        float | None, typer.Option(help="Pull the weights to their start; 50 is a usual value.")
    ] = None,
    ema: Annotated[float | None, typer.Option(help="Save a moving average of the weights, such as 0.999.")] = None,
    eval_every: Annotated[int | None, typer.Option(help="Steps between looks at retrieval on the dev split.")] = None,
    track: Annotated[list[str] | None, typer.Option(help="tensorboard, wandb or trackio; repeat.")] = None,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the encoder (GPUs).")] = False,
    activation_checkpointing: Annotated[
        bool, typer.Option("--activation-checkpointing", help="Less memory for a quarter less speed.")
    ] = False,
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
        "sampling": sampling,
        "curriculum": curriculum,
        "encoder": encoder,
        "pooling": pooling,
        "prefix": prefix,
        "objectives": dict(_objective(text) for text in objective) if objective else None,
        "batch_size": batch_size,
        "steps": steps,
        "epochs": epochs,
        "lr": lr,
        "warmup": warmup,
        "monolingual": [_monolingual(text) for text in monolingual] if monolingual else None,
        "micro_tokens": micro_tokens,
        "hard_negatives": {"every": hard_negatives} if hard_negatives is not None else None,
        "freeze_layers": freeze_layers,
        "freeze_embeddings": True if freeze_embeddings else None,
        "lora": {"rank": lora, "alpha": 2.0 * lora} if lora is not None else None,
        "l2_start": l2_start,
        "ema": ema,
        "eval_every": eval_every,
        "track": track or None,
        "compile": True if compile_ else None,
        "activation_checkpointing": True if activation_checkpointing else None,
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
        settings = load_config(config or _own_config(out, corpus or monolingual, resume), overrides, preset)
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
    found = f", P@1 in the last batch {last['batch_p_at_1']:.2f}" if "batch_p_at_1" in last else ""
    typer.echo(
        f"{summary.encoder}: {summary.steps:,} steps, {f'{summary.pairs:,} pairs, ' if summary.pairs else ''}"
        f"{summary.seconds:,.0f} s; "
        f"loss {last['loss']:.4f}{found}"
        f"{'; a control: it saw shuffled pairs' if summary.control else ''}"
    )


def _own_config(out: Path, sources: Sequence[object] | None, resume: bool) -> Path | None:
    """The settings of the run that is to go on, where the command names no others.

    Raises `UsageError` where there is no such run.
    """
    if sources or not resume:
        return None
    if not (out / "config.toml").is_file():
        raise UsageError(f"{out}: nothing to resume there (no config.toml); choose the folder of a run")
    return out / "config.toml"


def _corpora(paths: list[str] | None, weights: list[float] | None) -> list[dict[str, Any]] | None:
    """Corpora with their weights, in order."""
    if not paths:
        if weights:
            raise UsageError("--weight needs as many --corpus options")
        return None
    if weights and len(weights) != len(paths):
        raise UsageError(f"{len(paths)} corpora, {len(weights)} weights: give one --weight for each --corpus, or none")
    chosen: list[float | None] = list(weights) if weights else [None] * len(paths)
    return [{"path": p, **({} if w is None else {"weight": w})} for p, w in zip(paths, chosen, strict=True)]


def _monolingual(text: str) -> dict[str, str]:
    """`hi=FILE` to its settings."""
    language, equals, path = text.partition("=")
    if not equals or not path:
        raise UsageError(f"--monolingual {text}: say the language too, as in --monolingual hi={text}")
    return {"language": language, "path": path}


def _objective(text: str) -> tuple[str, dict[str, float]]:
    """`tpp=0.5` to a name and its settings."""
    name, equals, weight = text.partition("=")
    try:
        return name, {"weight": float(weight)} if equals else {}
    except ValueError:
        raise UsageError(f"--objective {text!r}: the weight is not a number; write {name}=0.5") from None
