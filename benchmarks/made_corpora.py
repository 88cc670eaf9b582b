"""Corpora of any size for measurements: texts of random letters, every key and digest as it must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from tppc.corpora.files import sha256_of_value
from tppc.corpora.keys import order_keys, side_keys
from tppc.corpora.manifest import Funnel, Manifest, SourceFacts, digest_of_build, write_manifest
from tppc.corpora.schema import SCHEMA
from tppc.corpora.shards import write_shards

_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz     .", dtype=np.uint8)
_PIECE = 65_536


def random_texts(rows: int, length: int, seed: int) -> pa.StringArray:
    """Texts of `length` random letters: about 0.6 bytes a letter are left after zstd, more than of real text."""
    letters = np.random.default_rng(seed).integers(0, len(_LETTERS), rows * length, dtype=np.uint8)
    texts = _LETTERS[letters].reshape(rows, length)
    texts[:, [0, -1]] = ord("x")  # no white space at the ends, as in every corpus
    offsets = np.arange(rows + 1, dtype=np.int32) * length
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(texts))


def write_made_corpus(
    folder: Path, src: pa.StringArray, tgt: pa.StringArray, scores: np.ndarray, first: int = 0
) -> Path:
    """A finished en-hi corpus of these texts, whose source ids count from `first`."""
    keys = [np.concatenate([side_keys(part.to_pylist()) for part in _pieces(side)]) for side in (src, tgt)]
    order = np.argsort(order_keys(*keys), kind="stable")
    schema, rows = SCHEMA, len(src)

    def tables() -> Iterator[pa.Table]:
        for start in range(0, rows, _PIECE):
            picked = order[start : start + _PIECE]
            count, pick = len(picked), pa.array(picked)
            columns = {
                "src_lang": pa.repeat("en", count),
                "tgt_lang": pa.repeat("hi", count),
                "src_text": src.take(pick),
                "tgt_text": tgt.take(pick),
                "src_key": pa.array(keys[0][picked]),
                "tgt_key": pa.array(keys[1][picked]),
                "source": pa.repeat("made", count),
                "source_id": pa.array(picked + first).cast(pa.string()),
                "score": pa.array(scores[picked].astype(np.float32)),
                "licence": pa.repeat("CC0-1.0", count),
            }
            yield pa.table([columns.get(f.name, pa.nulls(count, f.type)) for f in schema], schema=schema)

    shards = write_shards(tables(), schema, folder, "en-hi", "train", rows)
    funnel, recipe = Funnel(read=rows, kept={"train": rows}), sha256_of_value({})
    manifest = Manifest(
        name="made/en-hi",
        pairs=["en-hi"],
        sources={"made": SourceFacts(about="random letters", citation="None.", funnel=funnel)},
        command="none",
        snapshots=[],
        recipe={},
        recipe_digest=recipe,
        versions={},
        language_id={},
        funnel=funnel,
        source_counts={},
        shards=shards,
        licence="CC0-1.0",
        licences={"CC0-1.0": rows},
        statistics={},
        limits=[],
        files={s.path: s.sha256 for s in shards},
        build_digest=digest_of_build(snapshots=[], recipe_digest=recipe, versions={}, shards=shards),
        created="2026-01-01T00:00:00Z",
    )
    write_manifest(manifest, folder)
    return folder


def _pieces(texts: pa.StringArray) -> list[pa.StringArray]:
    return [texts.slice(start, _PIECE) for start in range(0, len(texts), _PIECE)]
