"""What the steps of a build counted and refused, added up: the funnel of a corpus and its rejects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tppc.builders.clean import bucket_name
from tppc.builders.download import Fetched
from tppc.builders.publish import Identified
from tppc.builders.rejects import Rejects
from tppc.builders.sources.base import Source
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import Funnel
from tppc.errors import TppcError


def readable(entry: Source, name: str, parts: Sequence[str], files: Sequence[Fetched]) -> Funnel:
    """The funnel of `clean` for a pair.

    Raises `TppcError` where its files hold nothing that the source could read: the wrong ones, or empty ones.
    """
    total = sum((funnel_of(Path(p))[0] for p in parts), Funnel())
    if total.read == total.rejected.get("unreadable", 0):
        what = "no record at all" if total.read == 0 else f"no readable record among {total.read:,}"
        paths = ", ".join(str(f.path) for f in files)
        raise TppcError(f"{paths}: {what} of {entry.name} for {name}; check --from and --pair")
    return total


def funnel_of(folder: Path) -> tuple[Funnel, dict[str, int]]:
    """What a task counted: its funnel, and the source's own counts."""
    value: dict[str, Any] = json.loads((folder / "funnel.json").read_bytes())
    return Funnel.model_validate(value["funnel"]), value["counts"]


def gather(pair: Pair, steps: Sequence[Sequence[Path]], files: Sequence[Fetched]) -> Identified:
    """Add up the funnels of the steps (their output folders, in order) and collect their rejects."""
    rejects = Rejects()
    totals: list[tuple[Funnel, dict[str, int]]] = []
    for folders in steps:
        funnel, counts = Funnel(), dict[str, int]()
        for folder in folders:
            more, also = funnel_of(folder)
            funnel = funnel + more
            counts = {k: counts.get(k, 0) + also.get(k, 0) for k in (*counts, *also)}
            rejects.load(folder)
        totals.append((funnel, counts))
    funnels, counts = [funnel for funnel, _ in totals], totals[0][1]
    for before, after in pairwise(funnels):
        assert after.read == before.kept.get("train", 0), "a step must read what the one before it kept"
    total = Funnel(
        read=funnels[0].read,
        rejected={k: n for funnel in funnels for k, n in funnel.rejected.items()},
        deduplicated=funnels[1].deduplicated,
        dropped=funnels[-1].dropped,
        kept=funnels[-1].kept,
    )
    # Not asked of the files, which may lie on another machine.
    buckets = [f / bucket_name(b) for b, f in enumerate(steps[-1]) if funnel_of(f)[0].kept.get("train")]
    return Identified(pair, buckets, total, counts, rejects, [f.snapshot for f in files])
