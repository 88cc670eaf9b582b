"""OPUS, the open parallel corpus (Tiedemann, 2012, LREC): some 1,200 corpora, each chosen by name and version.

The catalogue is a web service (`opusapi`): it answers with one entry for each corpus that has the pair, `source` and
`target` in alphabetical order whatever was asked for. Files lie in an object store as
`OPUS-<Corpus>/<version>/moses/<a>-<b>.txt.zip` and `OPUS-<Corpus>/<version>/tmx/<a>-<b>.tmx.gz`; a mirror has the same
layout, with a saved answer of the service as `opusapi.json` beside, where it wants to be listed.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from tppc.builders.download import Fetched, fetch, is_url, join, public_url
from tppc.builders.progress import note
from tppc.builders.sources.base import Options, Partition, RawBatch, Request, Source
from tppc.builders.sources.moses import terms_of, zip_records
from tppc.builders.sources.records import Licence, batches
from tppc.builders.sources.tmx import tmx_records
from tppc.corpora.languages import Pair, parse_pair
from tppc.errors import TppcError, UsageError

UPSTREAM = "https://opus.nlpl.eu/opusapi/"
CATALOGUE = "opusapi.json"
LATEST = "latest"
_SUFFIX = {"moses": ".txt.zip", "tmx": ".tmx.gz"}
_NAME = r"^[A-Za-z0-9][\w.+-]*$"


class OpusOptions(Options):
    """Which corpus, as the catalogue names it, and in which form.

    `version` is `latest` until the build asks; the manifest holds the one it was. `src_code` and `tgt_code` are OPUS's
    codes of the two languages, where a corpus has others than usual (`zh_CN` in GNOME, `zh_cn` in OpenSubtitles).
    The catalogue does not know licences: unset, rows are marked `LicenseRef-OPUS-<corpus>`.
    """

    corpus: str | None = Field(default=None, pattern=_NAME)
    version: str = Field(default=LATEST, pattern=_NAME)
    preprocessing: Literal["moses", "tmx"] = "moses"
    licence: Licence | None = None
    src_code: str | None = Field(default=None, pattern=_NAME)
    tgt_code: str | None = Field(default=None, pattern=_NAME)


def _codes(pair: Pair, options: dict[str, Any]) -> tuple[str, str]:
    """OPUS's codes of source and target."""
    src, tgt = pair.languages
    return options["src_code"] or src.opus, options["tgt_code"] or tgt.opus


def _path(pair: Pair, options: dict[str, Any]) -> str:
    """A corpus's file below the root of the object store or a mirror."""
    first, second = sorted(_codes(pair, options))
    kind = options["preprocessing"]
    return f"OPUS-{options['corpus']}/{options['version']}/{kind}/{first}-{second}{_SUFFIX[kind]}"


def _is_service(origin: str | None) -> bool:
    """Whether an origin is the web service, which is asked by query, and no mirror."""
    if origin is None:
        return True
    return is_url(origin) and urllib.parse.urlsplit(origin).path.rstrip("/").endswith("/opusapi")


def _entries(request: Request, pair: Pair, version: str | None) -> list[dict[str, Any]]:
    """The catalogue's entries of a pair, of the corpus that is set or of all; `version` None: every version.

    Raises `TppcError` for an answer that is no catalogue.
    """
    options = request.options
    first, second = sorted(_codes(pair, options))
    query = {"source": first, "target": second, "preprocessing": options["preprocessing"]}
    query |= {"corpus": options["corpus"]} if options["corpus"] else {}
    if _is_service(request.origin):
        asked = urllib.parse.urlencode(query | ({"version": version} if version else {}))
        location = f"{request.origin or UPSTREAM}?{asked}"
    else:
        location = join(request.origin or "", CATALOGUE)
    where = public_url(location) if is_url(location) else location
    file = fetch(location, optional=True)
    if file is None:
        raise TppcError(
            f"{where}: no catalogue here; name the version with --version, or save an answer of the service there"
        )
    try:
        found = json.loads(file.path.read_bytes())["corpora"]
        fitting = [e for e in found if all(str(e.get(key)) == value for key, value in query.items())]
        entries = [_entry(e) for e in fitting]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TppcError(
            f"{where}: no answer of the OPUS catalogue ({type(error).__name__}: {error}); try again, or check --from"
        ) from error
    if version == LATEST:
        entries = [e for e in entries if e["latest"]]
    elif version:
        entries = [e for e in entries if e["version"] == version]
    return sorted(entries, key=lambda e: (e["corpus"].lower(), e["corpus"], _order(e["version"])))


def _entry(found: dict[str, Any]) -> dict[str, Any]:
    """What tppc needs of an entry. The service writes numbers it does not know as empty texts, `latest` as a text."""
    pairs, size = found.get("alignment_pairs"), found.get("size")
    return {
        "corpus": str(found["corpus"]),
        "version": str(found["version"]),
        "latest": str(found.get("latest", "True")) == "True",
        "pairs": pairs if isinstance(pairs, int) else None,
        "bytes": size * 1024 if isinstance(size, int) else None,
        "url": str(found["url"]),
    }


