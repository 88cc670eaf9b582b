"""Corpora that are made from other corpora, by mixing or scoring: what they may be called, and whether they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tppc.builders.engine import versions
from tppc.builders.target import Target
from tppc.corpora.addresses import safe_name
from tppc.corpora.corpus import Corpus
from tppc.errors import TppcError, UsageError


def name_of(out: Path, kind: str, given: str | None) -> str:
    """The name of a new corpus at `out`: the one that was given, or `<kind>/<name of the folder>`.

    Raises `UsageError` for a folder or a name that cannot be one.
    """
    if out.name in ("", ".."):
        raise UsageError(f"{out}: give a folder of its own with --out, such as --out {kind}")
    name = given or f"{kind}/{out.name}"
    if not safe_name(name):
        raise UsageError(
            f"{name!r}: the name of a corpus is a path of letters, digits and ._+-; give such a one with --name"
        )
    return name


def stands(out: Path, parents: Sequence[Corpus], recipe_digest: str, name: str, licence: str) -> bool:
    """Whether the very corpus that is to be made stands at `out`.

    Raises `TppcError` where something else does, or `out` lies inside another corpus.
    """
    target = Target(out)
    target.refuse_strangers()
    have = target.manifest()
    if have is None:
        return False
    made_from = [p.build_digest for p in have.parents]
    if (made_from, have.recipe_digest, have.versions) != ([c.digest for c in parents], recipe_digest, versions()):
        raise TppcError(f"{out}: holds another corpus; choose another --out, or move it away")
    if (have.name, have.licence) != (name, licence):
        raise TppcError(
            f"{out}: holds the same rows as {have.name} under {have.licence}, not as {name} under {licence}; choose "
            "another --out, or move it away"
        )
    return True
