"""Tatoeba: sentences and their direct translations by volunteers, from the weekly per-language exports.

`per_language/<lang>/<lang>_sentences_detailed.tsv.bz2` (id, lang, text, username, date added, date modified) comes
from MySQL `INTO OUTFILE` (see `outfile`); there is no quoting, so a sentence may begin with a lone `"`.
`<a>/<a>-<b>_links.tsv.bz2` holds (sentence id, translation id). Links are exported for sentences that are not, so both
ends are checked. `<lang>_sentences_CC0.tsv.bz2` lists the sentences under CC0; all others are CC-BY 2.0 FR.

Memory follows the links of a pair, not the languages: 16 bytes a link, and for each linked sentence its text and about
60 bytes. A million links between two languages of two million sentences each take 375 MB beside what the libraries do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from tppc.builders.cache import public_url
from tppc.builders.download import Fetched, Wanted, fetch_all, is_url, join
from tppc.builders.normalise import normalise
from tppc.builders.progress import note
from tppc.builders.sources.base import RAW, Options, Partition, RawBatch, Refused, Request, Source, frame, unreadable
from tppc.builders.sources.blocks import blocks_of, texts
from tppc.builders.sources.compressed import damaged
from tppc.builders.sources.outfile import NULL, Record, Records, record_blocks
from tppc.corpora.languages import Language, Pair, parse_pair
from tppc.errors import TppcError

UPSTREAM = "https://downloads.tatoeba.org/exports"
CC_BY = "LicenseRef-CC-BY-2.0-FR"
CC0 = "CC0-1.0"
#: Varieties that Tatoeba keeps apart from a language and `--varieties` joins to it: members of the macrolanguage in
#: ISO 639-3, by Tatoeba's codes. Only Arabic's share a script, a written standard and a language-ID label with it:
#: Chinese ones (yue, wuu) are written differently; Malay's, Persian's and others' have standards of their own.
VARIETIES = {"ar": ("arz", "ary", "arq", "acm", "afb", "apc", "ajp", "ayl")}
_BATCH = 65_536
_COLUMNS = 6
_NUMBER = r"^[0-9]{1,18}$"  # what fits 64 bits
_EXTRA = {"variety": pl.String}
_NULL = pl.Series([NULL], dtype=pl.Binary)


class TatoebaOptions(Options):
    """`varieties` joins the varieties of a language (Arabic: Egyptian, Moroccan, ...) to it; a row's column `variety`
    says which one its Arabic side is, null for the language itself.
    """

    varieties: bool = False


def codes(side: Language, other: Language, varieties: bool) -> list[str]:
    """Tatoeba's codes that count as a side: the language itself first; never one that is the other side."""
    joined = VARIETIES.get(side.code, ()) if varieties else ()
    return [side.tatoeba, *(code for code in joined if code != other.tatoeba)]


def files(pair: Pair, varieties: bool = False) -> dict[str, str]:
    """Paths below the mirror root, by role: of the pair itself (`src`), and of varieties (`src.arz`)."""
    src, tgt = pair.languages
    sides = {"src": codes(src, tgt, varieties), "tgt": codes(tgt, src, varieties)}
    found = {}
    for a in sides["src"]:
        for b in sides["tgt"]:
            itself = (a, b) == (src.tatoeba, tgt.tatoeba)
            found["links" if itself else f"links.{a}-{b}"] = f"per_language/{a}/{a}-{b}_links.tsv.bz2"
    for role, names in sides.items():
        for code in names:
            dot = "" if code == names[0] else f".{code}"
            found[f"{role}{dot}"] = f"per_language/{code}/{code}_sentences_detailed.tsv.bz2"
            found[f"{role}_cc0{dot}"] = f"per_language/{code}/{code}_sentences_CC0.tsv.bz2"
    return found


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    root = UPSTREAM if request.origin is None else request.origin
    if not is_url(root):
        _check_layout(Path(root))
    roles = {pair: files(pair, request.options["varieties"]) for pair in request.pairs}
    paths = list(dict.fromkeys(path for paths in roles.values() for path in paths.values()))
    brought = fetch_all([Wanted(join(root, path), optional=True) for path in paths], pins=request.pins)
    have = {path: file for path, file in zip(paths, brought, strict=True) if file is not None}
    partitions, fetched = [], {}
    missing: dict[str, str] = {}
    for pair, wanted in roles.items():
        found = {role: have[path] for role, path in wanted.items() if path in have}
        for role in (role for role in wanted if role not in found):
            if "." in role:
                missing[wanted[role]] = "not in this mirror, so without that variety"
            elif role.endswith("_cc0"):
                missing[wanted[role]] = f"not in this mirror: its sentences count as {CC_BY}"
            else:
                raise _absent(join(root, wanted[role]))
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
    if request.options["varieties"] and not any("." in role for wanted in roles.values() for role in wanted):
        note(f"--varieties changes nothing here: only {', '.join(VARIETIES)} has varieties to join")
    for path in sorted(missing):
        note(f"{path} is {missing[path]}")
    return partitions, fetched


