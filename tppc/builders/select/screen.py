"""Rules that look at one row at a time: protected sets, and pairs that another corpus has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tppc.builders.clean import bucket_name, bucket_range
from tppc.builders.recipe import Protect
from tppc.builders.row_files import read_rows
from tppc.builders.select.protected import Guard, hits
from tppc.builders.select.shuffle import PAIR, write_drops
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import canonical_json

COUNTS = "protected.json"


def screen(
    folder: Path,
    part: str,
    bucket: int,
    bits: int,
    pair: str,
    guards: Sequence[tuple[str, str]],
    rules: dict[str, Any],
    against: Sequence[tuple[str, str]],
) -> None:
    """Write the drops of a bucket, and `protected.json`: rows by the set that they share something with.

    Args:
        guards: name and folder of each set that `prepare` made. against: name and folder of each corpus that has
        priority.
    """
    path = Path(part) / bucket_name(bucket)
    counts: dict[str, int] = {}
    if path.is_file():
        rows = read_rows(path, ["order_key", *PAIR, "src_text", "tgt_text"])
        drops = []
        shown: list[pl.Expr] = []
        hit_any = pl.lit(value=False)
        loaded = [Guard.load(Path(place)) for _, place in guards]
        found = hits(loaded, rows, Protect.model_validate(rules)) if guards else []
        for number, ((name, _), hit) in enumerate(zip(guards, found, strict=True)):
            counts[str(number)] = int(hit.sum())
            rows = rows.with_columns(pl.Series(f"hit_{number}", hit))
            shown.append(pl.when(pl.col(f"hit_{number}")).then(pl.lit(name)))
            hit_any = hit_any | pl.col(f"hit_{number}")
        if shown:
            detail = pl.concat_str(shown, separator=", ", ignore_nulls=True)
            drops.append(rows.filter(hit_any).with_columns(reason=pl.lit("protected"), detail=detail))
        for name, place in against:
            there = _pairs(Corpus(Path(place)), pair, bucket, bits)
            theirs = rows.join(there, on=PAIR, how="semi", maintain_order="left")
            drops.append(theirs.with_columns(reason=pl.lit("deduplicated_against"), detail=pl.lit(name)))
        if drops:
            write_drops(folder, pl.concat(drops, how="diagonal").unique(PAIR, keep="first", maintain_order=True))
    (folder / COUNTS).write_bytes(canonical_json(counts))


def _pairs(corpus: Corpus, pair: str, bucket: int, bits: int) -> pl.DataFrame:
    """Keys of the pairs of a corpus, of the shards whose range of order keys meets that of a bucket."""
    low, high = bucket_range(bucket, bits)
    shards = [
        corpus.path / shard.path
        for shard in corpus.manifest.shards
        if shard.pair == pair and int(shard.key_range[0], 16) <= high and int(shard.key_range[1], 16) >= low
    ]
    if not shards:
        return pl.DataFrame(schema=dict.fromkeys(PAIR, pl.Int64))
    return pl.scan_parquet(shards).select(PAIR).collect()
