"""Filters of the user's own: from a Python file, or from an installed package by an entry point.

`[plugins] filters = ["my_filters.py", "name"]` in the recipe names files (their paths start at the recipe's folder) and
entry points of the group `tppc.filters`. Each holds or names `FILTERS`, a sequence of `Filter`. They are asked after
tppc's own, have tables of their own under `[filters]`, and their source text is part of the recipe's digest. A corpus
is never built with code that its recipe did not name.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from tppc.builders.filters.base import Filter, Settings
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

GROUP = "tppc.filters"


class PlugIn(BaseModel):
    """A file or an entry point with filters. `source` is the text of a file, so that a task needs no path to it; it is
    not written to the recipe, which holds its digest."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    source: str | None = Field(default=None, exclude=True, repr=False)


class PlugIns(BaseModel):
    """`[plugins]` of the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    filters: tuple[PlugIn, ...] = ()


def find(given: Any, folders: Sequence[Path]) -> PlugIn:
    """The plug-in that a recipe names: a path that ends in `.py` or an entry point; from a manifest's recipe, a table
    with the digest that it must have.

    Raises `TppcError` for one that is not there or is another one than the digest says, `UsageError` for a name of
    the wrong kind.
    """
    name, pin = (given.get("name"), given.get("sha256")) if isinstance(given, dict) else (given, None)
    if not isinstance(name, str):
        raise UsageError(f"plugins.filters: {given!r} names no filters; give a path that ends in .py or an entry point")
    found = _of_file(name, folders) if name.endswith(".py") else _of_package(name)
    if pin is not None and pin != found.sha256:
        raise TppcError(f"{name}: not the filters that the recipe was made with (SHA-256 {pin}); find that version")
    return found


def _of_file(name: str, folders: Sequence[Path]) -> PlugIn:
    for folder in folders:
        try:
            source = (folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise TppcError(f"{folder / name}: cannot read the filters: {error}; check plugins.filters") from error
        return PlugIn(name=Path(name).name, sha256=sha256(source.encode()).hexdigest(), source=source)
    where = " or ".join(map(str, folders))
    raise TppcError(f"{name}: no such file of filters in {where}; its path starts at the recipe's folder")


def _of_package(name: str) -> PlugIn:
    module = import_module(_entry(name).module)
    text = Path(module.__file__).read_bytes() if module.__file__ else b""
    return PlugIn(name=name, sha256=sha256(text).hexdigest())


def _entry(name: str) -> EntryPoint:
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if len(found) != 1:
        what = "no installed package has" if not found else "more than one installed package has"
        raise TppcError(f"plugins.filters: {what} filters called {name!r}; a file's name ends in .py")
    return found[0]


@lru_cache
def load(plugin: PlugIn) -> tuple[Filter, ...]:
    """The filters of a plug-in.

    Raises `TppcError`, with the name and where there is one the line, for code that fails or holds no filters.
    """
    try:
        found = _entry(plugin.name).load() if plugin.source is None else _execute(plugin).FILTERS
        filters = (found,) if isinstance(found, Filter) else tuple(found)
    except TppcError:
        raise
    except AttributeError as error:
        raise TppcError(f"{plugin.name}{_line(error, plugin)}: {error}; it must define `FILTERS`") from error
    except Exception as error:
        raise TppcError(f"{plugin.name}{_line(error, plugin)}: cannot load the filters: {error}; correct it") from error
    for one in filters:
        if not isinstance(one, Filter) or not one.name.isidentifier() or not issubclass(one.settings, Settings):
            raise TppcError(
                f"{plugin.name}: {one!r} is no tppc filter; `FILTERS` holds `Filter(name, settings, reject)` objects"
            )
    return tuple(Filter(f.name, f.settings, f.reject, plugin.name) for f in filters)


def _execute(plugin: PlugIn) -> ModuleType:
    module = ModuleType(f"tppc_filters_{plugin.sha256[:16]}")
    sys.modules[module.__name__] = module  # pydantic looks there for the names in annotations
    exec(compile(plugin.source or "", plugin.name, "exec"), module.__dict__)
    return module


def _line(error: BaseException, plugin: PlugIn) -> str:
    if isinstance(error, SyntaxError) and error.filename == plugin.name:
        return f" line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == plugin.name]
    return f" line {lines[-1]}" if lines else ""


def explain(
    error: BaseException, rows: pl.DataFrame, settings: dict[str, Settings], pair: Pair, plugins: Sequence[PlugIn]
) -> None:
    """Raise `TppcError` naming the user's filter that fails on these rows; return if none of them does."""
    for plugin in plugins:
        for one in load(plugin):
            if settings[one.name].enabled:
                _try(one, plugin, rows, settings[one.name], pair, error)


def _try(one: Filter, plugin: PlugIn, rows: pl.DataFrame, settings: Settings, pair: Pair, error: BaseException) -> None:
    try:
        found = rows.select(one.reject(settings, pair).alias("found")).to_series()
    except Exception as inner:
        where = f"{plugin.name}{_line(inner, plugin)}"
        raise TppcError(f"{where}: the filter {one.name!r} fails: {inner}; correct it or switch it off") from error
    if found.dtype != pl.Boolean:
        raise TppcError(
            f"{plugin.name}: the filter {one.name!r} gives {found.dtype}, not true or false for each row; correct it"
        ) from error
