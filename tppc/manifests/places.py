"""Read a published corpus where it is, file by file, and keep nothing: a folder, or any address that a store opens."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tppc.corpora.addresses import scheme
from tppc.corpora.files import sha256_of_file
from tppc.corpora.manifest import NAME, SEAL, Manifest, parse_manifest, read_manifest
from tppc.corpora.stores import FolderStore, ObjectStore, Store, open_store
from tppc.errors import TppcError

_ATTEMPTS = 3
# What the Hub adds to every repository by itself.
_ADDED_BY_STORE = {"hf": {".gitattributes"}}


class Place:
    """Where a corpus lies: a folder or URL that holds it; the address of its `manifest.json` does as well."""

    def __init__(self, address: str | Path) -> None:
        text = os.fspath(address)
        self.address = "." if text == NAME else text.removesuffix(f"/{NAME}")
        self.store: Store = open_store(self.address)
        #: The folder, where it is one of this machine.
        self.folder = self.store.path if isinstance(self.store, FolderStore) else None
        self._ignored = _ADDED_BY_STORE.get(scheme(self.address), set())

    def shown(self, name: str = "") -> str:
        """What a message calls the place, or a file of it; never with a secret."""
        return f"{self.store.address.rstrip('/')}/{name}" if name else self.store.address

    def manifest(self) -> tuple[Manifest, bytes, bytes | None]:
        """The manifest, its bytes and those of its seal. Raises `TppcError` where there is none or it is damaged."""
        data = self.store.read(NAME)
        if data is None:
            if self.folder is not None:
                read_manifest(self.folder)  # says best what a folder lacks
            raise TppcError(f"{self.shown()}: no {NAME} there; give the address of a corpus, where its {NAME} lies")
        return parse_manifest(data, self.shown(NAME)), data, self.store.read(SEAL)

    def listing(self) -> tuple[dict[str, int], list[str]] | None:
        """Sizes of all files by relative name, and faults of what is no file; None where a store cannot tell."""
        if self.folder is not None:
            return _walk(self.folder)
        if not isinstance(self.store, ObjectStore):
            return None
        sizes = self.store.sizes()
        return {name: size for name, size in sizes.items() if name not in self._ignored}, []

    def digest(self, name: str) -> str:
        """SHA-256 of a file."""
        if self.folder is not None:
            return sha256_of_file(self.folder / name)
        return _again(lambda: self._stream(name, None))

    @contextmanager
    def copy(self, name: str) -> Iterator[tuple[Path, str]]:
        """A file as one of this machine, and its SHA-256; what was fetched is removed when the block ends."""
        if self.folder is not None:
            yield self.folder / name, sha256_of_file(self.folder / name)
            return
        with tempfile.TemporaryDirectory(prefix="tppc-") as folder:
            path = Path(folder) / Path(name).name
            yield path, _again(lambda: self._fetch(name, path))

    def _fetch(self, name: str, path: Path) -> str:
        with path.open("wb") as file:
            return self._stream(name, file)

    def _stream(self, name: str, copy: IO[bytes] | None) -> str:
        digest = hashlib.sha256()
        for piece in self.store.stream(name):
            digest.update(piece)
            if copy is not None:
                copy.write(piece)
        return digest.hexdigest()

    def footer(self, name: str, size: int) -> bytes:
        """The footer of a Parquet file of `size` bytes: its schema and row groups. Raises `TppcError` if it has
        none.
        """
        end = b"".join(self.store.stream(name, max(0, size - 8)))
        length = int.from_bytes(end[:4], "little")
        if len(end) != 8 or end[4:] != b"PAR1" or length > size - 12:
            raise TppcError(f"{self.shown(name)}: not readable as Parquet (it has no footer)")
        return b"".join(self.store.stream(name, size - 8 - length))


def _again(action: Any) -> str:
    """Do something that a network may break, a few times."""
    wait = float(os.environ.get("TPPC_BACKOFF", "1"))
    for attempt in range(_ATTEMPTS - 1):
        try:
            return str(action())
        except TppcError:
            time.sleep(wait * 2**attempt)
    return str(action())


def _walk(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Sizes of the files below a folder, links to files among them, and a fault for everything else but folders."""
    sizes: dict[str, int] = {}
    faults = []
    for root, folders, files in os.walk(folder):
        for name in sorted(folders):
            path = Path(root) / name
            if path.is_symlink():
                faults.append(f"{path}: a link to a folder, so its files are not the corpus's own; put the folder here")
        for name in sorted(files):
            path = Path(root) / name
            try:
                found = path.stat()
            except FileNotFoundError:
                faults.append(f"{path}: a link to a file that is not there")
                continue
            except OSError as error:  # a link to itself
                faults.append(f"{path}: cannot be looked at ({error.strerror or error})")
                continue
            if stat.S_ISREG(found.st_mode):
                sizes[path.relative_to(folder).as_posix()] = found.st_size
            else:  # reading a named pipe would wait for ever
                faults.append(f"{path}: no regular file")
    return sizes, faults
