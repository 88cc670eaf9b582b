"""The tasks of step 6, `publish`: the rows of a pair's buckets -> its shards, and what is counted of them.

1. `holdout`, where one is asked for: draws the held-out pairs.
2. `repeat`: finds the texts that can be among the most frequent, out of the keys of train.
3. `describe`, a task a bucket: counts its rows of train, and sets apart those of dev and test, and those that share a
   text with them.
4. `shard`, a task a shard of train: writes it out of the buckets that hold its rows, and counts these texts exactly.

So every core has its part from the first row to the last. dev and test are few rows; `publish` writes them itself.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from tppc.builders.engine import Task
from tppc.builders.pack import SAMPLES, Packed, attribution_file, credit_lines
from tppc.builders.recipe import Holdout
from tppc.builders.rejects import Rejects
from tppc.builders.repeated import RepeatedTexts, most_frequent, recounted
from tppc.builders.row_files import frame_of, read_rows, read_table, write_rows
from tppc.builders.select.holdout import draw_holdout, split_rows
from tppc.builders.sources.base import Source
from tppc.builders.statistics import Statistics
from tppc.corpora import shards
from tppc.corpora.files import canonical_json, complete_or_absent
from tppc.corpora.languages import Pair, parse_pair
from tppc.corpora.manifest import Repeated, Shard
from tppc.corpora.schema import SPLITS, schema_of
from tppc.corpora.shards import shard_paths, write_shard, write_shards
from tppc.manifests.rules import ATTRIBUTION

#: What the tasks leave, each in a folder of its own.
HELD, TALLY, ASIDE, SHARD = "held.arrow", "tally.json", "aside.arrow", "shard.json"
_SIDES = ("src", "tgt")
_LONGEST_STRINGS = (1 << 31) - 1  # bytes of all texts of an array
Run = Callable[[list[Task]], list[Path]]


def seen_name(side: str) -> str:
    """The file of a side's texts that `repeat` or `shard` found."""
    return f"{side}.arrow"


def holdout(folder: Path, paths: Sequence[str], settings: dict[str, Any], pair: str) -> None:
    """Draw the held-out pairs from the buckets at `paths`. Raises `UsageError` if the corpus is too small."""
    held = draw_holdout([Path(path) for path in paths], Holdout.model_validate(settings), parse_pair(pair))
    write_rows(held, folder / HELD)


def _split(path: str, held: str | None) -> pl.DataFrame:
    """The rows of a bucket with their `split`; null for one that shares a text with a held-out pair."""
    rows = read_rows(Path(path))
    return rows.with_columns(split=pl.lit("train")) if held is None else split_rows(rows, read_rows(Path(held) / HELD))


def _train(rows: pl.DataFrame, held: str | None) -> pl.DataFrame:
    return rows if held is None else rows.filter(pl.col("split") == "train")


def describe(folder: Path, path: str, held: str | None, pair: str, source: str, attribution: bool) -> None:
    """Write what there is to say about the rows of a bucket.

    Args:
        path: of the bucket's file. held: the folder of `holdout`. attribution: whether authors are to be credited.
    """
    rows = _split(path, held)
    train = _train(rows, held)
    statistics = Statistics(parse_pair(pair))
    statistics.count(train)
    out = rows.filter(pl.col("split").is_null())
    rejects = Rejects()
    rejects.add_rows(out.with_columns(reason=pl.lit("holdout")))
    rejects.save(folder)
    write_rows(rows.filter(pl.col("split") != "train"), folder / ASIDE)
    if attribution:
        kept = rows.filter(pl.col("split").is_not_null()).with_columns(source=pl.lit(source))
        (folder / ATTRIBUTION).write_bytes(credit_lines(kept))
    # Thousands of counts: indented, they would take longer to write than the rows take to count.
    (folder / TALLY).write_bytes(json.dumps({**statistics.tally(), "out": out.height}).encode())


def repeat(folder: Path, paths: Sequence[str], held: str | None) -> None:
    """Write the keys of the texts that can be among the most frequent, and by how much their counts may fall short."""
    for side in _SIDES:
        texts = RepeatedTexts(side)
        for path in paths:
            keys = frame_of(_train_table(path, held, ["src_key", "tgt_key"]))
            texts.take(keys.select(key=f"{side}_key", count=pl.lit(1, pl.Int64)))
        write_rows(pl.DataFrame({"key": texts.candidates()}), folder / seen_name(side))
        (folder / f"{side}.json").write_bytes(canonical_json(texts.missed_at_most))


