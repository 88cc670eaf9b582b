"""What must hold inside a manifest, and between it and what was counted in the shards: no file is read here.

A digest says that bytes are the published ones; these rules say that what was published makes sense, also where
somebody changed a number and sealed the manifest again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

from tppc.corpora.files import sha256_of_value
from tppc.corpora.licences import allows, licence, needs_attribution
from tppc.corpora.manifest import Funnel, Manifest, Measure, Shard, digest_of_build
from tppc.corpora.schema import EXTRA_TYPES

ATTRIBUTION = "ATTRIBUTION.tsv.gz"
_OF_EVERY_ROW = ("src_chars", "tgt_chars", "src_words", "tgt_words")
_MEASURES = (*_OF_EVERY_ROW, "ratio", "score", "similarity")


def manifest_faults(manifest: Manifest) -> list[str]:
    """Faults that the manifest shows by itself, one sentence each."""
    faults = [*_funnel_faults(manifest), *digest_faults(manifest), *_licence_faults(manifest)]
    unknown = [name for name, kind in manifest.extra_columns if kind not in EXTRA_TYPES]
    if unknown:
        faults.append(f"columns of a type that this version of tppc does not know: {', '.join(unknown)}")
    groups: dict[tuple[str, str], list[Shard]] = defaultdict(list)
    for shard in manifest.shards:
        groups[shard.pair, shard.split].append(shard)
        if manifest.files.get(shard.path) != shard.sha256:
            faults.append(f"{shard.path}: its SHA-256 as a shard is not the one in the list of files")
        if shard.key_range[0] > shard.key_range[1]:
            faults.append(f"{shard.path}: its key range begins after its end")
    for (pair, split), shards in groups.items():
        names = [f"data/{pair}/{split}-{i:05d}-of-{len(shards):05d}.parquet" for i in range(len(shards))]
        if [s.path for s in shards] != names:
            faults.append(f"the shards of {split} of {pair} are not numbered from 0 to {len(shards) - 1}, in order")
        for one, next_one in pairwise(shards):
            if next_one.key_range[0] < one.key_range[1]:
                faults.append(f"{next_one.path}: its keys begin before those of {one.path} end")
    given = [parent.rows for parent in manifest.parents if parent.rows is not None]
    if manifest.parents and len(given) == len(manifest.parents) and sum(given) != manifest.rows():
        faults.append(f"the parents give {sum(given)} rows, the shards hold {manifest.rows()}")
    return [*faults, *_statistics_faults(manifest)]


def _statistics_faults(manifest: Manifest) -> list[str]:
    """Statistics of other rows than the shards hold; each of their parts counts the rows of its split again."""
    faults = []
    for pair, splits in manifest.statistics.items():
        for split, found in splits.items():
            where, rows = f"the statistics of {split} of {pair}", manifest.rows(split, pair)
            if found.rows != rows:
                faults.append(f"{where} are of {found.rows} rows, the shards hold {rows}")
                continue
            for name in ("src_scripts", "tgt_scripts", "src_lid", "tgt_lid"):
                counts: dict[str, int] = getattr(found, name)
                if counts and sum(counts.values()) != rows:
                    faults.append(f"{where} count {sum(counts.values())} rows in {name}, the shards hold {rows}")
            for name in _MEASURES:
                measure: Measure | None = getattr(found, name)
                if measure is None:
                    continue
                count, every = sum(measure.histogram.counts), name in _OF_EVERY_ROW
                if count > rows or (every and count != rows):
                    faults.append(f"{where} count {count} rows in {name}, the shards hold {rows}")
                if not measure.median <= measure.p95 <= measure.max or measure.mean > measure.max:
                    faults.append(f"{where} contradict themselves in {name}: no numbers have such quantiles")
    return faults


def _funnel_faults(manifest: Manifest) -> list[str]:
    faults = []
    if left := manifest.funnel.unaccounted():
        faults.append(f"the funnel does not add up, {left} rows are unaccounted for")
    for split in sorted({*manifest.funnel.kept, *manifest.splits}):
        rows = manifest.funnel.kept.get(split, 0)
        if manifest.rows(split) != rows:
            faults.append(f"the funnel keeps {rows} rows in {split}, the shards hold {manifest.rows(split)}")
    numbers = _numbers(manifest.funnel)
    if any(count < 0 for count in numbers.values()):
        faults.append("the funnel holds a negative number")
    for name, source in manifest.sources.items():
        if left := source.funnel.unaccounted():
            faults.append(f"the funnel of {name} does not add up, {left} rows are unaccounted for")
    total = Counter[str]()
    for source in manifest.sources.values():
        total.update(_numbers(source.funnel))
    for name in sorted({*total, *numbers}):
        if total[name] != numbers[name]:
            faults.append(f"the funnel says {numbers[name]} for {name}, the funnels of its sources {total[name]}")
    return faults


def _numbers(funnel: Funnel) -> Counter[str]:
    """All numbers of a funnel, those that are not 0, by a name for each."""
    numbers = Counter({"read": funnel.read, "duplicates": funnel.deduplicated})
    for kind in ("rejected", "dropped", "kept"):
        numbers.update({f"{kind}.{name}": count for name, count in getattr(funnel, kind).items()})
    return Counter({name: count for name, count in numbers.items() if count})


def build_digest_of(manifest: Manifest) -> str:
    """The build digest that a manifest's own contents give."""
    return digest_of_build(
        snapshots=manifest.snapshots,
        recipe_digest=manifest.recipe_digest,
        versions=manifest.versions,
        shards=manifest.shards,
        parents=manifest.parents,
        protected=manifest.protected,
    )


