"""The manifest: the complete description of a corpus. Everything that publishes or checks a corpus starts from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tppc.corpora.files import canonical_json, write_bytes
from tppc.errors import TppcError

FORMAT = "tppc-manifest/1"
NAME = "manifest.json"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Snapshot(_Model):
    """The exact bytes taken from a source. `url` never holds a user name or a password."""

    name: str
    url: str
    bytes: int
    sha256: str
    etag: str | None = None
    last_modified: str | None = None
    retrieved: str | None = Field(default=None, description="UTC, ISO 8601; not part of the build digest")


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

    path: str
    split: str
    rows: int
    bytes: int
    sha256: str


class Manifest(_Model):
    """`manifest.json`. The build digest covers what decides the data; times are outside it."""

    format: str = FORMAT
    name: str
    version: str = "1.0.0"
    pair: str
    src_lang: str
    tgt_lang: str
    source: str
    extra_columns: list[tuple[str, str]] = Field(default=[], description="the source's own columns: name, type")
    command: str
    snapshots: list[Snapshot]
    recipe: dict[str, Any]
    recipe_digest: str
    versions: dict[str, str] = Field(description="tppc and the libraries that decide bytes")
    language_id: dict[str, str | None] = Field(description="model file name and its SHA-256")
    funnel: Funnel
    source_counts: dict[str, int] = Field(description="what the source holds and lacks, in its own terms; may overlap")
    shards: list[Shard]
    licences: dict[str, int] = Field(description="kept rows by SPDX expression")
    statistics: dict[str, Any]
    limits: list[str] = Field(description="known limits, for people")
    files: dict[str, str] = Field(description="SHA-256 of every other file of the corpus, by relative path")
    build_digest: str
    created: str = Field(description="UTC, ISO 8601; not part of the build digest")

    def rows(self, split: str) -> int:
        """Rows in a split."""
        return sum(s.rows for s in self.shards if s.split == split)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json` last of all files of a corpus, after `manifest.json.sha256`, which covers its bytes."""
    data = canonical_json(manifest.model_dump(mode="json"))
    digest = hashlib.sha256(data).hexdigest()
    write_bytes(folder / f"{NAME}.sha256", f"{digest}  {NAME}\n".encode())
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
    try:
        raw = json.loads(path.read_bytes())
        if isinstance(raw, dict) and raw.get("format") != FORMAT:
            raise TppcError(f"{path}: format {raw.get('format')!r}, but this version of tppc reads {FORMAT!r}")
        return Manifest.model_validate(raw)
    except (ValueError, ValidationError) as error:
        raise TppcError(
            f"{path}: not a manifest ({str(error).splitlines()[0]}); fetch or build the corpus again"
        ) from error
