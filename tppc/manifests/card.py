"""The dataset card: a README that loads the corpus with Hugging Face `datasets` and tells a person what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tppc.corpora.languages import language
from tppc.corpora.licences import duties, licence
from tppc.corpora.manifest import Funnel, Manifest, Measure, Repeated, SplitStatistics
from tppc.manifests.citation import abstract, cite_as
from tppc.manifests.rules import ATTRIBUTION
from tppc.manifests.yaml import to_yaml

NAME = "README.md"
_SIZES = [
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
]
# The hub's identifiers of licences; what it does not know is `other` with a name.
_HUB_LICENCES = {
    "CC0-1.0": "cc0-1.0",
    "CC-BY-2.0": "cc-by-2.0",
    "CC-BY-3.0": "cc-by-3.0",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-SA-3.0": "cc-by-sa-3.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "CC-BY-NC-SA-4.0": "cc-by-nc-sa-4.0",
}
_MEASURES = {
    "src_chars": "characters, source",
    "tgt_chars": "characters, target",
    "src_words": "words, source",
    "tgt_words": "words, target",
    "ratio": "target / source characters",
    "score": "score of the source",
    "similarity": "similarity",
}


def render_card(manifest: Manifest, kept: Sequence[dict[str, Any]], refused: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown with a YAML head. `kept` are a few rows of the corpus, `refused` a few rejects by reason.

    It names neither times nor the version, which can change while the rows stay.
    """
    parts = [
        f"---\n{to_yaml(_head(manifest))}---\n",
        f"# {manifest.name}\n",
        f"{abstract(manifest)}\n",
        _loading(manifest) if manifest.splits else "",
        _pair_table(manifest),
        "## From the source to the rows\n",
        _funnels(manifest),
        "## What the rows are like\n",
        _statistics(manifest),
        "## Kept rows, for a look\n",
        _kept(manifest, kept),
        "## Rejected rows, for a look\n",
        f"Up to 1,000 rows for each reason are in `rejects.jsonl.gz`.\n\n{_refused(refused)}",
        "## Licence and attribution\n",
        _licences(manifest),
        "## Limits\n",
        "".join(f"- {limit}\n" for limit in manifest.limits),
        "## Rebuild\n",
        _rebuild(manifest),
        "## Citation\n",
        f"{cite_as(manifest, versioned=False)} `CITATION.cff` says the same to tools. Cite the sources too:\n",
        "".join(f"- {source}: {facts.citation}\n" for source, facts in manifest.sources.items()),
    ]
    return "\n".join(parts)


def _head(manifest: Manifest) -> dict[str, Any]:
    """The YAML head: what the hub shows, and one configuration a pair."""
    total = manifest.rows()
    licences = list(manifest.licences)
    hub = _HUB_LICENCES.get(manifest.licence, "other") if len(licences) == 1 else "other"
    head: dict[str, Any] = {"license": hub}
    if hub == "other" and licences:
        head["license_name"] = " AND ".join(licences).lower()
        head["license_link"] = NAME
    head["language"] = manifest.languages
    head["multilinguality"] = ["translation"]
    head["task_categories"] = ["translation"]
    head["size_categories"] = [next((name for limit, name in _SIZES if total < limit), "n>1B")]
    head["pretty_name"] = manifest.name
    pairs = [pair for pair in manifest.pairs if manifest.rows(pair=pair)]
    if pairs:
        head["configs"] = [_config(manifest, pair, is_first=pair == pairs[0]) for pair in pairs]
    return head


def _config(manifest: Manifest, pair: str, *, is_first: bool) -> dict[str, Any]:
    files = [
        {"split": {"dev": "validation"}.get(split, split), "path": f"data/{pair}/{split}-*.parquet"}
        for split in manifest.splits
        if manifest.rows(split, pair)
    ]
    config: dict[str, Any] = {"config_name": pair, **({"default": True} if is_first else {})}
    # `datasets` caches a local folder under its name and this head alone, not its path or its files: without the
    # digest, wikimatrix/en-hi would be answered with the cached rows of wikidata/en-hi.
    return {**config, "description": f"tppc build {manifest.build_digest}", "data_files": files}


def _loading(manifest: Manifest) -> str:
    pair = next(pair for pair in manifest.pairs if manifest.rows(pair=pair))
    return f'```python\nimport datasets\npairs = datasets.load_dataset("PATH/OF/THIS/FOLDER", "{pair}")\n```\n'


def _pair_table(manifest: Manifest) -> str:
    splits = manifest.splits
    rows = [
        [pair, *(language(code).name for code in (p.src, p.tgt)), *(f"{manifest.rows(s, pair):,}" for s in splits)]
        for pair, p in zip(manifest.pairs, manifest.language_pairs, strict=True)
    ]
    return _table(["pair", "source language", "target language", *splits], rows)


def _funnels(manifest: Manifest) -> str:
    if len(manifest.sources) == 1:
        return _funnel(manifest.funnel)
    parts = [f"All sources together:\n\n{_funnel(manifest.funnel)}"]
    parts += [f"Of {source}:\n\n{_funnel(facts.funnel)}" for source, facts in manifest.sources.items()]
    return "\n".join(parts)


