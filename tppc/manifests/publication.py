"""Publish a corpus: into a folder, an object store, a catalogue in one of these, or a dataset of the Hugging Face
Hub.

A published version is never overwritten. Nothing is visible before it is complete: a folder is filled beside its
place and renamed; on an object store every file is one complete PUT, `manifest.json` is the last of them and is what
makes a corpus; a catalogue lists a corpus after that; on the Hub everything is one commit. A publish that was killed
goes on where it stopped when it is started again, and nobody else can put another corpus under the same version
meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from tppc.corpora.addresses import has_secrets, safe_name, scheme
from tppc.corpora.corpus import outside_of_corpora
from tppc.corpora.files import canonical_json, complete_or_absent, sha256_of_file, write_bytes
from tppc.corpora.manifest import NAME, SEAL, Manifest, parse_manifest, read_manifest
from tppc.corpora.stores import FolderStore, ObjectStore, Store, in_threads, open_store
from tppc.corpora.transfers import CHUNK
from tppc.errors import TppcError, UsageError
from tppc.manifests import card
from tppc.manifests.catalogue import Entry, enter, entry_of, read_catalogue
from tppc.manifests.folder import documents
from tppc.manifests.release import Release
from tppc.manifests.verify import verify
from tppc.manifests.versions import check_successor, check_version, least_change, newest

#: Shows progress: called with a label, an amount and its unit; yields what takes the amount done since the last call.
Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]
CLAIM = ".publishing.json"
_POOL_FROM_BYTES = 64 << 20


@contextmanager
def silent(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    yield lambda amount: None


@dataclass(frozen=True)
class Published:
    """What was published where. `new`: False where this very version was there already."""

    address: str
    name: str
    version: str
    build_digest: str
    manifest_sha256: str
    bytes: int
    new: bool
    catalogue: bool


def publish(
    path: Path,
    destination: str,
    *,
    catalogue: bool = False,
    version: str | None = None,
    check: bool = False,
    private: bool = False,
    progress: Progress = silent,
) -> Published:
    """Publish the corpus in a folder.

    Args:
        destination: a folder, a URL that fsspec knows, or `hf://datasets/USER/NAME`. One that holds `catalog.json`,
        and any with `catalogue`, is a catalogue; any other becomes the corpus's own place. version: the version to
        publish as; the manifest's own if None. check: read everything back and compare digests. private: on the Hub,
        a dataset that only its owner sees.

    Raises `TppcError` where the corpus is not sound, the version is taken by another corpus or may not follow the
    newest one, or the store refuses; nothing that was published before is touched then.
    """
    if version is not None:
        check_version(version)
    refuse_secrets(read_manifest(path), path)
    if faults := verify(path, workers=_workers(path)):
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise TppcError(f"{faults[0]}{more}; only a sound corpus is published: build or fetch it again")
    release = release_of(path, version)
    if scheme(destination) == "hf":
        if catalogue:
            raise UsageError("--catalogue: a dataset of the Hub holds one corpus; leave the option out")
        from tppc.manifests.hub import publish_to_hub

        def read_back(store: ObjectStore) -> None:
            _read_back(store, "", release)

        commit = publish_to_hub(release, destination, private=private, check=check, read_back=read_back)
        return _published(release, commit.manifest, commit.address, new=commit.new, catalogue=False)
    if private:
        raise UsageError("--private: only a dataset of the Hub can be made private here")
    store = open_store(destination)
    if isinstance(store, FolderStore) and store.path.resolve().is_relative_to(path.resolve()):
        raise UsageError(f"{destination}: lies in the corpus that is to be published; choose a --to outside of {path}")
    if not isinstance(store, FolderStore | ObjectStore):
        raise UsageError(
            f"{store.address}: a web server can be pulled from but not published to; give a folder or a bucket"
        )
    known = read_catalogue(store)
    listed = catalogue or known is not None
    if listed and store.read(NAME) is not None:
        raise TppcError(f"{store.address}: holds a published corpus, so it cannot be a catalogue; choose another --to")
    prefix = f"{release.manifest.name}/{release.manifest.version}" if listed else ""
    new = not _stands(store, prefix, release)
    if new:
        if known is not None:
            _check_order(store, known.versions(release.manifest.name), release.manifest, path)
        with progress("publish", release.bytes, "bytes") as advance:
            if isinstance(store, FolderStore):
                new = _into_folder(store, prefix, release, check, advance)
            else:
                new = _into_store(store, prefix, release, check, advance)
    elif isinstance(store, ObjectStore):
        store.remove(below(prefix, CLAIM))  # of a publish that was killed when it was all but done
    # What stands there may be of an earlier build of the same data, with other times in its manifest.
    data = release.data if new else store.read(below(prefix, NAME)) or b""
    if listed:
        enter(store, entry_of(parse_manifest(data, below(store.address, prefix)), hashlib.sha256(data).hexdigest()))
    return _published(release, data, below(store.address, prefix), new=new, catalogue=listed)


def _workers(folder: Path) -> int:
    """Processes that verify a corpus: starting them costs more than they save on a small one."""
    total = sum(s.bytes for s in read_manifest(folder).shards)
    return (os.cpu_count() or 1) if total >= _POOL_FROM_BYTES else 1


def _published(release: Release, data: bytes, address: str, *, new: bool, catalogue: bool) -> Published:
    """`data` are the bytes of the manifest that is published there."""
    m, digest = release.manifest, hashlib.sha256(data).hexdigest()
    return Published(address, m.name, m.version, m.build_digest, digest, release.bytes, new, catalogue)


def below(prefix: str, name: str) -> str:
    """A name below a prefix, which may be empty."""
    return "/".join(part for part in (prefix, name) if part)


def release_of(folder: Path, version: str | None) -> Release:
    """The release of a corpus folder, whose manifest says `version` (its own, if None).

    Another version is written into the manifest and into the documents that name it, so their digests change; the
    shards and the build digest do not.
    """
    manifest = read_manifest(folder)
    files: dict[str, Path | bytes] = {name: folder / name for name in manifest.files}
    data = (folder / NAME).read_bytes()
    if version is not None and version != manifest.version:
        manifest, rewritten = _as_version(manifest, version)
        files |= rewritten
        data = canonical_json(manifest.model_dump(mode="json"))
    if not safe_name(manifest.name):
        raise TppcError(
            f"{folder}: the name {manifest.name!r} is no path of letters, digits and ._+-; it cannot be published"
        )
    return Release(manifest, data, files)


def _as_version(manifest: Manifest, version: str) -> tuple[Manifest, dict[str, bytes]]:
    """A manifest under another version, and the documents of the corpus that name it, made anew."""
    made = documents(manifest)
    # `folder.finish` describes a corpus before it knows the digests of card and documents.
    others = {name: digest for name, digest in manifest.files.items() if name not in (card.NAME, *made)}
    described = manifest.model_copy(update={"version": version, "files": others})
    rewritten = {name: data for name, data in documents(described).items() if name in manifest.files}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in rewritten.items()}
    return described.model_copy(update={"files": {**manifest.files, **digests}}), rewritten


def refuse_secrets(manifest: Manifest, where: Path) -> None:
    """Raise `TppcError` where a URL of the manifest holds a user name, a password or a query: it would be public."""
    urls = [s.url for s in manifest.snapshots] + re.findall(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+", manifest.command)
    if any(map(has_secrets, urls)):
        raise TppcError(
            f"{where / NAME}: a URL in it holds a user name, a password or a query, which would become public; build "
            "the corpus again with this version of tppc, which leaves them out"
        )


def _stands(store: Store, prefix: str, release: Release) -> bool:
    """Whether this very corpus is published there already. Raises `TppcError` where another one is."""
    data = store.read(below(prefix, NAME))
    if data is None:
        return False
    mine = release.manifest
    where = below(store.address, prefix)
    try:
        raw: dict[str, Any] = json.loads(data)
        name, version, digest = raw["name"], raw["version"], raw["build_digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise TppcError(f"{where}: holds a {NAME} that is none of tppc's; choose another --to") from error
    if (name, version, digest) == (mine.name, mine.version, mine.build_digest):
        return True
    if (name, version) == (mine.name, mine.version):
        raise TppcError(
            f"{where}: {name}@{version} is published already with the build digest {digest}, and this corpus has "
            f"{mine.build_digest}; a published version never changes: raise the version with --version"
        )
    raise TppcError(
        f"{where}: holds {name}@{version} (build digest {digest}), and a published corpus is never overwritten; choose "
        "another --to, or publish into a catalogue (--catalogue), which holds every version"
    )


def _check_order(store: Store, versions: dict[str, Entry], manifest: Manifest, folder: Path) -> None:
    """Raise `TppcError` where this version may not follow those that the catalogue has.

    In a catalogue on this machine the rows themselves are compared; elsewhere the manifests, which cannot tell rows
    that were exchanged from rows that were added.
    """
    last = newest(versions)
    if last is None:
        return
    place = versions[last].place
    try:
        change = least_change(parse_manifest(store.read(f"{place}/{NAME}") or b"", place), manifest)
    except TppcError:  # of another format: then only the order of the numbers can be asked for
        change = "repackaged"
    if change == "added" and isinstance(store, FolderStore):
        from tppc.manifests.diff import diff

        change = diff(store.path / place, folder).change or change
    check_successor(f"{below(store.address, manifest.name)}", last, manifest.version, change)


def _copy(source: Path | bytes, target: Path, digest: str, advance: Callable[[int], None]) -> None:
    """Copy a file; raises `TppcError` where what was read is not what the manifest says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        write_bytes(target, source)
        return
    seen = hashlib.sha256()
    with source.open("rb") as read, complete_or_absent(target) as temporary, temporary.open("wb") as file:
        while piece := read.read(CHUNK):
            seen.update(piece)
            file.write(piece)
            advance(len(piece))
    if seen.hexdigest() != digest:
        raise TppcError(f"{source}: changed while it was published; run the same command again")


