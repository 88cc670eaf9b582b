"""Read what a build left behind."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tppc.corpora.corpus import Corpus


def rejects(corpus: Corpus) -> dict[str, list[dict[str, Any]]]:
    """Rejects by reason."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in gzip.decompress((corpus.path / "rejects.jsonl.gz").read_bytes()).decode().split("\n")[:-1]:
        row = json.loads(line)
        found.setdefault(row["reason"], []).append(row)
    return found


def rows(corpus: Corpus) -> dict[str, dict[str, Any]]:
    """Kept train rows by source id."""
    return {r["source_id"]: r for r in corpus.scan("train").collect().to_dicts()}
