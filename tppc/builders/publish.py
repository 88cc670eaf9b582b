"""Step 6, `publish`: shards, rejects, attribution, card and manifest, in a folder that appears complete or not at
all.
"""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tppc.builders import lid
from tppc.builders.engine import versions
from tppc.builders.recipe import Recipe
from tppc.builders.rejects import Rejects
from tppc.builders.select import draw_holdout, split_rows
from tppc.builders.sources.base import Source
from tppc.builders.statistics import Statistics
from tppc.corpora.files import complete_or_absent, sha256_of_file, sha256_of_value
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Funnel, Manifest, Shard, Snapshot, write_manifest
from tppc.corpora.schema import SPLITS, schema_of
from tppc.corpora.shards import write_shards
from tppc.manifests.card import render_card

ATTRIBUTION = "ATTRIBUTION.tsv.gz"
HELDOUT = "heldout.parquet"
MADE = (
    "A MADE SAMPLE in this source's format, written from templates for tppc and dedicated to the public (CC0-1.0): no "
    "row comes from the source, and the licences shown are those that its real rows would carry"
)


@dataclass(frozen=True)
class Identified:
    """One pair after step 4: bucket files in order, and what the earlier steps counted and refused."""

    pair: Pair
    buckets: list[Path]
    funnel: Funnel
    counts: dict[str, int]
    rejects: Rejects
    snapshots: list[Snapshot]


def publish(
    found: Identified, source: Source, recipe: Recipe, target: Path, command: str, *, made: bool = False
) -> Manifest:
    """Write the corpus of one pair to `target`, which must not hold anything; `made`: from the package's samples."""
    partial = target.with_name(f".{target.name}.partial")  # one build at a time: what is here was left by a kill
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        manifest = _write(found, source, recipe, partial, command, made)
        if target.is_symlink():
            target.unlink()  # to an empty folder, as below
        elif target.is_dir():
            target.rmdir()  # empty, or `build` would have refused it
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def _rows(path: Path, source: Source, pair: Pair, held: pl.DataFrame) -> pl.DataFrame:
    """A bucket's rows with every column of the schema and their split."""
    rows = pl.read_parquet(path).with_columns(
        src_lang=pl.lit(pair.src),
        tgt_lang=pl.lit(pair.tgt),
        source=pl.lit(source.name),
        similarity=pl.lit(None, pl.Float32),
    )
    return split_rows(rows, held)


