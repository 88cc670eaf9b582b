"""WikiMatrix: sentence pairs mined from Wikipedia with LASER margins (Schwenk et al., 2021, EACL).

`WikiMatrix.<a>-<b>.tsv.gz`, a before b in the alphabet whatever the order of the pair asked for: margin score,
text in a, text in b, by falling score, no header and no quoting. The publishers ask not to loop over all files: many
pairs come from one tar archive of all 1,620 files, whose members are read where they lie and never unpacked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl

from tppc.builders.checksums import path_of
from tppc.builders.download import Fetched, fetch, fetch_all, is_url, join, shown
from tppc.builders.progress import note
from tppc.builders.sources.base import RAW, Partition, RawBatch, Refused, Request, Source, unreadable
from tppc.builders.sources.blocks import Block, Broken, Member, block_of, even_columns, line_blocks, texts
from tppc.builders.sources.compressed import damaged
from tppc.corpora.languages import Pair, of_wikimatrix, parse_pair
from tppc.errors import TppcError, UsageError

UPSTREAM = "https://dl.fbaipublicfiles.com/laser/WikiMatrix/v1"
ARCHIVE = "https://dl.fbaipublicfiles.com/laser/WikiMatrix/WikiMatrix.v1.1620_language_pairs.tar"
LICENCE = "CC-BY-SA-3.0"
#: More files than this are a loop over the publishers' server, which they ask not to make.
MOST_FILES = 20
_COLUMNS = 3
_BLOCK = 4 << 20  # bytes of lines that become rows at a time
# Bytes of the parts that a large file is cut into, and a quarter of their greatest number: `merge` opens them all.
_CHUNK, _CHUNKS = 16 << 20, 12
_LARGEST = 3.4e38
_PLAIN_NUMBER = r"^[0-9]{1,9}(\.[0-9]{1,20})?$"  # what Python's float() and the column's cast read alike
_NAME = re.compile(r"WikiMatrix\.([a-z_]+)-([a-z_]+)\.tsv\.gz")


def file_name(pair: Pair) -> str:
    """The name of a pair's file: the two codes in alphabetical order."""
    first, second = sorted(side.wikimatrix for side in pair.languages)
    return f"WikiMatrix.{first}-{second}.tsv.gz"


def pairs_named(names: Iterable[str]) -> list[Pair]:
    """The pairs of some file names, in their order, each with the codes as the file has them, canonical.

    Files of a code that is no BCP-47 language (`simple`, a simplified English) are left out, with a note.
    """
    pairs: list[Pair] = []
    left_out: set[str] = set()
    for name in names:
        if match := _NAME.fullmatch(name):
            sides = [of_wikimatrix(code) for code in match.groups()]
            left_out.update(code for code, side in zip(match.groups(), sides, strict=True) if side is None)
            if (src := sides[0]) is None or (tgt := sides[1]) is None or src == tgt:
                continue
            if file_name(pair := Pair(src, tgt)) == name:
                pairs.append(pair)
            else:  # `hi-en`, or one language under two codes: the pair would be read from another file
                note(f"wikimatrix: {name} is left out: the file of {pair} is called {file_name(pair)}")
    if left_out:
        note(f"wikimatrix: files of codes that are no BCP-47 language are left out: {', '.join(sorted(left_out))}")
    return pairs


def _is_archive(origin: str | None) -> bool:
    return origin is not None and path_of(origin).endswith(".tar")


def _members(path: Path) -> dict[str, Member]:
    """Where the files lie in an archive, by name. Only headers are read: a second or two for 65 GB."""
    import tarfile

    try:
        with tarfile.open(path, "r:") as archive:
            found = [Member(Path(m.name).name, m.offset_data, m.size) for m in archive if m.isfile()]
    except tarfile.TarError as error:
        raise TppcError(f"{path}: no tar archive, or a damaged one ({error}); fetch it again") from error
    return {member.name: member for member in found}


def _local(location: str, request: Request) -> Path:
    """The archive as a local file; its digest is not asked for here."""
    file = fetch(location, pins=request.pins) if is_url(location) else None
    return Path(location) if file is None else file.path


def _all_pairs(request: Request) -> Request:
    """The request for all pairs of an archive, or of a folder of files."""
    origin = ARCHIVE if request.origin is None else request.origin
    if _is_archive(origin):
        path = _local(origin, request)
        if not path.is_file():
            raise TppcError(f"{path}: no such file; check --from")
        names = list(_members(path))
    elif not is_url(origin) and Path(origin).is_dir():
        names = sorted(path.name for path in Path(origin).iterdir())
    else:
        raise UsageError(f"--all-pairs reads the archive of all pairs (.tar) or a folder of files, not {shown(origin)}")
    pairs = pairs_named(names)
    if not pairs:
        raise TppcError(f"{shown(origin)}: holds no file WikiMatrix.<a>-<b>.tsv.gz; check --from")
    return replace(request, pairs=tuple(pairs), origin=origin, given=request.given or origin)


