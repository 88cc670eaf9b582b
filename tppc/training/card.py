"""The model card that goes with a trained encoder: its data, settings and last metrics, for the next person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tppc.corpora.corpus import Corpus
from tppc.training.config import TrainConfig

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


def _may_be_hub_id(name: str) -> bool:
    """Whether an encoder's name can be one on the hub: `name` or `owner/name`, and no path that exists here."""
    return _HUB_ID.fullmatch(name) is not None and not Path(name).exists()


def _shown(name: str) -> str:
    """An encoder's name for others: of a local path its last part only."""
    return Path(name).name if Path(name).exists() else name


def model_card(config: TrainConfig, corpora: Sequence[Corpus], pooling: str, last: dict[str, Any]) -> str:
    """`README.md` of an encoder folder, with the YAML head that the Hugging Face hub reads."""
    codes = sorted(
        {c for corpus in corpora for c in corpus.manifest.languages} | {u.language for u in config.monolingual}
    )
    head = ["---", "library_name: transformers", "pipeline_tag: feature-extraction", "language:"]
    head += [f"- {code}" for code in codes]
    if _may_be_hub_id(config.encoder):
        head.append(f"base_model: {config.encoder}")
    predicts = "tpp" in config.objectives
    head += ["tags:", "- tppc", *(["- translation-pair-prediction"] if predicts else [])]
    head += [*(["- control"] if config.shuffled_pairs else []), "---"]

    what = "Translation Pair Prediction" if predicts else f"training with {', '.join(config.objectives)}"
    lines = [*head, "", f"# {_shown(config.encoder)} after {what}", ""]
    if config.shuffled_pairs:
        lines += [
            "**This is a control.** Its targets were exchanged among the pairs of each batch, so it saw the same texts "
            "and steps but no translation. Use it to compare with, and for nothing else.",
            "",
        ]
    learned = "to tell translations from other texts" if corpora else "on texts of each language alone, without pairs"
    lines += [
        f"An encoder for {', '.join(codes)}, trained by tppc {learned}.",
        "",
        "```python",
        "from transformers import AutoModel, AutoTokenizer",
        "",
        'tokenizer, model = AutoTokenizer.from_pretrained("encoder"), AutoModel.from_pretrained("encoder")',
        "```",
        "",
        f"Sentence vectors: pooling `{pooling}`, prefix {config.prefix or '(none)'!r} (also in `tppc_encoder.json`).",
        "",
        "## Data",
        "",
    ]
    if corpora:
        lines += ["| corpus | version | pair | train pairs | licences | build digest |", "|---|---|---|---:|---|---|"]
    for corpus in corpora:
        manifest = corpus.manifest
        licences = ", ".join(sorted(manifest.licences)) or "not stated"
        pairs = ", ".join(manifest.pairs)
        lines.append(
            f"| {manifest.name} | {manifest.version} | {pairs} | {corpus.rows('train'):,} | {licences} | "
            f"`{manifest.build_digest}` |"
        )
    lines += [
        f"- unpaired texts of `{u.language}`: `{Path(u.path).name}`, SHA-256 `{u.digest}`" for u in config.monolingual
    ]
    lines += [
        "",
        f"Licence of the weights: it follows from the start encoder's and from the data's, above. "
        f"The start was {'random' if config.encoder.startswith('scratch:') else _shown(config.encoder)}.",
        "",
        "## Metrics of the last training batches",
        "",
        "These describe the training itself and say nothing about a task.",
        "",
        "| metric | value |",
        "|---|---:|",
    ]
    lines += [f"| {name} | {value:.4g} |" for name, value in last.items() if isinstance(value, float)]
    if last.get("alarms"):
        lines += ["", f"Alarms at the last logged step: {', '.join(last['alarms'])}."]
    lines += ["", "## Settings", "", "```toml", config.to_toml().strip(), "```", ""]
    return "\n".join(lines)
