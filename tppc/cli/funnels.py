"""What became of every row that was read, as the commands that make corpora print it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tppc.builders.target import StoredCorpus
    from tppc.corpora.corpus import Corpus

_AFTER_DEDUP = ("language", "mixed_language", "similarity")


def print_funnels(corpora: Sequence[Corpus | StoredCorpus], as_json: bool) -> None:
    """Print what became of every row that was read."""
    if as_json:
        found = [
            {
                "path": str(c.path),
                "name": c.name,
                "build_digest": c.manifest.build_digest,
                "funnel": c.manifest.funnel.model_dump(),
                "source_counts": c.manifest.source_counts,
            }
            for c in corpora
        ]
        typer.echo(json.dumps(found, indent=2))
        return
    for corpus in corpora:
        funnel = corpus.manifest.funnel
        typer.echo(f"{corpus.name}  ->  {corpus.path}")
        print_count("read", funnel.read)
        for name in _in_order(funnel.rejected):
            print_count(f"- {name}", funnel.rejected[name])
        print_count("- duplicates", funnel.deduplicated)
        for name in _AFTER_DEDUP:
            if name in funnel.rejected:
                print_count(f"- {name}", funnel.rejected[name])
        for name, count in funnel.dropped.items():
            print_count(f"- {name}", count)
        for name, count in funnel.kept.items():
            print_count(f"kept in {name}", count)
        if not funnel.kept:
            print_count("kept", 0)
        for name, count in corpus.manifest.source_counts.items():
            print_count(f"({name})", count)
        typer.echo()


def _in_order(reasons: Iterable[str]) -> list[str]:
    """Reasons in the order in which rows meet them: reading, then the filters; the rest comes after dedup."""
    from tppc.builders.filters import FILTERS

    filters = [f.name for f in FILTERS]
    asked = [name for name in reasons if name not in _AFTER_DEDUP]
    return sorted(asked, key=lambda name: (name in filters, filters.index(name) if name in filters else 0, name))


def print_count(name: str, count: int) -> None:
    """One line of a table of counts."""
    typer.echo(f"  {name:<52}{count:>12,}")
