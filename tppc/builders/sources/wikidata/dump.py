"""The pass over a dump: read once, in order, for all pairs; killed at any moment, it goes on behind its last segment.

One thread decompresses, this one parses; each stretch of `TPPC_SEGMENT_BYTES` (1 GiB) of content becomes a segment, so
that a kill costs a few seconds of a gzip file and up to half a minute of a bzip2 file on one core. Nothing else is
kept, so memory does not grow with the dump.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tppc.builders.decompress import Damaged, ahead, chunks
from tppc.builders.progress import note, progress
from tppc.builders.sources.compressed import damaged
from tppc.builders.sources.wikidata.entities import Entities
from tppc.builders.sources.wikidata.segments import Finished, Place, Segment, finished
from tppc.builders.sources.wikidata.triples import Triples
from tppc.builders.sources.wikidata.wanted import Wanted

_SEGMENT = 1 << 30


def segment_bytes() -> int:
    """Bytes of a dump's content that a segment covers, about; they decide no byte of a corpus."""
    return int(os.environ.get("TPPC_SEGMENT_BYTES") or _SEGMENT)


def extract(folder: Path, dump: Path, wanted: Wanted, limit: int | None) -> list[Finished]:
    """Read a dump into segments in `folder`, going on behind those that are there.

    Raises `TppcError` for a file that is damaged or ends too early, with the number of the last line that was read.
    """
    done = finished(folder)
    place = done[-1].place if done else None
    if place and place.end:
        return done
    if place and not place.position:
        done, place = [], None  # this format cannot be read on
    size = dump.stat().st_size
    start = place.position.byte if place and place.position else 0
    with dump.open("rb") as file, progress("reading the dump", size, "bytes", start) as advance:
        _read(folder, file, dump, wanted, limit, place, len(done), advance)
    return finished(folder)


def extract_stream(folder: Path, file: io.BufferedReader[Any], name: Path, wanted: Wanted, limit: int | None) -> None:
    """Read a dump that comes once and in order, such as standard input; `name` stands for it in errors."""
    with progress("reading the dump", None, "bytes") as advance:
        _read(folder, file, name, wanted, limit, None, 0, advance)


def _read(
    folder: Path,
    file: io.BufferedReader[Any],
    name: Path,
    wanted: Wanted,
    limit: int | None,
    place: Place | None,
    number: int,
    advance: Callable[[int], None],
) -> None:
    reader: Entities | Triples | None = None
    line, records = (place.line, place.records) if place else (0, 0)
    if place:
        reader = (Triples if place.triples else Entities)(wanted, limit, line, records)
        reader.open = place.open
        reader.feed(place.rest)
    taken = place.position.byte if place and place.position else 0
    start = place.position if place else None
    path = name if name.is_file() else None
    try:
        with ahead(chunks(file, segment_bytes(), start, path)) as stream:
            for chunk in stream:
                if reader is None:
                    triples = chunk.data.lstrip()[:1] in (b"<", b"#")
                    reader = (Triples if triples else Entities)(wanted, limit, line, records)
                reader.feed(chunk.data)
                advance(chunk.read - taken)
                taken = chunk.read
                if reader.full:
                    break
                if chunk.position:
                    rest, line, records = reader.standing()
                    triples = isinstance(reader, Triples)
                    here = Place(chunk.position, rest, line, records, triples, reader.open, end=False)
                    reader.segment.write(folder, number, here)
                    reader.segment, number = Segment(wanted), number + 1
            reader = reader or Entities(wanted, limit, line, records)
            if not reader.full:
                reader.close()
                if reader.open:  # extracts of a dump lack it too, so it is no error
                    note(f"{name.name}: no ] closes the array of entities; if this is no extract, the dump was cut")
    except Damaged as error:
        raise damaged(name, reader.line if reader else line, str(error)) from error
    if reader.full:
        note(f"{name.name}: stopped after {reader.records:,} records, as --limit says")
    reader.segment.write(folder, number, Place(None, b"", reader.line, reader.records, False, False, end=True))
