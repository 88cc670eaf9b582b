"""Made sample data in the layouts of the real sources, so that every command can be tried offline."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

__all__ = ["sample_root"]


def sample_root() -> Path:
    """The folder that holds `tatoeba/`, `wikimatrix/`, `wikidata/` and `tasks/`.

    The wheel is installed unpacked, so the resource is a real folder.
    """
    return Path(str(importlib.resources.files(__name__)))
