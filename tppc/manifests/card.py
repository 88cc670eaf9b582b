"""The dataset card: a README that loads the corpus with Hugging Face `datasets` and tells a person what is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tppc.corpora.languages import language
from tppc.corpora.manifest import Manifest

_SIZES = [
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
]
# The hub's identifiers of licences; what it does not know is `other` with a name.
_HUB_LICENCES = {"CC0-1.0": "cc0-1.0", "CC-BY-SA-3.0": "cc-by-sa-3.0", "CC-BY-4.0": "cc-by-4.0"}


def render_card(
    manifest: Manifest,
    kept: Sequence[dict[str, Any]],
    refused: dict[str, list[dict[str, Any]]],
    *,
    about: str,
    citation: str,
) -> str:
    """Markdown with a YAML head. `kept` are a few rows of the corpus, `refused` a few rejects by reason."""
    src, tgt = language(manifest.src_lang), language(manifest.tgt_lang)
    total = sum(manifest.funnel.kept.values())
    parts = [
        _head(manifest, total),
        f"# {manifest.name}\n",
        f"{src.name}–{tgt.name} pairs from **{manifest.source}** ({about}): "
        f"{', '.join(f'{n:,} in {split}' for split, n in manifest.funnel.kept.items()) or 'no row was kept'}.\n",
        _loading(manifest) if total else "",
        "## From the source to the rows\n",
        _funnel(manifest),
        "## Kept rows, for a look\n",
        _table(["source id", src.name, tgt.name], [[r["source_id"], r["src_text"], r["tgt_text"]] for r in kept]),
        "## Rejected rows, for a look\n",
        f"Up to 1,000 rows for each reason are in `rejects.jsonl.gz`.\n\n{_refused(refused)}",
        "## Licence and attribution\n",
        _table(["licence", "rows"], [[k, f"{v:,}"] for k, v in manifest.licences.items()]),
        _duties(manifest),
        "## Limits\n",
        "".join(f"- {limit}\n" for limit in manifest.limits),
        "\n## Rebuild\n",
        f"In this folder:\n\n```sh\n{manifest.command}\n```\n",
        f"Build digest `{manifest.build_digest}`. Snapshots:\n",
        _table(
            ["snapshot", "from", "bytes", "SHA-256"],
            [[s.name, s.url, f"{s.bytes:,}", s.sha256] for s in manifest.snapshots],
        ),
        "## Citation\n",
        f"{citation}\n",
    ]
    return "\n".join(parts)


def _loading(manifest: Manifest) -> str:
    return f'```python\nimport datasets\npairs = datasets.load_dataset("PATH/OF/THIS/FOLDER", "{manifest.pair}")\n```\n'


def _head(manifest: Manifest, total: int) -> str:
    """The YAML head; JSON strings are YAML strings, so every value is quoted by `json`."""
    size = next((name for limit, name in _SIZES if total < limit), "n>10M")
    licences = list(manifest.licences)
    hub = _HUB_LICENCES.get(licences[0], "other") if len(licences) == 1 else "other"
    lines = ["---", f"license: {json.dumps(hub)}"]
    if hub == "other" and licences:
        lines.append(f"license_name: {json.dumps(' AND '.join(licences).lower())}")
    lines += ["language:", *(f"- {json.dumps(code)}" for code in (manifest.src_lang, manifest.tgt_lang))]
    lines += ["multilinguality:", "- translation", "task_categories:", "- translation", "size_categories:", f"- {size}"]
    lines += [f"pretty_name: {json.dumps(manifest.name)}"]
    splits = list(manifest.funnel.kept)
    if splits:
        lines += ["configs:", f"- config_name: {json.dumps(manifest.pair)}", "  default: true"]
        # `datasets` caches a local folder under its name and this head alone, not its path or its files: without the
        # digest, wikimatrix/en-hi would be answered with the cached rows of wikidata/en-hi.
        lines += [f"  description: {json.dumps(f'tppc build {manifest.build_digest}')}", "  data_files:"]
        for split in splits:
            name = {"dev": "validation"}.get(split, split)
            lines += [f"  - split: {name}", f"    path: {json.dumps(f'data/{manifest.pair}/{split}-*.parquet')}"]
    return "\n".join([*lines, "---\n"])


def _funnel(manifest: Manifest) -> str:
    funnel = manifest.funnel
    rows = [["read", f"{funnel.read:,}"]]
    rows += [[f"rejected: {name}", f"{count:,}"] for name, count in funnel.rejected.items()]
    rows += [["duplicates", f"{funnel.deduplicated:,}"]]
    rows += [[f"dropped: {name}", f"{count:,}"] for name, count in funnel.dropped.items()]
    rows += [[f"kept: {name}", f"{count:,}"] for name, count in funnel.kept.items()]
    return _table(["step", "rows"], rows)


def _refused(refused: dict[str, list[dict[str, Any]]]) -> str:
    rows = [
        [
            reason,
            str(row.get("source_id", "")),
            str(row.get("src_text") or row.get("detail") or ""),
            str(row.get("tgt_text") or ""),
        ]
        for reason, found in refused.items()
        for row in found
    ]
    return _table(["reason", "source id", "source text", "target text"], rows)


def _duties(manifest: Manifest) -> str:
    if "ATTRIBUTION.tsv.gz" in manifest.files or any("CC-BY" in name for name in manifest.licences):
        return (
            "Rows under an attribution licence must be credited; Tatoeba's authors are in `ATTRIBUTION.tsv.gz` and in "
            "the column `attribution`.\n"
        )
    return ""


def _cell(text: object) -> str:
    """Text of a table cell: foreign text must not end the cell, start markup or flood the page."""
    shown = "".join(c if c.isprintable() or c == " " else "\ufffd" for c in str(text))
    shown = shown if len(shown) <= 160 else f"{shown[:159]}…"
    for character in "\\`*_{}[]<>|":
        shown = shown.replace(character, f"\\{character}")
    return shown


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return "(none)\n"
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"
