"""Rebuild: repeat a build from its manifest, with the snapshots that it names, and say whether the data is the same.

The manifest holds the command and the whole recipe; the digests of its snapshots become pins, so a file that changed
upstream is an error and a copy in the cache that has the digest is used without asking. The build digest covers
snapshots, recipe, library versions and shards: with other versions it differs even where every row is the same, and
the report says which of these it was.
"""

from __future__ import annotations

import shlex
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tppc.builders.build import build
from tppc.builders.download import is_url
from tppc.builders.engine import versions
from tppc.builders.mixture.mix import mix
from tppc.builders.mixture.shares import MixSettings
from tppc.builders.progress import note
from tppc.builders.recipe import load_recipe
from tppc.builders.rescore import rescore
from tppc.corpora.addresses import safe_name
from tppc.corpora.corpus import Corpus, outside_of_corpora
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import parse_pair
from tppc.corpora.manifest import NAME, Manifest, parse_manifest
from tppc.errors import TppcError, UsageError
from tppc.manifests.places import Place
from tppc.manifests.rules import digest_faults

_OPTIONS = {"--pair", "--from", "--companion", "--endpoint", "--protect", "--against", "--recipe"}
_NOT_PACKAGES = {"unicode"}  # comes with Python itself


@dataclass(frozen=True)
class Rebuilt:
    """What came out: the new corpus, the manifest that was to be repeated, and what differs (nothing, if it worked)."""

    corpus: Corpus
    expected: Manifest
    differences: list[str]

    @property
    def same(self) -> bool:
        """Whether the build digests are equal."""
        return self.corpus.digest == self.expected.build_digest


@dataclass(frozen=True)
class _Command:
    """What a manifest's command says: the source, and where it was read."""

    source: str
    origin: str | None
    companion: str | None
    endpoint: str | None


def rebuild(
    location: str,
    *,
    origin: str | None = None,
    companion: str | None = None,
    out: Path = Path("rebuilt"),
    workers: int | None = None,
    protect: Sequence[Path] = (),
    against: Sequence[Path] = (),
    score_with: str | None = None,
) -> Rebuilt:
    """Build a corpus again from its manifest, to `<out>/<name>`, which must not be there.

    Args:
        location: a `manifest.json`, the folder of a corpus, or the URL of either.
        origin: where its snapshots are now; None for the place that the manifest names, which can be a URL, the true
        upstream or `sample`; of a mixture, the folder in which its parents lie under their names. companion: the same
        for the second of two line-aligned files. protect, against: where the texts and corpora are that it was kept
        free of; a manifest knows their digests alone. score_with: where the encoder is that scored it; None for the
        name that the manifest has.

    Raises `TppcError` where a snapshot is not to be had, `UsageError` for a corpus that no single command built.
    """
    manifest, data = _read(location)
    if not safe_name(manifest.name):
        raise TppcError(f"{location}: the name {manifest.name!r} is no path below a folder; it is nobody's corpus")
    if faults := digest_faults(manifest):
        raise TppcError(f"{location}: {faults[0]}, so it was changed since the corpus was built; fetch it again")
    outside_of_corpora(out / manifest.name)
    if (out / manifest.name).exists():
        raise TppcError(
            f"{out / manifest.name}: is there already, and a rebuild starts from nothing; choose another --out"
        )
    if other := _other_versions(manifest):
        note(f"{manifest.name} was built with other versions, so its digest will differ: {', '.join(other)}")
        note(f"for the same ones: {pip_line(manifest)}")
    encoder = {"encoder": score_with or manifest.encoder["name"]} if manifest.encoder else None
    if manifest.parents:
        parents = _parents(manifest, origin)
        if "mix" in manifest.recipe:
            corpus = _mix_again(manifest, parents, out)
        else:
            settings = load_recipe(None, score={**manifest.recipe["score"], **(encoder or {})}).score
            corpus = rescore(parents[0], out / manifest.name, settings, name=manifest.name, workers=workers)
        return Rebuilt(corpus, manifest, _differences(manifest, corpus.manifest))
    command = _parse(manifest)
    with tempfile.TemporaryDirectory() as folder:
        links = Path(folder)
        origin = _place(manifest, origin, command.origin, "--from", links)
        companion = _place(manifest, companion, command.companion, "--companion", links)
        (links / NAME).write_bytes(data)
        (corpus,) = build(
            command.source,
            [parse_pair(manifest.pair)],
            origin=origin,
            companion=companion,
            endpoint=command.endpoint if origin is None else None,
            out=out,
            recipe=load_recipe(links / NAME, score=encoder),
            pins=_pins(manifest),
            workers=workers,
            protect=protect,
            against=against,
        )
    return Rebuilt(corpus, manifest, _differences(manifest, corpus.manifest))


def pip_line(manifest: Manifest) -> str:
    """The command that installs the versions a corpus was built with."""
    wanted = [f"{name}=={version}" for name, version in manifest.versions.items() if name not in _NOT_PACKAGES]
    return " ".join(["pip", "install", *map(shlex.quote, wanted)])


def _read(location: str) -> tuple[Manifest, bytes]:
    if Path(location).is_file():
        data = Path(location).read_bytes()
        return parse_manifest(data, location), data
    manifest, data, _ = Place(location).manifest()
    return manifest, data


