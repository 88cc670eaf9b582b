"""The manifest: the complete description of a corpus. Everything that publishes or checks a corpus starts from it.

Its JSON Schema is `docs/manifest.schema.json` (`python -m tppc.corpora.manifest` prints it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from tppc.corpora.files import canonical_json, sha256_of_value, write_bytes
from tppc.corpora.languages import Pair, parse_pair
from tppc.errors import TppcError, UsageError, misfit

FORMAT: Final = "tppc-manifest/1"
NAME = "manifest.json"
SEAL = f"{NAME}.sha256"
#: What can happen to a corpus between two versions, from the least to the most.
CHANGES = ("repackaged", "added", "changed")

M = TypeVar("M", bound=BaseModel)
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _below(path: str) -> str:
    """A path of a file below the corpus folder: a manifest from elsewhere must not name any other."""
    if path.startswith("/") or "\\" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise ValueError(f"{path!r} is no path below the corpus folder")
    return path


def _pair(text: str) -> str:
    """A pair as it is written everywhere."""
    try:
        return str(parse_pair(text))
    except UsageError as error:
        raise ValueError(str(error)) from error


PairName = Annotated[str, AfterValidator(_pair)]
RelativePath = Annotated[str, AfterValidator(_below)]
OrderKey = Annotated[str, Field(pattern="^[0-9a-f]{16}$", description="an order key (uint64) in hexadecimal")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Snapshot(_Model):
    """The exact bytes taken from a source. `url` never holds a user name or a password."""

    name: str
    url: str
    bytes: int
    sha256: Sha256
    etag: str | None = None
    last_modified: str | None = None
    retrieved: str | None = Field(default=None, description="UTC, ISO 8601; not part of the build digest")
    checksum: str | None = Field(
        default=None, description="the checksum that the source publishes and these bytes have, as `sha1:...`"
    )
    licence: str | None = Field(default=None, description="SPDX expression of what the source publishes")
    citation: str | None = Field(default=None, description="how the source asks to be cited")


class Funnel(_Model):
    """What happened to every row that was read: `read` = all of `rejected` + `deduplicated` + all of `dropped` +
    all of `kept`.
    """

    read: int = 0
    rejected: dict[str, int] = Field(default_factory=dict, description="rows by the first filter that refused them")
    deduplicated: int = Field(default=0, description="rows whose pair another row has, which was kept instead")
    dropped: dict[str, int] = Field(default_factory=dict, description="rows by the selection rule: holdout, ...")
    kept: dict[str, int] = Field(default_factory=dict, description="rows by split")

    def unaccounted(self) -> int:
        """Rows that the numbers do not explain; 0 for a sound funnel."""
        explained = (
            sum(self.rejected.values()) + self.deduplicated + sum(self.dropped.values()) + sum(self.kept.values())
        )
        return self.read - explained

    def __add__(self, other: Funnel) -> Funnel:
        def total(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
            return {k: a.get(k, 0) + b.get(k, 0) for k in sorted({*a, *b})}

        return Funnel(
            read=self.read + other.read,
            rejected=total(self.rejected, other.rejected),
            deduplicated=self.deduplicated + other.deduplicated,
            dropped=total(self.dropped, other.dropped),
            kept=total(self.kept, other.kept),
        )


class Shard(_Model):
    """One Parquet file; `path` is relative to the corpus folder."""

    path: RelativePath
    pair: PairName
    split: str
    rows: int
    bytes: int
    sha256: Sha256
    row_groups: int
    key_range: tuple[OrderKey, OrderKey] = Field(description="order keys of the first and the last row")


class SourceFacts(_Model):
    """What a corpus says about one source of its rows."""

    about: str = Field(description="what the source is, in words")
    citation: str = Field(description="how the source asks to be cited")
    creator: str = Field(default="", description="who made its texts")
    upstream: str | None = Field(default=None, description="where the source publishes")
    funnel: Funnel = Field(description="of this source's rows alone; the funnels of all sources add up to the corpus's")


class Parent(_Model):
    """A corpus that a mixture was made from."""

    name: str
    version: str
    build_digest: Sha256
    weight: float | None = Field(default=None, description="its share of the mixture, as the recipe asked for it")
    rows: int | None = Field(default=None, description="rows that the mixture took from it")
    date: str | None = Field(default=None, description="the day of its data, ISO 8601; not part of the build digest")


class Protected(_Model):
    """A set of texts that the corpus was kept free of."""

    name: str
    sha256: Sha256 = Field(description="of the set's keys or file")
    texts: int | None = Field(default=None, description="how many texts it holds")
    rows: int | None = Field(default=None, description="rows that shared something with it; some may count for several")


class Commit(_Model):
    """The state of the tool's own repository, where it ran from a checkout; not part of the build digest."""

    commit: str
    dirty: bool = Field(description="whether tracked files differed from the commit")


