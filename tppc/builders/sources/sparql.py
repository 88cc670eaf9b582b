"""Wikidata by SPARQL: a bounded number of items, asked for in blocks of ids, kept in the layout of the dump.

Blocks of ids (`VALUES`) are stable where paging by OFFSET is not, and each query stays far below the 60 seconds
that the public endpoint allows. One request at a time; 429 and 503 wait as `Retry-After` asks; an answer that is
cut, or has an error text appended to its JSON, is a failure and is asked for again. Labels come from `rdfs:label`:
the label service silently yields nothing on other engines than Blazegraph.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock
from SPARQLWrapper import JSON, POST, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import SPARQLWrapperException

from tppc.builders.download import (
    ATTEMPTS,
    Fetched,
    cache_folder,
    fetch,
    is_url,
    pause,
    public_url,
    retry_after,
    user_agent,
)
from tppc.builders.progress import note, progress
from tppc.builders.sources.base import Request
from tppc.corpora.files import canonical_json, sha256_of_value, write_bytes
from tppc.errors import TppcError, UsageError

PRESETS = {"wdqs": "https://query.wikidata.org/sparql", "qlever": "https://qlever.dev/api/wikidata"}
DEFAULT_LIMIT = 10_000
_BLOCK = 500
_TIMEOUT = 70
_RETRY = {429, 500, 502, 503, 504}

_ITEM = re.compile(r"Q\d+$")
_QUERY = """PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX schema: <http://schema.org/>
SELECT ?item ?what ?value WHERE {{
  VALUES ?item {{ {items} }}
  {{ ?item rdfs:label ?value . BIND("labels" AS ?what) FILTER(LANG(?value) IN ({languages}, "mul")) }}
  UNION
  {{ ?item schema:description ?value . BIND("descriptions" AS ?what) FILTER(LANG(?value) IN ({languages})) }}
  UNION
  {{ ?item wdt:P31 ?value . BIND("P31" AS ?what) }}
}}"""


def harvest(request: Request) -> Fetched:
    """Ask the endpoint for the items Q1..Qn, n = `request.limit` or 10,000; answers are cached block by block.

    Returns a file of entities, one JSON object a line. Raises `TppcError` when the endpoint does not answer.
    """
    endpoint = PRESETS.get(request.endpoint or "wdqs", request.endpoint or "")
    if not is_url(endpoint):
        raise UsageError(f"--endpoint {endpoint!r}: give {', '.join(PRESETS)} or the URL of a SPARQL endpoint")
    codes = sorted({side.wikidata for pair in request.pairs for side in pair.languages})
    count = request.limit or DEFAULT_LIMIT
    identity = {"endpoint": endpoint, "languages": codes, "query": _QUERY, "items": count, "block": _BLOCK}
    folder = cache_folder() / f"sparql-{sha256_of_value(identity)[:16]}"
    whole, meta = folder / "entities.jsonl", folder / "snapshot.json"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if whole.is_file() and meta.is_file():
            note(f"{public_url(endpoint)}: using the answers in {folder}; remove it to ask again")
        else:
            with progress(f"{public_url(endpoint)}", count, "items") as advance:
                parts = []
                for start in range(1, count + 1, _BLOCK):
                    ids = range(start, min(start + _BLOCK, count + 1))
                    part = folder / f"{start:010d}.jsonl"
                    if not part.is_file():
                        write_bytes(part, _block(endpoint, ids, codes))
                    parts.append(part)
                    advance(len(ids))
            data = b"".join(part.read_bytes() for part in parts)
            write_bytes(whole, data)
            write_bytes(meta, canonical_json({"retrieved": datetime.now(UTC).isoformat(timespec="seconds")}))
            for part in parts:
                part.unlink()
    file = fetch(str(whole))
    assert file is not None, "the file was just written"
    query = hashlib.sha256(canonical_json(identity)).hexdigest()[:12]
    return Fetched(
        Path(file.path),
        file.snapshot.model_copy(
            update={
                "name": f"sparql-{query}.jsonl",
                "url": public_url(endpoint),
                "retrieved": json.loads(meta.read_bytes())["retrieved"],
            }
        ),
    )


def _block(endpoint: str, ids: Iterable[int], codes: list[str]) -> bytes:
    """One block of items as dump lines, in the order of the ids; an id that the endpoint does not know gives no
    line.
    """
    items = [f"Q{i}" for i in ids]
    query = _QUERY.format(items=" ".join(f"wd:{i}" for i in items), languages=", ".join(json.dumps(c) for c in codes))
    entities: dict[str, dict[str, Any]] = {}
    for row in _ask(endpoint, query):
        identifier = row["item"]["value"].rsplit("/", 1)[1]
        empty = {"type": "item", "id": identifier, "labels": {}, "descriptions": {}, "claims": {"P31": []}}
        entity = entities.setdefault(identifier, empty)
        what, value = row["what"]["value"], row["value"]
        if what == "P31":
            # "Unknown value" is a blank node: no class to tell.
            if value["type"] == "uri" and (found := _ITEM.search(value["value"])):
                entity["claims"]["P31"].append({"mainsnak": {"datavalue": {"value": {"id": found[0]}}}})
        elif language := value.get("xml:lang"):
            entity[what][language] = {"language": language, "value": value["value"]}
    for entity in entities.values():  # an endpoint may answer in any order
        entity["claims"]["P31"].sort(key=lambda s: s["mainsnak"]["datavalue"]["value"]["id"])
    lines = [json.dumps(entities[i], ensure_ascii=False, sort_keys=True) for i in items if i in entities]
    return "".join(f"{line}\n" for line in lines).encode()


def _ask(endpoint: str, query: str) -> list[dict[str, Any]]:
    """Rows of a SELECT query, with retries."""
    client = SPARQLWrapper(endpoint, agent=user_agent(), returnFormat=JSON)
    client.setMethod(POST)
    client.setTimeout(_TIMEOUT)
    client.setQuery(query)
    failure = ""
    for attempt in range(ATTEMPTS):
        wait = None
        try:
            body = client.query().response.read()
            rows: list[dict[str, Any]] = json.loads(body)["results"]["bindings"]
            if all(isinstance(row[name]["value"], str) for row in rows for name in ("item", "what", "value")):
                return rows
            failure = "the answer is not in the SPARQL 1.1 JSON format"
        except urllib.error.HTTPError as error:
            if error.code not in _RETRY:
                hint = "; set TPPC_CONTACT to a mail address or URL" if error.code == 403 else ""
                raise TppcError(
                    f"{public_url(endpoint)}: HTTP {error.code} {error.reason}; check --endpoint{hint}"
                ) from error
            failure, wait = f"HTTP {error.code}", retry_after(error.headers.get("Retry-After"))
        except (json.JSONDecodeError, KeyError, TypeError):
            failure = "the answer is not complete JSON (the query ran out of time, or the connection broke)"
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            failure = f"{type(error).__name__}: {error}"
        except SPARQLWrapperException as error:
            failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        if attempt + 1 < ATTEMPTS:
            pause(attempt, wait, f"{public_url(endpoint)}: {failure}")
    raise TppcError(
        f"{public_url(endpoint)}: {failure}, {ATTEMPTS} times; finished blocks are kept, run the same command again"
    )
