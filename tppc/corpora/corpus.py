"""Open a corpus, a folder or a URL, and read its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tppc.corpora.addresses import scheme
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair, parse_pair
from tppc.corpora.manifest import NAME, SEAL, Manifest, Shard, read_manifest
from tppc.errors import TppcError, UsageError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from tppc.corpora.remote import HeldShard, RemoteShards
    from tppc.corpora.shards import ShardReader


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
    """A finished corpus: a folder of shards with its manifest, or the URL of such a folder (`s3://...`, `https://...`).

    Of a corpus elsewhere the manifest is read at once, and each shard when it is needed: it is fetched into the cache
    and held against its digest first (see `remote`). `path` is the folder, of a corpus elsewhere the one in the cache;
    `address` is what messages call the corpus.

    Raises `TppcError` on opening where the folder has no manifest or a shard is missing.
    """

    def __init__(self, path: str | Path) -> None:
        self._remote: RemoteShards | None = None
        self.manifest: Manifest
        kind = scheme(str(path))
        if kind not in ("", "file", "local"):
            from tppc.corpora.remote import RemoteShards

            self._remote = RemoteShards(str(path))
            self.address, self.path, self.manifest = self._remote.address, self._remote.folder, self._remote.manifest
            return
        self.path = Path(str(path).split("://", 1)[1] if kind else path)
        self.address = str(self.path)
        self.manifest = read_manifest(self.path)
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
            raise TppcError(f"{self.address}: no {split} split{of} (it has {have}){hint}")
        return found

    def rows(self, split: str) -> int:
        """Number of rows of a split (0 where there is none)."""
        return self.manifest.rows(split)

    def parts(self, split: str) -> list[Pair | None]:
        """What a stream samples on its own: the language pairs of a mixture that have rows in `split`, or the corpus as
        a whole (None).
        """
        if len(self.pairs) < 2 or not self.rows(split):
            return [None]
        return [pair for pair in self.pairs if self.manifest.rows(split, str(pair))]

    def part_rows(self, split: str) -> list[int]:
        """Rows of each of the `parts`."""
        return [self.manifest.rows(split, None if pair is None else str(pair)) for pair in self.parts(split)]

    def file(self, shard: Shard) -> Path:
        """The shard's file. That of a corpus elsewhere is fetched, and stays as long as this object."""
        if self._remote is not None and shard.path not in self._held:
            self._held[shard.path] = self._remote.hold(shard)
        return self.path / shard.path

    @contextmanager
    def reading(self, shard: Shard, then: Sequence[Shard] = ()) -> Iterator[ShardReader]:
        """A shard, open for reading, as long as the block lasts; of a corpus elsewhere the shards of `then` are fetched
        meanwhile. Raises `TppcError` for a shard that cannot be had or read.
        """
        from tppc.corpora.shards import ShardReader

        with ExitStack() as stack:
            if self._remote is not None:
                stack.callback(self._remote.hold(shard).release)
                self._remote.expect(then)
            reader = ShardReader(self.path / shard.path, shard, f"{self.address}/{shard.path}")
            stack.callback(reader.close)
            yield reader

    def scan(self, split: str, pair: Pair | None = None) -> pl.LazyFrame:
        """A lazy polars frame over a split (of one pair, where it is given): pair after pair, in corpus order."""
        import polars as pl

        return pl.scan_parquet([self.file(s) for s in self.shards(split, pair)])

    def head(self, split: str, rows: int, columns: Sequence[str]) -> pl.DataFrame:
        """The first rows of a split, `columns` only; no more shards are read, or fetched, than they lie in."""
        import polars as pl

        found, left = [], rows
        for shard in self.shards(split):
            found.append(pl.scan_parquet(self.file(shard)).select(columns).head(left).collect())
            left -= found[-1].height
            if not left:
                break
        return pl.concat(found)

    def row_groups(self, split: str, pair: Pair | None = None) -> list[RowGroup]:
        """All row groups of a split (of one pair, where it is given), in order."""
        import pyarrow.parquet as pq

        groups = []
        for shard in self.shards(split, pair):
            path = self.file(shard)
            metadata = pq.read_metadata(path)
            groups += [RowGroup(path, i, metadata.row_group(i).num_rows) for i in range(metadata.num_row_groups)]
        return groups

    def check_shards(self, *splits: str) -> None:
        """Compare the shards of `splits` with their digests; each shard is read once for each `Corpus` object. Those of
        a corpus elsewhere are compared when they are fetched, each before its first row is read.

        Raises `TppcError` that names the first shard whose bytes are not those the manifest was written for.
        """
        if self._remote is not None:
            return
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
    def _held(self) -> dict[str, HeldShard]:
        return {}

    @cached_property
    def _checked(self) -> set[str]:
        return set()