class Histogram(_Model):
    """Counts between edges; the last bin also counts everything above its upper edge (the largest 0.5%)."""

    edges: list[float]
    counts: list[int]


class Measure(_Model):
    """Distribution of a number over the rows that have it."""

    mean: float
    median: float
    p95: float
    max: float
    histogram: Histogram


class Repeated(_Model):
    """The texts of one side that most rows share, with exact counts.

    `missed_at_most` is a promise: no text with more rows than that is missing, as long as the list has room for it.
    It is 0 unless a split has more different texts than the counter has places (`builders.repeated.PLACES`).
    """

    texts: list[tuple[str, int]] = Field(description="most frequent first; texts of one row are not listed")
    missed_at_most: int = 0


class SplitStatistics(_Model):
    """Statistics of one split of one pair."""

    rows: int
    src_chars: Measure | None = None
    tgt_chars: Measure | None = None
    src_words: Measure | None = Field(default=None, description="parts between white space; few where none is written")
    tgt_words: Measure | None = None
    ratio: Measure | None = Field(default=None, description="characters of the target for each one of the source")
    score: Measure | None = None
    similarity: Measure | None = None
    src_scripts: dict[str, int] = Field(default={}, description="rows by the script of most letters; `none`: no letter")
    tgt_scripts: dict[str, int] = Field(default={})
    src_lid: dict[str, int] = Field(default={}, description="rows by what language ID said; `not asked`: short texts")
    tgt_lid: dict[str, int] = Field(default={})
    src_repeated: Repeated | None = None
    tgt_repeated: Repeated | None = None