def _parse(manifest: Manifest) -> _Command:
    """The manifest's command. Raises `UsageError` where it is none of `tppc build`."""
    words = shlex.split(manifest.command)
    given = dict(zip(words[3::2], words[4::2], strict=False))
    if words[:2] != ["tppc", "build"] or len(words) % 2 == 0 or not given.keys() <= _OPTIONS:
        raise UsageError(
            f"{manifest.name}: its command ({manifest.command}) is no `tppc build` that this version "
            "knows; run it yourself"
        )
    return _Command(words[2], given.get("--from"), given.get("--companion"), given.get("--endpoint"))


def _parents(manifest: Manifest, origin: str | None) -> list[Corpus]:
    """The corpora that a corpus was made from, which must lie in the folder `origin` under their names.

    Raises `UsageError` without a folder, `TppcError` for a parent that is not there or is another one.
    """
    parents = ", ".join(f"{p.name}@{p.version} (build digest {p.build_digest})" for p in manifest.parents)
    if origin is None:
        raise UsageError(
            f"{manifest.name}: was made from the corpora {parents}; pull or rebuild them, and say with --from "
            "in which folder they lie under their names"
        )
    corpora = []
    for parent in manifest.parents:
        folder = Path(origin) / parent.name
        if not (folder / NAME).is_file():
            raise TppcError(f"{folder}: no corpus; {manifest.name} was made from {parents}: pull or rebuild them first")
        corpora.append(Corpus(folder))
        if corpora[-1].digest != parent.build_digest:
            raise TppcError(
                f"{folder}: has the build digest {corpora[-1].digest}, but {manifest.name} was made from "
                f"{parent.name}@{parent.version} with {parent.build_digest}"
            )
    return corpora


def _mix_again(manifest: Manifest, corpora: Sequence[Corpus], out: Path) -> Corpus:
    words = shlex.split(manifest.command)
    licence = words[words.index("--licence") + 1] if "--licence" in words else None
    settings = MixSettings.model_validate(manifest.recipe["mix"])
    return mix(corpora, out / manifest.name, settings, name=manifest.name, licence=licence)


def _place(manifest: Manifest, given: str | None, known: str | None, option: str, links: Path) -> str | None:
    """Where to read: what the user gives, else what the manifest says, if that is more than a local file's name.

    A file may be called anything, its digest decides; sources go by names, so it is read under its own, as a link.
    """
    if given is not None:
        path = Path(given)
        if not path.is_file():
            return given
        digests = {s.sha256: s.name for s in manifest.snapshots}
        if (digest := sha256_of_file(path)) not in digests:
            wanted = ", ".join(f"{name} ({digest})" for digest, name in digests.items())
            raise TppcError(f"{given}: its SHA-256 is {digest}, but {manifest.name} was built from {wanted}")
        if path.name == (name := digests[digest]):
            return given
        (links / Path(name).name).symlink_to(path.resolve())
        return str(links / Path(name).name)
    if known is None or known == "sample" or is_url(known):
        return known
    files = ", ".join(f"{s.name} (SHA-256 {s.sha256})" for s in manifest.snapshots)
    raise UsageError(f"{manifest.name}: was built from local files, {files}; say where they are with {option}")


def _pins(manifest: Manifest) -> dict[str, str]:
    """The snapshots' digests by file name; by URL, where several files have one name."""
    names = Counter(s.name for s in manifest.snapshots)
    return {s.name if names[s.name] == 1 else s.url: s.sha256 for s in manifest.snapshots}


def _other_versions(manifest: Manifest) -> list[str]:
    """Versions that differ between a manifest and this installation."""
    here = versions()
    return [
        f"{name} {manifest.versions.get(name, 'none')} there, {here.get(name, 'none')} here"
        for name in dict.fromkeys([*manifest.versions, *here])
        if manifest.versions.get(name) != here.get(name)
    ]


def _differences(expected: Manifest, made: Manifest) -> list[str]:
    """One sentence for everything that the build digest covers and that differs."""
    if expected.build_digest == made.build_digest:
        return []
    found = [f"version: {text}" for text in _other_versions(expected)]
    before, after = ({s.sha256: s.name for s in m.snapshots} for m in (expected, made))
    found += [f"snapshot: {name} {digest} is not there now" for digest, name in before.items() if digest not in after]
    found += [f"snapshot: {name} {digest} is new" for digest, name in after.items() if digest not in before]
    if expected.recipe_digest != made.recipe_digest:
        found.append("recipe: this version of tppc reads the recipe as another one (`tppc manifests diff` shows it)")
    shards = [{s.path: s for s in m.shards} for m in (expected, made)]
    for path in sorted({*shards[0], *shards[1]}):
        one, other = shards[0].get(path), shards[1].get(path)
        if one is None or other is None:
            found.append(f"shard: {path} is {'new' if one is None else 'not there now'}")
        elif one.sha256 != other.sha256:
            rows = f"{one.rows:,} rows then, {other.rows:,} now"
            found.append(f"shard: {path} has other bytes ({rows})")
    if not any(line.startswith("shard:") for line in found):
        found.append("every shard has the same bytes: the rows are the same")
    return found
