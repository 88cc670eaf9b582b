"""The main road of building: fetch (-> split) -> clean -> merge -> identify -> select -> publish.

Each step's tasks are pure functions over files, run by the engine; a killed build goes on where it stopped. The
bytes of a corpus depend on snapshots, recipe and library versions alone.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tppc.builders.clean import bucket_bits, bucket_name, clean
from tppc.builders.download import Fetched, check_pins, is_url, public_url, refuse_other_schemes
from tppc.builders.engine import Task, run_tasks, sweep, versions
from tppc.builders.identify import identify
from tppc.builders.merge import merge
from tppc.builders.progress import note
from tppc.builders.publish import Identified, publish
from tppc.builders.recipe import Recipe
from tppc.builders.rejects import Rejects
from tppc.builders.sources import plugin_digest, source_named
from tppc.builders.sources.base import Partition, Request, Source
from tppc.builders.split import parts_of, split
from tppc.corpora.corpus import Corpus, outside_of_corpora
from tppc.corpora.languages import Pair, parse_pair
from tppc.corpora.manifest import NAME, Funnel
from tppc.errors import TppcError, UsageError

# Below this a pool of processes costs more than it saves. The number of workers never changes a byte.
_POOL_FROM_BYTES = 4 << 20


def build(
    source: str,
    pairs: Sequence[Pair] | None,
    *,
    origin: str | None = None,
    companion: str | None = None,
    endpoint: str | None = None,
    out: Path = Path("corpora"),
    recipe: Recipe | None = None,
    pins: Mapping[str, str] | None = None,
    workers: int | None = None,
) -> list[Corpus]:
    """Build the corpora of some pairs from one source, each at `<out>/<source>/<pair>`; a source that holds many
    corpora (OPUS) has a folder for each: `<out>/opus/Books/<pair>`.

    Args:
        pairs: None for all pairs that the source has in one place (wikimatrix: `--all-pairs`).
        origin: `--from`: None for the true upstream, `sample` for the snapshots inside the package, a mirror root,
        a file, a URL.
        companion: the second of two line-aligned files (bitext only).
        pins: more pins than the recipe's own, which the manifest does not tell (`tppc rebuild`).
        endpoint: a SPARQL endpoint (wikidata only). workers: processes; None chooses by the size of the snapshot.

    A corpus that stands already with the same snapshots, recipe and versions is left as it is. Raises `TppcError`
    where a folder holds something else, or a file is missing or damaged; nothing that stood before is touched then.
    """
    recipe = recipe or Recipe()
    entry = source_named(source)
    request = _request(entry, pairs, recipe, origin=origin, companion=companion, endpoint=endpoint)
    request = replace(request, pins={**request.pins, **(pins or {})})
    if entry.settle is not None:
        recipe = recipe.settled(entry, entry.settle(request))
        request = replace(request, options=recipe.options(entry).model_dump(mode="json"))
    targets = {str(pair): out / entry.corpus_name(request.options, pair) for pair in request.pairs}
    for target in targets.values():
        _refuse_strangers(target)
    partitions, fetched = entry.fetch(request)
    check_pins([file for files in fetched.values() for file in files], request.pins)
    work = out / ".work" / entry.name
    work.mkdir(parents=True, exist_ok=True)
    with _only_one(work):
        standing = {name: _stands(target, fetched[name], recipe.digest(entry)) for name, target in targets.items()}
        missing = [name for name in targets if not standing[name]]
        wanted = [p for p in partitions if any(name in missing for name in p.pairs)]
        if wanted:
            sweep(work)
            _build(entry, wanted, missing, fetched, recipe, targets, work=work, workers=workers, request=request)
            shutil.rmtree(work)
    return [Corpus(target) for target in targets.values()]


def catalogue(
    source: str, pairs: Sequence[Pair], *, origin: str | None = None, recipe: Recipe | None = None
) -> list[dict[str, Any]]:
    """What a source that holds many corpora has for some pairs: corpus, version, pairs, bytes, URL.

    Raises `UsageError` for a source that is one corpus.
    """
    entry = source_named(source)
    if entry.catalogue is None:
        raise UsageError(f"{source} is one corpus and has no catalogue; `tppc sources` shows what it is")
    return entry.catalogue(_request(entry, pairs, recipe or Recipe(), origin=origin))


@contextmanager
def _only_one(work: Path) -> Iterator[None]:
    """One build at a time from a source into a folder; another one waits."""
    lock = FileLock(work.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        note(f"{work.parent.parent}: another process builds from {work.name} here; waiting for it")
        lock.acquire()
    try:
        work.mkdir(parents=True, exist_ok=True)  # the other one may have cleaned up behind us
        yield
    finally:
        lock.release()


def _request(
    entry: Source,
    pairs: Sequence[Pair] | None,
    recipe: Recipe,
    *,
    origin: str | None,
    companion: str | None = None,
    endpoint: str | None = None,
) -> Request:
    if pairs is None and entry.all_pairs is None:
        raise UsageError(f"{entry.name} has no list of all pairs: give those you want, such as --pair en-hi")
    if pairs is not None and not pairs:
        raise UsageError("no language pair: give at least one, such as --pair en-hi")
    if pairs is not None and len(set(pairs)) < len(pairs):
        raise UsageError("the same --pair is given twice")
    if endpoint and (entry.name != "wikidata" or origin):
        raise UsageError("--endpoint asks a SPARQL endpoint: it goes with `tppc build wikidata` and without --from")
    if companion and (entry.name != "bitext" or not origin):
        raise UsageError("--companion is the second of two line-aligned files, for `tppc build bitext --from FILE`")
    for location in (origin, companion):
        refuse_other_schemes(location or "")
    given = origin
    if origin == "sample":
        from tppc.samples import sample_root

        if entry.sample is None:
            raise UsageError(f"{entry.name} has no sample inside the package; give a file or a URL with --from")
        origin = str(sample_root() / entry.sample)
    options = recipe.options(entry).model_dump(mode="json")
    request = Request(tuple(pairs or ()), origin, endpoint, recipe.limit, options, recipe.pins, given, companion)
    return entry.all_pairs(request) if pairs is None and entry.all_pairs is not None else request


def _command(entry: Source, pair: str, request: Request) -> str:
    """The command that builds the same again; a local path is shortened to its name, a URL loses its secrets."""
    words = ["tppc", "build", entry.name, "--pair", pair]
    if (given := request.given) is not None:
        name = public_url(given) if is_url(given) else given if given == "sample" else Path(given).resolve().name
        words += ["--from", name]
    if (second := request.companion) is not None:
        words += ["--companion", public_url(second) if is_url(second) else Path(second).resolve().name]
    if request.endpoint:
        words += ["--endpoint", public_url(request.endpoint) if is_url(request.endpoint) else request.endpoint]
    return " ".join([*map(shlex.quote, words), "--recipe", NAME])


def _refuse_strangers(target: Path) -> None:
    """Raise if the target folder holds something that is no finished corpus, or lies inside another corpus."""
    outside_of_corpora(target)
    if target.exists() and not (target / NAME).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise TppcError(f"{target}: holds files that are no finished corpus; remove it or choose another --out")


def _stands(target: Path, files: Sequence[Fetched], recipe_digest: str) -> bool:
    """Whether this very corpus stands at `target`. Raises `TppcError` if another one does."""
    if not (target / NAME).is_file():
        return False
    have = Corpus(target).manifest
    same = (
        sorted(s.sha256 for s in have.snapshots) == sorted(f.snapshot.sha256 for f in files)
        and have.recipe_digest == recipe_digest
        and have.versions == versions()
    )
    if not same:
        raise TppcError(
            f"{target}: holds another corpus (built from other snapshots, another recipe or other versions); "
            "choose another --out, or move it away"
        )
    note(f"{target}: built already from the same snapshots and recipe; left as it is")
    return True


def _build(
    entry: Source,
    partitions: Sequence[Partition],
    missing: Sequence[str],
    fetched: dict[str, list[Fetched]],
    recipe: Recipe,
    targets: dict[str, Path],
    *,
    work: Path,
    workers: int | None,
    request: Request,
) -> None:
    """Run the steps for the pairs that are missing."""
    sizes = {name: sum(f.snapshot.bytes for f in fetched[name]) for name in missing}
    if workers is None:
        workers = (os.cpu_count() or 1) if max(sizes.values()) >= _POOL_FROM_BYTES else 1
    filters = recipe.filters.model_dump(mode="json")
    settings = recipe.language_id.model_dump()
    code = plugin_digest(entry.name)
    if entry.split is not None:
        partitions = _split(partitions, code, work)
    cleaned = run_tasks(
        [
            Task(
                "clean",
                clean,
                {"partition": p, "filters": filters},
                {"partition": p.identity, "filters": filters, "plugin": code},
            )
            for p in partitions
        ],
        work,
        workers,
    )
    parts: dict[str, list[str]] = {name: [] for name in missing}
    for partition, folder in zip(partitions, cleaned, strict=True):
        for name in partition.pairs:
            if name in parts:
                parts[name].append(str(folder / name))
    # Known from the snapshot and the recipe alone, since `clean` is.
    bits = {name: bucket_bits(_readable(entry, name, parts[name], fetched[name]).kept["train"]) for name in missing}
    places = [(name, bucket) for name in missing for bucket in range(1 << bits[name])]
    merged = run_tasks(
        [
            Task(
                "merge",
                merge,
                {"parts": parts[n], "bucket": b, "bits": bits[n]},
                {"parts": [_tail(p) for p in parts[n]], "bucket": b, "bits": bits[n]},
            )
            for n, b in places
        ],
        work,
        workers,
    )
    identified = run_tasks(
        [
            Task(
                "identify",
                identify,
                {"part": str(m), "bucket": b, "pair": n, "settings": settings},
                {"part": m.name, "bucket": b, "pair": n, "settings": settings},
            )
            for (n, b), m in zip(places, merged, strict=True)
        ],
        work,
        workers,
    )
    for name in missing:
        mine = [i for i, (n, _) in enumerate(places) if n == name]
        steps = ([Path(p) for p in parts[name]], [merged[i] for i in mine], [identified[i] for i in mine])
        found = _gather(parse_pair(name), steps, fetched[name])
        command = _command(entry, name, request)
        made = publish(found, entry, recipe, targets[name], command, made=request.given == "sample")
        if not made.shards:
            note(f"{targets[name]}: no row was kept; the funnel says why, and the rejects show which")


def _split(partitions: Sequence[Partition], code: str | None, work: Path) -> list[Partition]:
    """Cut partitions that must be read in order into smaller ones; a killed pass goes on where it was."""
    tasks = [
        Task("split", split, {"partition": p}, {"partition": p.identity, "plugin": code}, resumable=True)
        for p in partitions
    ]
    return [part for folder in run_tasks(tasks, work, workers=1) for part in parts_of(folder)]


def _readable(entry: Source, name: str, parts: Sequence[str], files: Sequence[Fetched]) -> Funnel:
    """The funnel of `clean` for a pair.

    Raises `TppcError` where its files hold nothing that the source could read: the wrong ones, or empty ones.
    """
    total = sum((_funnel(Path(p))[0] for p in parts), Funnel())
    if total.read == total.rejected.get("unreadable", 0):
        what = "no record at all" if total.read == 0 else f"no readable record among {total.read:,}"
        paths = ", ".join(str(f.path) for f in files)
        raise TppcError(f"{paths}: {what} of {entry.name} for {name}; check --from and --pair")
    return total


def _tail(path: str) -> str:
    """The part of a task's output path that depends on digests alone."""
    return "/".join(Path(path).parts[-2:])


