"""Check the rows of one shard: schema, counts, keys and their order, languages, licences, held-out texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tppc.corpora.keys import order_keys, side_keys
from tppc.corpora.languages import parse_pair
from tppc.corpora.licences import needs_attribution
from tppc.corpora.manifest import Shard

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_GROUPS_AT_ONCE = 8
_SAMPLE = 256  # rows of a shard whose keys are computed again from their texts, without `deep`
_TABLE_BITS = 20
_WORDS = ["src_lang", "tgt_lang", "source", "licence"]


@dataclass(frozen=True)
class HeldOut:
    """Keys of the texts that train must not hold: sorted int64 arrays, of source and of target texts."""

    src: np.ndarray
    tgt: np.ndarray


@dataclass
class Counted:
    """What the rows of a shard (or of several, by `add`) hold; `credited`: rows that the list of authors has."""

    faults: list[str] = field(default_factory=list)
    rows: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    credit: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    keys: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    credited: int | None = None

    def add(self, other: Counted) -> None:
        """Take in what another shard holds."""
        self.faults += other.faults
        self.rows += other.rows
        self.sources.update(other.sources)
        self.licences.update(other.licences)
        self.credit.update(other.credit)
        self.keys += other.keys
        self.credited = self.credited if other.credited is None else other.credited


def footer_faults(shown: str, metadata: pq.FileMetaData, shard: Shard, schema: pa.Schema) -> list[str]:
    """Faults between a shard's Parquet footer and the manifest; `shown` is what they call the shard."""
    if not metadata.schema.to_arrow_schema().equals(schema):
        return [f"{shown}: its columns are not those of the format"]
    if metadata.num_rows != shard.rows:
        return [f"{shown}: {metadata.num_rows} rows, but the manifest says {shard.rows}"]
    if metadata.num_row_groups != shard.row_groups:
        return [f"{shown}: {metadata.num_row_groups} row groups, but the manifest says {shard.row_groups}"]
    return []


