"""The queries, and what their rows mean.

They must be cheap on engines as different as Blazegraph, QLever and Oxigraph: `VALUES` stands inside each branch of a
union (QLever evaluates a branch by itself), nothing is sorted, nothing is paged by OFFSET (the endpoint is live, so
pages would overlap), and labels come from `rdfs:label` (the label service yields nothing outside Blazegraph).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tppc.builders.sources.sparql.endpoint import Row
from tppc.corpora.languages import Language

_ITEM = re.compile(r"http://www\.wikidata\.org/entity/Q([1-9][0-9]*)")
_PREFIXES = """PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX schema: <http://schema.org/>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
"""
_TERMS = {"labels": "rdfs:label", "descriptions": "schema:description", "aliases": "skos:altLabel"}
TEXTS, MEMBERS = ("item", "what", "value"), ("item",)  # variables of the two kinds of query


def tags(languages: Iterable[Language]) -> dict[str, str]:
    """Language tags to ask for, and the code of the dump that each stands for.

    The dump writes `sr-ec` and `pt-br`; an RDF export may write the same language as BCP-47 has it (`sr-Cyrl`,
    `pt-BR`), so a code with a subtag is asked for in each spelling. All of them come from the one table.
    """
    found: dict[str, str] = {}
    for each in languages:
        spellings = {each.wikidata} | ({each.code, each.code.lower()} if "-" in each.code else set())
        found |= dict.fromkeys(spellings, each.wikidata)
    return dict(sorted(found.items()))


def texts_query(ids: Sequence[int], asked: Mapping[str, str], aliases: bool) -> str:
    """Labels (also those for all languages, `mul`), descriptions, classes and, where wanted, aliases of some items."""
    values = "VALUES ?item { " + " ".join(f"wd:Q{i}" for i in ids) + " }"
    branches = [f'{{ {values} ?item wdt:P31 ?value . BIND("P31" AS ?what) }}']
    for what, term in _TERMS.items():
        codes = [*asked, "mul"] if what != "descriptions" else list(asked)  # a description is never for all languages
        wanted = ", ".join(json.dumps(code) for code in codes)
        if what != "aliases" or aliases:
            branches.append(
                f'{{ {values} ?item {term} ?value . FILTER(LANG(?value) IN ({wanted})) BIND("{what}" AS ?what) }}'
            )
    return f"{_PREFIXES}SELECT ?item ?what ?value WHERE {{\n" + "\nUNION\n".join(branches) + "\n}"


def entity_lines(rows: Iterable[Row], ids: Sequence[int], asked: Mapping[str, str], aliases: bool) -> bytes:
    """The items as lines of the dump in the order of `ids`; an id that the endpoint does not know gives no line.

    The bytes depend on the facts alone: neither on the order of the rows, nor on which other items were asked for.
    """
    codes = {**asked, "mul": "mul"}
    found: dict[int, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row["what"]["value"], row["value"]["value"], str(row["value"]))):
        if (number := number_of(row["item"])) is None:
            continue
        empty: dict[str, Any] = {"labels": {}, "descriptions": {}, "aliases": {}, "P31": set()}
        entity = found.setdefault(number, empty)
        what, value = row["what"]["value"], row["value"]
        code = codes.get(value.get("xml:lang", ""))
        if what == "P31":
            # An unknown value is a blank node, or an IRI that stands for one: no class to tell.
            if (number := number_of(value)) is not None:
                entity["P31"].add(number)
        elif code is None or what not in _TERMS:
            continue
        elif what == "aliases":
            texts = entity[what].setdefault(code, [])
            if value["value"] not in texts:
                texts.append(value["value"])
        else:  # an item has one label a language; should an index hold two, the first in code point order
            entity[what].setdefault(code, value["value"])
    return b"".join(_line(i, found[i], aliases) for i in ids if i in found)


def _line(number: int, entity: dict[str, Any], aliases: bool) -> bytes:
    """One entity as the dump writes it: its keys in the dump's order, and no spaces between them."""

    def term(code: str, text: str) -> dict[str, str]:
        return {"language": code, "value": text}

    line: dict[str, Any] = {"type": "item", "id": f"Q{number}"}
    for what in ("labels", "descriptions"):
        line[what] = {code: term(code, text) for code, text in sorted(entity[what].items())}
    if aliases:
        found = sorted(entity["aliases"].items())
        line["aliases"] = {code: [term(code, text) for text in texts] for code, texts in found}
    line["claims"] = {"P31": [{"mainsnak": {"datavalue": {"value": {"id": f"Q{i}"}}}} for i in sorted(entity["P31"])]}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def members_query(classes: Sequence[str], among: range | None, listed: bool, most: int) -> str:
    """Items that are instances of a class, at most `most` rows: all of them, or those whose numbers lie in a range,
    which is told as a list of ids (`listed`) or by a filter.
    """
    pattern = f"?item wdt:P31 wd:{classes[0]} ."
    if len(classes) > 1:
        pattern = f"VALUES ?class {{ {' '.join(f'wd:{c}' for c in classes)} }} ?item wdt:P31 ?class ."
    if among is not None and listed:
        pattern = f"VALUES ?item {{ {' '.join(f'wd:Q{i}' for i in among)} }} {pattern}"
    elif among is not None:
        number = 'xsd:integer(STRAFTER(STR(?item), "/entity/Q"))'
        pattern += f" FILTER({number} >= {among.start} && {number} < {among.stop})"
    return f"{_PREFIXES}SELECT ?item WHERE {{ {pattern} }} LIMIT {most}"


def members(rows: Iterable[Row]) -> list[int]:
    """The numbers of the items in an answer, ascending, each once; lexemes and properties are left out."""
    return sorted({number for row in rows if (number := number_of(row["item"])) is not None})


def number_of(term: Mapping[str, str]) -> int | None:
    """The number of an item, None for a term that is none."""
    found = _ITEM.fullmatch(term["value"]) if term.get("type", "uri") == "uri" else None
    return int(found[1]) if found else None