def _funnel(folder: Path) -> tuple[Funnel, dict[str, int]]:
    """What a task counted: its funnel, and the source's own counts."""
    value: dict[str, Any] = json.loads((folder / "funnel.json").read_bytes())
    return Funnel.model_validate(value["funnel"]), value["counts"]


def _gather(pair: Pair, steps: Sequence[Sequence[Path]], files: Sequence[Fetched]) -> Identified:
    """Add up the funnels of the three steps (their output folders, in order) and collect their rejects."""
    rejects = Rejects()
    totals: list[tuple[Funnel, dict[str, int]]] = []
    for folders in steps:
        funnel, counts = Funnel(), dict[str, int]()
        for folder in folders:
            more, also = _funnel(folder)
            funnel = funnel + more
            counts = {k: counts.get(k, 0) + also.get(k, 0) for k in (*counts, *also)}
            rejects.load(folder / "rejects.tsv")
        totals.append((funnel, counts))
    (first, counts), (second, _), (third, _) = totals
    assert second.read == first.kept["train"], "merge must read what clean kept"
    assert third.read == second.kept.get("train", 0), "identify must read what merge kept"
    total = Funnel(
        read=first.read,
        rejected={**first.rejected, **third.rejected},
        deduplicated=second.deduplicated,
        kept=third.kept,
    )
    buckets = [path for bucket, folder in enumerate(steps[2]) if (path := folder / bucket_name(bucket)).is_file()]
    return Identified(pair, buckets, total, counts, rejects, [f.snapshot for f in files])
