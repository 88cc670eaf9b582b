"""Which commit of tppc runs, where it runs from a checkout."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import tppc
from tppc.corpora.manifest import Commit


@lru_cache
def commit() -> Commit | None:
    """The commit of tppc's own checkout, and whether its tracked files differ from it; None for an installed package,
    or where git cannot tell.
    """
    return commit_of(Path(tppc.__file__).parents[1])


def commit_of(root: Path) -> Commit | None:
    """The commit of the repository whose root is `root`; None where there is none."""
    if not (root / ".git").exists():
        return None
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return None  # a folder further up is somebody else's repository
        head = _git(root, "rev-parse", "--verify", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return Commit(commit=head, dirty=bool(changed))


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), "--no-optional-locks", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
