"""Where a corpus goes: a folder, or a place behind any URL of fsspec, with the same bytes.

Behind a URL a corpus is written below the work folder first and then put there as `tppc manifests publish` does: every
file is one complete PUT, `manifest.json` the last of them. The folder stays until it is there, so a killed build puts
the very same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tppc.builders.workspace import Workspace
from tppc.corpora.addresses import scheme
from tppc.corpora.corpus import outside_of_corpora
from tppc.corpora.manifest import NAME, Manifest, parse_manifest, read_manifest
from tppc.corpora.stores import ObjectStore, open_store
from tppc.errors import TppcError, UsageError

_MADE = "corpora"


@dataclass(frozen=True)
class StoredCorpus:
    """A finished corpus behind a URL: `path` is its address."""

    path: str
    manifest: Manifest

    @property
    def name(self) -> str:
        """The corpus's name, such as `wikidata/en-hi`."""
        return self.manifest.name


@dataclass(frozen=True)
class Target:
    """The place of one corpus: `folder` is where it is written, `address` where it ends if that is a URL."""

    folder: Path
    address: str | None = None

    def __str__(self) -> str:
        return self.address or str(self.folder)

    def manifest(self) -> Manifest | None:
        """The manifest of the corpus that stands there; None where there is none."""
        if self.address is None:
            return read_manifest(self.folder) if (self.folder / NAME).is_file() else None
        data = self._store().read(NAME)
        return None if data is None else parse_manifest(data, f"{self.address}/{NAME}")

    def _store(self) -> ObjectStore:
        assert self.address is not None, "only of a place behind a URL"
        store = open_store(self.address)
        if not isinstance(store, ObjectStore):
            raise UsageError(f"{self.address}: nothing can be written to a web server; give --out a folder or a bucket")
        return store

    def refuse_strangers(self) -> None:
        """Raise `TppcError` if the place holds something that is no corpus, finished or on its way."""
        if self.address is None:
            outside_of_corpora(self.folder)
            folder = self.folder
            strange = (
                folder.exists() and not (folder / NAME).is_file() and (not folder.is_dir() or any(folder.iterdir()))
            )
        else:
            from tppc.manifests.publication import CLAIM

            names = self._store().names()
            strange = bool(names) and NAME not in names and CLAIM not in names
        if strange:
            raise TppcError(f"{self}: holds files that are no finished corpus; remove it or choose another --out")

    def written(self) -> Manifest | None:
        """The manifest of a corpus that stands in `folder` and may not have reached its address yet."""
        return read_manifest(self.folder) if (self.folder / NAME).is_file() else None

    def deliver(self) -> None:
        """Put the corpus in `folder` to its address."""
        if self.address is not None:
            from tppc.manifests.publication import publish

            publish(self.folder, self.address)


def targets_of(out: Path | str, names: dict[str, str], work: Workspace) -> dict[str, Target]:
    """The target of each pair, whose corpus has its name (`wikimatrix/en-hi`) below `out`."""
    text = str(out)
    if scheme(text) in ("", "file", "local"):
        root = Path(text.split("://", 1)[-1])
        return {pair: Target(root / name) for pair, name in names.items()}
    return {pair: Target(work.folder / _MADE / name, f"{text.rstrip('/')}/{name}") for pair, name in names.items()}
