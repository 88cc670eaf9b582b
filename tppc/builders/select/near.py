"""Near duplicates by similarity: MinHash over runs of three letters of both sides, LSH bands, each candidate verified.

64 minima of a multiply-add hash in numpy: compiled code, whose result no library version changes. Four of them make a
band. A pair of rows is a candidate if a band agrees (96% of those with a Jaccard similarity of 0.66), and counts if the
letters of each side have at least the recipe's similarity (normalised indel similarity, rapidfuzz) and both rows hold
the same digits: `Chapter 3` is no copy of `Chapter 4`.

A row goes out if a row that wins against it (`rules.winner_first`) is similar to it, whether that one stays or not. So
the winner of a cluster always stays, no chain of resemblances needs resolving, and the order of reading plays no part.
Of the rows of a band each is a candidate with its best 8 (2 where the band holds more than 64 rows), and of all
candidates of a row the 16 that share most bands with it are verified: a template that fills a corpus costs no square
of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tppc.builders.recipe import Dedup
from tppc.builders.select.forms import comparison_forms, letters, run_digests
from tppc.builders.select.rules import blemishes, winner_first
from tppc.builders.select.shuffle import ENTRIES, PAIR, left_rows, read_range, write_drops, write_sorted

_RUN = 3
_MINIMA = 64
_BAND = 4
BANDS = _MINIMA // _BAND
_BATCH = 10_000
#: Ranges of bands are smaller by this, since an entry may have several candidates.
FANOUT = 4
_BEST, _BEST_OF_MANY, _MANY = 8, 2, 64
_PIECES = 4  # log2 of the pieces in which a bucket's candidates are read
_PARTNERS = 16  # candidates of one row that are verified
_RANDOM = np.random.Generator(np.random.PCG64(20_011)).integers(1, 1 << 32, (2, _MINIMA), dtype=np.uint32)
_FACTORS, _TERMS = _RANDOM[0] | np.uint32(1), _RANDOM[1]
_WORSE = {"src_key": "worse_src", "tgt_key": "worse_tgt", "order_key": "worse_order"}


def minima(texts: Sequence[str] | pl.Series) -> np.ndarray:
    """MinHash signatures of texts by their runs of three characters, uint32 of shape (n, 64).

    Broder, "On the resemblance and containment of documents" (1997). A shorter text counts as one run.
    """
    padded = [text.ljust(_RUN, "\n") for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    runs = (run_digests(codes, _RUN) >> np.uint64(32)).astype(np.uint32)
    lengths = np.fromiter(map(len, padded), np.int64, len(padded))
    ends = np.cumsum(lengths)
    inside = np.ones(len(codes), bool)
    for back in range(1, _RUN):
        inside[ends - back] = False  # runs that would reach into the next text
    counts = lengths - _RUN + 1
    own = runs[inside[: len(runs)]]
    signatures = np.empty((len(padded), _MINIMA), np.uint32)
    for place, (factor, term) in enumerate(zip(_FACTORS, _TERMS, strict=True)):
        signatures[:, place] = np.minimum.reduceat(own * factor + term, np.cumsum(counts) - counts)
    return signatures


def _both(rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    src, tgt = (letters(comparison_forms(rows[name].to_list())) for name in ("src_text", "tgt_text"))
    return src, tgt


def bands(folder: Path, part: str, bucket: int, bits: int, drops: Sequence[str]) -> None:
    """Write an entry for each band of each row that is left of a bucket."""
    columns = ["order_key", *PAIR, "score", "source_id", "src_text", "tgt_text"]
    rows = left_rows(part, bucket, bits, drops, columns)
    if rows is None or not rows.height:
        return
    signed = []
    for start in range(0, rows.height, _BATCH):
        src, tgt = _both(rows.slice(start, _BATCH))
        signed.append(minima(src + "\n" + tgt))
    minimum = np.concatenate(signed).astype(np.uint64).reshape(-1, BANDS, _BAND)
    keys = np.tile(np.arange(1, BANDS + 1, dtype=np.uint64), (rows.height, 1))
    for place in range(_BAND):
        keys = (keys ^ minimum[:, :, place]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(31)
    ranked = rows.select("order_key", *PAIR, "score", "source_id", blemishes=blemishes("src") + blemishes("tgt"))
    entries = ranked.select(pl.all().repeat_by(BANDS).explode()).with_columns(key=pl.Series(keys.ravel()))
    write_sorted(entries, "key", folder / ENTRIES)


def candidates(folder: Path, parts: Sequence[str], number: int, bits: int) -> None:
    """Write pairs of rows of a range of bands that share one, the winner and the other."""
    entries = read_range([Path(part) / ENTRIES for part in parts], "key", number, bits)
    if entries is None:
        return
    ordered = winner_first(entries.filter(pl.len().over("key") > 1), "key").with_columns(
        place=pl.int_range(pl.len()).over("key"), size=pl.len().over("key")
    )
    enough = pl.when(pl.col("size") > _MANY).then(_BEST_OF_MANY).otherwise(_BEST)
    best = ordered.filter(pl.col("place") < enough).select("key", *PAIR, "order_key", "place")
    worse = ordered.select("key", pl.col("place").alias("behind"), *(pl.col(a).alias(b) for a, b in _WORSE.items()))
    edges = best.join(worse, on="key").filter(pl.col("place") < pl.col("behind"))
    counted = edges.group_by(*PAIR, "order_key", *_WORSE.values()).agg(bands=pl.len())
    write_sorted(counted, "worse_order", folder / ENTRIES)


def attach(folder: Path, part: str, bucket: int, bits: int, drops: Sequence[str], edges: Sequence[str]) -> None:
    """Give the candidates of a bucket's rows the texts of the row that would go out."""
    rows = left_rows(part, bucket, bits, drops, [*PAIR, "src_text", "tgt_text"])
    if rows is None:
        return
    src, tgt = _both(rows)
    texts = rows.select(pl.col("src_key").alias("worse_src"), pl.col("tgt_key").alias("worse_tgt"))
    texts = texts.with_columns(src.alias("worse_src_letters"), tgt.alias("worse_tgt_letters"))
    of_row = ["worse_src", "worse_tgt"]
    paths = [Path(edge) / ENTRIES for edge in edges]
    found = []
    for number in range(bucket << _PIECES, (bucket + 1) << _PIECES):  # a row may have a hundred candidates
        pairs = read_range(paths, "worse_order", number, bits + _PIECES)
        if pairs is not None:
            summed = pairs.group_by(*PAIR, "order_key", *of_row, "worse_order").agg(pl.col("bands").sum())
            ordered = summed.sort(*of_row, "bands", "order_key", *PAIR, descending=[False, False, True, *[False] * 3])
            found.append(ordered.filter(pl.int_range(pl.len()).over(of_row) < _PARTNERS))
    if found:
        write_sorted(pl.concat(found).join(texts, on=of_row), "order_key", folder / ENTRIES)


