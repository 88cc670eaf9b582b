"""Measure a corpus against the truth of a snapshot with known faults."""

from __future__ import annotations

import gzip
from pathlib import Path

from tppc.builders.normalise import normalise
from tppc.corpora.corpus import Corpus
from tppc.corpora.keys import side_key


def by_kind(corpus: Corpus, snapshot: Path, truth: Path) -> dict[str, float]:
    """Share of dropped rows by kind of fault, counted by row number; `clean` counts the groups that are kept.

    A group are the rows with the same texts; a duplicate counts as dropped when exactly one row of its group is left.
    """
    return shares({int(i) for i in corpus.scan("train").collect()["source_id"]}, snapshot, truth)


def shares(kept: set[int], snapshot: Path, truth: Path) -> dict[str, float]:
    """As `by_kind`, for the row numbers (from 1) that something kept."""
    kinds = [line.split("\t")[1] for line in truth.read_text().splitlines()]
    lines = gzip.decompress(snapshot.read_bytes()).decode("utf-8", "replace").split("\n")
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, line in enumerate(lines[: len(kinds)], start=1):
        groups.setdefault(tuple(side_key(normalise(t)) for t in line.split("\t")[1:3]), []).append(number)
    group_of = {number: group for group in groups.values() for number in group}
    dropped: dict[str, list[bool]] = {}
    for number, kind in enumerate(kinds, start=1):
        left = sum(n in kept for n in group_of[number])
        if kind in ("exact_duplicate", "clean"):
            dropped.setdefault(kind, []).append(left == 1)
        else:
            dropped.setdefault(kind, []).append(number not in kept)
    return {kind: sum(found) / len(found) for kind, found in sorted(dropped.items())}
