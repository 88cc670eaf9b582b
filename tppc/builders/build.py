"""The main road of building: fetch (-> split) -> clean -> merge -> identify -> select -> publish.

Each step's tasks are pure functions over files, run by the engine; a killed build goes on where it stopped. The
bytes of a corpus depend on snapshots, recipe and library versions alone, never on the engine or on where it ends.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tppc.builders.clean import bucket_bits, clean
from tppc.builders.cleaning import cleaning_of
from tppc.builders.download import Fetched, check_pins
from tppc.builders.engine import Engine, Task, sweep, versions
from tppc.builders.gather import funnel_of, gather, readable
from tppc.builders.language_id import lid, lid_cache
from tppc.builders.language_id.identify import identify
from tppc.builders.learn import COUNT as LEARNED
from tppc.builders.learn import with_learned
from tppc.builders.merge import merge
from tppc.builders.pool import kept_workers, start_workers
from tppc.builders.progress import note
from tppc.builders.publish import publish
from tppc.builders.recipe import Recipe
from tppc.builders.request import command_of, request_for
from tppc.builders.runner import run_tasks
from tppc.builders.score import Scorer, score_buckets, with_scorer
from tppc.builders.select.named import KeptOut, kept_out
from tppc.builders.select.steps import Selection, select
from tppc.builders.sources import plugin_digest, source_named
from tppc.builders.sources.base import Partition, Request, Source
from tppc.builders.split import parts_of, split
from tppc.builders.target import StoredCorpus, Target, targets_of
from tppc.builders.workspace import Workspace, workspace
from tppc.corpora.corpus import Corpus
from tppc.corpora.languages import Pair, parse_pair
from tppc.corpora.manifest import Manifest
from tppc.errors import TppcError, UsageError

# Below this a pool of processes costs more than it saves. The number of workers never changes a byte.
_POOL_FROM_BYTES = 4 << 20
_SPLIT_FROM_BYTES = 16 << 20


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
    engine: Engine | None = None,
    work: str | Path | None = None,
    protect: Sequence[Path] = (),
    against: Sequence[Path] = (),
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
        engine: what runs the tasks; None for processes of this machine. work: folder or URL of what is between the
        steps, `<out>/.work` if None; a folder for each source is made in it, and removed at the end.
        protect: files, folders or corpora (their dev and test) whose texts must not occur; against: corpora whose pairs
        are left to them.

    A corpus that stands already with the same snapshots, recipe and versions is left as it is. Raises `TppcError`
    where a folder holds something else, or a file is missing or damaged; nothing that stood before is touched then.
    """
    settings = _Settings(
        origin, companion, endpoint, recipe or Recipe(), pins or {}, workers, engine or Engine(), work, protect, against
    )
    return [Corpus(target.folder) for target in _build(source, pairs, out, settings)]


def build_into(
    source: str,
    pairs: Sequence[Pair] | None,
    address: str,
    *,
    origin: str | None = None,
    companion: str | None = None,
    endpoint: str | None = None,
    recipe: Recipe | None = None,
    workers: int | None = None,
    engine: Engine | None = None,
    work: str | Path | None = None,
    protect: Sequence[Path] = (),
    against: Sequence[Path] = (),
) -> list[StoredCorpus]:
    """Build corpora as `build` does, each at `<address>/<source>/<pair>` behind a URL of fsspec (`s3://...`).

    Files have the bytes that they have in a folder; `manifest.json` comes last. Raises `TppcError` as `build` does.
    """
    settings = _Settings(
        origin, companion, endpoint, recipe or Recipe(), {}, workers, engine or Engine(), work, protect, against
    )
    found = [(str(target), target.manifest()) for target in _build(source, pairs, address, settings)]
    return [StoredCorpus(path, manifest) for path, manifest in found if manifest is not None]


@dataclass(frozen=True)
class _Settings:
    """What a build was asked for, but for source, pairs and place."""

    origin: str | None
    companion: str | None
    endpoint: str | None
    recipe: Recipe
    pins: Mapping[str, str]
    workers: int | None
    engine: Engine
    work: str | Path | None
    protect: Sequence[Path]
    against: Sequence[Path]


