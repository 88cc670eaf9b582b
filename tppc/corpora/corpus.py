"""Open a corpus folder and read its rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair, parse_pair
from tppc.corpora.manifest import NAME, SEAL, Manifest, Shard, read_manifest
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True)
class RowGroup:
    """One Parquet row group of a shard."""

    path: Path
    index: int
    rows: int

    def read(self, columns: list[str]) -> pa.Table:
        """The rows of this group, `columns` only."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path) as file:
            return file.read_row_group(self.index, columns=columns)


def outside_of_corpora(path: Path) -> None:
    """Raise `UsageError` where a file or folder lies inside a corpus, whose manifest would not list it."""
    inside = path.parent.resolve()
    for folder in (inside, *inside.parents):
        if (folder / NAME).is_file() and (folder / SEAL).is_file():
            raise UsageError(
                f"{path}: lies inside the corpus {folder}, whose manifest would not list it; choose another place"
            )


class Corpus:
    """A finished corpus: a folder of shards with its manifest.

    Raises `TppcError` on opening where the folder has no manifest or a shard is missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest: Manifest = read_manifest(self.path)
        for shard in self.manifest.shards:
            file = self.path / shard.path
            if not file.is_file():
                raise TppcError(
                    f"{file}: the manifest lists this shard but it is not there; fetch or build the corpus again"
                )

    @property
    def name(self) -> str:
        """The corpus's name, such as `wikidata/en-hi`."""
        return self.manifest.name

    @property
    def pairs(self) -> list[Pair]:
        """The language pairs; a mixture may have several."""
        return self.manifest.language_pairs

    @property
    def pair(self) -> Pair:
        """The pair of a corpus that has one. Raises `TppcError` for a mixture of several."""
        return parse_pair(self.manifest.pair)

    @property
    def digest(self) -> str:
        """The build digest: the same for the same data."""
        return self.manifest.build_digest

    def shards(self, split: str, pair: Pair | None = None) -> list[Shard]:
        """Shards of a split (of one pair, where it is given), in order. Raises `TppcError` if there are none."""
        found = [s for s in self.manifest.shards if s.split == split and (pair is None or s.pair == str(pair))]
        if not found:
            have = ", ".join(sorted({s.split for s in self.manifest.shards})) or "no rows at all"
            of = f" of {pair}" if pair is not None and self.manifest.rows(split) else ""
            hint = (
                "; build it with --holdout dev=N,test=N into another --out, and train on that one"
                if split in ("dev", "test")
                else ""
            )
            raise TppcError(f"{self.path}: no {split} split{of} (it has {have}){hint}")
        return found

    def rows(self, split: str) -> int:
        """Number of rows of a split (0 where there is none)."""
        return self.manifest.rows(split)

    def scan(self, split: str, pair: Pair | None = None) -> pl.LazyFrame:
        """A lazy polars frame over a split (of one pair, where it is given): pair after pair, in corpus order."""
        import polars as pl

        return pl.scan_parquet([self.path / s.path for s in self.shards(split, pair)])

    def row_groups(self, split: str, pair: Pair | None = None) -> list[RowGroup]:
        """All row groups of a split (of one pair, where it is given), in order."""
        import pyarrow.parquet as pq

        groups = []
        for shard in self.shards(split, pair):
            path = self.path / shard.path
            metadata = pq.read_metadata(path)
            groups += [RowGroup(path, i, metadata.row_group(i).num_rows) for i in range(metadata.num_row_groups)]
        return groups

    def check_shards(self, *splits: str) -> None:
        """Compare the shards of `splits` with their digests; each shard is read once for each `Corpus` object.

        Raises `TppcError` that names the first shard whose bytes are not those the manifest was written for.
        """
        for split in splits:
            for shard in self.shards(split):
                if shard.path not in self._checked:
                    file = self.path / shard.path
                    if file.stat().st_size != shard.bytes or sha256_of_file(file) != shard.sha256:
                        raise TppcError(
                            f"{file}: its SHA-256 differs from the manifest's, so the shard was changed or damaged; "
                            "fetch or build the corpus again"
                        )
                    self._checked.add(shard.path)

    @cached_property
    def _checked(self) -> set[str]:
        return set()
