"""The recipe: every setting that decides what a build keeps."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from tppc.builders.filters import all_filters
from tppc.builders.filters.plugins import PlugIns, find
from tppc.builders.filters.settings import FilterSettings, settings_model
from tppc.builders.normalise import Normalisation
from tppc.builders.presets import PRESETS
from tppc.builders.sources import source_named, source_names
from tppc.builders.sources.base import Options, Source
from tppc.corpora.files import sha256_of_value
from tppc.corpora.languages import Language
from tppc.errors import TppcError, UsageError, misfit


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Confidence(_Part):
    """When a text of at least `letters` letters is refused: another language has at least `min_other`, and its own
    less than `max_expected`."""

    letters: int = Field(ge=0)
    min_other: float = Field(ge=0, le=1)
    max_expected: float = Field(ge=0, le=1)


class LanguageId(_Part):
    """Language identification with fastText, on rows that the cheap filters and exact dedup left.

    A text whose script, letters and commonest words leave one language alone is settled without the model
    (`shortcuts`; `builders/language_id/evidence.py`), whatever its length. Of the others one with fewer letters than
    `min_letters` times its language's length factor passes: the model guesses on titles (`Berlin` is German to it). A
    longer one is judged by the entry of `confidence` with the most letters that it reaches.

    `also` are the codes of the model that count as a language besides its own (`also = { ar = ["arz"] }`); a language
    that it does not name takes those of the language table. `mixed` says what becomes of code-switched texts, in which
    each language of the pair has at least `mixed_share` of the letters; their own language's part is judged.

    `model` is `small` (installed), `large` (lid.176.bin, 131 MB, fetched), or a path or URL of another fastText model
    with such labels; `model_sha256` pins it.
    """

    enabled: bool = True
    model: str = Field(default="small", min_length=1)
    model_sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    also: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    shortcuts: bool = True
    min_letters: int = Field(default=20, ge=0)
    confidence: tuple[Confidence, ...] = Field(
        default=(
            Confidence(letters=0, min_other=0.5, max_expected=0.2),
            Confidence(letters=30, min_other=0.4, max_expected=0.25),
            Confidence(letters=50, min_other=0.3, max_expected=0.4),
        ),
        min_length=1,
    )
    mixed: Literal["keep", "refuse"] = "keep"
    mixed_share: float = Field(default=0.25, gt=0, le=0.5)

    @model_validator(mode="after")
    def _in_order(self) -> LanguageId:
        letters = [c.letters for c in self.confidence]
        if letters[0] != 0 or letters != sorted(set(letters)):
            raise ValueError("confidence: entries must begin with letters = 0 and rise")
        return self

    def accepted(self, own: Language) -> tuple[str, ...]:
        """The codes of the model that count as a language, its own name first."""
        return tuple(dict.fromkeys((own.lid[0], *self.also.get(own.code, own.lid[1:]))))


class Score(_Part):
    """Scores by an encoder, on rows that language ID left (`tppc/builders/score.py`); off without an `encoder`.

    `encoder` is a name on the hub or a folder. It is no part of the resolved recipe, which has the SHA-256 over its
    files instead. `kind` is what is computed; `auto` takes `probability` of an encoder that was trained on Translation
    Pair Prediction, else `margin`. Rows below `min` are refused (None: the default of the kind), none with `drop` off.
    `k` neighbours are looked for among the rows of a window of at most `window` rows; `centre` takes the mean of each
    language off. `pooling` and `prefix` are those that the encoder's folder declares, else the mean and no prefix.
    """

    encoder: str | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    kind: Literal["auto", "margin", "probability", "cosine"] = "auto"
    min: float | None = None
    drop: bool = True
    k: int = Field(default=4, ge=1)
    window: int = Field(default=4096, ge=2, le=65_536)
    centre: bool = True
    pooling: Literal["cls", "mean", "pooler"] | None = None
    prefix: str | None = None
    batch_tokens: int = Field(default=16_384, ge=1)


class Holdout(_Part):
    """Pairs set aside: dev and test hold exactly this many pairs, each source and target text once."""

    dev: int = Field(default=0, ge=0)
    test: int = Field(default=0, ge=0)

    @property
    def total(self) -> int:
        """Pairs in all held-out splits."""
        return self.dev + self.test


class Dedup(_Part):
    """Duplicates beyond exact pairs, and boilerplate.

    Rows with the same letters and digits on both sides are near duplicates (`near = "letters"`); with
    `near = "similar"` also rows of which each side has at least the similarity `threshold`. `sides` leaves one row for
    each source text, each target text, or either (first the source texts, then the target texts of what is left).
    A text with more than `max_partners` different partners on the other side is boilerplate, 0 for no limit.
    """

    near: Literal["off", "letters", "similar"] = "letters"
    threshold: float = Field(default=0.9, ge=0.5, le=1)
    sides: Literal["none", "src", "tgt", "either"] = "none"
    max_partners: int = Field(default=20, ge=0)


class NamedSet(_Part):
    """Texts or pairs that a build keeps out, by name and digest: where they lie is no part of a recipe."""

    name: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Protect(_Part):
    """Protected sets (`--protect`), corpora with priority (`--against`), and how long a run of words, of letters, or
    of characters of a script without spaces must be for a row to share it with a protected set.
    """

    words: int = Field(default=8, ge=3)
    letters: int = Field(default=32, ge=8)
    characters: int = Field(default=20, ge=5)
    sets: list[NamedSet] = []
    against: list[NamedSet] = []

    def lengths(self) -> dict[str, int]:
        """The lengths of runs alone."""
        return self.model_dump(include={"words", "letters", "characters"})


class Recipe(_Part):
    """`recipe.toml`. Unknown keys are errors.

    `preset` names the settings that the file starts from (`tppc.builders.presets`).

    A source's own settings are a table under its name (`[wikidata]`); a file may hold tables of several sources, and a
    build takes that of its own. `pins` are SHA-256 digests by file name: another file is an error then. They do not
    enter the digest, since they decide nothing that a matching file would not.
    """

    preset: str = "default"
    normalise: Normalisation = Normalisation()
    filters: FilterSettings = Field(default_factory=FilterSettings)
    plugins: PlugIns = PlugIns()
    language_id: LanguageId = LanguageId()
    score: Score = Score()
    dedup: Dedup = Dedup()
    protect: Protect = Protect()
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
    place, said = misfit(error)
    return UsageError(f"{where}: {place or 'recipe'}: {said}; `tppc build --dry-run` prints every setting")


def _of_manifest(text: str) -> dict[str, Any]:
    recipe: dict[str, Any] = dict(json.loads(text)["recipe"])
    return recipe


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        return _of_manifest(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise TppcError(f"{path}: cannot read the recipe ({error.strerror}); check --recipe") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TppcError(f"{path}: not valid TOML: {error}") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise TppcError(f"{path}: no manifest with a recipe; give a manifest.json or a TOML file") from error


def _layers(path: Path | None, overrides: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Where settings come from, each over those before it: the preset, the file, the flags."""
    file = _read(path) if path is not None else {}
    flags = {name: value for name, value in overrides.items() if value is not None}
    preset = flags.get("preset", file.get("preset", "default"))
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"preset {preset!r}: there are {', '.join(PRESETS)}")
    found = [(f"preset {preset}", {**PRESETS[preset], "preset": preset}), (str(path or "recipe"), file)]
    return [*found, ("command line", {**flags, "preset": preset})]


