"""Step 1a, `split`: a file that must be read in order and is too large for one task -> partitions of its own.

Only sources that ask for it (`Source.split`) have this step: a Wikidata dump is one stream of two terabytes. The pass
leaves finished parts behind as it goes, so that a killed one goes on where it was, and `clean` then runs over
the parts in parallel.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from tppc.builders.sources import source_named
from tppc.builders.sources.base import Partition
from tppc.corpora.files import canonical_json, write_bytes

_NAME = "partitions.json"


def split(folder: Path, partition: Partition) -> None:
    """Let the source cut a partition, and write down which parts there are."""
    cut = source_named(partition.source).split
    assert cut is not None, "only sources that split come here"
    parts = []
    for part in cut(folder, partition):
        # The folder gets its final name later, so paths are kept relative to it.
        files = {role: Path(path).relative_to(folder).as_posix() for role, path in part.files.items()}
        parts.append(asdict(replace(part, files=files)))
    write_bytes(folder / _NAME, canonical_json(parts))


def parts_of(folder: Path) -> list[Partition]:
    """The partitions that `split` left in a finished folder."""
    parts = []
    for value in json.loads((folder / _NAME).read_bytes()):
        files = {role: str(folder / path) for role, path in value.pop("files").items()}
        parts.append(Partition(files=files, **{**value, "pairs": tuple(value["pairs"])}))
    return parts
