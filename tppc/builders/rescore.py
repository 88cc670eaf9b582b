"""`tppc corpora score`: a corpus anew, with an encoder's score of every row and without the rows that score too low.

So a corpus can be cleaned by the model that it trained. Rows, keys, order and the held-out splits stay as they are: dev
and test are scored too but lose nothing, or results before and after could not be compared.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from tppc.builders.checkout import commit
from tppc.builders.descendant import name_of, stands
from tppc.builders.engine import Engine, Task, sweep, versions
from tppc.builders.pack import Packed, pack
from tppc.builders.progress import note
from tppc.builders.publish import HELDOUT
from tppc.builders.recipe import Score
from tppc.builders.rejects import Rejects
from tppc.builders.runner import run_tasks
from tppc.builders.score import (
    REASON,
    Scorer,
    below,
    clear,
    described,
    engine_for,
    scorer_for,
    similarities,
    windows,
    with_reason,
)
from tppc.builders.workspace import workspace
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import canonical_json, sha256_of_value, write_bytes
from tppc.corpora.keys import order_keys
from tppc.corpora.languages import Pair, parse_pair
from tppc.corpora.manifest import NAME, Funnel, Manifest, Parent, digest_of_build
from tppc.corpora.schema import SPLITS
from tppc.errors import UsageError
from tppc.manifests.folder import appearing, finish
from tppc.manifests.rules import asks_for_credit

_TEXTS = ["src_text", "tgt_text", "src_key", "tgt_key", "source"]
_SCORES, _COUNTS = "similarity.parquet", "counts.json"
# Windows in a task: so many rows are in memory at once, and so much is lost at most of what a killed worker had done.
_WINDOWS = 12


@dataclass(frozen=True)
class _Part:
    """Rows `start` to `stop` of a split of a pair, and the folder that holds their scores."""

    pair: Pair
    split: str
    start: int
    stop: int
    folder: Path = Path()


def rescore(
    corpus: Corpus, out: Path, settings: Score, *, name: str | None = None, workers: int | None = None
) -> Corpus:
    """Write `corpus` to `out` with the column `similarity`, without the rows of train below the settings' `min`.

    Args:
        settings: with an `encoder`. name: of the new corpus; None takes `scored/<name of the folder>`. workers:
        processes; None for one, which computes with every core.

    A killed call goes on where it was. A corpus that stands already from the same parent, encoder and settings is left
    as it is. Raises `TppcError` for damaged shards, an encoder that cannot be loaded, or a folder that holds something
    else; `UsageError` for settings that do not fit the encoder.
    """
    scorer = scorer_for(settings)
    if scorer is None:
        raise UsageError("no encoder to score with: name one with --with")
    recipe = {"score": scorer.settings.model_dump(mode="json")}
    name = name_of(out, "scored", name)
    if stands(out, [corpus], sha256_of_value(recipe), name, corpus.manifest.licence):
        note(f"{out}: scored already with the same encoder and settings; left as it is")
        return Corpus(out)
    corpus.check_shards(*corpus.manifest.splits)
    work = workspace(out.with_name(f".{out.name}.work"))
    work.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(work.folder.with_suffix(".lock")):
        sweep(work)
        note(f"score: {described(scorer)}")
        parts = _parts(corpus, scorer.settings.window)
        tasks = [_task(corpus, part, scorer) for part in parts]
        folders = run_tasks(tasks, work, engine_for(scorer, Engine("local", workers)))
        scored = [_Part(p.pair, p.split, p.start, p.stop, f) for p, f in zip(parts, folders, strict=True)]
        rejects = Rejects()
        with appearing(out) as folder:
            rows = {
                pair: partial(_rows, corpus, [p for p in scored if p.pair == pair], scorer) for pair in corpus.pairs
            }
            packed = pack(
                folder,
                rows,
                corpus.manifest.extra_columns,
                attribution=asks_for_credit(corpus.manifest.licences),
                refuse=lambda low: rejects.add_rows(with_reason(low, scorer)),
            )
            rejects.publish(folder)
            if (corpus.path / HELDOUT).is_file():
                shutil.copyfile(corpus.path / HELDOUT, folder / HELDOUT)
            draft = _describe(corpus, scorer, packed, _funnels(scored), name)
            assert draft.funnel.unaccounted() == 0, f"the funnel of {out} must add up: {draft.funnel}"
            low = rejects.sample(REASON, 2)
            finish(folder, draft, kept=packed.samples, refused={REASON: low} if low else {})
        shutil.rmtree(work.folder)
    return Corpus(out)


def _parts(corpus: Corpus, window: int) -> list[_Part]:
    """Rows of the corpus, a task each."""
    found = []
    for pair in corpus.pairs:
        for split in SPLITS:
            rows = corpus.manifest.rows(split, str(pair))
            found += [_Part(pair, split, start, stop) for start, stop in windows(rows, window * _WINDOWS)]
    return found


def _task(corpus: Corpus, part: _Part, scorer: Scorer) -> Task:
    where = {"pair": str(part.pair), "split": part.split, "start": part.start, "stop": part.stop}
    shards = [s.sha256 for s in corpus.shards(part.split, part.pair)]
    return Task(
        "score",
        score_part,
        {"path": str(corpus.path.resolve()), **where, "scorer": scorer},
        {"shards": shards, **where, **scorer.identity},
        resumable=True,
    )


def score_part(folder: Path, path: str, pair: str, split: str, start: int, stop: int, scorer: Scorer) -> None:
    """Write the scores of some rows of a split, in their order, and how many are too low, by source."""
    rows = Corpus(path).scan(split, parse_pair(pair)).slice(start, stop - start).select(_TEXTS).collect()
    rows = rows.with_columns(similarities(rows, scorer, folder))
    low = pl.lit(split == "train") & below(scorer)
    counts = rows.group_by("source").agg(rows=pl.len(), low=low.sum()).sort("source")
    rows.select("similarity").write_parquet(folder / _SCORES)
    write_bytes(folder / _COUNTS, canonical_json(counts.to_dicts()))
    clear(folder)


def _rows(corpus: Corpus, parts: Sequence[_Part], scorer: Scorer) -> Iterator[pl.DataFrame]:
    """Rows of a pair with their scores and their split; null for a row that stays out."""
    for part in parts:
        rows = corpus.scan(part.split, part.pair).slice(part.start, part.stop - part.start).drop("similarity").collect()
        rows = rows.with_columns(pl.read_parquet(part.folder / _SCORES)["similarity"])
        keys = order_keys(rows["src_key"].to_numpy(), rows["tgt_key"].to_numpy())
        low = pl.lit(part.split == "train") & below(scorer)
        yield rows.with_columns(order_key=pl.Series(keys), split=pl.when(~low).then(pl.lit(part.split)))


def _funnels(parts: Sequence[_Part]) -> dict[str, Funnel]:
    """The funnel of each source."""
    found: dict[str, Funnel] = {}
    for part in parts:
        for counted in json.loads((part.folder / _COUNTS).read_bytes()):
            rows, low = counted["rows"], counted["low"]
            rejected = {REASON: low} if low else {}
            more = Funnel(read=rows, rejected=rejected, kept={part.split: rows - low} if rows > low else {})
            found[counted["source"]] = found.get(counted["source"], Funnel()) + more
    return found


def _describe(corpus: Corpus, scorer: Scorer, packed: Packed, funnels: dict[str, Funnel], name: str) -> Manifest:
    """The manifest but for the digests of its files: that of the parent, where the rows do not say otherwise."""
    old = corpus.manifest
    recipe: dict[str, Any] = {"score": scorer.settings.model_dump(mode="json")}
    digest = sha256_of_value(recipe)
    total = sum((funnels[source] for source in funnels), Funnel())
    total = total.model_copy(update={"kept": {s: total.kept[s] for s in SPLITS if s in total.kept}})
    facts = {
        source: said.model_copy(update={"funnel": funnels.get(source, Funnel())})
        for source, said in old.sources.items()
    }
    taken = sum(packed.kept.values())
    parents = [
        Parent(
            name=old.name, version=old.version, build_digest=old.build_digest, weight=None, rows=taken, date=old.date
        )
    ]
    made = {
        "name": name,
        "version": "1.0.0",
        "sources": facts,
        "command": _command(old.name, scorer, name),
        "snapshots": [],
        "parents": parents,
        "recipe": recipe,
        "recipe_digest": digest,
        "versions": versions(),
        "git": commit(),
        "encoder": scorer.facts,
        "funnel": total,
        "source_counts": {},
        "files": {},
        "build_digest": digest_of_build(
            snapshots=[],
            recipe_digest=digest,
            versions=versions(),
            shards=packed.shards,
            parents=parents,
            protected=old.protected,
        ),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return old.model_copy(update={**made, **packed.fields()})


def _command(parent: str, scorer: Scorer, name: str) -> str:
    """The command that does the same again, where the parent and the encoder lie under their names."""
    settings = scorer.settings
    words = ["tppc", "corpora", "score", parent, "--with", scorer.name, "--kind", settings.kind, "--name", name]
    if not settings.drop:
        words.append("--keep-all")
    elif settings.min is not None:
        words += ["--min", f"{settings.min:g}"]
    return " ".join(map(shlex.quote, [*words, "--recipe", NAME]))