def _funnel(funnel: Funnel) -> str:
    steps = [
        ("read", funnel.read),
        *((f"rejected: {name}", count) for name, count in funnel.rejected.items()),
        ("duplicates", funnel.deduplicated),
        *((f"dropped: {name}", count) for name, count in funnel.dropped.items()),
        *((f"kept: {name}", count) for name, count in funnel.kept.items()),
    ]
    return _table(["step", "rows", "share"], [[step, f"{n:,}", _share(n, funnel.read)] for step, n in steps])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _statistics(manifest: Manifest) -> str:
    parts = []
    for pair, splits in manifest.statistics.items():
        for split, found in splits.items():
            heading = f"### {split if len(manifest.pairs) == 1 else f'{pair}, {split}'}\n"
            parts.append(f"{heading}\n{_measures(found)}\n{_labels(found)}")
    return "\n".join(parts) if parts else "(none)\n"


def _measures(found: SplitStatistics) -> str:
    rows = []
    for name, label in _MEASURES.items():
        measure: Measure | None = getattr(found, name)
        if measure is not None:
            rows.append([label, *(f"{getattr(measure, key):.4g}" for key in ("mean", "median", "p95", "max"))])
    return _table(["", "mean", "median", "95th percentile", "max"], rows)


def _labels(found: SplitStatistics) -> str:
    rows = []
    for name, label in (("scripts", "script"), ("lid", "language ID")):
        for side, shown in (("src", "source"), ("tgt", "target")):
            counts: dict[str, int] = getattr(found, f"{side}_{name}")
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
            if ordered:
                rows.append([f"{label}, {shown}", ", ".join(f"{k} {_share(v, found.rows)}" for k, v in ordered)])
    for side, shown in (("src", "source"), ("tgt", "target")):
        repeated: Repeated | None = getattr(found, f"{side}_repeated")
        if repeated is not None:
            most = "; ".join(f"{_short(text, 40)} ({count:,})" for text, count in repeated.texts[:5])
            rows.append([f"repeated most, {shown}", most or "no text stands in two rows"])
    return _table(["", "most frequent first"], rows)


def _kept(manifest: Manifest, kept: Sequence[dict[str, Any]]) -> str:
    if len(manifest.pairs) == 1:
        (pair,) = manifest.language_pairs
        head = ["source id", language(pair.src).name, language(pair.tgt).name]
        return _table(head, [[r["source_id"], r["src_text"], r["tgt_text"]] for r in kept])
    rows = [
        [f"{r['src_lang']}-{r['tgt_lang']}", f"{r['source']} {r['source_id']}", r["src_text"], r["tgt_text"]]
        for r in kept
    ]
    return _table(["pair", "source id", "source text", "target text"], rows)


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


def _licences(manifest: Manifest) -> str:
    total = manifest.rows()
    rows = [[name, f"{n:,}", _share(n, total), duties(name)] for name, n in manifest.licences.items()]
    parts = [_table(["licence", "rows", "share", "what it asks of you"], rows)]
    if len(rows) > 1:
        parts.append(f"As a whole the corpus can be passed on under {manifest.licence}.\n")
    if manifest.attribution:
        parts.append(f"Credit: {manifest.attribution}\n")
    if ATTRIBUTION in manifest.files:
        parts.append(
            f"The authors of the rows that must be credited are in `{ATTRIBUTION}` and in the column `attribution`.\n"
        )
    if any((rules := licence(name)) and rules.share_alike for name in manifest.licences):
        parts.append("Share-alike covers texts that you pass on, adapted or not. This is no legal advice.\n")
    return "\n".join(parts)


def _rebuild(manifest: Manifest) -> str:
    parts = [
        f"This makes the corpus again and says whether its build digest is the same, `{manifest.build_digest}`:\n",
        f"```sh\ntppc rebuild PATH/OF/THIS/FOLDER{_whence(manifest)} --out rebuilt\n```\n",
        f"It was made by this command, with the recipe in `manifest.json`:\n\n```sh\n{manifest.command}\n```\n",
        "Snapshots:\n",
        _table(
            ["snapshot", "from", "bytes", "SHA-256"],
            [[s.name, s.url, f"{s.bytes:,}", s.sha256] for s in manifest.snapshots],
        ),
    ]
    if manifest.parents:
        parents = [[p.name, p.version, p.rows if p.rows is not None else "", p.build_digest] for p in manifest.parents]
        parts += ["Mixed from:\n", _table(["corpus", "version", "rows", "build digest"], parents)]
    if manifest.protected:
        sets = [
            [p.name, *("" if n is None else f"{n:,}" for n in (p.texts, p.rows)), p.sha256] for p in manifest.protected
        ]
        parts += ["Kept free of:\n", _table(["texts of", "texts", "rows taken out", "SHA-256"], sets)]
    return "\n".join(parts)


def _whence(manifest: Manifest) -> str:
    """The option that says where the data is, for what no address leads to: parents, and local files."""
    if manifest.parents:
        return " --from FOLDER/OF/THE/CORPORA"
    local = any(s.url.startswith("file:") for s in manifest.snapshots) and "--from sample" not in manifest.command
    return " --from WHERE/THE/SNAPSHOTS/ARE" if local else ""


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _cell(text: object) -> str:
    """Text of a table cell: foreign text must not end the cell, start markup or flood the page."""
    shown = _short("".join(c if c.isprintable() or c == " " else "\ufffd" for c in str(text)), 160)
    for character in "\\`*_{}[]<>|":
        shown = shown.replace(character, f"\\{character}")
    return shown


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return "(none)\n"
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join(lines) + "\n"
