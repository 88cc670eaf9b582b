"""What `--protect` and `--against` name: by name and digest in the recipe, by place on this machine alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tppc.builders.recipe import NamedSet, Recipe
from tppc.builders.select.texts import files_below
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import sha256_of_file, sha256_of_value
from tppc.corpora.manifest import NAME
from tppc.errors import UsageError

Places = list[tuple[NamedSet, Path]]


@dataclass(frozen=True)
class KeptOut:
    """Protected sets and corpora with priority, in the order of their names, and where each is now."""

    sets: Places
    against: Places


def kept_out(
    recipe: Recipe, protect: Sequence[Path], against: Sequence[Path], pairs: Sequence[str]
) -> tuple[Recipe, KeptOut]:
    """The recipe with the digests of what is to be kept out, and the places.

    Raises `UsageError` where a path holds nothing of the kind, or the recipe names a set that no path has: then the
    build would not be the one that the recipe describes.
    """
    places = KeptOut(_sorted([(name_set(p), p) for p in protect]), _sorted([(_corpus(p, pairs), p) for p in against]))
    for option, named, found in (
        ("--protect", recipe.protect.sets, places.sets),
        ("--against", recipe.protect.against, places.against),
    ):
        have = {known.sha256 for known, _ in found}
        if missing := [f"{known.name} (SHA-256 {known.sha256})" for known in named if known.sha256 not in have]:
            raise UsageError(f"the recipe keeps out {', '.join(missing)}; say where that is with {option}")
    settled = {"sets": [named for named, _ in places.sets], "against": [named for named, _ in places.against]}
    return recipe.model_copy(update={"protect": recipe.protect.model_copy(update=settled)}), places


def name_set(path: Path) -> NamedSet:
    """The name and the digest of a set of texts: of a corpus its build digest, of a file its SHA-256, of a folder that
    of its files' names and digests.

    Raises `UsageError` for what is not there or holds no file.
    """
    if (path / NAME).is_file():
        corpus = Corpus(path)
        return NamedSet(name=corpus.name, sha256=corpus.digest)
    if path.is_file():
        return NamedSet(name=path.name, sha256=sha256_of_file(path))
    files = files_below(path) if path.is_dir() else []
    if not files:
        raise UsageError(f"{path}: nothing to protect there; give a file or a folder of texts, or a corpus")
    if inner := next((p for p in files if p.name == NAME), None):
        raise UsageError(f"{path}: holds a corpus ({inner.parent.name}); name each corpus that is to be protected")
    listed = {p.relative_to(path).as_posix(): sha256_of_file(p) for p in files}
    return NamedSet(name=path.resolve().name, sha256=sha256_of_value(listed))


def _corpus(path: Path, pairs: Sequence[str]) -> NamedSet:
    """The corpus at a path. Its shards are compared with their digests, since the recipe knows it by its own."""
    corpus = Corpus(path)
    if not set(pairs) & set(corpus.manifest.pairs):
        raise UsageError(f"{path}: has no rows of {', '.join(pairs)}, so it cannot have priority; check --against")
    corpus.check_shards(*corpus.manifest.splits)
    return NamedSet(name=corpus.name, sha256=corpus.digest)


def _sorted(found: Places) -> Places:
    """By name and digest, the same content once: the order of flags decides nothing."""
    once = {named.sha256: (named, path) for named, path in found}
    return sorted(once.values(), key=lambda entry: (entry[0].name, entry[0].sha256))
