"""Bitext: the user's own file of pairs, as TSV, CSV, JSON lines, Parquet, TMX, or two line-aligned files.

All may be compressed with gzip, bzip2, xz or zstd (Parquet has its own compression). Which columns hold what is a
setting; without one, delimited files have source and target in their first two columns and no header, and the others
name their columns after the languages (`en`, `hi`), which also lets one file serve several pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tppc.builders.download import Fetched, fetch
from tppc.builders.progress import note
from tppc.builders.sources.base import Options, Partition, RawBatch, Refused, Request, Source
from tppc.builders.sources.compressed import lines_of
from tppc.builders.sources.moses import aligned_records
from tppc.builders.sources.records import Licence, Record, batches
from tppc.builders.sources.tabular import LOOK, Columns, delimited_records, json_records
from tppc.builders.sources.tmx import tmx_records
from tppc.corpora.files import open_compressed
from tppc.corpora.languages import Pair, parse_pair
from tppc.errors import UsageError

UNKNOWN = "LicenseRef-unknown"
Format = Literal["tsv", "csv", "jsonl", "parquet", "tmx", "lines"]
_BY_SUFFIX: dict[str, Format] = {
    ".tsv": "tsv",
    ".tab": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".tmx": "tmx",
}
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")

# A column is a name or, from a recipe, also a bare number.
_Column = Annotated[str, BeforeValidator(lambda v: str(v) if isinstance(v, int) else v), Field(min_length=1)]


class BitextOptions(Options):
    """What the file is: its format, its columns by name or number from 1, and the terms it is under.

    `header` (delimited files): unset, there is one where a column is given by a name that is no number. `delimiter` is
    one character. `name` makes the corpus `bitext/<name>/<pair>`, so that several can stand side by side.
    """

    name: str | None = Field(default=None, pattern=r"^[\w][\w.-]*$")
    format: Format | None = None
    src_column: _Column | None = None
    tgt_column: _Column | None = None
    score_column: _Column | None = None
    id_column: _Column | None = None
    header: bool | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, pattern=r"^[\x00-\x7f]$")
    licence: Licence = UNKNOWN
    attribution: str | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that are given, in whatever role."""
        given = (self.src_column, self.tgt_column, self.score_column, self.id_column)
        return [column for column in given if column is not None]

    @property
    def has_header(self) -> bool:
        """Whether the first record of a delimited file names the columns."""
        return any(not c.isdecimal() for c in self.columns) if self.header is None else self.header


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    if request.origin is None:
        raise UsageError("bitext reads a file of yours: name it with --from FILE (and --companion FILE for two)")
    options = BitextOptions.model_validate(request.options)
    if options.licence == UNKNOWN:
        note(f"no licence is given: the rows are marked {UNKNOWN}; give --licence, such as --licence CC-BY-4.0")
    main = _bring(request.origin, request.pins)
    second = _bring(request.companion, request.pins) if request.companion else None
    settled = options.model_copy(update={"format": _format(main, second, options)})
    _check(settled, request.pairs, main, second)
    files = [main] if second is None else [main, second]
    partitions = []
    for pair in request.pairs:
        roles = dict(zip(("pairs",) if second is None else ("src", "tgt"), files, strict=True))
        partition = Partition(
            "bitext",
            (str(pair),),
            {role: str(file.path) for role, file in roles.items()},
            {role: file.snapshot.sha256 for role, file in roles.items()},
            request.limit,
            settled.model_dump(mode="json"),
        )
        # Columns that are not there show before any work is done.
        _hint(list(islice(_records(partition, pair), LOOK)), pair, settled)
        partitions.append(partition)
    return partitions, {str(pair): files for pair in request.pairs}


def _bring(location: str, pins: dict[str, str]) -> Fetched:
    file = fetch(location, pins=pins)
    assert file is not None, "only optional files may be missing"
    return file


def _format(main: Fetched, second: Fetched | None, options: BitextOptions) -> Format:
    """The format that is set, else that of the name, else that of the first bytes."""
    name = main.snapshot.name
    if options.format is not None:
        if (options.format == "lines") != (second is not None):
            raise UsageError(f"--format {options.format}: two files (--from and --companion) are `lines`, one is not")
        return options.format
    if second is not None:
        return "lines"
    with open_compressed(main.path) as file:
        start = file.read(4_096)
    if start.startswith(b"PAR1"):
        return "parquet"
    stem = name.lower()
    for compression in _COMPRESSIONS:
        stem = stem.removesuffix(compression)
    if (found := _BY_SUFFIX.get(Path(stem).suffix)) is not None:
        return found
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"<?xml", b"<tmx", b"<!DOCTYPE tmx")):
        return "tmx"
    if text.startswith(b"{"):
        return "jsonl"
    if b"\t" in text.partition(b"\n")[0]:
        return "tsv"
    raise UsageError(
        f"{name}: neither its name nor its first line tells the format; give --format tsv, csv, jsonl, parquet or tmx, "
        "or the second of two line-aligned files with --companion"
    )


