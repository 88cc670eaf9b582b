"""The recipe: every setting that decides what a build keeps."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tppc.builders.filters import FILTERS
from tppc.builders.filters.base import Settings
from tppc.builders.sources import source_named, source_names
from tppc.builders.sources.base import Options, Source
from tppc.corpora.files import sha256_of_value
from tppc.errors import TppcError, UsageError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LanguageId(_Part):
    """Language identification with fastText, on rows that the cheap filters and exact dedup left.

    A text with fewer letters than `min_letters` times its language's length factor is judged by its script alone:
    the model guesses on titles (`Berlin` is German to it). A longer text is refused when the probability of its
    own language (and the codes that count as it) is below `max_expected` and another language has at least `min_other`,
    unless the text holds characters of a script that only its language uses (kana, Hangul).
    """

    enabled: bool = True
    min_letters: int = Field(default=20, ge=0)
    max_expected: float = Field(default=0.2, ge=0, le=1)
    min_other: float = Field(default=0.5, ge=0, le=1)


class Holdout(_Part):
    """Pairs set aside: dev and test hold exactly this many pairs, each source and target text once."""

    dev: int = Field(default=0, ge=0)
    test: int = Field(default=0, ge=0)

    @property
    def total(self) -> int:
        """Pairs in all held-out splits."""
        return self.dev + self.test


class _Filters(_Part):
    """Settings of every filter, by name."""

    def by_name(self) -> dict[str, Settings]:
        """Settings of every filter, in the order in which the filters are asked."""
        return {f.name: getattr(self, f.name) for f in FILTERS}


if TYPE_CHECKING:
    FilterSettings = _Filters
else:  # one field a filter, so that a new filter needs no change here
    FilterSettings = create_model(
        "FilterSettings", __base__=_Filters, **{f.name: (f.settings, f.settings()) for f in FILTERS}
    )


class Recipe(_Part):
    """`recipe.toml`. Unknown keys are errors.

    A source's own settings are a table under its name (`[wikidata]`); a file may hold tables of several sources, and a
    build takes that of its own. `pins` are SHA-256 digests by file name: another file is an error then. They do not
    enter the digest, since they decide nothing that a matching file would not.
    """

    filters: FilterSettings = Field(default_factory=FilterSettings)
    language_id: LanguageId = LanguageId()
    holdout: Holdout = Holdout()
    limit: int | None = Field(
        default=None, ge=1, le=2**63 - 1, description="stop after this many source records, in file order"
    )
    pins: dict[str, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] = Field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = Field(default_factory=dict, description="tables of sources, as given")

    def options(self, source: Source) -> Options:
        """The settings of a source, defaults included. Raises `UsageError` for one that does not exist or fit."""
        try:
            return source.options.model_validate(self.sources.get(source.name, {}))
        except ValidationError as error:
            raise _misfit(source.name, error) from error

    def settled(self, source: Source, values: dict[str, Any]) -> Recipe:
        """The recipe with settings of a source that only asking told."""
        table = {**self.sources.get(source.name, {}), **values}
        return self.model_copy(update={"sources": {**self.sources, source.name: table}})

    def resolved(self, source: Source) -> dict[str, Any]:
        """Every setting with its value, defaults included."""
        value = self.model_dump(mode="json", exclude={"sources"})
        if source.options.model_fields:
            value[source.name] = self.options(source).model_dump(mode="json")
        return value

    def digest(self, source: Source) -> str:
        """SHA-256 of the resolved recipe without its pins."""
        value = self.resolved(source)
        del value["pins"]
        return sha256_of_value(value)


def _misfit(where: str, error: ValidationError) -> UsageError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"])) or "recipe"
    return UsageError(f"{where}: {place}: {first['msg']}; `tppc build --dry-run` prints every setting")


def _of_manifest(text: str) -> dict[str, Any]:
    recipe: dict[str, Any] = dict(json.loads(text)["recipe"])
    return recipe


def _inside(table: Any, key: str) -> Any:
    return table.get(key) if isinstance(table, dict) else None


def _joined(have: Any, more: dict[str, Any]) -> Any:
    """A table of a file with what flags say; a value that is no table stays, for the models to refuse."""
    if have is not None and not isinstance(have, dict):
        return have
    return {**(have or {}), **{key: value for key, value in more.items() if value is not None}}


def load_recipe(path: Path | None, **overrides: Any) -> Recipe:
    """Read a recipe file (TOML, or the recipe of a `manifest.json`), or take the defaults, and lay flags over it.

    Args:
        overrides: whole parts (`holdout=...`, `limit=...`), settings of filters (`filters={"score": {"min": 1}}`) and
        of a source under its name (`wikidata={"text": "label"}`), which join those of the file; None leaves the
        file's value.

    Raises `TppcError` for a file that cannot be read, `UsageError` for a setting that does not exist or does not fit.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
            values = _of_manifest(text) if path.suffix == ".json" else tomllib.loads(text)
        except OSError as error:
            raise TppcError(f"{path}: cannot read the recipe ({error.strerror}); check --recipe") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TppcError(f"{path}: not valid TOML: {error}") from error
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise TppcError(f"{path}: no manifest with a recipe; give a manifest.json or a TOML file") from error
    names = source_names()
    tables = {name: values.pop(name) for name in names if name in values}
    for name, value in overrides.items():
        if value is not None and name in names:
            tables[name] = _joined(tables.get(name), value)
        elif name == "filters" and value is not None:
            for key, table in value.items():
                values[name] = _joined(values.get(name), {key: _joined(_inside(values.get(name), key), table)})
        elif value is not None:
            values[name] = value
    where = str(path or "recipe")
    if "sources" in values:
        raise UsageError(f"{where}: sources: no such setting; the settings of a source are a table under its name")
    try:
        recipe = Recipe.model_validate({**values, "sources": tables})
    except ValidationError as error:
        raise _misfit(where, error) from error
    for name in tables:
        recipe.options(source_named(name))
    return recipe
