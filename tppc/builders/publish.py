"""Step 6, `publish`: shards, rejects, attribution, card and manifest, in a folder that appears complete or not at
all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tppc.builders.checkout import commit
from tppc.builders.engine import versions
from tppc.builders.language_id import lid
from tppc.builders.pack import Packed
from tppc.builders.recipe import Recipe
from tppc.builders.rejects import Rejects
from tppc.builders.sharding import Run, sharded
from tppc.builders.sources.base import Source
from tppc.corpora.files import complete_or_absent
from tppc.corpora.languages import Pair
from tppc.corpora.licences import combine
from tppc.corpora.manifest import Funnel, Manifest, Protected, Snapshot, SourceFacts, digest_of_build
from tppc.manifests.folder import appearing, finish

HELDOUT = "heldout.parquet"
MADE = (
    "A MADE SAMPLE in this source's format, written from templates for tppc and dedicated to the public (CC0-1.0): no "
    "row comes from the source, and the licences shown are those that its real rows would carry"
)
_JUDGED = "Language ID and filters are automatic; the rejects show where they err."


@dataclass(frozen=True)
class Identified:
    """One pair after step 5: bucket files in order, and what the earlier steps counted and refused."""

    pair: Pair
    buckets: list[Path]
    funnel: Funnel
    counts: dict[str, int]
    rejects: Rejects
    snapshots: list[Snapshot]
    protected: list[Protected] = field(default_factory=list)
    encoder: dict[str, str | None] = field(default_factory=dict)


def publish(
    found: Identified, source: Source, recipe: Recipe, target: Path, command: str, run: Run, *, made: bool = False
) -> Manifest:
    """Write the corpus of one pair to `target`, which must not hold anything.

    Args:
        run: runs tasks and returns their folders, in order, on this machine. made: whether the rows are those of the
        package's samples.
    """
    with appearing(target) as folder:
        return _write(found, source, recipe, folder, command, run, made)


def _write(
    found: Identified, source: Source, recipe: Recipe, folder: Path, command: str, run: Run, made: bool
) -> Manifest:
    written = sharded(folder, found.pair, found.buckets, source, recipe.holdout, run)
    packed = written.packed
    held_out = {"holdout": written.out} if written.out else {}
    funnel = found.funnel.model_copy(update={"dropped": {**found.funnel.dropped, **held_out}, "kept": packed.kept})
    assert funnel.unaccounted() == 0, f"the funnel of {found.pair} must add up: {funnel}"
    for part in written.described:
        found.rejects.load(part)
    found.rejects.publish(folder)
    if written.held is not None:
        with complete_or_absent(folder / HELDOUT) as temporary:
            written.held.sort("split", "src_key").write_parquet(temporary, compression_level=9)
    draft = _describe(found, source, recipe, packed, funnel, command, made)
    refused = {reason: found.rejects.sample(reason, 2) for reason in sorted([*funnel.rejected, *funnel.dropped])}
    return finish(folder, draft, kept=packed.samples, refused=refused)


def _describe(
    found: Identified, source: Source, recipe: Recipe, packed: Packed, funnel: Funnel, command: str, made: bool
) -> Manifest:
    """The manifest but for the digests of its files. Keys: the corpus's own facts, then what follows from the rows."""
    citation = "None: nothing here comes from the source." if made else source.citation
    facts = SourceFacts(
        about="a sample in this source's format that was made for tppc" if made else source.about,
        citation=citation,
        creator="The tppc authors" if made else "",
        upstream=None if made else source.upstream,
        funnel=funnel,
    )
    licence = combine(packed.licences)
    snapshots = [_described(s, "CC0-1.0" if made else licence, citation) for s in found.snapshots]
    digest = recipe.digest(source)
    return Manifest(
        name=source.corpus_name(recipe.options(source).model_dump(mode="json"), found.pair),
        pairs=[str(found.pair)],
        sources={source.name: facts},
        extra_columns=list(source.extra),
        command=command,
        snapshots=snapshots,
        recipe=recipe.resolved(source),
        recipe_digest=digest,
        versions=versions(),
        git=commit(),
        language_id=lid.described(recipe.language_id) if recipe.language_id.enabled else {},
        encoder=found.encoder,
        protected=found.protected,
        funnel=funnel,
        source_counts=found.counts,
        licence=licence,
        attribution=_credit(source, packed, made),
        limits=[*([MADE] if made else []), *source.limits, _JUDGED],
        files={},
        build_digest=digest_of_build(
            snapshots=snapshots,
            recipe_digest=digest,
            versions=versions(),
            shards=packed.shards,
            protected=found.protected,
        ),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **packed.fields(),
    )


def _described(snapshot: Snapshot, licence: str, citation: str) -> Snapshot:
    """A snapshot with the licence of its rows and its source's citation, where it does not know its own."""
    return snapshot.model_copy(
        update={"licence": snapshot.licence or licence, "citation": snapshot.citation or citation}
    )


def _credit(source: Source, packed: Packed, made: bool) -> str:
    """The credit that goes with the rows, in one sentence."""
    if made:
        return "None is due: the rows were made for tppc."
    return f"{source.citation} ({', '.join(packed.licences) or source.licence})"
