"""What a user asked of a source, and the command that asks for the same again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from tppc.builders.download import is_url, public_url, refuse_other_schemes
from tppc.builders.recipe import Recipe
from tppc.builders.sources.base import Request, Source
from tppc.corpora.languages import Pair
from tppc.corpora.manifest import NAME
from tppc.errors import UsageError


def request_for(
    entry: Source,
    pairs: Sequence[Pair] | None,
    recipe: Recipe,
    *,
    origin: str | None,
    companion: str | None = None,
    endpoint: str | None = None,
) -> Request:
    """The request to a source. Raises `UsageError` for flags and pairs that do not go together."""
    if pairs is None and entry.all_pairs is None:
        raise UsageError(f"{entry.name} has no list of all pairs: give those you want, such as --pair en-hi")
    if pairs is not None and not pairs:
        raise UsageError("no language pair: give at least one, such as --pair en-hi")
    if pairs is not None and len(set(pairs)) < len(pairs):
        raise UsageError("the same --pair is given twice")
    if endpoint and (entry.name != "wikidata" or origin):
        raise UsageError("--endpoint asks a SPARQL endpoint: it goes with `tppc build wikidata` and without --from")
    if companion and (entry.name != "bitext" or not origin):
        raise UsageError("--companion is the second of two line-aligned files, for `tppc build bitext --from FILE`")
    for location in (origin, companion):
        refuse_other_schemes(location or "")
    given = origin
    if origin == "sample":
        from tppc.samples import sample_root

        if entry.sample is None:
            raise UsageError(f"{entry.name} has no sample inside the package; give a file or a URL with --from")
        origin = str(sample_root() / entry.sample)
    options = recipe.options(entry).model_dump(mode="json")
    request = Request(tuple(pairs or ()), origin, endpoint, recipe.limit, options, recipe.pins, given, companion)
    return entry.all_pairs(request) if pairs is None and entry.all_pairs is not None else request


def command_of(entry: Source, pair: str, request: Request, recipe: Recipe) -> str:
    """The command that builds the same again; a local path is shortened to its name, a URL loses its secrets."""
    words = ["tppc", "build", entry.name, "--pair", pair]
    if (given := request.given) is not None:
        name = public_url(given) if is_url(given) else given if given == "sample" else Path(given).resolve().name
        words += ["--from", name]
    if (second := request.companion) is not None:
        words += ["--companion", public_url(second) if is_url(second) else Path(second).resolve().name]
    if request.endpoint:
        words += ["--endpoint", public_url(request.endpoint) if is_url(request.endpoint) else request.endpoint]
    for option, named in (("--protect", recipe.protect.sets), ("--against", recipe.protect.against)):
        words += [word for known in named for word in (option, known.name)]
    return " ".join([*map(shlex.quote, words), "--recipe", NAME])
