"""The work folder of a build: where finished tasks leave their outputs, in a folder or behind any URL of fsspec.

A plain folder is used where it is, without copies; a cluster's machines must all see it. With a store (`s3://...`)
a task runs in a local folder, the same path on every machine, and puts its finished output under its name on the
store: every file is one complete PUT, and the marker that lists them comes last. What a task reads is fetched once a
machine. So nothing is lost with a machine: its finished outputs are on the store.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from tppc.corpora.addresses import public_address, scheme
from tppc.corpora.files import canonical_json, complete_or_absent, sha256_of_file, write_bytes
from tppc.corpora.stores import ObjectStore, in_threads
from tppc.errors import TppcError

#: Lists the files of a finished output and their sizes; written last.
DONE = ".done.json"
# Counts and rejected examples, which the machine that runs the build adds up; rows stay where they are.
_REPORTS = (".json", "rejects.arrow")
_LAST = "last-corpus"


@lru_cache
def _store(address: str) -> ObjectStore:
    return ObjectStore(address)


@dataclasses.dataclass(frozen=True)
class Workspace:
    """Finished outputs by task name: below `folder` alone, or, with `address`, on that store with a copy of what this
    machine made or read below `folder`. It is handed to tasks on other machines as it is.
    """

    folder: Path
    address: str | None = None

    def finished(self) -> set[str]:
        """Names of all finished outputs."""
        if self.address is None:
            return {path.name for path in self.folder.iterdir() if path.is_dir()} if self.folder.is_dir() else set()
        return {name.removesuffix(f"/{DONE}") for name in _store(self.address).sizes() if name.endswith(f"/{DONE}")}

    def has(self, name: str) -> bool:
        """Whether an output is finished."""
        if self.address is None:
            return (self.folder / name).is_dir()
        return (self.folder / name / DONE).is_file() or self._marker(name) is not None

    def _marker(self, name: str) -> dict[str, int] | None:
        assert self.address is not None, "only stores have markers"
        data = _store(self.address).read(f"{name}/{DONE}")
        return None if data is None else json.loads(data)

    def keep(self, temporary: Path, name: str) -> None:
        """Make a filled folder the finished output `name`; where another process was faster, its output stays."""
        final = self.folder / name
        if self.address is not None and final.is_dir():  # what a killed process had not put on the store yet
            shutil.rmtree(final)
        try:
            temporary.replace(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(temporary)
        if self.address is None:
            return
        store = _store(self.address)
        files = {p.relative_to(final).as_posix(): p for p in sorted(final.rglob("*")) if p.is_file()}
        in_threads(lambda file: store.put(f"{name}/{file}", files[file]), files)
        marker = canonical_json({file: path.stat().st_size for file, path in files.items()})
        store.put(f"{name}/{DONE}", marker)
        write_bytes(final / DONE, marker)

    def bring(self, paths: Iterable[Path], *, reports: bool = False) -> None:
        """Fetch the outputs that hold these paths, where this machine does not have them; only the counts and rejects
        with `reports`. Paths that are not below `folder` are left alone.

        Raises `TppcError` for an output that is not on the store, or not whole.
        """
        if self.address is None:
            return
        for name in dict.fromkeys(n for path in paths if (n := self._name(path)) is not None):
            local = self.folder / name
            if (local / DONE).is_file():
                continue
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f".{name}.lock"):
                self._fetch(name, local, reports)

    def _name(self, path: Path) -> str | None:
        return path.relative_to(self.folder).parts[0] if path.is_relative_to(self.folder) else None

    def _fetch(self, name: str, local: Path, reports: bool) -> None:
        assert self.address is not None, "only from a store"
        if (local / DONE).is_file():
            return
        if (marker := self._marker(name)) is None:
            raise TppcError(f"{public_address(self.address)}: the finished part {name} is gone; run the same again")

        def get(file: str) -> None:
            if (local / file).is_file() and (local / file).stat().st_size == marker[file]:
                return
            with complete_or_absent(local / file) as temporary, temporary.open("wb") as copy:
                for piece in _store(str(self.address)).stream(f"{name}/{file}"):
                    copy.write(piece)
                if copy.tell() != marker[file]:
                    raise TppcError(
                        f"{public_address(str(self.address))}/{name}/{file}: {copy.tell()} bytes came of {marker[file]}"
                    )

        in_threads(get, [file for file in marker if not reports or file.endswith(_REPORTS)])
        if not reports:
            write_bytes(local / DONE, canonical_json(marker))

    def staged(self, path: Path) -> Path:
        """A file of this machine as a path that other machines can bring: put on the store under its digest."""
        if self.address is None or path.is_relative_to(self.folder) or not path.is_file():
            return path
        path = path.resolve()
        name = f"input-{sha256_of_file(path)[:24]}"
        copy = self.folder / name / path.name
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.symlink_to(path)
        if not self.has(name):
            store, marker = _store(self.address), canonical_json({path.name: path.stat().st_size})
            store.put(f"{name}/{path.name}", path)
            store.put(f"{name}/{DONE}", marker)
            write_bytes(copy.parent / DONE, marker)
        return copy

    def mark_last(self, last: bool = True) -> None:
        """Note that only the last corpus of a build is still to be put in its place: once it stands, nobody needs this
        folder; or that it is not so."""
        mark = self.folder / _LAST
        if last:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    @property
    def at_last(self) -> bool:
        """Whether `mark_last` was the last word."""
        return (self.folder / _LAST).is_file()

    def remove(self) -> None:
        """Remove every output, here and on the store. What a kill leaves of this folder, `clear` removes."""
        if self.address is not None:
            store = _store(self.address)
            in_threads(store.remove, store.sizes())
        self.clear()
        if self.folder.is_dir():  # the machines of a cluster have cleared theirs
            self.folder.rename(self._removed)
        self.clear()

    def clear(self) -> None:
        """Remove what is left of a folder whose removal was interrupted."""
        if self._removed.is_dir():
            folders = [entry.path for entry in os.scandir(self._removed) if entry.is_dir(follow_symlinks=False)]
            in_threads(shutil.rmtree, folders)
            shutil.rmtree(self._removed)

    @property
    def _removed(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.removed")


def workspace(address: str | Path) -> Workspace:
    """The work folder at a path or URL; behind a URL its local copies lie below the folder of temporary files."""
    text = str(address)
    if scheme(text) in ("", "file", "local"):
        return Workspace(Path(text.split("://", 1)[-1]).resolve())
    digest = sha256(text.rstrip("/").encode()).hexdigest()[:16]
    return Workspace(Path(tempfile.gettempdir()).resolve() / f"tppc-work-{os.getuid()}-{digest}", text.rstrip("/"))


def paths_in(value: Any) -> Iterator[Path]:
    """Every path among the arguments of a task, however deep."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, str):
        if value.startswith("/"):
            yield Path(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from paths_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from paths_in(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from paths_in(getattr(value, field.name))


def with_paths(value: Any, change: Callable[[Path], Path]) -> Any:
    """The arguments of a task with each path put through `change`; they keep their types."""
    if isinstance(value, Path):
        return change(value)
    if isinstance(value, str):
        return str(change(Path(value))) if value.startswith("/") else value
    if isinstance(value, dict):
        return {key: with_paths(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        found = [with_paths(item, change) for item in value]
        return tuple(found) if isinstance(value, tuple) else found
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return dataclasses.replace(value, **{f.name: with_paths(getattr(value, f.name), change) for f in fields})
    return value
