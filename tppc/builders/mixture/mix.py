"""`tppc corpora mix`: a new corpus out of several, with a manifest that names its parents by digest."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from tppc.builders.checkout import commit
from tppc.builders.descendant import name_of, stands
from tppc.builders.engine import versions
from tppc.builders.mixture.rows import Mixing
from tppc.builders.mixture.shares import MixSettings
from tppc.builders.pack import Packed, pack
from tppc.builders.progress import note
from tppc.builders.rejects import Rejects
from tppc.corpora.corpus import Corpus, outside_of_corpora
from tppc.corpora.files import sha256_of_value
from tppc.corpora.licences import allows, combine
from tppc.corpora.manifest import Funnel, Manifest, Parent, Protected, SourceFacts, digest_of_build
from tppc.corpora.schema import SPLITS
from tppc.errors import TppcError, UsageError
from tppc.manifests.folder import appearing, finish
from tppc.manifests.rules import asks_for_credit


def mix(
    corpora: Sequence[Corpus],
    out: Path,
    settings: MixSettings | None = None,
    *,
    name: str | None = None,
    licence: str | None = None,
) -> Corpus:
    """Mix corpora into a new one at `out`; of equal pairs the corpus that is named first keeps its row.

    Args:
        name: of the new corpus; None takes `mixture/<name of the folder>`. licence: an SPDX expression to declare for
        the whole; None combines those of the rows.

    A mixture that stands already from the same parents, settings and versions is left as it is. Raises `TppcError` for
    shards that are not those of their manifest, licences that cannot be combined, or a folder that holds something
    else, `UsageError` for settings that do not fit the corpora.
    """
    settings = settings or MixSettings()
    name = name_of(out, "mixture", name)
    _check(corpora, settings)
    outside_of_corpora(out)
    whole = _licence(corpora, licence)
    out.parent.mkdir(parents=True, exist_ok=True)
    lock = out.with_name(f".{out.name}.lock")
    with FileLock(lock):  # two at once would remove each other's unfinished folder
        if stands(out, corpora, sha256_of_value(_recipe(settings)), name, whole):
            note(f"{out}: mixed already from the same corpora with the same settings; left as it is")
        else:
            _write(corpora, out, settings, name, licence, whole)
        lock.unlink(missing_ok=True)  # the mixture stands: whoever waits here has nothing left to do
    return Corpus(out)


def _recipe(settings: MixSettings) -> dict[str, Any]:
    return {"mix": settings.model_dump(mode="json")}


def _write(
    corpora: Sequence[Corpus], out: Path, settings: MixSettings, name: str, declared: str | None, whole: str
) -> None:
    """Mix into a folder that holds nothing; `declared` is the licence that the user gave, `whole` that of the whole."""
    for corpus in corpora:
        corpus.check_shards(*corpus.manifest.splits)
    mixing = Mixing(corpora, settings)
    planned = mixing.plan()
    rejects = Rejects()
    with appearing(out) as folder:
        packed = pack(
            folder,
            {pair: partial(mixing.rows, pair) for pair in mixing.pairs},
            mixing.extra,
            attribution=asks_for_credit(name for c in corpora for name in c.manifest.licences),
            refuse=lambda rows: rejects.add_rows(rows.filter(pl.col("reason") != "sampled")),
        )
        rejects.publish(folder)
        draft = _describe(mixing, packed, settings, name, declared, whole)
        assert draft.funnel.unaccounted() == 0, f"the funnel of {out} must add up: {draft.funnel}"
        refused = {reason: rejects.sample(reason, 2) for reason in ("duplicate", "holdout")}
        finish(folder, draft, kept=packed.samples, refused={k: v for k, v in refused.items() if v})
    for corpus, taken, wanted in zip(corpora, mixing.taken, planned, strict=True):
        note(f"{corpus.name}: {taken.kept:,} rows taken ({wanted:,} in train)")


def _check(corpora: Sequence[Corpus], settings: MixSettings) -> None:
    if not corpora:
        raise UsageError("no corpus to mix: give the folders of at least one")
    digests = [corpus.digest for corpus in corpora]
    for number, corpus in enumerate(corpora):
        if corpus.digest in digests[:number]:
            raise UsageError(f"{corpus.path}: the same corpus is given twice")
    for what, values in (("--weight", settings.weights), ("--cap", settings.caps)):
        if values is not None and len(values) != len(corpora):
            raise UsageError(f"{len(corpora)} corpora need as many values of {what}; these are {len(values)}")
    types: dict[str, tuple[str, Path]] = {}
    for corpus in corpora:
        for column, kind in corpus.manifest.extra_columns:
            have, where = types.setdefault(column, (kind, corpus.path))
            if have != kind:
                raise TppcError(
                    f"{corpus.path}: its column {column} is of the type {kind}, that of {where} is {have}; mix corpora "
                    "whose columns go together"
                )


def _licence(corpora: Sequence[Corpus], declared: str | None) -> str:
    """The licence of the whole. Raises `TppcError` where there is none, or the declared one does not allow a row."""
    names = sorted({name for corpus in corpora for name in corpus.manifest.licences})
    whole = combine(names)
    if declared is None:
        return whole
    for corpus in corpora:
        for name in corpus.manifest.licences:
            if not allows(declared, name):
                raise TppcError(
                    f"{corpus.path}: rows under {name} cannot be passed on under {declared}; declare {whole}, or leave "
                    "this corpus out"
                )
    return declared


def _describe(
    mixing: Mixing, packed: Packed, settings: MixSettings, name: str, declared: str | None, whole: str
) -> Manifest:
    """The manifest of a mixture but for the digests of its files."""
    manifests = [corpus.manifest for corpus in mixing.corpora]
    weights: Sequence[float | None] = settings.weights or [None] * len(manifests)
    parents = [
        Parent(name=m.name, version=m.version, build_digest=m.build_digest, weight=w, rows=t.kept, date=m.date)
        for m, w, t in zip(manifests, weights, mixing.taken, strict=True)
    ]
    funnels: dict[str, Funnel] = {}
    for taken in mixing.taken:
        for source, part in taken.funnels().items():
            funnels[source] = funnels.get(source, Funnel()) + part
    facts: dict[str, SourceFacts] = {}
    for manifest in manifests:
        for source, said in manifest.sources.items():
            facts.setdefault(source, said.model_copy(update={"funnel": funnels.get(source, Funnel())}))
    total = sum((facts[source].funnel for source in facts), Funnel())
    total = total.model_copy(update={"kept": {s: total.kept[s] for s in SPLITS if s in total.kept}})
    recipe = _recipe(settings)
    digest = sha256_of_value(recipe)
    protected = _protected(manifests)
    return Manifest(
        name=name,
        pairs=[str(pair) for pair in mixing.pairs],
        sources=facts,
        extra_columns=mixing.extra,
        command=_command(manifests, settings, name, declared),
        snapshots=[],
        parents=parents,
        recipe=recipe,
        recipe_digest=digest,
        versions=versions(),
        git=commit(),
        language_id=manifests[0].language_id
        if all(m.language_id == manifests[0].language_id for m in manifests)
        else {},
        protected=protected,
        funnel=total,
        source_counts={},
        licence=whole,
        attribution=" ".join(dict.fromkeys(m.attribution for m in manifests if m.attribution)),
        limits=list(dict.fromkeys(limit for m in manifests for limit in m.limits)),
        files={},
        build_digest=digest_of_build(
            snapshots=[],
            recipe_digest=digest,
            versions=versions(),
            shards=packed.shards,
            parents=parents,
            protected=protected,
        ),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **packed.fields(),
    )


def _protected(manifests: Sequence[Manifest]) -> list[Protected]:
    """Sets that every parent was kept free of, with the rows that all of them lost to it."""
    found = []
    for known in manifests[0].protected:
        same = [p for m in manifests for p in m.protected if p.sha256 == known.sha256]
        if len(same) == len(manifests):
            lost = [p.rows for p in same if p.rows is not None]
            found.append(known.model_copy(update={"rows": sum(lost) if len(lost) == len(same) else None}))
    return found


def _command(manifests: Sequence[Manifest], settings: MixSettings, name: str, declared: str | None) -> str:
    """The command that mixes the same again, where the parents lie under their names."""
    words = ["tppc", "corpora", "mix", *(m.name for m in manifests), "--out", name, "--name", name]
    given = settings.model_dump(exclude_defaults=True)
    for key, value in given.items():
        flag = {"weights": "--weight", "caps": "--cap"}.get(key, f"--{key}")
        for item in value if isinstance(value, list) else [value]:
            words += [flag, "none" if item is None else str(item)]
    if declared is not None:
        words += ["--licence", declared]
    return " ".join(map(shlex.quote, words))
