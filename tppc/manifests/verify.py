"""Verify a corpus against its manifest, where it lies: a folder, or a URL, of which nothing is kept.

Three depths. `quick` reads the manifest and the shards' footers: seal, rules, sizes, row counts, columns. `full` also
reads every byte: every digest, the order of all keys, languages, licences and attribution, held-out texts, and the keys
of some texts of each shard. `deep` computes the keys of every text again and decodes every column.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tppc.corpora.files import DAMAGED, open_compressed
from tppc.corpora.manifest import NAME, SEAL, Manifest, Shard
from tppc.corpora.schema import EXTRA_TYPES, schema_of
from tppc.errors import TppcError
from tppc.manifests.places import Place
from tppc.manifests.rules import ATTRIBUTION, asks_for_credit, manifest_faults, row_faults
from tppc.manifests.shard_rows import Counted, HeldOut, check_rows, footer_faults

Depth = Literal["quick", "full", "deep"]
Watch = Callable[[int], AbstractContextManager[Callable[[int], None]]]
_Keys = list[tuple[np.ndarray, np.ndarray]]
HELDOUT = "heldout.parquet"
# A pool of processes takes about as long to start as one process needs for this much of `deep`.
_WORTH_A_POOL = 8 << 20


@dataclass(frozen=True)
class Findings:
    """What verifying found. `faults`: one sentence each, none for a sound corpus; `bytes` were digested."""

    address: str
    depth: Depth
    name: str
    version: str
    build_digest: str
    files: int
    bytes: int
    rows: int
    faults: list[str]


@dataclass(frozen=True)
class _Job:
    """One file to check. `held`: a file of keys that a train shard must not share."""

    address: str
    name: str
    digest: str
    shard: Shard | None = None
    extra: tuple[tuple[str, str], ...] = ()
    sources: frozenset[str] = frozenset()
    credit: bool = False
    held: str | None = None
    deep: bool = False


def verify(
    address: str | Path,
    *,
    depth: Depth = "full",
    workers: int | None = None,
) -> list[str]:
    """Faults of a corpus, one sentence each, none for a sound one; arguments and errors are those of `inspect`."""
    return inspect(address, depth=depth, workers=workers).faults


def inspect(
    address: str | Path,
    *,
    depth: Depth = "full",
    workers: int | None = None,
    watch: Watch = lambda size: nullcontext(lambda done: None),
) -> Findings:
    """Check a corpus folder, or a published corpus at a URL.

    Args:
        address: a folder, or a URL that fsspec opens, or either's `manifest.json`. depth: see above.
        workers: files at a time; as many as cores if None. watch: is told how many bytes there are to read, and gives a
            context with what is told, again and again, how many more were read.

    Raises `TppcError` where there is no finished corpus at all, or the place cannot be read.
    """
    place = Place(address)
    manifest, data, seal = place.manifest()
    faults = []
    if seal != f"{hashlib.sha256(data).hexdigest()}  {NAME}\n".encode():
        faults.append(f"{place.shown(NAME)}: its SHA-256 is not the one in {SEAL}")
    sizes, strange = _sizes(place, manifest, depth)
    faults += strange
    faults += [f"{place.shown()}: {fault}" for fault in manifest_faults(manifest)]
    shards = {shard.path: shard for shard in manifest.shards}
    for name, shard in shards.items():
        if name in sizes and sizes[name] != shard.bytes:
            faults.append(f"{place.shown(name)}: {sizes[name]} bytes, but the manifest says {shard.bytes}")
    if depth == "quick":
        schema = schema_of(_known_columns(manifest))
        for name, shard in shards.items():
            if name in sizes:
                faults += _footer(place, shard, sizes[name], schema)
        read = 0
    else:
        read = sum(sizes[name] for name in manifest.files if name in sizes)
        with watch(read) as advance:
            faults += _contents(place, manifest, sizes, depth == "deep", workers or os.cpu_count() or 1, advance)
    return Findings(
        address=place.shown(),
        depth=depth,
        name=manifest.name,
        version=manifest.version,
        build_digest=manifest.build_digest,
        files=len(manifest.files) + 2,
        bytes=read,
        rows=manifest.rows(),
        faults=faults,
    )


def _known_columns(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    """The source's own columns whose types are known; the rules name the others, and no shard fits without them."""
    return tuple(column for column in manifest.extra_columns if column[1] in EXTRA_TYPES)


