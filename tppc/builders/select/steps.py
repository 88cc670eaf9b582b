"""Step 5, `select`: the rules in their order, each a shuffle of its own that yields pairs to drop; then the buckets are
filtered by the lists.

1. `protected`: rows that share a text or a long run with a protected set.
2. `deduplicated_against`: pairs that a corpus with priority has.
3. `boilerplate`: rows one side of which has too many partners; all of them.
4. `near_duplicate`: rows with the same letters as a better one; where asked for, similar ones.
5. `duplicate_side`: rows whose source or target text a better row has.

A rule sees what those before it left. The hold-out is drawn from the rest (`publish`), so no protected text is in any
split. Exact duplicates are gone before (`merge`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tppc.builders.clean import bucket_name, write_funnel
from tppc.builders.engine import Task
from tppc.builders.recipe import Dedup, Recipe
from tppc.builders.rejects import Rejects
from tppc.builders.row_files import read_rows, write_rows
from tppc.builders.select import near
from tppc.builders.select.named import KeptOut, Places
from tppc.builders.select.protected import prepare
from tppc.builders.select.rules import RULES, rules_of
from tppc.builders.select.screen import COUNTS, screen
from tppc.builders.select.shuffle import (
    ENTRIES,
    PAIR,
    drops_of,
    left_rows,
    range_bits,
    read_range,
    write_drops,
    write_sorted,
)
from tppc.corpora.files import sha256_of_value
from tppc.corpora.manifest import Funnel, Protected

Run = Callable[[list[Task]], list[Path]]


def spread(folder: Path, part: str, bucket: int, bits: int, drops: Sequence[str], rule: str) -> None:
    """Write what a rule needs of every row that is left of a bucket."""
    asked = RULES[rule]
    rows = left_rows(part, bucket, bits, drops, asked.columns)
    if rows is not None and rows.height:
        write_sorted(asked.entries(rows), "key", folder / ENTRIES)


def meet(folder: Path, parts: Sequence[str], number: int, bits: int, rule: str, settings: dict[str, Any]) -> None:
    """Write what a rule drops of a range of its keys."""
    entries = read_range([Path(part) / ENTRIES for part in parts], "key", number, bits)
    if entries is not None:
        found = RULES[rule].drops(entries, Dedup.model_validate(settings))
        write_drops(folder, found.with_columns(reason=pl.lit(RULES[rule].reason)))


def sift(folder: Path, part: str, bucket: int, bits: int, drops: Sequence[str]) -> None:
    """Write what all rules leave of a bucket, its funnel and its rejects."""
    path = Path(part) / bucket_name(bucket)
    rejects, kept, dropped = Rejects(), 0, dict[str, int]()
    if path.is_file():
        rows = read_rows(path)
        reasons = drops_of(drops, bucket, bits).select(*PAIR, "reason", "detail")
        out = rows.join(reasons, on=PAIR, how="inner", maintain_order="left")
        rest = rows.join(reasons, on=PAIR, how="anti", maintain_order="left")
        dropped, kept = dict(sorted(Counter(out["reason"]).items())), rest.height
        rejects.add_rows(out)
        write_rows(rest, folder / bucket_name(bucket))
    write_funnel(folder, Funnel(read=kept + sum(dropped.values()), dropped=dropped, kept={"train": kept}))
    rejects.save(folder)


@dataclass
class Selection:
    """One pair on its way through the rules: a bucket's folder for each bucket, and the drops so far."""

    pair: str
    bits: int
    buckets: list[Path]
    rows: int
    drops: list[Path] = field(default_factory=list)
    protected: dict[int, int] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The digest of what every task here starts from."""
        return sha256_of_value([[p.name for p in self.buckets], [p.name for p in self.drops]])

    def arguments(self, bucket: int) -> dict[str, Any]:
        """What a task for one bucket is called with."""
        drops = [str(p) for p in self.drops]
        return {"part": str(self.buckets[bucket]), "bucket": bucket, "bits": self.bits, "drops": drops}

    def task(self, step: str, function: Callable[..., None], bucket: int, **more: Any) -> Task:
        """A task for one bucket; `more` are settings."""
        return Task(step, function, {**self.arguments(bucket), **more}, {"from": self.state, "bucket": bucket, **more})


def select(
    selections: Sequence[Selection],
    recipe: Recipe,
    places: KeptOut,
    run: Run,
    run_here: Run,
) -> tuple[list[list[Path]], list[list[Protected]]]:
    """Run the rules of a recipe over some pairs; returns, for each, the folders of its buckets, which `sift` made (of a
    recipe without a rule: which came in), and what its manifest says of the protected sets.

    Args:
        places: where what the recipe keeps out is on this machine. run: runs tasks and returns their folders, in order;
        run_here: does so where this process is, which alone is sure to see those places.
    """
    guards = _prepare(recipe, places.sets, run_here)
    if guards or places.against:
        _screen(selections, recipe, guards, places.against, run)
    settings = recipe.dedup.model_dump(mode="json")
    for rule in rules_of(recipe.dedup):
        _shuffle(selections, rule, settings, run)
        if rule == "near-letters" and recipe.dedup.near == "similar":
            _similar(selections, settings, run)
    ruled = any(s.drops for s in selections)
    tasks = [s.task("select", sift, bucket) for s in selections for bucket in range(len(s.buckets)) if ruled]
    done = iter(run(tasks) if ruled else [folder for s in selections for folder in s.buckets])
    texts = [json.loads((folder / "texts.json").read_bytes()) for folder in guards]
    told = [
        [
            Protected(name=named.name, sha256=named.sha256, texts=count, rows=s.protected.get(number, 0))
            for number, ((named, _), count) in enumerate(zip(places.sets, texts, strict=True))
        ]
        for s in selections
    ]
    return [[next(done) for _ in s.buckets] for s in selections], told


def _prepare(recipe: Recipe, sets: Places, run: Run) -> list[Path]:
    rules = recipe.protect.lengths()
    return run(
        [
            Task(
                "protect",
                prepare,
                {"path": str(place.resolve()), "rules": rules},
                {"set": named.sha256, "rules": rules},
            )
            for named, place in sets
        ]
    )


def _screen(
    selections: Sequence[Selection],
    recipe: Recipe,
    guards: Sequence[Path],
    against: Places,
    run: Run,
) -> None:
    rules = recipe.protect.lengths()
    names = [named.name for named in recipe.protect.sets]
    tasks = []
    for s in selections:
        for bucket in range(len(s.buckets)):
            arguments = s.arguments(bucket)
            del arguments["drops"]
            arguments |= {"pair": s.pair, "rules": rules}
            identity = {"from": s.state, "bucket": bucket, "pair": s.pair, "guards": [g.name for g in guards]}
            identity |= {"names": names, "against": [[n.name, n.sha256] for n, _ in against]}
            arguments["guards"] = [(name, str(g)) for name, g in zip(names, guards, strict=True)]
            arguments["against"] = [(n.name, str(place.resolve())) for n, place in against]
            tasks.append(Task("screen", screen, arguments, identity))
    done = iter(run(tasks))
    for s in selections:
        folders = [next(done) for _ in s.buckets]
        s.drops += folders
        for folder in folders:
            for number, rows in json.loads((folder / COUNTS).read_bytes()).items():
                s.protected[int(number)] = s.protected.get(int(number), 0) + rows


def _shuffle(selections: Sequence[Selection], rule: str, settings: dict[str, Any], run: Run) -> None:
    spreads = [s.task("spread", spread, bucket, rule=rule) for s in selections for bucket in range(len(s.buckets))]
    bits = [range_bits(s.rows * RULES[rule].per_row) for s in selections]
    _meet(selections, run(spreads), bits, "meet", meet, {"rule": rule, "settings": settings}, run, drop=True)


def _meet(
    selections: Sequence[Selection],
    folders: Sequence[Path],
    bits: Sequence[int],
    step: str,
    function: Callable[..., None],
    more: dict[str, Any],
    run: Run,
    *,
    drop: bool,
) -> list[list[Path]]:
    """Run `function` over the ranges of what the buckets' folders hold; with `drop`, what it writes are drops."""
    spread_out = iter(folders)
    tasks: list[Task] = []
    for s, wide in zip(selections, bits, strict=True):
        mine = [next(spread_out) for _ in s.buckets]
        origin = sha256_of_value([p.name for p in mine])
        for number in range(1 << wide):
            arguments = {"parts": [str(p) for p in mine], "number": number, "bits": wide, **more}
            tasks.append(Task(step, function, arguments, {"from": origin, "number": number, "bits": wide, **more}))
    done = iter(run(tasks))
    met = [[next(done) for _ in range(1 << wide)] for wide in bits]
    if drop:
        for s, made in zip(selections, met, strict=True):
            s.drops += made
    return met


def _similar(selections: Sequence[Selection], settings: dict[str, Any], run: Run) -> None:
    """Bands meet, and give candidates; these get the texts of both rows, and are verified."""
    places = [(s, bucket) for s in selections for bucket in range(len(s.buckets))]
    banded = run([s.task("bands", near.bands, bucket) for s, bucket in places])
    bits = [range_bits(s.rows * near.BANDS * near.FANOUT) for s in selections]
    met = _meet(selections, banded, bits, "candidates", near.candidates, {}, run, drop=False)
    edges: dict[int, list[Path]] = {id(s): made for s, made in zip(selections, met, strict=True)}
    for step, function, more in (("attach", near.attach, {}), ("verify", near.verify, {"settings": settings})):
        tasks = []
        for s, bucket in places:
            have = edges[id(s)]
            identity = {"from": s.state, "bucket": bucket, "edges": sha256_of_value([p.name for p in have]), **more}
            arguments = {**s.arguments(bucket), "edges": [str(p) for p in have], **more}
            tasks.append(Task(step, function, arguments, identity))
        done = iter(run(tasks))
        edges = {id(s): [next(done) for _ in s.buckets] for s in selections}
    for s in selections:
        s.drops += edges[id(s)]
