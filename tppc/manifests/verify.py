"""Verify a corpus against its manifest: every file's digest, row counts, schema, order of keys, the funnel's sum."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tppc.corpora.files import sha256_of_file
from tppc.corpora.keys import order_keys
from tppc.corpora.manifest import NAME, Shard, read_manifest
from tppc.corpora.schema import schema_of


def verify(path: Path) -> list[str]:
    """Check a corpus folder; returns one sentence for each fault, none for a sound corpus.

    Raises `TppcError` where the folder is no finished corpus at all.
    """
    manifest = read_manifest(path)
    faults = []
    seal = path / f"{NAME}.sha256"
    actual = hashlib.sha256((path / NAME).read_bytes()).hexdigest()
    if not seal.is_file() or seal.read_text(errors="replace") != f"{actual}  {NAME}\n":
        faults.append(f"{path / NAME}: its SHA-256 is not the one in {seal.name}")
    for name, digest in manifest.files.items():
        file = path / name
        if not file.is_file():
            faults.append(f"{file}: listed in the manifest but missing")
        elif sha256_of_file(file) != digest:
            faults.append(f"{file}: its SHA-256 differs from the manifest's")
    known = {*manifest.files, NAME, f"{NAME}.sha256"}
    present = (p.relative_to(path).as_posix() for p in sorted(path.rglob("*")) if p.is_file())
    faults += [f"{path / p}: not listed in the manifest" for p in present if p not in known]
    if left := manifest.funnel.unaccounted():
        faults.append(f"{path}: the funnel does not add up, {left} rows are unaccounted for")
    for split, rows in manifest.funnel.kept.items():
        if manifest.rows(split) != rows:
            faults.append(f"{path}: the funnel keeps {rows} rows in {split}, the shards hold {manifest.rows(split)}")
    schema = schema_of(manifest.extra_columns)
    for shard in manifest.shards:
        faults += _shard_faults(path, shard, schema)
    return faults


def _shard_faults(path: Path, shard: Shard, schema: pa.Schema) -> list[str]:
    file = path / shard.path
    if not file.is_file():
        return []  # said already
    try:
        with pq.ParquetFile(file) as parquet:
            if not parquet.schema_arrow.equals(schema):
                return [f"{file}: its columns are not those of the format"]
            if parquet.metadata.num_rows != shard.rows:
                return [f"{file}: {parquet.metadata.num_rows} rows, but the manifest says {shard.rows}"]
            last = -1
            for batch in parquet.iter_batches(columns=["src_key", "tgt_key"]):
                keys = order_keys(batch["src_key"].to_numpy(), batch["tgt_key"].to_numpy())
                if len(keys) and (int(keys[0]) < last or bool(np.any(keys[1:] < keys[:-1]))):
                    return [f"{file}: rows are not in the order of their keys"]
                last = int(keys[-1]) if len(keys) else last
    except (OSError, pa.ArrowException) as error:
        return [f"{file}: not readable as Parquet ({str(error).splitlines()[0]})"]
    return []
