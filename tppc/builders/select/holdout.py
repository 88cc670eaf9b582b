"""The hold-out: dev and test pairs that share no text with train.

The hold-out is drawn by a hash of the source text's key, so it depends on the texts alone. A held-out split holds
every source and every target text once (retrieval needs one right answer), and train drops every row that shares a
side with it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from tppc.builders.recipe import Holdout
from tppc.builders.row_files import read_rows
from tppc.corpora.keys import draw
from tppc.corpora.languages import Pair
from tppc.errors import UsageError


class _Candidate(NamedTuple):
    drawn: float
    src_key: int
    order_key: int
    tgt_key: int


def draw_holdout(buckets: Sequence[Path], holdout: Holdout, pair: Pair) -> pl.DataFrame:
    """Choose the held-out pairs: a frame of `src_key`, `tgt_key`, `split`, with exactly the rows asked for.

    Memory follows the size of the hold-out, not of the corpus. Raises `UsageError` if the corpus is too small.
    """
    wanted = ["test"] * holdout.test + ["dev"] * holdout.dev
    found: list[_Candidate] = []
    spare = 4  # candidates for each pair: some stand in for those whose target text is taken already
    while len(found) < len(wanted):
        candidates = _lowest(buckets, spare * len(wanted))
        first_of_target = {c.tgt_key: c for c in reversed(candidates)}
        found = [c for c in candidates if first_of_target[c.tgt_key] is c][: len(wanted)]
        if len(found) < len(wanted) and len(candidates) < spare * len(wanted):
            raise UsageError(
                f"{pair}: the corpus is too small to hold out {holdout.total} pairs with texts of their own "
                f"(it has {len(found)}); ask for less with --holdout"
            )
        spare *= 8
    chosen = {
        "src_key": [c.src_key for c in found],
        "tgt_key": [c.tgt_key for c in found],
        "split": wanted,
    }
    return pl.DataFrame(chosen, schema={"src_key": pl.Int64, "tgt_key": pl.Int64, "split": pl.String})


def _lowest(buckets: Sequence[Path], count: int) -> list[_Candidate]:
    """The first pair (by order key) of each of the `count` source texts with the lowest draw, in the order of the
    draw.
    """
    best: dict[int, _Candidate] = {}
    for path in buckets:
        rows = read_rows(path, ["src_key", "tgt_key", "order_key"]).sort("order_key", "tgt_key")
        for src, tgt, order in rows.unique("src_key", keep="first", maintain_order=True).iter_rows():
            candidate = _Candidate(draw(src, "holdout"), src, order, tgt)
            if src not in best or candidate < best[src]:
                best[src] = candidate
        if len(best) > 8 * count:
            best = {c.src_key: c for c in heapq.nsmallest(count, best.values())}
    return heapq.nsmallest(count, best.values())


def split_rows(rows: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Add `split`: the held-out split of a row, `train`, or null for a row that shares a side with a held-out pair."""
    if held.height == 0:
        return rows.with_columns(split=pl.lit("train"))
    joined = rows.join(held, on=["src_key", "tgt_key"], how="left", maintain_order="left")
    shares = pl.col("src_key").is_in(held["src_key"].implode()) | pl.col("tgt_key").is_in(held["tgt_key"].implode())
    return joined.with_columns(
        split=pl.when(pl.col("split").is_null() & ~shares).then(pl.lit("train")).otherwise("split")
    )