def _over(below: dict[str, Any], above: dict[str, Any], whole: tuple[str, ...] = ("holdout", "pins")) -> dict[str, Any]:
    """Two layers of settings: tables join, anything else is exchanged."""
    found = dict(below)
    for name, value in above.items():
        have = found.get(name)
        table = isinstance(value, dict) and name not in whole
        if table and name in below and not isinstance(have, dict):
            continue  # no table where one must be: it stays, for the models to refuse
        joined = table and isinstance(have, dict)
        found[name] = _over(have, value) if joined else value  # type: ignore[arg-type]
    return found


def origins(path: Path | None, **overrides: Any) -> dict[str, str]:
    """Where each setting that is not a default comes from, by its dotted name: `preset strict`, the file, the command
    line. Arguments and errors as for `load_recipe`."""

    def leaves(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {name: value}
        return {
            k: v for key, inner in value.items() for k, v in leaves(inner, f"{name}.{key}" if name else key).items()
        }

    found: dict[str, str] = {}
    for where, values in _layers(path, overrides):
        found |= {name: where for name in leaves(values, "") if name != "preset"}
    return found


def load_recipe(path: Path | None, **overrides: Any) -> Recipe:
    """Read a recipe file (TOML, or the recipe of a `manifest.json`), or take the defaults, and lay flags over it.

    Args:
        overrides: the preset's name (`preset="strict"`), the hold-out and the limit, tables of settings that join
        those of the file (`filters={"score": {"min": 1}}`, `wikidata={"text": "label"}`); None leaves the file's value.

    Raises `TppcError` for a file that cannot be read, `UsageError` for a setting that does not exist or does not fit.
    """
    values: dict[str, Any] = {}
    for _, layer in _layers(path, overrides):
        values = _over(values, layer)
    where = str(path or "recipe")
    if "sources" in values:
        raise UsageError(f"{where}: sources: no such setting; the settings of a source are a table under its name")
    tables = {name: values.pop(name) for name in source_names() if name in values}
    model: type[Recipe] = Recipe
    plugins = values.get("plugins")
    if isinstance(plugins, dict) and plugins.get("filters") and isinstance(plugins["filters"], list):
        # Files of filters lie beside the recipe; with that of a manifest, which lies anywhere, also where one works.
        folders = [path.parent if path else Path(), *([Path()] if path and path.suffix == ".json" else [])]
        found = tuple(find(given, folders) for given in plugins["filters"])
        values["plugins"] = {**plugins, "filters": found}
        own = settings_model(all_filters(found))
        model = create_model("Recipe", __base__=Recipe, filters=(own, Field(default_factory=own)))
    try:
        recipe = model.model_validate({**values, "sources": tables})
    except ValidationError as error:
        raise _misfit(where, error) from error
    for name in tables:
        recipe.options(source_named(name))
    return recipe
