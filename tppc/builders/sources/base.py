"""What a source is: it says which files it needs, cuts them into partitions, and reads a partition into raw rows.

A new source is one file that ends with a `SOURCE = Source(...)`: inside tppc it has a line in
`tppc.builders.sources`, in another package an entry point of the group `tppc.sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from tppc.builders.download import Fetched
from tppc.corpora.languages import Pair

# Columns of a raw batch; a source may add those that its `extra` lists.
RAW = {
    "src_text": pl.String,
    "tgt_text": pl.String,
    "source_id": pl.String,
    "score": pl.Float32,
    "licence": pl.String,
    "attribution": pl.String,
}


@dataclass(frozen=True)
class Refused:
    """A source record that never became a row: unreadable, or it lacks a side. `raw` are the bytes of unreadable
    ones.
    """

    reason: str
    source_id: str
    detail: str | None = None
    raw: bytes | None = None


RAW_BYTES = 4_000


def unreadable(source_id: str, detail: str, raw: bytes) -> Refused:
    """A record that cannot be read, with the beginning of its bytes."""
    return Refused("unreadable", source_id, detail, raw[:RAW_BYTES])


@dataclass
class RawBatch:
    """Rows of one pair as the source has them, before normalisation, and what could not become a row.

    `refused` are records that people may want to see; `unlisted` counts, by reason, those that are not among them (a
    dump holds millions that lack one label). `counts` says what the source holds, in its own terms.
    """

    pair: Pair
    rows: pl.DataFrame
    refused: list[Refused] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    unlisted: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Partition:
    """A part of a source that one task reads: JSON-able, so that its digest names the task's output.

    `files` maps a role to a path, `digests` the same role to a SHA-256; the paths do not enter the digest.
    """

    source: str
    pairs: tuple[str, ...]
    files: dict[str, str]
    digests: dict[str, str]
    limit: int | None
    options: dict[str, Any] = field(default_factory=dict)

    def path(self, role: str) -> Path | None:
        """The file in a role, None where the source does not have it."""
        return Path(self.files[role]) if role in self.files else None

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the rows of this partition."""
        return {
            "source": self.source,
            "pairs": self.pairs,
            "digests": self.digests,
            "limit": self.limit,
            "options": self.options,
        }


@dataclass(frozen=True)
class Request:
    """What a user asked of a source."""

    pairs: tuple[Pair, ...]
    origin: str | None
    endpoint: str | None
    limit: int | None
    options: dict[str, Any]  # the source's own settings, resolved
    pins: dict[str, str] = field(default_factory=dict)  # the recipe's SHA-256 by file name
    given: str | None = None  # `origin` in the user's word: `sample`, where `origin` is a folder of the package
    companion: str | None = None  # the second of two line-aligned files


class Options(BaseModel):
    """A source's own settings: its table in the recipe, `[<name of the source>]`. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Source:
    """One source. `fetch` brings the files and cuts them into partitions; `read` turns a partition into raw rows.

    Attributes:
        about, pairs, size, cadence: for people: what it is, for which pairs, how large, how often it changes.
        files: what is fetched for a pair, relative to `upstream`; empty where that is not known before asking.
        options: the model of its settings. extra: its own columns and their types (`corpora.schema.EXTRA_TYPES`).
        all_pairs: for a source that has many pairs in one place: `all_pairs(request)` is the request, which has none,
        with all of them and with the place where they are read (`origin`, `given`).
        sample: where its sample lies inside the package's `samples`, None where there is none.
        split: for a partition that must be read in order and is too large for one go: `split(folder, partition)` reads
        it, leaves partitions of its own below `folder` and returns them. It may be killed and called again with
        the same folder, and then goes on where it was.
        splits_for_speed: whether `split` only serves to give several workers something to do: small files, and those of
        a build with one worker, are then left whole. The rows are the same.
        needs_attribution: whether `ATTRIBUTION.tsv.gz` is written.
        collection: for a source that holds many corpora: which one its settings choose; its name comes between that
        of the source and the pair, so that several stand side by side.
        settle: settings that only asking tells (`latest` is `v2018`), which the recipe then holds.
        catalogue: what there is for the pairs, as rows of a table.
    """

    name: str
    upstream: str
    licence: str
    about: str
    citation: str
    limits: tuple[str, ...]
    fetch: Callable[[Request], tuple[list[Partition], dict[str, list[Fetched]]]]
    read: Callable[[Partition], Iterator[RawBatch]]
    pairs: str = "any"
    size: str = "unknown"
    cadence: str = "unknown"
    files: Callable[[Pair], Sequence[str]] = lambda pair: ()
    options: type[Options] = Options
    extra: tuple[tuple[str, str], ...] = ()
    all_pairs: Callable[[Request], Request] | None = None
    sample: str | None = None
    split: Callable[[Path, Partition], list[Partition]] | None = None
    splits_for_speed: bool = False
    needs_attribution: bool = False
    collection: Callable[[dict[str, Any]], str | None] = lambda options: None
    settle: Callable[[Request], dict[str, Any]] | None = None
    catalogue: Callable[[Request], list[dict[str, Any]]] | None = None

    def corpus_name(self, options: dict[str, Any], pair: Pair) -> str:
        """`<source>/<pair>`, or `<source>/<collection>/<pair>`: the corpus's name, and its place below `--out`."""
        return "/".join(part for part in (self.name, self.collection(options), str(pair)) if part)


def frame(columns: dict[str, list[Any]], extra: dict[str, Any] | None = None) -> pl.DataFrame:
    """A frame of raw rows with every column of `RAW` (missing ones are null)."""
    schema = {**RAW, **(extra or {})}
    rows = len(next(iter(columns.values()))) if columns else 0
    return pl.DataFrame({name: columns.get(name, [None] * rows) for name in schema}, schema=schema)