def _absent(location: str) -> TppcError:
    if is_url(location):
        return TppcError(
            f"{public_url(location)}: the server has no such file (404); check --pair. Tatoeba makes its exports anew "
            "each Saturday, and for some minutes files are missing then: try again"
        )
    return TppcError(f"{location}: no such file; check --from (a mirror root has the folder per_language) and --pair")


def _check_layout(root: Path) -> None:
    """Raise for the exports of all languages in one, which are other files."""
    names = [root.name] if root.is_file() else [p.name for p in root.iterdir()] if root.is_dir() else []
    if "per_language" not in names and any(n.startswith(("sentences", "links.")) for n in names):
        raise TppcError(
            f"{root}: holds exports of all languages in one; tppc reads those by language: give a folder that holds "
            f"per_language/ as {UPSTREAM} does, or no --from"
        )


_Numbers = NDArray[np.int64]


def _numbers(values: list[int]) -> _Numbers:
    return np.array(values, np.int64)


def _joined(parts: list[_Numbers]) -> _Numbers:
    return np.concatenate([_numbers([]), *parts])


def _places(of: _Numbers, among: _Numbers) -> tuple[_Numbers, NDArray[np.bool_]]:
    """Where values stand in a sorted array, and whether they do."""
    if not len(among):
        return np.zeros(len(of), np.int64), np.zeros(len(of), np.bool_)
    places = np.searchsorted(among, of).clip(max=len(among) - 1)
    return places, among[places] == of


def _roles(partition: Partition, kind: str) -> list[str]:
    """Roles of a kind (`src`, `tgt_cc0`, `links`) that the partition has files for, the language itself first."""
    return [role for role in partition.files if role.partition(".")[0] == kind]


def _file(partition: Partition, role: str) -> Path:
    return Path(partition.files[role])


def _links(partition: Partition) -> tuple[_Numbers, _Numbers, list[Refused]]:
    """Both ends of the links of a partition, in file order, and what is no link."""
    sources, targets, refused = [], [], []
    left = partition.limit
    for role in _roles(partition, "links"):
        path = _file(partition, role)
        for block in blocks_of(path):
            count = block.lines if left is None else min(left, block.lines)
            two = np.flatnonzero(block.widths[:count] == 2)
            ends = pl.DataFrame([texts(block.column(i, two)).alias(name) for i, name in enumerate("ab")])
            numbers = ends.select(pl.all_horizontal(pl.all().str.contains(_NUMBER).fill_null(False))).to_series()
            links = ends.filter(numbers).cast(pl.Int64)
            sources.append(links["a"].to_numpy())
            targets.append(links["b"].to_numpy())
            for line in np.setdiff1d(np.arange(count), two[numbers.to_numpy()]).tolist():
                if block.unterminated and line == block.lines - 1:
                    raise damaged(path, block.first + line - 1, "the last line is cut")
                refused.append(unreadable(f"{role}:{block.first + line}", "a link is two numbers", block.line(line)))
            if left is not None:
                left -= count
                if not left:
                    return _joined(sources), _joined(targets), refused
    return _joined(sources), _joined(targets), refused