def verify(
    folder: Path,
    part: str,
    bucket: int,
    bits: int,
    drops: Sequence[str],
    edges: Sequence[str],
    settings: dict[str, Any],
) -> None:
    """Write the drops among the candidates whose winners are in a bucket."""
    from rapidfuzz import fuzz, process

    rows = left_rows(part, bucket, bits, drops, [*PAIR, "source_id", "src_text", "tgt_text"])
    if rows is None:
        return
    src, tgt = _both(rows)
    texts = rows.select(*PAIR, "source_id").with_columns(src.alias("src"), tgt.alias("tgt"))
    least = 100 * Dedup.model_validate(settings).threshold
    similar = []
    for number in range(bucket << _PIECES, (bucket + 1) << _PIECES):
        pairs = read_range([Path(edge) / ENTRIES for edge in edges], "order_key", number, bits + _PIECES)
        if pairs is None:
            return
        found = pairs.join(texts, on=PAIR)
        for side in ("src", "tgt"):
            one, other = found[side], found[f"worse_{side}_letters"]
            ratio = process.cpdist(one.to_list(), other.to_list(), scorer=fuzz.ratio, score_cutoff=least)
            digits = one.str.replace_all(r"\P{N}+", " ") == other.str.replace_all(r"\P{N}+", " ")
            found = found.filter(pl.Series(ratio >= least) & digits)
        similar.append(found.select("worse_order", "worse_src", "worse_tgt", "source_id"))
    ordered = pl.concat(similar).sort("worse_order", "worse_src", "worse_tgt", "source_id")
    drop = ordered.select(
        order_key="worse_order",
        src_key="worse_src",
        tgt_key="worse_tgt",
        reason=pl.lit("near_duplicate"),
        detail=pl.lit("similar to ") + pl.col("source_id"),
    )
    write_drops(folder, drop.unique(PAIR, keep="first", maintain_order=True))