def _build(source: str, pairs: Sequence[Pair] | None, out: Path | str, asked: _Settings) -> list[Target]:
    """Build what does not stand; the targets of all pairs."""
    recipe, entry = asked.recipe, source_named(source)
    request = request_for(entry, pairs, recipe, origin=asked.origin, companion=asked.companion, endpoint=asked.endpoint)
    request = replace(request, pins={**request.pins, **asked.pins})
    if entry.settle is not None:
        recipe = recipe.settled(entry, entry.settle(request))
        request = replace(request, options=recipe.options(entry).model_dump(mode="json"))
    model = lid.prepare(recipe.language_id)
    recipe = recipe.model_copy(update={"language_id": lid.settled_recipe(recipe.language_id, model)})
    recipe, scorer = with_scorer(recipe)
    recipe, places = kept_out(recipe, asked.protect, asked.against, [str(pair) for pair in request.pairs])
    work = workspace(f"{asked.work or f'{out}/.work'}/{entry.name}")
    names = {str(pair): entry.corpus_name(request.options, pair) for pair in request.pairs}
    targets = targets_of(out, names, work)
    for target in targets.values():
        target.refuse_strangers()
    partitions, fetched = entry.fetch(request)
    check_pins([file for files in fetched.values() for file in files], request.pins)
    digest = recipe.digest(entry)
    with _only_one(work, entry.name):
        work.clear()
        standing = {name: _stands(target, fetched[name], digest) for name, target in targets.items()}
        missing = [name for name in targets if not standing[name]]
        wanted = [p for p in partitions if any(name in missing for name in p.pairs)]
        if wanted:
            sweep(work)
            with ExitStack() as stack:
                stack.enter_context(kept_workers())
                engine = _sized(asked, [sum(f.snapshot.bytes for f in fetched[name]) for name in missing])
                if engine.kind == "ray":
                    from tppc.builders.cluster import clear_nodes, connected

                    stack.enter_context(connected(engine))
                    if work.address is not None:
                        stack.callback(clear_nodes, work)
                _run(
                    entry,
                    wanted,
                    missing,
                    fetched,
                    recipe,
                    targets,
                    work=work,
                    engine=engine,
                    request=request,
                    model=model,
                    scorer=scorer,
                    places=places,
                )
        if work.at_last:  # of this build, or of one that was killed after its last corpus stood
            work.remove()
    return list(targets.values())


def _sized(asked: _Settings, sizes: Sequence[int]) -> Engine:
    """The engine with its number of workers."""
    workers = asked.workers or asked.engine.workers
    if workers is None and asked.engine.kind == "local":
        workers = (os.cpu_count() or 1) if max(sizes) >= _POOL_FROM_BYTES else 1
    return replace(asked.engine, workers=workers)


def catalogue(
    source: str, pairs: Sequence[Pair], *, origin: str | None = None, recipe: Recipe | None = None
) -> list[dict[str, Any]]:
    """What a source that holds many corpora has for some pairs: corpus, version, pairs, bytes, URL.

    Raises `UsageError` for a source that is one corpus.
    """
    entry = source_named(source)
    if entry.catalogue is None:
        raise UsageError(f"{source} is one corpus and has no catalogue; `tppc sources` shows what it is")
    return entry.catalogue(request_for(entry, pairs, recipe or Recipe(), origin=origin))


@contextmanager
def _only_one(work: Workspace, source: str) -> Iterator[None]:
    """One build at a time of this machine from a source into a folder; another one waits."""
    work.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work.folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        note(f"{work.folder}: another process builds from {source} here; waiting for it")
        lock.acquire()
    try:
        work.folder.mkdir(parents=True, exist_ok=True)  # the other one may have cleaned up behind us
        yield
    finally:
        if work.folder.is_dir() and not any(work.folder.iterdir()):  # nothing was to do
            work.folder.rmdir()
        lock.release()


def _same(have: Manifest, files: Sequence[Fetched], recipe_digest: str) -> bool:
    """Whether a corpus was built from these snapshots with this recipe and these versions."""
    return (
        sorted(s.sha256 for s in have.snapshots) == sorted(f.snapshot.sha256 for f in files)
        and have.recipe_digest == recipe_digest
        and have.versions == versions()
    )


def _stands(target: Target, files: Sequence[Fetched], recipe_digest: str) -> bool:
    """Whether this very corpus stands at `target`. Raises `TppcError` if another one does."""
    have = target.manifest()
    if have is None:
        return False
    if not _same(have, files, recipe_digest):
        raise TppcError(
            f"{target}: holds another corpus (built from other snapshots, another recipe or other versions); "
            "choose another --out, or move it away"
        )
    note(f"{target}: built already from the same snapshots and recipe; left as it is")
    return True