@dataclass(frozen=True)
class _Side:
    """The linked sentences of one side, sorted by `ids`.

    Attributes:
        text: in the order of reading; `rows` says which one an id has. author: for each text a number into `names`.
        variety: for each text a number into `varieties`, of which the first, None, is the language itself.
        free: for each id whether its sentence is CC0.
    """

    ids: _Numbers
    rows: _Numbers
    text: pl.Series
    author: _Numbers
    names: pl.Series
    variety: _Numbers
    varieties: pl.Series
    free: NDArray[np.bool_]
    refused: list[Refused]
    read: int


def _side(partition: Partition, side: str, wanted: _Numbers) -> _Side:
    """Read one side's exports and keep the sentences whose ids are wanted; of one id that stands twice, the last."""
    own = parse_pair(partition.pairs[0]).languages[side == "tgt"].tatoeba
    ids, order, authors, kinds = [], [], [], []
    parts: list[pa.Array] = []
    names: dict[bytes | None, int] = {}
    refused: list[Refused] = []
    read = 0
    roles = _roles(partition, side)
    for kind, role in enumerate(roles):
        record_start = re.compile(rb"\d+\t" + (role.partition(".")[2] or own).encode() + rb"\t")
        for records in record_blocks(_file(partition, role), record_start):
            read += records.count
            lines, found, text, author, odd = _linked(records, wanted)
            for record in [*records.others, *map(records.one, odd)]:
                parsed = _parse(record, wanted)
                if isinstance(parsed, ValueError):
                    refused.append(unreadable(f"{role}:{record[0]}", str(parsed), record[2]))
                elif parsed is not None:
                    lines, found = np.append(lines, record[0]), np.append(found, parsed[0])
                    text = text.extend(pl.Series([parsed[1]], dtype=pl.String))
                    author.append(parsed[2])
            ids.append(found)
            order.append(lines + (kind << 40))
            # Arrow's strings stand side by side; those of polars would keep the whole block alive.
            parts.append(text.to_arrow(compat_level=pl.CompatLevel.oldest()))
            authors.append(_numbers([names.setdefault(name, len(names)) for name in author]))
            kinds.append(np.full(len(found), kind))
    every, when = _joined(ids), _joined(order)
    rows = np.lexsort((when, every))
    ids_in_order = every[rows]
    last = np.append(ids_in_order[1:] != ids_in_order[:-1], True)[: len(rows)]
    rows = rows[last]
    return _Side(
        ids=every[rows],
        rows=rows,
        text=pl.Series(pa.chunked_array(parts, pa.large_string()), dtype=pl.String),
        author=_joined(authors),
        names=pl.Series([_author(name) for name in names], dtype=pl.String),
        variety=_joined(kinds),
        varieties=pl.Series([role.partition(".")[2] or None for role in roles], dtype=pl.String),
        free=_places(every[rows], _cc0(partition, side))[1],
        refused=refused,
        read=read,
    )


def _linked(records: Records, wanted: _Numbers) -> tuple[_Numbers, _Numbers, pl.Series, list[bytes | None], list[int]]:
    """Line numbers, ids, texts and authors of the wanted sentences among the plain lines of a block, and the indices of
    plain lines that are no plain sentences.
    """
    block = records.block
    six = block.widths[records.plain] == _COLUMNS
    whole = records.plain[six]
    number = texts(block.column(0, whole))
    numbered = number.str.contains(_NUMBER).fill_null(False)
    ids = number.filter(numbered).cast(pl.Int64).to_numpy()
    hit = _places(ids, wanted)[1]
    lines = whole[numbered.to_numpy()][hit]
    text, author = block.column(2, lines), block.column(3, lines)
    decoded = texts(text)
    fine = decoded.is_not_null() & texts(author).is_not_null() & (text != _NULL)
    kept = fine.to_numpy()
    odd = [records.plain[~six], whole[~numbered.to_numpy()], lines[~kept]]
    raw = author.filter(fine).to_list()
    return block.first + lines[kept], ids[hit][kept], decoded.filter(fine), raw, _joined(odd).tolist()