def _into_folder(
    store: FolderStore, prefix: str, release: Release, check: bool, advance: Callable[[int], None]
) -> bool:
    """Fill a folder beside the place and rename it; False where another process has published the same meanwhile."""
    target = (store.path / prefix).resolve()
    outside_of_corpora(target)
    if store.path.exists() and not store.path.is_dir():
        raise TppcError(f"{store.path}: is a file; give a folder with --to")
    if target.is_dir() and any(target.iterdir()) and not (target / NAME).is_file():
        raise TppcError(
            f"{store.path}: holds files that are no published corpus; choose another --to, or add --catalogue to make "
            "it a catalogue"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    lock = target.with_name(f".{target.name}.lock")
    with FileLock(lock):
        if _stands(store, prefix, release):
            return False
        files = release.manifest.files
        for left in sorted(partial.rglob("*")) if partial.is_dir() else []:
            if left.is_file() and left.relative_to(partial).as_posix() not in files:
                left.unlink()  # of another corpus, whose publish was given up
        for name, source in release.files.items():
            copied = partial / name
            if copied.is_file() and sha256_of_file(copied) == files[name]:
                advance(release.size(name))  # by a publish that was killed
            else:
                _copy(source, copied, files[name], advance)
        write_bytes(partial / SEAL, release.seal)
        write_bytes(partial / NAME, release.data)
        if check and (faults := verify(partial)):
            raise TppcError(f"{faults[0]}; the folder does not keep what is written to it: check its disk")
        partial.replace(target)  # over an empty folder, where there is one
        lock.unlink(missing_ok=True)  # the place is taken for ever: nobody has to wait for it any more
    return True


def _into_store(store: ObjectStore, prefix: str, release: Release, check: bool, advance: Callable[[int], None]) -> bool:
    """PUT every file, the manifest last; False where another process has published the same meanwhile."""
    if not prefix and (strange := store.names()) and CLAIM not in strange:
        raise TppcError(
            f"{store.address}: holds files that are no published corpus; choose another --to, or add --catalogue to "
            "make it a catalogue"
        )
    claim = below(prefix, CLAIM)
    mine = canonical_json({"build_digest": release.manifest.build_digest, "manifest_sha256": release.digest})
    if resumed := not store.create(claim, mine):
        other = store.read(claim)
        if other is not None and other != mine:
            raise TppcError(
                f"{below(store.address, prefix)}: another publish of this version is under way or was interrupted; "
                f"wait for it, finish it, or remove everything there (it holds no {NAME} yet), or raise --version"
            )
    if store.read(below(prefix, NAME)) is not None:  # another one finished just before the claim was made
        store.remove(claim)
        _stands(store, prefix, release)
        return False

    def put(name: str) -> None:
        size = release.size(name)
        if not (resumed and store.size(below(prefix, name)) == size):
            store.put(below(prefix, name), release.files[name])
            if (there := store.size(below(prefix, name))) != size:
                raise TppcError(f"{below(store.address, prefix)}/{name}: {there} bytes arrived of {size}; run it again")
        advance(size)

    in_threads(put, release.files)
    if check:
        _read_back(store, prefix, release)
    store.put(below(prefix, SEAL), release.seal)
    store.create(below(prefix, NAME), release.data)  # False: another process has published these very bytes
    store.remove(claim)
    return True


def _read_back(store: Store, prefix: str, release: Release) -> None:
    """Compare the digest of everything that lies in the store with the manifest's."""

    def digest_of(name: str) -> str:
        seen = hashlib.sha256()
        for piece in store.stream(below(prefix, name)):
            seen.update(piece)
        return seen.hexdigest()

    for name, digest in zip(release.files, in_threads(digest_of, release.files), strict=True):
        if digest != release.manifest.files[name]:
            where = f"{below(store.address, prefix)}/{name}"
            if isinstance(store, ObjectStore):
                store.remove(below(prefix, name))  # or the next attempt would take it for done, by its size
            raise TppcError(f"{where}: what arrived has another SHA-256; run the same command again")