def _location(request: Request, pair: Pair) -> str:
    origin = UPSTREAM if request.origin is None else request.origin
    name = file_name(pair)
    one_file = path_of(origin).endswith((".gz", ".tsv")) if is_url(origin) else Path(origin).is_file()
    if not one_file:
        if not is_url(origin) and not Path(origin).is_dir():
            raise TppcError(f"{origin}: no such file or folder; check --from ('sample' takes the package's samples)")
        return join(origin, name)
    if len(request.pairs) > 1:
        raise UsageError(
            f"{shown(origin)} is one file, but {len(request.pairs)} pairs are asked for: give one --pair, or a root"
        )
    given = path_of(origin).rsplit("/", 1)[-1]
    if given.startswith("WikiMatrix.") and not given.startswith(name.removesuffix(".tsv.gz") + "."):
        raise UsageError(f"{shown(origin)}: this file's name is not that of {pair} ({name}); check --pair")
    return origin


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    if _is_archive(request.origin):
        return _fetch_archive(request)
    if request.origin is None and len(request.pairs) > MOST_FILES:
        raise UsageError(
            f"{len(request.pairs)} pairs: the publishers of WikiMatrix ask not to loop over their files; take the "
            f"archive of all pairs (--all-pairs, or --from {ARCHIVE} with --pair)"
        )
    files = fetch_all([_location(request, pair) for pair in request.pairs], pins=request.pins)
    partitions, fetched = [], {}
    for pair, file in zip(request.pairs, files, strict=True):
        assert file is not None, "only optional files may be missing"
        fetched[str(pair)] = [file]
        partitions.append(_partition(pair, file, request.limit))
    return partitions, fetched