def shard(
    folder: Path,
    paths: Sequence[str],
    begin: int,
    rows: int,
    held: str | None,
    repeated: str,
    name: str,
    pair: str,
    source: str,
    extra: Sequence[tuple[str, str]],
) -> None:
    """Write a shard of train.

    Args:
        paths: of the buckets that hold its rows, of which `begin` rows of train come before; `rows` are its own.
        held, repeated: the folders of `holdout` and `repeat`. name: of the shard, inside the corpus folder.
        extra: the source's own columns.
    """
    keys = {side: read_rows(Path(repeated) / seen_name(side))["key"] for side in _SIDES}
    again: dict[str, list[pl.DataFrame]] = {side: [] for side in _SIDES}
    schema = schema_of(extra)

    def tables() -> Iterator[pa.Table]:
        skip, left = begin, rows
        for path in paths:
            train = _train_table(path, held).slice(skip, left)
            skip, left = 0, left - train.num_rows
            for side in _SIDES:
                again[side].append(recounted(frame_of(train.select([f"{side}_key", f"{side}_text"])), side, keys[side]))
            yield table_of(train, schema, pair, source)

    written = write_shard(tables(), schema, folder, name, pair, "train")
    assert written.rows == rows, "the announced number of rows must be the number written"
    for side in _SIDES:
        write_rows(pl.concat(again[side]), folder / seen_name(side))
    (folder / SHARD).write_bytes(canonical_json(written.model_dump(mode="json")))


def _train_table(path: str, held: str | None, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of train of a bucket as they lie there: texts are not looked at on their way from file to file."""
    table = read_table(Path(path), columns)
    if held is None:
        return table
    keys = split_rows(frame_of(table.select(["src_key", "tgt_key"])), read_rows(Path(held) / HELD))
    return table.filter((keys["split"] == "train").fill_null(False).to_arrow())


def table_of(rows: pa.Table, schema: pa.Schema, pair: str, source: str) -> pa.Table:
    """Rows of a bucket with every column of a shard's schema; null where nobody asked for one."""
    languages = parse_pair(pair)
    constants = {"src_lang": languages.src, "tgt_lang": languages.tgt, "source": source}
    columns = []
    for field in schema:
        if field.name in constants:
            columns.append(_repeated(constants[field.name], rows.num_rows))
        elif field.name in rows.column_names:
            columns.append(_as(rows[field.name], field.type))
        else:
            columns.append(pa.nulls(rows.num_rows, field.type))
    return pa.table(columns, schema=schema)


def _repeated(text: str, rows: int) -> pa.StringArray:
    """One text in every row; `pa.repeat` would import what takes a tenth of a second."""
    data = text.encode()
    ends = np.arange(rows + 1, dtype=np.int32) * len(data)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(data * rows))