class Manifest(_Model):
    """`manifest.json`. The build digest covers what decides the data; times are outside it.

    A mixture has several pairs and sources; `pair`, `src_lang`, `tgt_lang` and `source` are for a corpus that has one.
    """

    format: Literal["tppc-manifest/1"] = FORMAT
    name: str
    version: str = Field(default="1.0.0", pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$")
    pairs: list[PairName] = Field(min_length=1, description="language pairs, each with its shards in `data/<pair>/`")
    sources: dict[str, SourceFacts] = Field(description="where the rows come from")
    extra_columns: list[tuple[str, str]] = Field(default=[], description="the source's own columns: name, type")
    command: str = Field(description="what makes the same corpus again, run in the corpus's folder")
    snapshots: list[Snapshot]
    parents: list[Parent] = Field(default=[], description="of a mixture: the corpora it was made from")
    recipe: dict[str, Any]
    recipe_digest: Sha256
    versions: dict[str, str] = Field(description="tppc and the libraries that decide bytes")
    git: Commit | None = None
    language_id: dict[str, str | None] = Field(
        description="model file name and its SHA-256; empty where none was asked"
    )
    encoder: dict[str, str | None] = Field(
        default={}, description="of `similarity`: name, SHA-256 over its files, device, libraries; empty without scores"
    )
    protected: list[Protected] = Field(default=[], description="texts that the corpus was kept free of")
    funnel: Funnel
    source_counts: dict[str, int] = Field(description="what the source holds and lacks, in its own terms; may overlap")
    shards: list[Shard]
    licence: str = Field(default="NONE", description="SPDX expression for the corpus as a whole")
    licences: dict[str, int] = Field(description="kept rows by SPDX expression; their share is of all kept rows")
    attribution: str = Field(default="", description="the credit that goes with the corpus, for people")
    statistics: dict[str, dict[str, SplitStatistics]] = Field(description="by pair, then by split")
    limits: list[str] = Field(description="known limits, for people")
    files: dict[RelativePath, Sha256] = Field(description="SHA-256 of every other file of the corpus, by relative path")
    build_digest: Sha256
    created: str = Field(description="UTC, ISO 8601; not part of the build digest")

    @model_validator(mode="after")
    def _pairs_fit(self) -> Self:
        used = dict.fromkeys([*(s.pair for s in self.shards), *self.statistics])
        if strange := [pair for pair in used if pair not in self.pairs]:
            raise ValueError(f"pairs that are not listed: {', '.join(strange)}")
        return self

    @property
    def pair(self) -> str:
        """The pair of a corpus that has one. Raises `TppcError` for a mixture of several."""
        return _only(self.pairs, self.name, "pairs")

    @property
    def src_lang(self) -> str:
        """The source language of a corpus that has one pair. Raises `TppcError` for several."""
        return parse_pair(self.pair).src

    @property
    def tgt_lang(self) -> str:
        """The target language of a corpus that has one pair. Raises `TppcError` for several."""
        return parse_pair(self.pair).tgt

    @property
    def source(self) -> str:
        """The source of a corpus that has one. Raises `TppcError` for several."""
        return _only(list(self.sources), self.name, "sources")

    @property
    def language_pairs(self) -> list[Pair]:
        """All pairs, parsed."""
        return [parse_pair(pair) for pair in self.pairs]

    @property
    def languages(self) -> list[str]:
        """Codes of all languages, in the order in which the pairs name them."""
        return list(dict.fromkeys(code for p in self.language_pairs for code in (p.src, p.tgt)))

    @property
    def splits(self) -> list[str]:
        """Splits that have rows, in the order of the shards."""
        return list(dict.fromkeys(s.split for s in self.shards))

    @property
    def date(self) -> str:
        """The day of the data (ISO 8601): that of the newest snapshot, by `Last-Modified`, else by its retrieval, or
        of the newest parent; of the build where none has a day. So what is written about the data does not change with
        every build.
        """
        days = [day for s in self.snapshots if (day := _day(s))] + [p.date for p in self.parents if p.date]
        return max(days, default=self.created[:10])

    def rows(self, split: str | None = None, pair: str | None = None) -> int:
        """Rows of a split and of a pair; of all where neither is given."""
        return sum(s.rows for s in self.shards if split in (None, s.split) and pair in (None, s.pair))


def _day(snapshot: Snapshot) -> str | None:
    try:
        if snapshot.last_modified:
            return parsedate_to_datetime(snapshot.last_modified).date().isoformat()
        return date.fromisoformat((snapshot.retrieved or "")[:10]).isoformat()
    except ValueError:  # a server may send anything, and local files have no day
        return None


def _only(names: Sequence[str], corpus: str, what: str) -> str:
    if len(names) != 1:
        said = ", ".join(names) or "none"
        raise TppcError(f"{corpus}: a corpus of several {what} ({said}), but here one is needed; give one that has one")
    return names[0]


def digest_of_build(
    *,
    snapshots: Sequence[Snapshot],
    recipe_digest: str,
    versions: Mapping[str, str],
    shards: Sequence[Shard],
    parents: Sequence[Parent] = (),
    protected: Sequence[Protected] = (),
) -> str:
    """The build digest: of everything that decides the data, and of the data. No time, path or host enters."""
    return sha256_of_value(
        {
            "snapshots": sorted(s.sha256 for s in snapshots),
            "parents": sorted(p.build_digest for p in parents),
            "protected": sorted(p.sha256 for p in protected),
            "recipe": recipe_digest,
            "versions": dict(versions),
            "shards": [[s.path, s.sha256] for s in shards],
        }
    )


def next_version(version: str, change: str) -> str:
    """The version after `version`: PATCH where the same rows were `repackaged`, MINOR where rows were only `added`,
    MAJOR where rows or their splits `changed` or rows were removed (the rule of Croissant 1.1).
    """
    major, minor, patch = map(int, version.split("."))
    following = [(major, minor, patch + 1), (major, minor + 1, 0), (major + 1, 0, 0)]
    return "{}.{}.{}".format(*following[CHANGES.index(change)])


def json_schema() -> dict[str, Any]:
    """The JSON Schema of `manifest.json` (draft 2020-12)."""
    schema = Manifest.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json` last of all files of a corpus, after `manifest.json.sha256`, which covers its bytes."""
    data = canonical_json(manifest.model_dump(mode="json"))
    digest = hashlib.sha256(data).hexdigest()
    write_bytes(folder / SEAL, f"{digest}  {NAME}\n".encode())
    write_bytes(folder / NAME, data)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a corpus folder.

    Raises `TppcError` where there is none, or it cannot be read.
    """
    path = folder / NAME
    if not folder.is_dir():
        raise TppcError(f"{folder}: no such folder; give the folder of a corpus, the one that holds {NAME}")
    if not path.is_file():
        raise TppcError(f"{folder}: no {NAME}, so this is no finished corpus; build it again with `tppc build`")
    return parse_manifest(path.read_bytes(), str(path))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """A manifest from its bytes; `where` is what an error calls them. Raises `TppcError` for what is no manifest."""
    return parse_published(Manifest, FORMAT, data, where, "not a manifest", "fetch or build the corpus again")


def parse_published(model: type[M], form: str, data: bytes, where: str, fault: str, remedy: str) -> M:
    """JSON that tppc published, by its model; `form` is what its field `format` must say.

    Raises `TppcError` that names the first field that does not fit, or the other format.
    """
    try:
        raw = json.loads(data)
        if isinstance(raw, dict) and raw.get("format") != form:
            raise TppcError(
                f"{where}: format {raw.get('format')!r}, but this version of tppc reads {form!r}; install the "
                "one that wrote it"
            )
        return model.model_validate(raw)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        if isinstance(error, ValidationError):
            place, said = misfit(error)
            reason = f"{place or 'all of it'}: {said}"
        raise TppcError(f"{where}: {fault} ({reason}); {remedy}") from error


if __name__ == "__main__":
    print(canonical_json(json_schema()).decode(), end="")
