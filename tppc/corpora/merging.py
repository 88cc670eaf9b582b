"""Read several sorted streams of rows side by side, in memory that does not grow with them.

Shards are sorted by the order key, so whatever compares or joins corpora meets equal pairs in the same window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl


def windows(streams: Sequence[Iterator[pl.DataFrame]]) -> Iterator[list[pl.DataFrame]]:
    """Cut streams that are sorted by their column `order_key` (uint64) where all of them can be cut.

    Yields the rows of each stream (a frame without columns where a stream has none) whose keys lie in one range;
    ranges follow each other, so all rows of a key are in one window.
    """
    heads = [_next(stream) for stream in streams]
    while ends := [int(head["order_key"][-1]) for head in heads if head is not None]:
        limit = np.uint64(min(ends))
        window: list[pl.DataFrame] = []
        for number, stream in enumerate(streams):
            taken, heads[number] = _up_to(limit, heads[number], stream)
            window.append(taken)
        yield window


def _up_to(
    limit: np.uint64, head: pl.DataFrame | None, stream: Iterator[pl.DataFrame]
) -> tuple[pl.DataFrame, pl.DataFrame | None]:
    """The rows of a stream with keys up to `limit`, and the first ones after it (None at its end)."""
    taken: list[pl.DataFrame] = []
    while head is not None:
        count = int(np.searchsorted(head["order_key"].to_numpy(), limit, side="right"))
        if count:
            taken.append(head.head(count))
        if count < head.height:
            head = head.slice(count)
            break
        head = _next(stream)  # may begin with the very key that the window ends with
    return (pl.concat(taken) if taken else pl.DataFrame()), head


def _next(stream: Iterator[pl.DataFrame]) -> pl.DataFrame | None:
    """The next rows of a stream that are any."""
    return next((rows for rows in stream if rows.height), None)