def digest_faults(manifest: Manifest) -> list[str]:
    """Faults between the digests of a manifest and what they cover."""
    faults = []
    # Pins say where the same snapshots are found again; they are no setting.
    recipe = {key: value for key, value in manifest.recipe.items() if key != "pins"}
    if sha256_of_value(recipe) != manifest.recipe_digest:
        faults.append("the recipe's digest is not that of the recipe")
    if build_digest_of(manifest) != manifest.build_digest:
        faults.append("the build digest is not that of the snapshots, recipe, versions and shards")
    return faults


def _licence_faults(manifest: Manifest) -> list[str]:
    faults = []
    rows = manifest.rows()
    if sum(manifest.licences.values()) != rows:
        faults.append(f"the licences cover {sum(manifest.licences.values())} rows, the shards hold {rows}")
    declared = manifest.licence
    for name, count in manifest.licences.items():
        if count and not allows(declared, name):
            rules = licence(name)
            why = ", which asks to be the licence of the whole" if rules is not None and rules.share_alike else ""
            faults.append(f"the corpus is declared to be under {declared}, but {count} rows are under {name}{why}")
    return faults


def row_faults(
    manifest: Manifest,
    sources: Counter[str],
    licences: Counter[str],
    credit: Counter[tuple[str, str, bool]],
    credited: int | None,
) -> list[str]:
    """Faults between the manifest and what was counted in all rows.

    Args:
        sources, licences: rows by source and by licence. credit: rows whose licence asks for credit, by source, licence
            and whether they name their authors. credited: rows in `ATTRIBUTION.tsv.gz`, None where there is none.
    """
    faults = []
    for name, facts in manifest.sources.items():
        if sources[name] != sum(facts.funnel.kept.values()):
            faults.append(
                f"{sources[name]} rows are from {name}, but its funnel keeps {sum(facts.funnel.kept.values())}"
            )
    for name in sorted({*licences, *manifest.licences}):
        if licences[name] != manifest.licences.get(name, 0):
            faults.append(
                f"{licences[name]} rows are under {name}, but the manifest says {manifest.licences.get(name, 0)}"
            )
    for name in sorted(set(licences) - set(manifest.licences)):
        if not allows(manifest.licence, name):
            faults.append(f"the corpus is declared to be under {manifest.licence}, but rows are under {name}")
    named = {source for source, _, known in credit if known}
    for (source, name, known), count in sorted(credit.items()):
        if known:
            continue
        if source in named:
            faults.append(f"{count} rows of {source} under {name} have no attribution, though others of it have")
        elif not manifest.attribution:
            faults.append(f"{count} rows of {source} under {name} have no attribution, and the corpus has none either")
    if credited is not None and credit and not named:
        faults.append(f"{ATTRIBUTION} is there, but no row names its authors")
    elif named and credited != sum(credit.values()):
        listed = f"{ATTRIBUTION} lists {credited} rows" if credited is not None else f"there is no {ATTRIBUTION}"
        faults.append(f"{listed}, but {sum(credit.values())} rows are under licences that ask for credit")
    return faults


def asks_for_credit(names: Iterable[str]) -> bool:
    """Whether any of these licences asks for attribution."""
    return any(needs_attribution(name) for name in names)
