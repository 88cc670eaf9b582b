"""Versions of a published corpus: MAJOR.MINOR.PATCH, and which version may follow which.

PATCH rises where the same rows are packaged anew, MINOR where rows were only added, MAJOR where rows or their splits
were changed or rows were removed (the rule of Croissant 1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tppc.corpora.manifest import Manifest, next_version
from tppc.errors import TppcError, UsageError

_NUMBER = r"(0|[1-9][0-9]{0,8})"
PATTERN = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"


def check_version(version: str) -> str:
    """Return `version`. Raises `UsageError` where it is none."""
    if not re.fullmatch(PATTERN, version):
        raise UsageError(f"{version!r}: no version of a corpus; write MAJOR.MINOR.PATCH, such as 1.2.0")
    return version


def order(version: str) -> tuple[int, ...]:
    """What versions are sorted by."""
    return tuple(int(number) for number in version.split("."))


def newest(versions: Iterable[str]) -> str | None:
    """The highest version; None of nothing."""
    return max(versions, key=order, default=None)


def least_change(before: Manifest, after: Manifest) -> str:
    """The least that happened between two corpora of a name, one of `manifest.CHANGES`, as far as manifests can tell.

    Rows that were exchanged for as many others look like rows that were added; only a diff of the rows tells them
    apart.
    """
    if [(s.path, s.sha256) for s in before.shards] == [(s.path, s.sha256) for s in after.shards]:
        return "repackaged"
    splits = {(s.pair, s.split) for s in before.shards}
    fewer = any(after.rows(split, pair) < before.rows(split, pair) for pair, split in splits)
    columns_gone = not {tuple(c) for c in before.extra_columns} <= {tuple(c) for c in after.extra_columns}
    return "changed" if fewer or columns_gone else "added"


def check_successor(name: str, before: str, after: str, change: str) -> None:
    """Raise `TppcError` where `after` is no version that may follow `before`, the newest one, after such a change."""
    least = next_version(before, change)
    if order(after) < order(least):
        why = {
            "repackaged": "is not above it",
            "added": "has other rows, so MINOR must rise at least",
            "changed": "lacks rows or columns that it has, so MAJOR must rise",
        }[change]
        raise TppcError(
            f"{name}: {before} is published already, and {after} {why}; give --version {least} or a higher one"
        )
