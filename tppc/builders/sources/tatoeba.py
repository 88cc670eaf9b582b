"""Tatoeba: sentences and their direct translations by volunteers, from the weekly per-language exports.

`per_language/<lang>/<lang>_sentences_detailed.tsv.bz2` (id, lang, text, username, date added, date modified) comes
from MySQL `INTO OUTFILE`: `\\N` is null, and a backslash escapes itself, a tab or a line break; there is no
quoting, so a sentence may begin with a lone `"`. `<a>/<a>-<b>_links.tsv.bz2` holds (sentence id, translation id).
Links are exported for sentences that are not, so both ends are checked. `<lang>_sentences_CC0.tsv.bz2` lists the
sentences under CC0; all others are CC-BY 2.0 FR.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tppc.builders.download import Fetched, fetch, join
from tppc.builders.normalise import normalise
from tppc.builders.progress import note
from tppc.builders.sources.base import Partition, RawBatch, Refused, Request, Source, frame, unreadable
from tppc.builders.sources.compressed import Unterminated, damaged, lines_of
from tppc.corpora.languages import Pair, parse_pair

UPSTREAM = "https://downloads.tatoeba.org/exports"
CC_BY = "LicenseRef-CC-BY-2.0-FR"
CC0 = "CC0-1.0"
_BATCH = 65_536
_COLUMNS = 6


def files(pair: Pair) -> dict[str, str]:
    """Paths below the mirror root, by role."""
    src, tgt = (side.tatoeba for side in pair.languages)
    return {
        "src": f"per_language/{src}/{src}_sentences_detailed.tsv.bz2",
        "tgt": f"per_language/{tgt}/{tgt}_sentences_detailed.tsv.bz2",
        "links": f"per_language/{src}/{src}-{tgt}_links.tsv.bz2",
        "src_cc0": f"per_language/{src}/{src}_sentences_CC0.tsv.bz2",
        "tgt_cc0": f"per_language/{tgt}/{tgt}_sentences_CC0.tsv.bz2",
    }


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    root = UPSTREAM if request.origin is None else request.origin
    partitions, fetched = [], {}
    seen: dict[str, Fetched | None] = {}
    for pair in request.pairs:
        found: dict[str, Fetched] = {}
        for role, relative in files(pair).items():
            if relative not in seen:
                seen[relative] = fetch(join(root, relative), optional=role.endswith("_cc0"))
                if seen[relative] is None:
                    note(f"{relative} is not in this mirror: its sentences count as {CC_BY}")
            if (file := seen[relative]) is not None:
                found[role] = file
        fetched[str(pair)] = list(found.values())
        partitions.append(
            Partition(
                "tatoeba",
                (str(pair),),
                {role: str(file.path) for role, file in found.items()},
                {role: file.snapshot.sha256 for role, file in found.items()},
                request.limit,
            )
        )
    return partitions, fetched


def outfile_records(
    lines: Iterable[bytes], record_start: re.Pattern[bytes] | None = None
) -> Iterator[tuple[int, list[bytes | None], bytes]]:
    """Records of a MySQL OUTFILE: (number of the first line, fields, raw bytes).

    A line that ends in an odd number of backslashes goes on in the next one, unless that looks like the start of a
    record (`record_start`): the per-language files are split by line, so the rest of such a sentence is elsewhere.
    Escapes: `\\N` alone is null, `\\0` NUL, and a backslash before any other character stands for that character
    (MySQL Reference Manual, SELECT ... INTO).
    """
    pending, first = b"", 0
    for number, line in enumerate(lines, start=1):
        if first and record_start is not None and record_start.match(line):
            yield first, _unescape(pending), pending
            pending, first = b"", 0
        record, start = (pending + b"\n" + line, first) if first else (line, number)
        if b"\\" not in record:
            yield start, list(record.split(b"\t")), record
            continue
        if (len(record) - len(record.rstrip(b"\\"))) % 2:
            pending, first = record, start
            continue
        pending, first = b"", 0
        yield start, _unescape(record), record
    if first:
        yield first, _unescape(pending), pending


def _unescape(record: bytes) -> list[bytes | None]:
    fields: list[bytes | None] = []
    field = bytearray()
    null = False
    characters = iter(record)
    for value in characters:
        if value == 0x5C:  # backslash
            escaped = next(characters, 0x5C)
            if escaped == 0x4E and not field:  # \N
                null = True
            field.append({0x30: 0}.get(escaped, escaped))
        elif value == 0x09:
            fields.append(None if null and field == b"N" else bytes(field))
            field, null = bytearray(), False
        else:
            field.append(value)
    fields.append(None if null and field == b"N" else bytes(field))
    return fields


def _file(partition: Partition, role: str) -> Path:
    path = partition.path(role)
    assert path is not None, "only the CC0 lists are optional"
    return path


def _links(partition: Partition) -> tuple[list[tuple[int, int]], list[Refused]]:
    """Links of a partition in file order."""
    links, refused = [], []
    path = _file(partition, "links")
    for number, line in enumerate(lines_of(path), start=1):
        if partition.limit is not None and number > partition.limit:
            break
        fields = line.split(b"\t")
        if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
            links.append((int(fields[0]), int(fields[1])))
        else:
            if isinstance(line, Unterminated):
                raise damaged(path, number - 1, "the last line is cut")
            refused.append(unreadable(f"links:{number}", "a link is two numbers", line))
    return links, refused


def _sentences(
    partition: Partition, role: str, wanted: set[int]
) -> tuple[dict[int, tuple[str, str]], list[Refused], dict[str, int]]:
    """Text and author of the wanted sentences, so that memory follows the pair and not the language."""
    sentences: dict[int, tuple[str, str]] = {}
    refused: list[Refused] = []
    read = 0
    ((src, tgt),) = (parse_pair(p).languages for p in partition.pairs)
    code = (src if role == "src" else tgt).tatoeba
    record_start = re.compile(rb"\d+\t" + code.encode() + rb"\t")
    for number, fields, raw in outfile_records(lines_of(_file(partition, role)), record_start):
        read += 1
        try:
            if len(fields) != _COLUMNS or fields[0] is None:
                raise ValueError(f"{len(fields)} columns instead of {_COLUMNS}")
            identifier = int(fields[0])
            if identifier in wanted:
                author = normalise(fields[3].decode()) if fields[3] else "unknown"
                sentences[identifier] = ((fields[2] or b"").decode(), author)
        except ValueError as error:  # UnicodeDecodeError is one
            refused.append(unreadable(f"{role}:{number}", str(error), raw))
    return sentences, refused, {f"{role} sentences": read, f"{role} sentences with a link": len(sentences)}


def _cc0(partition: Partition, role: str, wanted: set[int]) -> set[int]:
    path = partition.path(f"{role}_cc0")
    if path is None:
        return set()
    first_fields = (fields[0] for _, fields, _ in outfile_records(lines_of(path)))
    return {int(f) for f in first_fields if f is not None and f.isdigit()} & wanted


def _read(partition: Partition) -> Iterator[RawBatch]:
    (pair_text,) = partition.pairs
    pair = parse_pair(pair_text)
    links, refused = _links(partition)
    wanted = {"src": {a for a, _ in links}, "tgt": {b for _, b in links}}
    src, src_refused, src_counts = _sentences(partition, "src", wanted["src"])
    tgt, tgt_refused, tgt_counts = _sentences(partition, "tgt", wanted["tgt"])
    free = {role: _cc0(partition, role, wanted[role]) for role in ("src", "tgt")}
    counts = {"links": len(links), **src_counts, **tgt_counts}
    yield RawBatch(pair, frame({}), refused + src_refused + tgt_refused, counts)

    for start in range(0, len(links), _BATCH):
        columns: dict[str, list[Any]] = {n: [] for n in ("src_text", "tgt_text", "source_id", "licence", "attribution")}
        dangling = []
        for a, b in links[start : start + _BATCH]:
            if a not in src or b not in tgt:
                missing = ", ".join(str(i) for i, side in ((a, src), (b, tgt)) if i not in side)
                dangling.append(Refused("dangling_link", f"{a}_{b}", f"no sentence {missing} in the export"))
                continue
            (src_text, src_author), (tgt_text, tgt_author) = src[a], tgt[b]
            licence = CC0 if a in free["src"] and b in free["tgt"] else CC_BY
            values = (src_text, tgt_text, f"{a}_{b}", licence, f"{src_author}; {tgt_author}")
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)
        yield RawBatch(pair, frame(columns), dangling)


SOURCE = Source(
    name="tatoeba",
    upstream=UPSTREAM,
    licence=CC_BY,
    about="sentences and direct translations by volunteers; clean, short",
    citation="Tatoeba, https://tatoeba.org, CC-BY 2.0 FR; authors in ATTRIBUTION.tsv.gz",
    limits=(
        "Short everyday sentences; some contributors and some names (Tom, Mary) dominate.",
        "Public test sets (LASER's Tatoeba, the Tatoeba Challenge) are drawn from the same sentences.",
    ),
    fetch=_fetch,
    read=_read,
    pairs="any two of about 420 languages",
    size="11K-220K pairs a language pair",
    cadence="weekly",
    files=lambda pair: list(files(pair).values()),
    sample="tatoeba",
    needs_attribution=True,
)