def _write(found: Identified, source: Source, recipe: Recipe, folder: Path, command: str, made: bool) -> Manifest:
    held = draw_holdout(found.buckets, recipe.holdout)
    schema = schema_of(source.extra)
    statistics = {split: Statistics() for split in SPLITS}
    aside: dict[str, list[pa.Table]] = {"dev": [], "test": []}  # as many rows as were asked for: kept in memory
    dropped, samples = 0, pl.DataFrame()
    with _attribution(folder, source) as credit:
        for path in found.buckets:
            rows = _rows(path, source, found.pair, held)
            for split, part in _by_split(rows).items():
                statistics[split].add(part)
                if split in aside:
                    aside[split].append(_table(part, schema))
            out = rows.filter(pl.col("split").is_null())
            dropped += out.height
            found.rejects.add_rows(out.with_columns(reason=pl.lit("holdout")))
            credit(rows.filter(pl.col("split").is_not_null()))
            if samples.height < 12:
                train = rows.filter(pl.col("split") == "train")
                samples = pl.concat([samples, train.head(12 - samples.height)], how="diagonal")
    kept = {split: gathered.rows for split, gathered in statistics.items() if gathered.rows}

    def train_rows() -> Iterator[pa.Table]:
        for path in found.buckets:
            yield _table(_rows(path, source, found.pair, held).filter(pl.col("split") == "train"), schema)

    shards: list[Shard] = []
    for split, count in kept.items():
        tables = aside.get(split) or train_rows()
        shards += write_shards(tables, schema, folder, f"data/{found.pair}", split, count)
    funnel = Funnel(
        read=found.funnel.read,
        rejected=found.funnel.rejected,
        deduplicated=found.funnel.deduplicated,
        dropped={"holdout": dropped} if dropped else {},
        kept=kept,
    )
    assert funnel.unaccounted() == 0, f"the funnel of {found.pair} must add up: {funnel}"
    found.rejects.publish(folder)
    if held.height:
        _write_heldout(held, folder)
    fields: dict[str, Any] = {
        "name": f"{source.name}/{found.pair}",
        "pair": str(found.pair),
        "src_lang": found.pair.src,
        "tgt_lang": found.pair.tgt,
        "source": source.name,
        "extra_columns": list(source.extra),
        "command": command,
        "snapshots": found.snapshots,
        "recipe": recipe.resolved(source),
        "recipe_digest": recipe.digest(source),
        "versions": versions(),
        "language_id": {"model": lid.MODEL, "sha256": lid.SHA256} if recipe.language_id.enabled else {},
        "funnel": funnel,
        "source_counts": found.counts,
        "shards": shards,
        "licences": dict(sorted(sum((s.licences for s in statistics.values()), Counter()).items())),
        "statistics": {split: gathered.result() for split, gathered in statistics.items() if gathered.rows},
        "limits": [
            *([MADE] if made else []),
            *source.limits,
            "Language ID and filters are automatic; the rejects show where they err.",
        ],
        "build_digest": _build_digest(found.snapshots, recipe.digest(source), shards),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    draft = Manifest(**fields, files={})
    kept_rows = samples.to_dicts()
    refused = {reason: found.rejects.sample(reason, 2) for reason in sorted([*funnel.rejected, *funnel.dropped])}
    about, citation = (MADE, "None: nothing here comes from the source.") if made else (source.about, source.citation)
    card = render_card(draft, kept_rows, refused, about=about, citation=citation)
    with complete_or_absent(folder / "README.md") as temporary:
        temporary.write_text(card, encoding="utf-8")
    files = {p.relative_to(folder).as_posix(): sha256_of_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest = Manifest(**fields, files=files)
    write_manifest(manifest, folder)
    return manifest


def _by_split(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows of each split that has some."""
    parts = {split: rows.filter(pl.col("split") == split) for split in SPLITS}
    return {split: part for split, part in parts.items() if part.height}


def _table(rows: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    return rows.select(schema.names).to_arrow().cast(schema)


def _build_digest(snapshots: Sequence[Snapshot], recipe_digest: str, shards: Sequence[Shard]) -> str:
    """Digest of what decides the data: snapshots, recipe, versions, and the shards themselves. No time enters."""
    return sha256_of_value(
        {
            "snapshots": sorted(s.sha256 for s in snapshots),
            "recipe": recipe_digest,
            "versions": versions(),
            "shards": [[s.path, s.sha256] for s in shards],
        }
    )


def _write_heldout(held: pl.DataFrame, folder: Path) -> None:
    """Keys of the held-out texts, so that another corpus can keep them out of its train split."""
    with complete_or_absent(folder / HELDOUT) as temporary:
        held.sort("split", "src_key").write_parquet(temporary, compression_level=9)


@contextmanager
def _attribution(folder: Path, source: Source) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Yield what writes the authors of kept rows, in corpus order: source id, licence, authors; else nothing."""
    if not source.needs_attribution:
        yield lambda rows: None
        return
    with (
        complete_or_absent(folder / ATTRIBUTION) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=9, mtime=0) as file,
    ):
        file.write(b"source_id\tlicence\tauthors\n")

        def write(rows: pl.DataFrame) -> None:
            authors = pl.col("attribution").fill_null("")
            lines = rows.select(pl.concat_str("source_id", "licence", authors, separator="\t")).to_series()
            file.write("".join(f"{line}\n" for line in lines).encode())

        yield write