def _sizes(place: Place, manifest: Manifest, depth: Depth) -> tuple[dict[str, int], list[str]]:
    """Sizes of the files that the manifest lists, and faults: what is missing, and what is not listed."""
    found = place.listing()
    faults: list[str] = []
    if found is None:  # a web server: ask for each file
        asked = {name: place.store.size(name) for name in manifest.files}
        sizes = {name: size for name, size in asked.items() if size is not None}
    else:
        sizes, faults = found
    known = {*manifest.files, NAME, SEAL}
    if NAME in manifest.files or SEAL in manifest.files:
        faults.append(f"{place.shown(NAME)}: it lists itself or its seal")
    faults += [
        f"{place.shown(name)}: listed in the manifest but missing" for name in manifest.files if name not in sizes
    ]
    faults += [f"{place.shown(name)}: not listed in the manifest" for name in sorted(sizes) if name not in known]
    return {name: size for name, size in sizes.items() if name in manifest.files}, faults


def _footer(place: Place, shard: Shard, size: int, schema: pa.Schema) -> list[str]:
    shown = place.shown(shard.path)
    try:
        metadata = pq.read_metadata(pa.BufferReader(place.footer(shard.path, size)))
        return footer_faults(shown, metadata, shard, schema)
    except TppcError as error:
        return [str(error)]
    except (OSError, ValueError, pa.ArrowException) as error:
        return [f"{shown}: not readable as Parquet ({(str(error).splitlines() or [''])[0]})"]


def _contents(
    place: Place,
    manifest: Manifest,
    sizes: dict[str, int],
    deep: bool,
    workers: int,
    advance: Callable[[int], None],
) -> list[str]:
    """Read every file. Held-out splits come first: train is compared with their keys."""
    shards = {shard.path: shard for shard in manifest.shards}
    common: dict[str, Any] = {
        "address": place.address,
        "extra": _known_columns(manifest),
        "sources": frozenset(manifest.sources),
        "credit": asks_for_credit(manifest.licences),
        "deep": deep,
    }
    jobs = [_Job(name=name, digest=manifest.files[name], shard=shards.get(name), **common) for name in sizes]
    jobs.sort(key=lambda job: -sizes[job.name])  # the longest first, so that no worker is left with one at the end
    train = [job for job in jobs if job.shard is not None and job.shard.split == "train"]
    first = [job for job in jobs if job not in train]
    total = Counted()
    faults: dict[str, list[str]] = {}
    read = sum(sizes.values())
    with tempfile.TemporaryDirectory(prefix="tppc-") as folder, _runner(workers, deep, read) as run:
        keys: dict[str, _Keys] = defaultdict(list)
        listed: _Keys = []
        for job, counted in run(first):
            faults[job.name] = counted.faults
            if job.shard is not None:
                keys[job.shard.pair] += counted.keys
            else:
                listed += counted.keys
            total.add(counted)
            advance(sizes[job.name])
        if listed and len(manifest.pairs) == 1:
            (pair,) = manifest.pairs
            if not manifest.parents and len(sizes) == len(manifest.files) and not _same_pairs(keys[pair], listed):
                faults[HELDOUT].append(f"{place.shown(HELDOUT)}: its pairs are not those of dev and test")
            keys[pair] += listed
        held = {pair: _write_held(Path(folder) / f"{pair}.npz", parts) for pair, parts in keys.items() if parts}
        for job, counted in run([replace(job, held=held.get(job.shard.pair) if job.shard else None) for job in train]):
            faults[job.name] = counted.faults
            total.add(counted)
            advance(sizes[job.name])
    found = [fault for name in sorted(faults) for fault in faults[name]]
    if total.rows == manifest.rows():  # else a shard is missing or unreadable, which was said
        found += [
            f"{place.shown()}: {fault}"
            for fault in row_faults(manifest, total.sources, total.licences, total.credit, total.credited)
        ]
    return found


