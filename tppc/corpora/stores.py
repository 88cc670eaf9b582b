"""Stores: the places that published corpora lie in, each a folder of names, behind one small interface.

What a name shows is always one complete file:

- a folder: written beside its place, fsynced and renamed; `update` holds a lock, so that no change is lost;
- an object store (`s3://` and everything else that fsspec knows): one complete PUT. `create` is a conditional PUT
  (`If-None-Match: *`) and `update` one with `If-Match` on S3 and what speaks its protocol, so that no change is lost
  there either. Elsewhere `update` writes, reads again and writes once more until its change stands: of two writers at
  the same moment both find their change in the end, unless one of them is killed in between (then its second publish
  puts it there);
- a web server (`http://`, `https://`): read only.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filelock import FileLock

from tppc.corpora.addresses import has_secrets, public_address, scheme, told
from tppc.corpora.files import write_bytes
from tppc.corpora.transfers import ATTEMPTS, CHUNK, pause
from tppc.errors import TppcError, UsageError

T = TypeVar("T")
_PART = 16 << 20  # of a large S3 object; a few of them are in memory at a time
_TRIES = 200
_THREADS = 4
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
}


class Store(Protocol):
    """A place with files to read; `address` may be shown to anyone. Names are relative, parts joined by `/`."""

    address: str

    def read(self, name: str) -> bytes | None:
        """The bytes of a small file; None where there is none."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        """A file's bytes from `start` on, in pieces."""


def in_threads(work: Callable[[str], T], names: Iterable[str]) -> list[T]:
    """Call `work` with each name, a few at a time; the results in order. The first failure ends what has not begun."""
    with ThreadPoolExecutor(_THREADS) as pool:
        futures = [pool.submit(work, name) for name in names]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class FolderStore:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path, self.address = path, str(path)

    def read(self, name: str) -> bytes | None:
        """The bytes of a small file; None where there is none."""
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        path = self.path / name
        return path.stat().st_size if path.is_file() else None

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        """A file's bytes from `start` on, in pieces."""
        try:
            file = (self.path / name).open("rb")
        except FileNotFoundError as error:
            raise TppcError(f"{self.path / name}: the file is not there; tell whoever keeps {self.address}") from error
        with file:
            file.seek(start)
            while piece := file.read(CHUNK):
                yield piece

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a file by `change` of what it holds, under a lock.

        `change` gives its argument back where its own change is in it already.
        """
        path = self.path / name
        with self.lock(name):
            before = self.read(name)
            after = change(before)
            if after != before:
                write_bytes(path, after)

    def lock(self, name: str) -> FileLock:
        """The lock of a name, for all processes that write below this folder."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path.with_name(f".{path.name}.lock"), mode=0o664)


