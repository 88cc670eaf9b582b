"""Where pairs come from.

A new source is one file: one of tppc's own has a line in `_OWN`; one of another package is found by its entry point in
the group `tppc.sources`, which names a `Source`. Only the source that is asked for is imported.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from tppc.builders.sources.base import Source
from tppc.errors import TppcError, UsageError

_OWN = ("tatoeba", "wikimatrix", "wikidata", "opus", "bitext")


@lru_cache
def plugins() -> dict[str, EntryPoint]:
    """Entry points of other packages, by name. Raises `TppcError` where two packages claim one name."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group="tppc.sources"):
        if entry.name in _OWN or entry.name in found:
            raise TppcError(f"the source name {entry.name!r} of {entry.value} is taken; uninstall one of the packages")
        found[entry.name] = entry
    return found


def source_names() -> list[str]:
    """Names of all sources, tppc's own first."""
    return [*_OWN, *sorted(plugins())]


@lru_cache
def source_named(name: str) -> Source:
    """Look up a source.

    Raises `UsageError` for one that does not exist, `TppcError` for a plug-in that cannot be loaded.
    """
    if name in _OWN:
        own: Source = import_module(f"tppc.builders.sources.{name}").SOURCE
        return own
    if name not in plugins():
        raise UsageError(f"unknown source {name!r}: there are {', '.join(source_names())}")
    entry = plugins()[name]
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # its module may do anything when it is imported
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise TppcError(f"the source {name!r} ({entry.value}) cannot be loaded: {why}; update its package") from error
    if not isinstance(found, Source) or found.name != name:
        raise TppcError(f"{entry.value} is no tppc source called {name!r}; its package must name a `Source` there")
    return found


@lru_cache
def plugin_digest(name: str) -> str | None:
    """SHA-256 of a plug-in's module, which decides its rows as tppc's own code does; None for tppc's own."""
    if name in _OWN:
        return None
    file = import_module(plugins()[name].module).__file__
    return sha256(Path(file).read_bytes()).hexdigest() if file else None
