"""Make small finished corpora without a builder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tppc.corpora.keys import order_keys, side_keys
from tppc.corpora.manifest import Funnel, Manifest, write_manifest
from tppc.corpora.schema import SCHEMA
from tppc.corpora.shards import write_shards


def write_corpus(
    folder: Path, splits: dict[str, Sequence[tuple[str, str]]], name: str = "made/en-hi", pair: str = "en-hi"
) -> Path:
    """A finished corpus of these pairs, rows in the order of their keys."""
    src_lang, tgt_lang = pair.split("-")
    shards = []
    for split, pairs in splits.items():
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
            "source": [name.split("/", maxsplit=1)[0]] * count,
            "source_id": [str(i) for i in order],
            "licence": ["CC0-1.0"] * count,
        }
        arrays = {f.name: pa.array(columns.get(f.name, [None] * count), type=f.type) for f in SCHEMA}
        shards += write_shards([pa.table(arrays, schema=SCHEMA)], SCHEMA, folder, f"data/{pair}", split, count)
    rows = {split: len(pairs) for split, pairs in splits.items()}
    manifest = Manifest(
        name=name,
        pair=pair,
        src_lang=src_lang,
        tgt_lang=tgt_lang,
        source=name.split("/", maxsplit=1)[0],
        command="tests",
        snapshots=[],
        recipe={},
        recipe_digest="0" * 64,
        versions={},
        language_id={},
        funnel=Funnel(read=sum(rows.values()), kept=rows),
        source_counts={},
        shards=shards,
        licences={"CC0-1.0": sum(rows.values())},
        statistics={},
        limits=[],
        files={s.path: s.sha256 for s in shards},
        build_digest="".join(s.sha256 for s in shards)[:64],
        created="2026-01-01T00:00:00Z",
    )
    write_manifest(manifest, folder)
    return folder