def _as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A column in another type. Texts are not copied, as `cast` would."""
    if column.type == kind or column.null_count == len(column):
        return column if column.type == kind else pa.nulls(len(column), kind)
    if kind != pa.string() or column.type != pa.large_string() or column.null_count:
        return column.cast(kind)
    chunks = []
    for chunk in column.chunks:
        _, offsets, texts = chunk.buffers()
        ends = np.frombuffer(offsets, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        if ends[-1] - ends[0] > _LONGEST_STRINGS:
            return column.cast(kind)
        narrow = pa.py_buffer((ends - ends[0]).astype(np.int32))
        chunks.append(pa.StringArray.from_buffers(len(chunk), narrow, texts.slice(int(ends[0]))))
    return pa.chunked_array(chunks, kind)


def tally_of(folder: Path) -> dict[str, Any]:
    """What `describe` counted."""
    value: dict[str, Any] = json.loads((folder / TALLY).read_bytes())
    return value


@dataclass(frozen=True)
class Sharded:
    """What `sharded` made: `held` are the held-out pairs, if any; `out` are the rows that share a text with them, of
    which the folders `described` keep some to read."""

    packed: Packed
    held: pl.DataFrame | None
    out: int
    described: list[Path]


def sharded(folder: Path, pair: Pair, buckets: Sequence[Path], source: Source, asked: Holdout, run: Run) -> Sharded:
    """Write the rows of the buckets, in their order, as the shards of a corpus below `folder`, with their attribution
    where the source wants it.

    Args:
        run: runs tasks and returns their folders, in order, on this machine.

    Raises `UsageError` where there are too few rows to hold out.
    """
    paths, names = [str(path) for path in buckets], [f"{path.parent.name}/{path.name}" for path in buckets]
    common = {"pair": str(pair), "source": source.name}
    held: str | None = None
    if asked.total:
        settings = {"settings": asked.model_dump(mode="json"), "pair": str(pair)}
        held = str(run([Task("holdout", holdout, {"paths": paths, **settings}, {"from": names, **settings})])[0])
    drawn = Path(held).name if held else None
    more = {**common, "attribution": source.needs_attribution}
    # `repeat` is one task over all buckets, which another core may do meanwhile.
    repeated, *described = run(
        [
            Task("repeat", repeat, {"paths": paths, "held": held}, {"paths": names, "held": drawn}),
            *(
                Task("describe", describe, {"path": path, "held": held, **more}, {"path": name, "held": drawn, **more})
                for path, name in zip(paths, names, strict=True)
            ),
        ]
    )
    tallies = [tally_of(part) for part in described]
    statistics, aside = Statistics(pair), [read_rows(part / ASIDE) for part in described]
    for tally in tallies:
        statistics.absorb(tally)
    targets = shard_paths(str(pair), "train", statistics.rows)
    tasks = []
    for number, target in enumerate(targets):
        first, rows = number * shards.ROWS_PER_SHARD, min(shards.ROWS_PER_SHARD, statistics.rows)
        rows = min(rows, statistics.rows - first)
        begin, needed = _cover([tally["rows"] for tally in tallies], first, rows)
        what = {"begin": begin, "rows": rows, "name": target, "extra": source.extra, **common}
        where = {"paths": [paths[i] for i in needed], "held": held, "repeated": str(repeated)}
        identity = {"paths": [names[i] for i in needed], "held": drawn, "repeated": repeated.name}
        tasks.append(Task("shard", shard, {**where, **what}, {**identity, **what}))
    made = run(tasks)
    for part, target in zip(made, targets, strict=True):
        _link(part / target, folder / target)
    written = [Shard.model_validate_json((part / SHARD).read_bytes()) for part in made]
    found = {"train": statistics.result(_often(made, repeated))} if statistics.rows else {}
    licences = Counter(statistics.licences)
    if held is not None:
        for split in SPLITS[1:]:
            rows_aside = pl.concat(aside).filter(pl.col("split") == split)
            if rows_aside.height:
                few = Statistics(pair)
                few.add(rows_aside)
                few.recount(rows_aside)
                found[split] = few.result()
                licences.update(few.licences)
                schema = schema_of(source.extra)
                table = table_of(rows_aside.to_arrow(), schema, str(pair), source.name)
                written += write_shards([table], schema, folder, str(pair), split, rows_aside.height)
    with attribution_file(folder, source.needs_attribution) as credit:
        for part in described if source.needs_attribution else ():
            credit((part / ATTRIBUTION).read_bytes())
    kept = {split: found[split].rows for split in SPLITS if split in found}
    samples = pl.read_parquet(folder / targets[0], n_rows=SAMPLES).to_dicts() if targets else []
    packed = Packed(written, kept, {str(pair): found}, dict(sorted(licences.items())), samples)
    of_held = read_rows(Path(held) / HELD) if held is not None else None
    return Sharded(packed, of_held, sum(tally["out"] for tally in tallies), described)


def _cover(counts: Sequence[int], first: int, rows: int) -> tuple[int, list[int]]:
    """Which parts of these many rows hold the rows from `first` on, and how many rows of the first part come before."""
    before, begin = 0, 0
    needed: list[int] = []
    for number, count in enumerate(counts):
        if count and before < first + rows and before + count > first:
            begin = begin if needed else first - before
            needed.append(number)
        before += count
    return begin, needed


def _often(made: Sequence[Path], repeated: Path) -> dict[str, Repeated]:
    return {
        side: most_frequent(
            [read_rows(part / seen_name(side)) for part in made],
            json.loads((repeated / f"{side}.json").read_bytes()),
        )
        for side in _SIDES
    }


def _link(made: Path, target: Path) -> None:
    """Put a finished file into the corpus, without a copy where one disk holds both; its task keeps it, too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(made, target)
    except OSError:  # another disk, or one that knows no links
        with complete_or_absent(target) as temporary:
            shutil.copyfile(made, temporary)
