"""Fetch a published corpus from a catalogue (or from the place it was published to), and verify it.

Everything is held against digests on the way: the catalogue names the manifest's, the manifest those of all files. A
pull that was killed goes on where it stopped, in the middle of a large shard too; the corpus appears when it is
complete.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from filelock import FileLock

from tppc.corpora.corpus import outside_of_corpora
from tppc.corpora.fetching import bring
from tppc.corpora.files import write_bytes
from tppc.corpora.manifest import NAME, SEAL, Manifest, parse_manifest, read_manifest
from tppc.corpora.stores import Store, in_threads, open_store
from tppc.errors import TppcError
from tppc.manifests.catalogue import CATALOG, find, read_catalogue, split_name
from tppc.manifests.publication import Progress, below, silent
from tppc.manifests.verify import verify


def pull(name: str, source: str, out: Path = Path("corpora"), *, progress: Progress = silent) -> tuple[Path, Manifest]:
    """Fetch `NAME@VERSION` (`NAME`: the newest version) from the catalogue at `source` to `<out>/<name>`.

    Returns the folder and its manifest; a corpus that stands there already is verified and left as it is. Raises
    `TppcError` where the catalogue has no such corpus, what it holds is damaged, or the folder holds another corpus.
    """
    wanted, version = split_name(name)
    store = open_store(source)
    prefix, digest = _where(store, wanted, version)
    data = store.read(below(prefix, NAME))
    place = f"{store.address}/{below(prefix, NAME)}"
    if data is None:
        raise TppcError(f"{place}: listed, but not there; tell whoever keeps this catalogue")
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise TppcError(f"{place}: its SHA-256 is not the one in {CATALOG}; it was changed or damaged there")
    manifest = parse_manifest(data, place)
    if manifest.name != wanted or version not in (None, manifest.version):
        raise TppcError(f"{place}: holds {manifest.name}@{manifest.version}, not {name}")
    target = out / wanted
    outside_of_corpora(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    with FileLock(lock):
        if not _stands(target, manifest):
            _fetch(store, prefix, manifest, data, target, progress)
        lock.unlink(missing_ok=True)  # the corpus stands: whoever waits here has nothing left to do
    return target, manifest


def _where(store: Store, name: str, version: str | None) -> tuple[str, str | None]:
    """The folder of a corpus below the store, and the digest of its manifest where a catalogue tells it."""
    catalogue = read_catalogue(store)
    if catalogue is not None:
        entry = find(catalogue, name, version, store.address)
        return entry.place, entry.manifest_sha256
    if store.read(NAME) is None:
        raise TppcError(
            f"{store.address}: no {CATALOG} and no {NAME} there; give the address of a catalogue with --from"
        )
    return "", None


def _stands(target: Path, manifest: Manifest) -> bool:
    """Whether this very version is in the folder. Raises `TppcError` where something else is, or it is damaged."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    if not (target / NAME).is_file():
        raise TppcError(f"{target}: holds files that are no finished corpus; remove it or choose another --out")
    have = read_manifest(target)
    if (have.name, have.version, have.build_digest) != (manifest.name, manifest.version, manifest.build_digest):
        raise TppcError(
            f"{target}: holds {have.name}@{have.version} (build digest {have.build_digest}), not {manifest.name}@"
            f"{manifest.version} ({manifest.build_digest}); choose another --out, or move it away"
        )
    if faults := verify(target):
        raise TppcError(f"{faults[0]}; remove {target} and pull it again")
    return True


def _fetch(store: Store, prefix: str, manifest: Manifest, data: bytes, target: Path, progress: Progress) -> None:
    """Fill a folder beside the target, verify it, and rename it."""
    partial = target.with_name(f".{target.name}.partial")
    for left in sorted(partial.rglob("*")) if partial.is_dir() else []:
        if left.is_file() and left.relative_to(partial).as_posix().removesuffix(".part") not in manifest.files:
            left.unlink()  # of another version, whose pull was given up
    total = sum(s.bytes for s in manifest.shards)
    shards = {s.path for s in manifest.shards}
    with progress("pull", total, "bytes") as advance:

        def one(name: str) -> None:
            tell = advance if name in shards else lambda amount: None
            bring(store, below(prefix, name), partial / name, manifest.files[name], tell)

        in_threads(one, manifest.files)
    write_bytes(partial / SEAL, store.read(below(prefix, SEAL)) or b"")
    write_bytes(partial / NAME, data)
    if faults := verify(partial):
        (partial / NAME).unlink()
        raise TppcError(f"{faults[0]}; the published corpus is not sound: tell whoever keeps {store.address}")
    partial.replace(target)  # over an empty folder, where there is one
