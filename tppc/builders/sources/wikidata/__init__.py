"""Wikidata: label + description of an item in two languages are a pair (Mishra & Haghighi 2021, section 2).

The dump is one JSON array, `[`, an entity a line with a comma, `]`. Only items count; an empty map may be written
`[]`; since 2024 labels that are the same in many languages move to `mul`, which stands in for a missing label (never
for a description). A pair of two `mul` labels is one text twice and is refused. The `truthy` N-Triples dump holds the
same facts as lines. Without a dump, `sparql` asks an endpoint for the same facts in the layout of the dump.

An item that gives no pair is refused with the first of: it is no item; it lacks a label or a description, source side
first; it only serves Wikimedia; it is of no wanted class; both its labels are `mul`.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from tppc.builders.download import Fetched, fetch
from tppc.builders.sources.base import Partition, Request, Source
from tppc.builders.sources.wikidata.dump import extract, extract_stream
from tppc.builders.sources.wikidata.rows import LICENCE, read
from tppc.builders.sources.wikidata.segments import finished
from tppc.builders.sources.wikidata.wanted import INTERNAL, Wanted, WikidataOptions
from tppc.corpora.files import cache_folder, sha256_of_file, sha256_of_value
from tppc.corpora.manifest import Snapshot

__all__ = ["INTERNAL", "LICENCE", "SOURCE", "WikidataOptions"]

UPSTREAM = "https://query.wikidata.org/sparql"
_SEGMENTS = 8  # of a partition: fewer files for the steps behind it
_STDIN = Path("standard input")


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    names = tuple(str(p) for p in request.pairs)
    role = "dump"
    if request.origin is None:
        from tppc.builders.sources.sparql import harvest

        file: Fetched | None = harvest(request)
    elif request.origin == "-":
        file, role = _standard_input(request, names), "extracted"
    else:
        file = fetch(request.origin, pins=request.pins)
    assert file is not None, "only optional files may be missing"
    files, digests = {role: str(file.path)}, {role: file.snapshot.sha256}
    return [Partition("wikidata", names, files, digests, request.limit, dict(request.options))], {
        name: [file] for name in names
    }


class _Hashing(io.RawIOBase):
    """A stream of which digest and length are taken on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.digest, self.length = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        self.length += len(data)
        return len(data)


def _standard_input(request: Request, names: tuple[str, ...]) -> Fetched:
    """Read standard input into segments on its way through: the dump itself is never written to disk.

    They stand in the cache under a name made of the input's digest and of what was asked; a killed build starts again.
    """
    folder = cache_folder() / "stdin"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as temporary:
        made = Path(temporary) / "segments"
        made.mkdir()
        stream = _Hashing(sys.stdin.buffer)
        wanted = Wanted.of(names, request.options)
        with io.BufferedReader(stream, 1 << 20) as file:
            extract_stream(made, file, _STDIN, wanted, request.limit)
            while file.read(1 << 20):  # the digest is that of the whole input, also behind --limit
                pass
        sha256 = stream.digest.hexdigest()
        asked = sha256_of_value([sha256, names, request.limit, request.options])
        final = folder / asked[:32]
        shutil.rmtree(final, ignore_errors=True)
        made.replace(final)
    return Fetched(final, Snapshot(name="stdin", url="file:stdin", bytes=stream.length, sha256=sha256))


def _split(folder: Path, partition: Partition) -> list[Partition]:
    """The segments of the dump, some to a partition."""
    if extracted := partition.path("extracted"):
        for file in sorted(extracted.iterdir()):
            shutil.copyfile(file, folder / file.name)
        parts = finished(folder)
    else:
        dump = partition.path("dump")
        assert dump is not None, "a Wikidata partition has its dump"
        parts = extract(folder, dump, Wanted.of(partition.pairs, partition.options), partition.limit)
    found = []
    for begin in range(0, len(parts), _SEGMENTS):
        paths = [path for part in parts[begin : begin + _SEGMENTS] for path in (part.items, part.notes)]
        files = {path.name: str(path) for path in paths}
        found.append(replace(partition, files=files, digests={n: sha256_of_file(Path(p)) for n, p in files.items()}))
    return found


SOURCE = Source(
    name="wikidata",
    upstream=UPSTREAM,
    licence=LICENCE,
    about="label + description of an item in both languages; terse, rich in names",
    citation="Vrandečić, Krötzsch (2014): Wikidata. CACM 57(10). https://doi.org/10.1145/2629489",
    limits=(
        "Label and description are joined by a space, as in the paper; the result is no sentence.",
        "Many descriptions follow a few patterns, so one side of different pairs is often nearly the same.",
    ),
    fetch=_fetch,
    read=read,
    pairs="any two of about 400 languages",
    size="77K-1.6M pairs a language pair in the paper, more today; a dump of about 100 GB",
    cadence="weekly dumps; SPARQL is live",
    options=WikidataOptions,
    extra=(("label_from_mul", "string"), ("instance_of", "string")),
    sample="wikidata/wikidata-sample.json.gz",
    split=_split,
)