def _parse(record: Record, wanted: _Numbers) -> tuple[int, str, bytes | None] | ValueError | None:
    """Id, text and author of a sentence, None for one that is not wanted; a `ValueError` says why it is unreadable."""
    _, fields, _ = record
    try:
        if len(fields) != _COLUMNS or fields[0] is None:
            raise ValueError(f"{len(fields)} columns instead of {_COLUMNS}")
        identifier = int(fields[0])
        if abs(identifier) >= 10**18 or not _places(_numbers([identifier]), wanted)[1].any():
            return None
        _author(fields[3])
        return identifier, (fields[2] or b"").decode(), fields[3]
    except ValueError as error:  # UnicodeDecodeError is one
        return error


def _author(raw: bytes | None) -> str:
    return normalise(raw.decode()) if raw and raw != NULL else "unknown"


def _cc0(partition: Partition, side: str) -> _Numbers:
    """The ids of one side's CC0 lists, sorted."""
    found = [_numbers([])]
    for role in _roles(partition, f"{side}_cc0"):
        for records in record_blocks(_file(partition, role)):
            number = texts(records.block.column(0, records.plain))
            found.append(number.filter(number.str.contains(_NUMBER).fill_null(False)).cast(pl.Int64).to_numpy())
            first = [fields[0] for _, fields, _ in records.others]
            found.append(_numbers([int(f) for f in first if f is not None and f.isdigit() and len(f) <= 18]))
    return np.unique(_joined(found))


def _read(partition: Partition) -> Iterator[RawBatch]:
    (pair_text,) = partition.pairs
    pair = parse_pair(pair_text)
    sources, targets, refused = _links(partition)
    src, tgt = (_side(partition, s, np.unique(e)) for s, e in (("src", sources), ("tgt", targets)))
    counts = {"links": len(sources)}
    for name, side in (("src", src), ("tgt", tgt)):
        counts |= {f"{name} sentences": side.read, f"{name} sentences with a link": len(side.ids)}
    yield RawBatch(pair, frame({}, _EXTRA), refused + src.refused + tgt.refused, counts)
    for start in range(0, len(sources), _BATCH):
        yield _batch(pair, src, tgt, sources[start : start + _BATCH], targets[start : start + _BATCH])


def _batch(pair: Pair, src: _Side, tgt: _Side, sources: _Numbers, targets: _Numbers) -> RawBatch:
    """Rows of some links; a link whose end is missing is refused."""
    places: dict[str, _Numbers] = {}
    present: dict[str, NDArray[np.bool_]] = {}
    for name, side, ends in (("src", src, sources), ("tgt", tgt, targets)):
        places[name], present[name] = _places(ends, side.ids)
    both = present["src"] & present["tgt"]
    dangling = []
    for i in np.flatnonzero(~both).tolist():
        a, b = int(sources[i]), int(targets[i])
        missing = ", ".join(str(end) for end, name in ((a, "src"), (b, "tgt")) if not present[name][i])
        dangling.append(Refused("dangling_link", f"{a}_{b}", f"no sentence {missing} in the export"))
    columns: dict[str, pl.Series] = {}
    for name, side in (("src", src), ("tgt", tgt)):
        rows = side.rows[places[name][both]]
        columns[f"{name}_text"] = side.text.gather(rows)
        columns[f"{name}_author"] = side.names.gather(side.author[rows])
        columns[f"{name}_variety"] = side.varieties.gather(side.variety[rows])
        columns[f"{name}_free"] = pl.Series(side.free[places[name][both]])
        columns[f"{name}_id"] = pl.Series((sources if name == "src" else targets)[both])
    found = pl.DataFrame(columns).select(
        "src_text",
        "tgt_text",
        source_id=pl.format("{}_{}", "src_id", "tgt_id"),
        score=pl.lit(None, pl.Float32),
        licence=pl.when(pl.col("src_free") & pl.col("tgt_free")).then(pl.lit(CC0)).otherwise(pl.lit(CC_BY)),
        attribution=pl.format("{}; {}", "src_author", "tgt_author"),
        variety=pl.coalesce("src_variety", "tgt_variety"),
    )
    return RawBatch(pair, found.select(*RAW, *_EXTRA), dangling)


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
    options=TatoebaOptions,
    extra=tuple((name, "string") for name in _EXTRA),
    sample="tatoeba",
    needs_attribution=True,
)