def _same_pairs(one: _Keys, other: _Keys) -> bool:
    """Whether two lists of keys hold the same pairs, in whatever order."""
    first, second = _sorted(one), _sorted(other)
    return first.shape == second.shape and bool(np.all(first == second))


def _sorted(parts: _Keys) -> np.ndarray:
    """Pairs of keys in the order of their values, int64 of shape (2, n)."""
    pairs = np.concatenate([np.stack(part) for part in parts], axis=1) if parts else np.empty((2, 0), dtype=np.int64)
    return pairs[:, np.lexsort(pairs)]


def _write_held(path: Path, parts: _Keys) -> str:
    """Keys of the held-out texts of a pair, for the processes that look at train."""
    src, tgt = (np.unique(np.concatenate(side)) for side in zip(*parts, strict=True))
    with path.open("wb") as file:
        np.savez(file, src=src, tgt=tgt)
    return str(path)


def _read_held(path: str | None) -> HeldOut | None:
    if path is None:
        return None
    with np.load(path) as arrays:
        return HeldOut(arrays["src"], arrays["tgt"])


def _check_file(job: _Job) -> Counted:
    """Digest one file and, if it is sound, look at its rows."""
    place = Place(job.address)
    shown = place.shown(job.name)
    try:
        if job.shard is None and job.name not in (HELDOUT, ATTRIBUTION):
            return Counted([] if place.digest(job.name) == job.digest else [_differs(shown)])
        with place.copy(job.name) as (path, digest):
            if digest != job.digest:
                return Counted([_differs(shown)])
            if job.shard is None:
                return _heldout_keys(path, shown) if job.name == HELDOUT else _credited(path, shown)
            return check_rows(
                path,
                shown,
                job.shard,
                schema_of(job.extra),
                sources=job.sources,
                credit=job.credit,
                held=_read_held(job.held),
                keep_keys=job.shard.split != "train",
                deep=job.deep,
            )
    except TppcError as error:
        return Counted([str(error)])
    except OSError as error:
        return Counted([f"{shown}: cannot be read ({error.strerror or error})"])


def _differs(shown: str) -> str:
    return f"{shown}: its SHA-256 differs from the manifest's"


def _heldout_keys(path: Path, shown: str) -> Counted:
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(["src_key", "tgt_key"], use_threads=False)
        return Counted(keys=[(table["src_key"].to_numpy(), table["tgt_key"].to_numpy())])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        return Counted([f"{shown}: not readable as a list of held-out keys ({(str(error).splitlines() or [''])[0]})"])


def _credited(path: Path, shown: str) -> Counted:
    """Count the rows of the list of authors; the first line is its head."""
    try:
        with open_compressed(path) as file:
            lines = sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
        return Counted(credited=max(0, lines - 1))
    except DAMAGED as error:
        return Counted([f"{shown}: not readable as a list of authors ({(str(error).splitlines() or [''])[0]})"])


_Run = Callable[[Sequence[_Job]], Iterator[tuple[_Job, Counted]]]


@contextmanager
def _runner(workers: int, deep: bool, size: int) -> Iterator[_Run]:
    """Yield what checks files and gives each result as it comes.

    Threads: digests and Parquet are computed outside of Python's lock, and a thread costs nothing to start. Keys of
    texts are computed inside it, so `deep` takes processes where `size` bytes make them worth their start.
    """
    if workers <= 1 or (deep and size < _WORTH_A_POOL):
        yield lambda jobs: ((job, _check_file(job)) for job in jobs)
        return
    with _pool(workers, deep) as pool:

        def run(jobs: Sequence[_Job]) -> Iterator[tuple[_Job, Counted]]:
            waiting = {pool.submit(_check_file, job): job for job in jobs}
            for done in as_completed(waiting):
                yield waiting[done], done.result()

        try:
            yield run
        except BrokenProcessPool as error:
            raise TppcError(
                "a worker process was ended from outside (out of memory?); run the same command again, with fewer "
                "--workers"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _pool(workers: int, deep: bool) -> Executor:
    if not deep:
        return ThreadPoolExecutor(workers)
    # spawn: fork is unsafe beside the threads that pyarrow holds.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_worker)


def _worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends the workers