def check_rows(
    path: Path,
    shown: str,
    shard: Shard,
    schema: pa.Schema,
    *,
    sources: frozenset[str],
    credit: bool,
    held: HeldOut | None,
    keep_keys: bool,
    deep: bool,
) -> Counted:
    """Read a shard and check its rows.

    Args:
        path: the file. shown: what a fault calls it. sources: the sources that the manifest names.
        credit: whether attribution is looked at. held: what the rows must not share a side with.
        keep_keys: give the keys back (of a held-out split). deep: every column, and the keys of every text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    counted = Counted()
    try:
        with pq.ParquetFile(path, read_dictionary=[*_WORDS, "attribution"], memory_map=True) as file:
            counted.faults += footer_faults(shown, file.metadata, shard, schema)
            if not counted.faults:
                _check(file, shown, shard, counted, sources, credit, held, keep_keys)
                counted.faults += _text_faults(file, shown, shard, deep)
    except (OSError, ValueError, pa.ArrowException) as error:
        counted.faults.append(f"{shown}: not readable as Parquet ({(str(error).splitlines() or [''])[0]})")
    return counted


def _check(
    file: pq.ParquetFile,
    shown: str,
    shard: Shard,
    counted: Counted,
    sources: frozenset[str],
    credit: bool,
    held: HeldOut | None,
    keep_keys: bool,
) -> None:
    columns = ["src_key", "tgt_key", *_WORDS, *(["attribution"] if credit else [])]
    tables = None if held is None else (_table(held.src), _table(held.tgt))
    first, last, leaked, twice, ordered = -1, -1, 0, 0, True
    before = np.empty((2, 0), dtype=np.int64)
    words = {name: Counter[str]() for name in _WORDS}
    for start in range(0, file.num_row_groups, _GROUPS_AT_ONCE):
        groups = list(range(start, min(start + _GROUPS_AT_ONCE, file.num_row_groups)))
        rows = file.read_row_groups(groups, columns=columns, use_threads=False)
        src, tgt = (rows[name].to_numpy() for name in ("src_key", "tgt_key"))
        keys = order_keys(src, tgt)
        if len(keys):
            ordered = ordered and int(keys[0]) >= last and not bool(np.any(keys[1:] < keys[:-1]))
            first, last = int(keys[0]) if first < 0 else first, int(keys[-1])
            pairs = np.concatenate([before, np.stack([src, tgt])], axis=1)
            twice += int(np.sum(np.all(pairs[:, 1:] == pairs[:, :-1], axis=0)))
            before = pairs[:, -1:]
        counted.rows += len(keys)
        for name in _WORDS:
            words[name].update(dict(_counts(rows[name])))
        if credit:
            counted.credit.update(_credit(rows))
        if held is not None and tables is not None:
            leaked += int(np.sum(_among(src, held.src, tables[0]) | _among(tgt, held.tgt, tables[1])))
        if keep_keys:
            counted.keys.append((src, tgt))
    counted.sources.update(words["source"])
    counted.licences.update(words["licence"])
    if not ordered:
        counted.faults.append(f"{shown}: rows are not in the order of their keys")
    elif counted.rows and (f"{first:016x}", f"{last:016x}") != tuple(shard.key_range):
        counted.faults.append(f"{shown}: its key range is not the one in the manifest")
    if twice:
        counted.faults.append(f"{shown}: {twice} rows hold a pair that stands there already")
    if leaked:
        counted.faults.append(f"{shown}: {leaked} rows share a text with a held-out pair")
    pair = parse_pair(shard.pair)
    for name, expected in (("src_lang", {pair.src}), ("tgt_lang", {pair.tgt}), ("source", sources)):
        if strange := sorted(set(words[name]) - expected):
            counted.faults.append(f"{shown}: {name} is {', '.join(strange[:3])} in some rows, not as the manifest says")


def _counts(column: pa.ChunkedArray) -> Iterator[tuple[str, int]]:
    """How often each value of a dictionary column without nulls occurs."""
    values = _joined(column)
    counts = np.bincount(values.indices.to_numpy(), minlength=len(values.dictionary))
    return ((v, n) for v, n in zip(values.dictionary.to_pylist(), counts.tolist(), strict=True) if n)


def _joined(column: pa.ChunkedArray) -> pa.DictionaryArray:
    import pyarrow as pa

    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string()).dictionary_encode()


def _credit(rows: pa.Table) -> Counter[tuple[str, str, bool]]:
    """Rows whose licence asks for credit, by source, licence and whether they name their authors."""
    source, licence, authors = (_joined(rows[name]) for name in ("source", "licence", "attribution"))
    named = np.array([bool(value) for value in authors.dictionary.to_pylist()], dtype=bool)
    known = np.zeros(len(authors), dtype=np.int64)
    present = authors.is_valid().to_numpy(zero_copy_only=False)
    known[present] = named[authors.indices.drop_null().to_numpy()]
    licences, sources = licence.dictionary.to_pylist(), source.dictionary.to_pylist()
    codes = (source.indices.to_numpy().astype(np.int64) * len(licences) + licence.indices.to_numpy()) * 2 + known
    found: Counter[tuple[str, str, bool]] = Counter()
    for code, count in zip(*(part.tolist() for part in np.unique(codes, return_counts=True)), strict=True):
        rest, has = divmod(code, 2)
        name = licences[rest % len(licences)]
        if needs_attribution(name):
            found[sources[rest // len(licences)], name, bool(has)] += count
    return found


def _table(keys: np.ndarray) -> np.ndarray:
    """Which low bits occur among keys: rules out nearly every other key at a glance. bool of shape (2^20,)."""
    table = np.zeros(1 << _TABLE_BITS, dtype=bool)
    table[keys & (len(table) - 1)] = True
    return table


def _among(keys: np.ndarray, held: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Which of `keys` are among the sorted keys `held`, bool of shape (n,)."""
    found: np.ndarray = table[keys & (len(table) - 1)]
    maybe = keys[found]
    if len(maybe):
        places = np.minimum(np.searchsorted(held, maybe), len(held) - 1)
        found[found] = held[places] == maybe
    return found


def _text_faults(file: pq.ParquetFile, shown: str, shard: Shard, deep: bool) -> list[str]:
    """Whether the keys are those of the texts: of all rows, or of some that the shard's digest draws."""
    if not file.metadata.num_rows:
        return []
    draw = np.random.default_rng(int(shard.sha256[:16], 16))
    groups = range(file.num_row_groups) if deep else [int(draw.integers(file.num_row_groups))]
    columns = None if deep else ["src_key", "tgt_key", "src_text", "tgt_text"]
    wrong = 0
    for group in groups:
        rows = file.read_row_group(group, columns=columns, use_threads=False)
        if not deep:
            start = int(draw.integers(max(1, rows.num_rows - _SAMPLE)))
            rows = rows.slice(start, _SAMPLE)
        bad = np.zeros(rows.num_rows, dtype=bool)
        for side in ("src", "tgt"):
            bad |= side_keys(rows[f"{side}_text"].to_pylist()) != rows[f"{side}_key"].to_numpy()
        wrong += int(bad.sum())
    looked_at = "" if deep else " (of some that were looked at)"
    return [f"{shown}: the keys of {wrong} rows are not those of their texts{looked_at}"] if wrong else []
