"""WikiMatrix: sentence pairs mined from Wikipedia with LASER margins (Schwenk et al., 2021, EACL).

`WikiMatrix.<a>-<b>.tsv.gz`, a before b in the alphabet whatever the order of the pair asked for: margin score,
text in a, text in b, by falling score, no header and no quoting. The publishers ask not to loop over all files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tppc.builders.download import Fetched, fetch, is_url, join
from tppc.builders.sources.base import Partition, RawBatch, Refused, Request, Source, frame, unreadable
from tppc.builders.sources.compressed import Unterminated, damaged, lines_of
from tppc.corpora.languages import Pair, parse_pair
from tppc.errors import TppcError, UsageError

UPSTREAM = "https://dl.fbaipublicfiles.com/laser/WikiMatrix/v1"
LICENCE = "CC-BY-SA-3.0"
_BATCH = 65_536
_COLUMNS = 3
_LARGEST = 3.4e38


def file_name(pair: Pair) -> str:
    """The name of a pair's file: the two codes in alphabetical order."""
    first, second = sorted(side.wikimatrix for side in pair.languages)
    return f"WikiMatrix.{first}-{second}.tsv.gz"


def _location(request: Request, pair: Pair) -> str:
    origin = UPSTREAM if request.origin is None else request.origin
    name = file_name(pair)
    one_file = origin.endswith((".gz", ".tsv")) if is_url(origin) else Path(origin).is_file()
    if not one_file:
        if not is_url(origin) and not Path(origin).is_dir():
            raise TppcError(f"{origin}: no such file or folder; check --from ('sample' takes the package's samples)")
        return join(origin, name)
    if len(request.pairs) > 1:
        raise UsageError(
            f"{origin} is one file, but {len(request.pairs)} pairs are asked for: give one --pair, or a root"
        )
    given = origin.rsplit("/", 1)[-1]
    if given.startswith("WikiMatrix.") and not given.startswith(name.removesuffix(".tsv.gz") + "."):
        raise UsageError(f"{origin}: this file's name is not that of {pair} ({name}); check --pair")
    return origin


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    partitions, fetched = [], {}
    for pair in request.pairs:
        file = fetch(_location(request, pair))
        assert file is not None, "only optional files may be missing"
        fetched[str(pair)] = [file]
        partitions.append(
            Partition(
                "wikimatrix", (str(pair),), {"pairs": str(file.path)}, {"pairs": file.snapshot.sha256}, request.limit
            )
        )
    return partitions, fetched


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


def _read(partition: Partition) -> Iterator[RawBatch]:
    (pair_text,) = partition.pairs
    pair = parse_pair(pair_text)
    codes = [side.wikimatrix for side in pair.languages]
    exchanged = codes != sorted(codes)
    path = partition.path("pairs")
    assert path is not None, "a WikiMatrix partition has its file"
    columns: dict[str, list[Any]] = {name: [] for name in ("source_id", "score", "src_text", "tgt_text", "licence")}
    refused: list[Refused] = []

    def batch() -> RawBatch:
        found = RawBatch(pair, frame(columns), list(refused))
        for values in columns.values():
            values.clear()
        refused.clear()
        return found

    for number, line in enumerate(lines_of(path), start=1):
        if partition.limit is not None and number > partition.limit:
            break
        parsed = _parse(line, number)
        if isinstance(parsed, Refused):
            if isinstance(line, Unterminated):
                raise damaged(path, number - 1, "the last line is cut")
            refused.append(parsed)
        else:
            score, first, second = parsed
            values = (str(number), score, second, first) if exchanged else (str(number), score, first, second)
            for name, value in zip(columns, (*values, LICENCE), strict=True):
                columns[name].append(value)
        if len(columns["score"]) + len(refused) >= _BATCH:
            yield batch()
    yield batch()


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
    pairs="1,620 pairs of 85 languages",
    size="134K-1M pairs for en-hi, en-ja, en-ar; 127M in all",
    cadence="fixed (2019)",
    files=lambda pair: [file_name(pair)],
    sample="wikimatrix",
)