def _fetch_archive(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    assert request.origin is not None, "an archive is named"
    file = fetch(request.origin, pins=request.pins)
    assert file is not None, "only optional files may be missing"
    members = _members(file.path)
    partitions = []
    for pair in request.pairs:
        if (member := members.get(file_name(pair))) is None:
            raise TppcError(f"{file.path}: holds no {file_name(pair)}, the file of {pair}; check --pair")
        partitions.append(_partition(pair, file, request.limit, member))
    return partitions, {str(pair): [file] for pair in request.pairs}


def _partition(pair: Pair, file: Fetched, limit: int | None, member: Member | None = None) -> Partition:
    return Partition(
        "wikimatrix",
        (str(pair),),
        {"pairs": str(file.path)},
        {"pairs": file.snapshot.sha256},
        limit,
        asdict(member) if member else {},
    )


def _parse(line: bytes, number: int) -> tuple[float, str, str] | Refused:
    """Score and texts of a line; further columns are ignored."""
    fields = line.split(b"\t")
    if len(fields) < _COLUMNS:
        return unreadable(str(number), f"{len(fields)} columns instead of 3", line)
    try:
        score, first, second = float(fields[0]), fields[1].decode(), fields[2].decode()
    except UnicodeDecodeError as error:
        return unreadable(str(number), f"not UTF-8: {error.reason} at byte {error.start} of a field", line)
    except ValueError:
        return unreadable(str(number), "the score is not a number", line)
    if not abs(score) <= _LARGEST:
        return unreadable(str(number), "the score is not a number that a float32 holds", line)
    return score, first, second


_PARSED = {"line": pl.Int64, "score": pl.Float64, "first": pl.String, "second": pl.String}


def _columns(block: Block, count: int, path: Path) -> tuple[pl.DataFrame, list[Refused]]:
    """Line number, score and texts of the first `count` lines of a block, in order, and the lines that have none.

    Lines with three columns, a plain number and valid UTF-8 are read as columns, all others by `_parse`.
    """
    wide = np.flatnonzero(block.widths[:count] >= _COLUMNS)
    score, first, second = (texts(block.column(number, wide)) for number in range(_COLUMNS))
    plain = score.str.contains(_PLAIN_NUMBER).fill_null(False) & first.is_not_null() & second.is_not_null()
    rows = pl.DataFrame({"line": wide + block.first, "score": score, "first": first, "second": second, "plain": plain})
    rows = rows.filter("plain").select(pl.col(name).cast(kind) for name, kind in _PARSED.items())
    if rows.height == count:
        return rows, []
    odd = np.setdiff1d(np.arange(count), rows["line"].to_numpy() - block.first, assume_unique=True)
    read: list[tuple[int, float, str, str]] = []
    refused: list[Refused] = []
    for index in odd.tolist():
        number = block.first + index
        parsed = _parse(block.line(index), number)
        if not isinstance(parsed, Refused):
            read.append((number, *parsed))
        elif block.unterminated and index == block.lines - 1:
            raise damaged(path, number - 1, "the last line is cut")
        else:
            refused.append(parsed)
    return pl.concat([rows, pl.DataFrame(read, schema=_PARSED, orient="row")]).sort("line"), refused


def _even(data: bytes, first: int) -> pl.DataFrame | None:
    """What `_columns` gives for lines of which none is odd; None for others."""
    rows = even_columns(data, ("score", "first", "second"))
    if rows is None or not rows["score"].str.contains(_PLAIN_NUMBER).all():
        return None
    line = pl.int_range(first, first + rows.height, dtype=pl.Int64).alias("line")
    return rows.select(line, pl.col("score").cast(pl.Float64), "first", "second")


def _read(partition: Partition) -> Iterator[RawBatch]:
    (pair_text,) = partition.pairs
    pair = parse_pair(pair_text)
    codes = [side.wikimatrix for side in pair.languages]
    sides = {"src_text": "first", "tgt_text": "second"}
    if codes != sorted(codes):
        sides = {"src_text": "second", "tgt_text": "first"}
    path, member = _place(partition)
    first = partition.options.get("first", 1)
    shown = path / member.name if member else path
    try:
        for data in line_blocks(path, member, _BLOCK):
            even = _even(data, first) if partition.limit is None else None
            refused: list[Refused] = []
            if even is not None:
                count, rows = even.height, even
            else:
                block = block_of(data, first)
                count = block.lines if partition.limit is None else min(block.lines, partition.limit - first + 1)
                rows, refused = _columns(block, count, shown)
            raw = {
                **{name: pl.col(column) for name, column in sides.items()},
                "source_id": pl.col("line"),
                "score": pl.col("score"),
                "licence": pl.lit(LICENCE),
                "attribution": pl.lit(None),
            }
            yield RawBatch(pair, rows.select(raw[name].cast(kind).alias(name) for name, kind in RAW.items()), refused)
            first += count
            if partition.limit is not None and first > partition.limit:
                return
    except Broken as broken:
        raise damaged(shown, first - 1, str(broken)) from broken


def _place(partition: Partition) -> tuple[Path, Member | None]:
    path = partition.path("pairs")
    assert path is not None, "a WikiMatrix partition has its file"
    return path, Member(**partition.options) if "offset" in partition.options else None


def _split(folder: Path, partition: Partition) -> list[Partition]:
    """Cut a file into plain ones of whole lines, which know the number of their first line."""
    path, member = _place(partition)
    size = max(_CHUNK, (member.size if member else path.stat().st_size) // _CHUNKS)
    parts: list[Partition] = []
    first = 1
    try:
        # Written as it is unpacked, in pieces that a core's cache holds.
        blocks = line_blocks(path, member)
        while (data := next(blocks, None)) is not None:
            if partition.limit is not None and first > partition.limit:
                break
            part = folder / f"{len(parts):05d}.tsv"
            options = {"part": len(parts), "first": first}
            parts.append(replace(partition, files={"pairs": str(part)}, options=options))
            with part.open("wb") as file:
                while data is not None:
                    file.write(data)
                    first += data.count(b"\n")
                    data = next(blocks, None) if file.tell() < size else None
    except Broken as broken:
        raise damaged(path / member.name if member else path, first - 1, str(broken)) from broken
    return parts


SOURCE = Source(
    name="wikimatrix",
    upstream=UPSTREAM,
    licence=LICENCE,
    about="sentence pairs mined from Wikipedia; noisy, scored",
    citation="Schwenk, Chaudhary, Sun, Gong, Guzmán (2021): WikiMatrix. EACL. "
    "https://aclanthology.org/2021.eacl-main.115/",
    limits=(
        "Mined automatically: many pairs are not exact translations and the best scores are not always the best pairs.",
        "The publishers name the licence as Creative Commons Attribution-ShareAlike without a version; it is recorded "
        "as that of Wikipedia's text at the time, CC-BY-SA-3.0.",
    ),
    fetch=_fetch,
    read=_read,
    split=_split,
    splits_for_speed=True,
    all_pairs=_all_pairs,
    pairs="1,620 pairs of 85 languages",
    size="134K-1M pairs for en-hi, en-ja, en-ar; 127M in all",
    cadence="fixed (2019)",
    files=lambda pair: [file_name(pair)],
    sample="wikimatrix",
)