def _order(version: str) -> list[tuple[int, int, str]]:
    """Versions by the numbers in them: v9 before v10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", version)]


def _catalogue(request: Request) -> list[dict[str, Any]]:
    """What there is for the pairs: the latest version of every corpus, all versions of one that is named."""
    _one_code_a_language(request)
    version = None if request.options["corpus"] else LATEST
    return [{"pair": str(pair), **entry} for pair in request.pairs for entry in _entries(request, pair, version)]


def _one_code_a_language(request: Request) -> None:
    if len(request.pairs) > 1 and (request.options["src_code"] or request.options["tgt_code"]):
        raise UsageError(
            "--src-code and --tgt-code spell the languages of one pair, but several are asked for; give one"
        )


def _settle(request: Request) -> dict[str, Any]:
    """Turn `latest` into the version that it is now, for the recipe."""
    options = request.options
    _one_code_a_language(request)
    if not options["corpus"]:
        raise UsageError(
            f"no corpus: name one with --corpus; `tppc build opus --list --pair {request.pairs[0]}` shows what there is"
        )
    if options["version"] != LATEST:
        return {}
    versions = {str(pair): _the_entry(request, pair)["version"] for pair in request.pairs}
    if len(set(versions.values())) > 1:
        each = ", ".join(f"{version} of {pair}" for pair, version in versions.items())
        raise UsageError(f"{options['corpus']}: the latest versions differ ({each}); build the pairs one by one")
    return {"version": next(iter(versions.values()))}


def _the_entry(request: Request, pair: Pair) -> dict[str, Any]:
    """The catalogue's entry for the corpus and version that are set. Raises `UsageError` where there is none."""
    options = request.options
    entries = _entries(request, pair, options["version"])
    if not entries:
        every = _entries(request, pair, None)
        there = f"; there is {', '.join(e['version'] for e in every)}" if every else ""
        raise UsageError(
            f"OPUS has no {options['corpus']} {options['version']} of {'-'.join(sorted(_codes(pair, options)))} as "
            f"{options['preprocessing']}{there}; `tppc build opus --list --pair {pair}` shows what there is"
        )
    return entries[-1]


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    partitions, fetched = [], {}
    for pair in request.pairs:
        if _is_service(request.origin):
            location = _the_entry(request, pair)["url"]
            if not is_url(location):
                raise TppcError(f"the OPUS catalogue gives {location!r} for {pair}, which is no URL; tell its keepers")
        else:
            location = join(request.origin or "", _path(pair, request.options))
        file = fetch(location, pins=request.pins)
        assert file is not None, "only optional files may be missing"
        _tell_terms(request.options, file)
        fetched[str(pair)] = [file]
        partitions.append(
            Partition(
                "opus",
                (str(pair),),
                {"pairs": str(file.path)},
                {"pairs": file.snapshot.sha256},
                request.limit,
                dict(request.options),
            )
        )
    return partitions, fetched


def _tell_terms(options: dict[str, Any], file: Fetched) -> None:
    """Say under which licence rows are recorded, where the user did not, and what the file itself says."""
    if options["licence"]:
        return
    terms = terms_of(file.path) if options["preprocessing"] == "moses" else None
    says = f"its LICENSE begins: {terms}" if terms else "see its page at https://opus.nlpl.eu"
    note(f"{options['corpus']}: rows are marked {_licence(options)}, since OPUS's catalogue has no licences; {says}")


def _licence(options: dict[str, Any]) -> str:
    name = re.sub(r"[^A-Za-z0-9.-]", "-", options["corpus"])
    return options["licence"] or f"LicenseRef-OPUS-{name}"


def _read(partition: Partition) -> Iterator[RawBatch]:
    (name,) = partition.pairs
    pair = parse_pair(name)
    path = partition.path("pairs")
    assert path is not None, "an OPUS partition has its file"
    codes = _codes(pair, partition.options)
    moses = partition.options["preprocessing"] == "moses"
    records = zip_records(path, codes) if moses else tmx_records(path, pair, codes)
    return batches(pair, records, licence=_licence(partition.options), limit=partition.limit)


def _files(pair: Pair) -> list[str]:
    options = {"src_code": None, "tgt_code": None, "corpus": "<corpus>", "version": "<version>"}
    return [_path(pair, {**options, "preprocessing": kind}) for kind in _SUFFIX]


SOURCE = Source(
    name="opus",
    upstream=UPSTREAM,
    licence="LicenseRef-OPUS-<corpus>: each corpus has its own",
    about="a collection of parallel corpora: subtitles, software, news, law, the web; one is chosen by name",
    citation="Tiedemann (2012): Parallel Data, Tools and Interfaces in OPUS. LREC. "
    "https://aclanthology.org/L12-1246/; and that of the corpus itself",
    limits=(
        "Each corpus of OPUS has a licence of its own, which the catalogue does not state: LicenseRef-OPUS-<corpus> "
        "stands for it unless the builder gave one; read it at https://opus.nlpl.eu before you share rows.",
        "Aligned automatically; quality differs much between corpora, and OPUS's Tatoeba and WikiMatrix are older than "
        "those of their own sources.",
    ),
    fetch=_fetch,
    read=_read,
    pairs="any two of about 1,000 languages, by corpus",
    size="a thousand to several hundred million pairs, by corpus; `tppc build opus --list` tells",
    cadence="by corpus",
    files=_files,
    options=OpusOptions,
    collection=lambda options: options["corpus"],
    settle=_settle,
    catalogue=_catalogue,
)
