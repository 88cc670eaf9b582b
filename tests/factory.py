"""Make small finished corpora without a builder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tppc.corpora.corpus import Corpus
from tppc.corpora.files import sha256_of_file, sha256_of_value
from tppc.corpora.keys import order_keys, side_keys
from tppc.corpora.licences import combine
from tppc.corpora.manifest import Funnel, Manifest, Parent, Shard, SourceFacts, digest_of_build, write_manifest
from tppc.corpora.schema import SCHEMA
from tppc.corpora.shards import write_shards
from tppc.manifests.folder import finish

Splits = Mapping[str, Sequence[tuple[str, str]]]


def write_corpus(folder: Path, splits: Splits, name: str = "made/en-hi", pair: str = "en-hi", **more: Any) -> Path:
    """A finished corpus of these pairs, rows in the order of their keys; `more` as for `write_mixture`."""
    return write_mixture(folder, {pair: splits}, name, **more)


def write_mixture(
    folder: Path,
    pairs: Mapping[str, Splits],
    name: str = "made/mixture",
    *,
    change: Callable[[pa.Table], pa.Table] = lambda rows: rows,
    **fields: Any,
) -> Path:
    """A finished corpus of several language pairs, each with its splits.

    `change` may alter the rows of a split before they are written; `fields` are values of the manifest.
    """
    source = name.split("/", maxsplit=1)[0]
    shards: list[Shard] = []
    kept: dict[str, int] = {}
    licences: Counter[str] = Counter()
    for pair, splits in pairs.items():
        for split, made in splits.items():
            rows = change(_table(made, pair, source))
            kept[split] = kept.get(split, 0) + rows.num_rows
            licences.update(rows["licence"].to_pylist())
            shards += write_shards([rows], SCHEMA, folder, pair, split, rows.num_rows)
    funnel = Funnel(read=sum(kept.values()), kept=kept)
    values: dict[str, Any] = {
        "name": name,
        "pairs": list(pairs),
        "sources": {source: SourceFacts(about="made for tests", citation="None.", funnel=funnel)},
        "command": "tests",
        "snapshots": [],
        "recipe": {},
        "versions": {},
        "language_id": {},
        "funnel": funnel,
        "source_counts": {},
        "shards": shards,
        "licence": combine(licences),
        "licences": dict(sorted(licences.items())),
        "statistics": {},
        "limits": [],
        "files": {p.relative_to(folder).as_posix(): sha256_of_file(p) for p in folder.rglob("*") if p.is_file()},
        "created": "2026-01-01T00:00:00Z",
        **fields,
    }
    recipe_digest = sha256_of_value(values["recipe"])
    names = ("snapshots", "versions", "shards")
    digest = digest_of_build(recipe_digest=recipe_digest, **{n: values[n] for n in names})
    write_manifest(Manifest(**values, recipe_digest=recipe_digest, build_digest=digest), folder)
    return folder


def _table(pairs: Sequence[tuple[str, str]], pair: str, source: str) -> pa.Table:
    src_lang, tgt_lang = pair.split("-")
    src, tgt = side_keys(s for s, _ in pairs), side_keys(t for _, t in pairs)
    order = np.argsort(order_keys(src, tgt), kind="stable")
    count = len(pairs)
    columns: dict[str, list[object]] = {
        "src_lang": [src_lang] * count,
        "tgt_lang": [tgt_lang] * count,
        "src_text": [pairs[i][0] for i in order],
        "tgt_text": [pairs[i][1] for i in order],
        "src_key": src[order].tolist(),
        "tgt_key": tgt[order].tolist(),
        "source": [source] * count,
        "source_id": [str(i) for i in order],
        "licence": ["CC0-1.0"] * count,
    }
    arrays = {f.name: pa.array(columns.get(f.name, [None] * count), type=f.type) for f in SCHEMA}
    return pa.table(arrays, schema=SCHEMA)


def described_mixture(folder: Path) -> Corpus:
    """A finished mixture of two language pairs from two sources, with everything that is published about a corpus."""
    facts = [
        SourceFacts(about="the first", citation="One (2020).", funnel=Funnel(read=3, kept={"train": 3})),
        SourceFacts(
            about="the second",
            citation="Two, https://two.example.",
            upstream="https://two.example",
            funnel=Funnel(read=3, kept={"train": 2, "test": 1}),
        ),
    ]
    en_hi = {"train": [("cat", "बिल्ली"), ("dog", "कुत्ता")], "test": [("water", "पानी")]}
    write_mixture(
        folder,
        {"en-hi": en_hi, "en-ja": {"train": [("cat", "猫"), ("dog", "犬"), ("water", "水")]}},
        sources=dict(zip(("one", "two"), facts, strict=True)),
        parents=[
            Parent(name=name, version="1.0.0", build_digest=letter * 64, weight=0.5, rows=3)
            for name, letter in (("one/x", "a"), ("two/y", "b"))
        ],
    )
    finish(folder, Corpus(folder).manifest)
    return Corpus(folder)
