"""Step 3, `merge`: one bucket of all partitions -> exact duplicate pairs out, rows in corpus order.

Of equal pairs the winner is the first by (highest source score, source id, text), so it does not depend on which
partition was read first. Source ids compare by length, then by characters, which orders numbers as numbers.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tppc.builders.clean import bucket_name, write_funnel
from tppc.builders.rejects import Rejects
from tppc.builders.row_files import bucket_of_runs, write_rows
from tppc.corpora.manifest import Funnel

_WINNER_FIRST = (
    pl.col("order_key"),
    pl.col("src_key"),
    pl.col("tgt_key"),
    pl.col("score").fill_null(float("-inf")) * -1,
    pl.col("source_id").str.len_bytes(),
    pl.col("source_id"),
    pl.col("src_text"),
    pl.col("tgt_text"),
)


def merge(folder: Path, parts: list[str], bucket: int, bits: int) -> None:
    """Merge bucket `bucket` of the folders `parts` (outputs of `clean` for one pair) into one sorted bucket."""
    rejects, kept, duplicates = Rejects(), 0, 0
    rows = bucket_of_runs([Path(part) for part in parts], bucket, bits)
    if rows is not None:
        # Equal pairs have equal order keys: only of these is there a winner to find, which takes a sort by texts.
        several = rows["order_key"].is_duplicated()
        winner_first = rows.filter(several).sort(*_WINNER_FIRST)
        first = winner_first.select(is_first=pl.struct("src_key", "tgt_key").is_first_distinct()).to_series()
        copies = winner_first.filter(~first)
        unique = pl.concat([rows.filter(~several), winner_first.filter(first)]).sort("order_key", "src_key", "tgt_key")
        kept, duplicates = unique.height, copies.height
        winners = winner_first.filter(first).select("src_key", "tgt_key", detail="same pair as " + pl.col("source_id"))
        rejects.add_rows(
            copies.join(winners, on=["src_key", "tgt_key"], how="left").with_columns(reason=pl.lit("duplicate"))
        )
        write_rows(unique, folder / bucket_name(bucket))
    write_funnel(folder, Funnel(read=kept + duplicates, deduplicated=duplicates, kept={"train": kept}))
    rejects.save(folder)