def _run(
    entry: Source,
    partitions: Sequence[Partition],
    missing: Sequence[str],
    fetched: dict[str, list[Fetched]],
    recipe: Recipe,
    targets: dict[str, Target],
    *,
    work: Workspace,
    engine: Engine,
    request: Request,
    model: lid.Model,
    scorer: Scorer | None,
    places: KeptOut,
) -> None:
    """Run the steps for the pairs that are missing."""
    settings = recipe.language_id.model_dump()
    lid_cache.prune()
    code = plugin_digest(entry.name)
    several = engine.kind == "ray" or (engine.workers or 1) > 1
    if entry.split is not None and (several or not entry.splits_for_speed):
        partitions = _split(partitions, code, work, _SPLIT_FROM_BYTES if entry.splits_for_speed else 0, engine)
    cleaning = cleaning_of(recipe)
    if recipe.filters.learns:
        cleaning = with_learned(cleaning, partitions, missing, lambda tasks: run_tasks(tasks, work, engine), work)
    cleaned = run_tasks(
        [
            Task(
                "clean",
                clean,
                {"partition": p, "cleaning": cleaning},
                {"partition": p.identity, "cleaning": cleaning.identity, "plugin": code},
            )
            for p in partitions
        ],
        work,
        engine,
    )
    parts: dict[str, list[str]] = {name: [] for name in missing}
    for partition, folder in zip(partitions, cleaned, strict=True):
        for name in partition.pairs:
            if name in parts:
                parts[name].append(str(folder / name))
    # Known from the snapshot and the recipe alone, since `clean` is.
    bits = {name: bucket_bits(readable(entry, name, parts[name], fetched[name]).kept["train"]) for name in missing}
    numbered = [(name, bucket) for name in missing for bucket in range(1 << bits[name])]
    merged = run_tasks(
        [
            Task(
                "merge",
                merge,
                {"parts": parts[n], "bucket": b, "bits": bits[n]},
                {"parts": [_tail(p) for p in parts[n]], "bucket": b, "bits": bits[n]},
            )
            for n, b in numbered
        ],
        work,
        engine,
    )
    identified = merged
    if recipe.language_id.enabled:
        identified = run_tasks(
            [
                Task(
                    "identify",
                    identify,
                    {"part": str(m), "bucket": b, "pair": n, "settings": settings, "model": model},
                    {"part": m.name, "bucket": b, "pair": n, "settings": settings, "model": model.sha256},
                )
                for (n, b), m in zip(numbered, merged, strict=True)
            ],
            work,
            engine,
        )
    scored = identified if scorer is None else score_buckets(identified, numbered, scorer, work, engine)
    found_by = {name: [scored[i] for i, (n, _) in enumerate(numbered) if n == name] for name in missing}
    selections = [
        Selection(name, bits[name], folders, sum(funnel_of(f)[0].kept.get("train", 0) for f in folders))
        for name, folders in found_by.items()
    ]
    selected, told = select(
        selections,
        recipe,
        places,
        run=lambda tasks: run_tasks(tasks, work, engine),
        run_here=lambda tasks: run_tasks(tasks, work, Engine()),
    )

    def run(tasks: list[Task]) -> list[Path]:
        done = run_tasks(tasks, work, engine)
        work.bring(done)
        return done

    for name, folders, protected in zip(missing, selected, told, strict=True):
        target = targets[name]
        if name == missing[-1]:
            work.mark_last()
        written = target.written()  # by a build that was killed before it was delivered
        if written is None or not _same(written, fetched[name], recipe.digest(entry)):
            mine = [i for i, (n, _) in enumerate(numbered) if n == name]
            cleaned_parts = [Path(p) for p in parts[name]]
            after = ([merged[i] for i in mine], [identified[i] for i in mine], found_by[name], folders)
            steps = [
                step for step, before in zip(after, (None, *after), strict=False) if step != before
            ]  # less those off
            found = gather(parse_pair(name), (cleaned_parts, *steps), fetched[name])
            found = replace(found, protected=protected, encoder=scorer.facts if scorer else {})
            if (learned_value := cleaning.learned.get(name)) is not None:
                found = replace(found, counts={**found.counts, LEARNED: round(1_000 * learned_value)})
            command = command_of(entry, name, request, recipe)
            if written is not None:
                shutil.rmtree(target.folder)
            made = publish(found, entry, recipe, target.folder, command, run, made=request.given == "sample")
            if not made.shards:
                note(f"{target}: no row was kept; the funnel says why, and the rejects show which")
        target.deliver()


def _split(
    partitions: Sequence[Partition], code: str | None, work: Workspace, least: int, engine: Engine
) -> list[Partition]:
    """Cut partitions whose files have `least` bytes into smaller ones, in this process, while those of `engine` start;
    a killed pass goes on where it was."""
    large = [p for p in partitions if max(Path(file).stat().st_size for file in p.files.values()) >= least]
    tasks = [
        Task("split", split, {"partition": p}, {"partition": p.identity, "plugin": code}, resumable=True) for p in large
    ]
    if large:
        start_workers(engine, __name__)
    cut = [part for folder in run_tasks(tasks, work, Engine()) for part in parts_of(folder)] if large else []
    return [*(p for p in partitions if p not in large), *cut]


def _tail(path: str) -> str:
    """The part of a task's output path that depends on digests alone."""
    return "/".join(Path(path).parts[-2:])