class ObjectStore:
    """Everything that fsspec opens: `s3://`, `gs://`, `memory://`, `sftp://`, ..."""

    def __init__(self, address: str) -> None:
        import fsspec

        self._given, self.address = address, public_address(address)
        kind = scheme(address)
        if kind in ("s3", "s3a") and has_secrets(address):
            raise UsageError(
                f"{self.address}: an S3 address holds no user name, password or query; keys come from the environment "
                "(AWS_ACCESS_KEY_ID and others) or from the AWS configuration files"
            )
        # Listings that the client remembers would hide what another publisher has written since.
        options = {"use_listings_cache": False, "skip_instance_cache": True}
        with told(address, "be opened"):
            try:
                self._fs, root = fsspec.url_to_fs(address, **options)
            except (ImportError, ValueError) as error:
                extra = "tppc[s3]" if kind in ("s3", "s3a") else "the package of fsspec that opens it"
                message = f"{self.address}: {kind}:// cannot be opened here; install {extra}"
                raise UsageError(message) from (None if has_secrets(address) else error)
        self._root = str(root).rstrip("/")
        # s3fs offers the calls of botocore, and with them conditional writes and the ETag of what was read.
        self._s3 = kind in ("s3", "s3a")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def read(self, name: str) -> bytes | None:
        """The bytes of a small file; None where there is none."""
        return self._tagged(name)[0]

    def _tagged(self, name: str) -> tuple[bytes | None, str | None]:
        """The bytes of a file and the ETag of those very bytes, where the store has one."""
        with told(self._given, f"be read at {name}"):
            try:
                if not self._s3:
                    data: bytes = self._fs.cat_file(self._path(name))
                    return data, None
                bucket, key, _ = self._fs.split_path(self._path(name))
                answer = self._fs.call_s3("get_object", Bucket=bucket, Key=key)
                return _body(self._fs, answer), str(answer["ETag"])
            except FileNotFoundError:
                return None, None

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with told(self._given, f"be asked for {name}"):
            try:
                return int(self._fs.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def sizes(self) -> dict[str, int]:
        """Bytes of every file below the address, by name."""
        with told(self._given, "be listed"):
            found = self._fs.find(self._root, detail=True)
        return {path.removeprefix(f"{self._root}/"): int(info["size"]) for path, info in found.items()}

    def names(self) -> set[str]:
        """Names of the files and folders right below the address."""
        with told(self._given, "be listed"):
            try:
                return {path.rstrip("/").rpartition("/")[2] for path in self._fs.ls(self._root, detail=False)}
            except FileNotFoundError:
                return set()

    def stream(self, name: str, start: int = 0) -> Iterator[bytes]:
        """A file's bytes from `start` on, in pieces; where the connection breaks, it goes on from there."""
        with told(self._given, f"be read at {name}"):
            failures = 0
            while True:
                try:
                    with self._fs.open(self._path(name), "rb") as file:
                        file.seek(start)
                        while piece := file.read(CHUNK):
                            yield piece
                            start, failures = start + len(piece), 0
                    return
                except (FileNotFoundError, PermissionError):
                    raise
                except OSError as error:
                    pause(failures, ATTEMPTS, error)
                    failures += 1

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that must not be there yet; False where it is."""
        with told(self._given, f"be written at {name}"):
            return self._write(name, data, None, new=True)

    def put(self, name: str, source: Path | bytes) -> None:
        """Write a file with one complete PUT (large ones in parts that appear together)."""
        with told(self._given, f"be written at {name}"):
            if isinstance(source, bytes):
                self._write(name, source, None, new=False)
            else:
                self._parents(name)
                limits = {"chunksize": _PART, "max_concurrency": 4} if self._s3 else {}
                self._fs.put_file(str(source), self._path(name), **limits)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with told(self._given, f"be written at {name}"):
            try:
                self._fs.rm_file(self._path(name))
            except FileNotFoundError:
                return

    def update(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace a file by `change` of what it holds; written again until the change stands when it is read back.

        `change` may be called often; it gives its argument back where its own change is in it already.
        """
        for attempt in range(_TRIES):
            before, tag = self._tagged(name)
            after = change(before)
            if after == before:
                return
            with told(self._given, f"be written at {name}"):
                if not self._write(name, after, tag, new=before is None):
                    time.sleep(random.uniform(0, min(2.0, 0.05 * 2 ** min(attempt, 6))))
        raise TppcError(
            f"{self.address}/{name}: others write it all the time, {_TRIES} times; run the same command again"
        )

    def _write(self, name: str, data: bytes, tag: str | None, *, new: bool) -> bool:
        """One PUT, on the condition that the file is not there (`new`) or is still the one of `tag`."""
        if not self._s3:
            self._parents(name)
            try:
                self._fs.pipe_file(self._path(name), data, mode="create" if new else "overwrite")
            except FileExistsError:
                return False
            return True
        bucket, key, _ = self._fs.split_path(self._path(name))
        condition = {"IfNoneMatch": "*"} if new else {"IfMatch": tag} if tag else {}
        kind = _CONTENT_TYPES.get(Path(name).suffix, "application/octet-stream")
        try:
            self._fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, ContentType=kind, **condition)
        except OSError as error:
            code = _code(error)
            if condition and code in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            if not (condition and code == "NotImplemented"):
                raise
            # A server without conditional writes: `update` reads back what it wrote.
            if new and self._fs.exists(self._path(name)):
                return False
            self._fs.call_s3("put_object", Bucket=bucket, Key=key, Body=data, ContentType=kind)
        return True

    def _parents(self, name: str) -> None:
        """Make the folders above a name, for file systems that have real ones."""
        if not self._s3:
            self._fs.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)


def _body(fs: Any, answer: dict[str, Any]) -> bytes:
    """The body of an answer of botocore's asynchronous client."""
    from fsspec.asyn import sync

    data: bytes = sync(fs.loop, answer["Body"].read)
    return data


def _code(error: OSError) -> str:
    """The error code of an S3 answer; s3fs gives an `OSError` whose cause is the answer's own error."""
    answer = getattr(error.__cause__ or error, "response", None)
    if isinstance(answer, dict):
        return str(answer.get("Error", {}).get("Code", ""))
    return "PreconditionFailed" if error.errno in (errno.EINVAL, errno.EEXIST) and "pre-condition" in str(error) else ""


def open_store(address: str) -> Store:
    """The store at an address: a folder, a web address, or any URL that fsspec knows.

    Raises `UsageError` for a URL of a kind that cannot be opened here.
    """
    kind = scheme(address)
    if kind in ("", "file", "local"):
        return FolderStore(Path(address.split("://", 1)[1] if kind else address).expanduser())
    if kind in ("http", "https"):
        from tppc.corpora.web import WebStore  # brings an HTTP library, which takes its time

        return WebStore(address)
    return ObjectStore(address)