def _check(options: BitextOptions, pairs: tuple[Pair, ...], main: Fetched, second: Fetched | None) -> None:
    """Raise `UsageError` for settings that contradict each other or the files."""
    name, kind = main.snapshot.name, options.format
    with open_compressed(main.path) as file:
        start = file.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff") and kind != "tmx":
        raise UsageError(f"{name}: UTF-16, but tppc reads UTF-8; convert it with `iconv -f UTF-16 -t UTF-8`")
    if options.columns and kind in ("tmx", "lines"):
        raise UsageError(f"{name}: --src-column and the like name columns, but {kind} files have none; leave them out")
    if kind not in ("tsv", "csv") and (options.header is not None or options.delimiter is not None):
        raise UsageError(f"{name}: --header and --delimiter are for tsv and csv, but this is {kind}; leave them out")
    one_pair = kind == "lines" or options.src_column or options.tgt_column
    if len(pairs) > 1 and (one_pair or (kind in ("tsv", "csv") and not options.has_header)):
        raise UsageError(f"{name}: its columns are those of one pair, but {len(pairs)} are asked for; give one --pair")
    if second is not None:
        if main.path.resolve() == second.path.resolve():
            raise UsageError(f"{name}: --from and --companion are the same file; give the two sides")
        (pair,) = pairs
        ends = [_language_of(file.snapshot.name) for file in (main, second)]
        if ends == [pair.tgt, pair.src]:
            raise UsageError(
                f"{name} and {second.snapshot.name} look exchanged: for {pair}, --from is the file in {pair.src} and "
                f"--companion that in {pair.tgt}"
            )


def _hint(first: list[Record | Refused], pair: Pair, options: BitextOptions) -> None:
    """Say so where the first record of a delimited file looks like a header that no one announced."""
    record = first[0] if first else None
    if options.format not in ("tsv", "csv") or options.has_header or not isinstance(record, Record):
        return
    names = {"source", "target", "src", "tgt"}
    names |= {name.lower() for side in pair.languages for name in (side.code, side.name)}
    if {record.src.strip().lower(), record.tgt.strip().lower()} <= names:
        note(f"the first line looks like a header ({record.src}, {record.tgt}) but is read as a pair; add --header?")


def _language_of(name: str) -> str:
    """What a line file's name ends in: `hi` of `train.hi.gz`."""
    for compression in _COMPRESSIONS:
        name = name.removesuffix(compression)
    return name.rsplit(".", 1)[-1]


def _records(partition: Partition, pair: Pair) -> Iterator[Record | Refused]:
    options = BitextOptions.model_validate(partition.options)
    kind = options.format
    if kind == "lines":
        src, tgt = Path(partition.files["src"]), Path(partition.files["tgt"])
        return aligned_records({str(src): lines_of(src), str(tgt): lines_of(tgt)})
    path = Path(partition.files["pairs"])
    if kind == "tmx":
        return tmx_records(path, pair)
    delimited = kind in ("tsv", "csv")
    defaults = ("1", "2") if delimited and not options.has_header else (pair.src, pair.tgt)
    columns = Columns(
        options.src_column or defaults[0],
        options.tgt_column or defaults[1],
        options.score_column,
        options.id_column,
    )
    if delimited:
        delimiter = options.delimiter or ("\t" if kind == "tsv" else ",")
        return delimited_records(path, columns, delimiter=delimiter, quoted=kind == "csv", header=options.has_header)
    if kind == "jsonl":
        return json_records(path, columns)
    from tppc.builders.sources.columnar import parquet_records

    return parquet_records(path, columns)


def _read(partition: Partition) -> Iterator[RawBatch]:
    (name,) = partition.pairs
    pair = parse_pair(name)
    options = BitextOptions.model_validate(partition.options)
    return batches(
        pair,
        _records(partition, pair),
        licence=options.licence,
        attribution=options.attribution,
        limit=partition.limit,
    )


SOURCE = Source(
    name="bitext",
    upstream="a file of yours",
    licence="as given with --licence",
    about="a file of your own: TSV, CSV, JSON lines, Parquet, TMX, or two line-aligned files",
    citation="that of your data",
    limits=("A file of the user's: its origin, its translations and its licence are as the user gave them.",),
    fetch=_fetch,
    read=_read,
    size="any",
    cadence="yours",
    options=BitextOptions,
    collection=lambda options: options["name"],
)
