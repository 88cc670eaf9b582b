"""Wikidata: label + description of an item in two languages are a pair (Mishra & Haghighi 2021, section 2).

The dump is one JSON array, `[`, an entity a line with a comma, `]`. Only items count; an empty map may be written
`[]`; since
2024 labels that are the same in many languages move to `mul`, which stands in for a missing label (never for a
description). A pair of two `mul` labels is one text twice and is refused. Without a dump, `sparql.py` asks an
endpoint for the same facts in the same layout.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import polars as pl

from tppc.builders.download import Fetched, cache_folder, fetch
from tppc.builders.sources.base import Options, Partition, RawBatch, Refused, Request, Source, frame, unreadable
from tppc.builders.sources.compressed import Unterminated, damaged, lines_of
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair, parse_pair

LICENCE = "CC0-1.0"
UPSTREAM = "https://query.wikidata.org/sparql"
_BATCH = 4_096
_EXTRA = {"label_from_mul": pl.String, "instance_of": pl.String}


class WikidataOptions(Options):
    """Items that only serve Wikimedia itself (disambiguation, category, template, list pages) are left out."""

    exclude_internal: bool = True


# Items that serve Wikimedia itself, by P31.
INTERNAL = frozenset(
    {
        "Q4167410",  # disambiguation page
        "Q4167836",  # category
        "Q11266439",  # template
        "Q13406463",  # list article
        "Q4663903",  # portal
        "Q15184295",  # module
        "Q14204246",  # project page
        "Q11753321",  # navigation template
        "Q22808320",  # human-name disambiguation page
        "Q17442446",  # internal item
        "Q17633526",  # Wikinews article
        "Q20010800",  # user language category
    }
)


class _Text(msgspec.Struct):
    value: str


class _Id(msgspec.Struct):
    id: str = ""


class _DataValue(msgspec.Struct):
    value: _Id | str | int | float | None = None


class _Snak(msgspec.Struct):
    datavalue: _DataValue | None = None


class _Statement(msgspec.Struct):
    mainsnak: _Snak


class _Claims(msgspec.Struct):
    P31: list[_Statement] = []


class _Entity(msgspec.Struct):
    id: str = ""
    type: str = ""
    labels: dict[str, _Text] | list[None] = msgspec.field(default_factory=dict)
    descriptions: dict[str, _Text] | list[None] = msgspec.field(default_factory=dict)
    claims: _Claims | list[None] = msgspec.field(default_factory=_Claims)


class _Wrapper(msgspec.Struct):
    """`Special:EntityData` and `wbgetentities` wrap entities in a map."""

    entities: dict[str, _Entity] | None = None


_decode_entity = msgspec.json.Decoder(_Entity).decode
_decode_entities = msgspec.json.Decoder(list[_Entity]).decode
_decode_wrapper = msgspec.json.Decoder(_Wrapper).decode


def _fetch(request: Request) -> tuple[list[Partition], dict[str, list[Fetched]]]:
    if request.origin is None:
        from tppc.builders.sources.sparql import harvest

        file: Fetched | None = harvest(request)
    elif request.origin == "-":
        file = _spool(sys.stdin.buffer)
    else:
        file = fetch(request.origin)
    assert file is not None, "only optional files may be missing"
    names = tuple(str(p) for p in request.pairs)
    partition = Partition(
        "wikidata",
        names,
        {"dump": str(file.path)},
        {"dump": file.snapshot.sha256},
        request.limit,
        dict(request.options),
    )
    return [partition], {name: [file] for name in names}


def _spool(stream: IO[bytes]) -> Fetched:
    """Copy standard input into the cache: its digest must be known before the first task, and a resumed build
    reads it again.
    """
    folder = cache_folder() / "stdin"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".", suffix=".part", dir=folder) as file:
        shutil.copyfileobj(stream, file, 1 << 20)
        file.flush()
        path = folder / f"{sha256_of_file(Path(file.name))}.json"
        if not path.exists():
            path.hardlink_to(file.name)
    fetched = fetch(str(path))
    assert fetched is not None, "the file was just written"
    return Fetched(path, fetched.snapshot.model_copy(update={"name": "stdin", "url": "file:stdin"}))


def _entities(line: bytes) -> list[_Entity]:
    """The entities of a dump line; raises `msgspec.MsgspecError` where it is none."""
    if line.startswith(b'{"entities"'):
        return list((_decode_wrapper(line).entities or {}).values())
    if line.startswith(b"["):  # a whole array on one line
        return _decode_entities(line)
    return [_decode_entity(line)]


def _map(value: dict[str, _Text] | list[None]) -> dict[str, _Text]:
    return value if isinstance(value, dict) else {}


def _classes(entity: _Entity) -> list[str]:
    if isinstance(entity.claims, list):
        return []
    values = (s.mainsnak.datavalue.value for s in entity.claims.P31 if s.mainsnak.datavalue)
    return [v.id for v in values if isinstance(v, _Id)]


class _PairRows:
    """Rows of one pair, gathered entity by entity."""

    def __init__(self, pair: Pair, exclude_internal: bool) -> None:
        self.pair = pair
        self.codes = [side.wikidata for side in pair.languages]
        self.exclude_internal = exclude_internal
        self.start()

    def start(self) -> None:
        """Begin a new batch."""
        names = ("src_text", "tgt_text", "source_id", "licence", "label_from_mul", "instance_of")
        self.columns: dict[str, list[Any]] = {name: [] for name in names}
        self.refused: list[Refused] = []
        self.counts: dict[str, int] = {}

    def count(self, what: str) -> None:
        """Add one to a count of the source."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def refuse(self, entity: _Entity, reason: str, detail: str | None = None) -> None:
        """Note an entity that gives no pair."""
        self.refused.append(Refused(reason, entity.id or "?", detail))

    def add(self, entity: _Entity, classes: list[str]) -> None:
        """Make a row of an item, or refuse it with the first thing it lacks; all that it lacks is counted."""
        if entity.type not in ("item", "") or not entity.id.startswith("Q"):
            self.count("not an item")
            return self.refuse(entity, "not_an_item", entity.type)
        self.count("items")
        labels, descriptions = _map(entity.labels), _map(entity.descriptions)
        lacks, sides, from_mul = [], [], []
        for role, code in zip(("src", "tgt"), self.codes, strict=True):
            label, description = labels.get(code), descriptions.get(code)
            if label is None and "mul" in labels:
                label = labels["mul"]
                from_mul.append(role)
            if label is None:
                lacks.append((f"no_{role}_label", f"no {code} label"))
            if description is None:
                lacks.append((f"no_{role}_description", f"no {code} description"))
            sides.append(f"{label.value} {description.value}" if label and description else None)
        for _, lack in lacks:
            self.count(f"items with {lack}")
        if self.exclude_internal and (internal := INTERNAL.intersection(classes)):
            return self.refuse(entity, "wikimedia_internal", "instance of " + " ".join(sorted(internal)))
        if lacks:
            return self.refuse(entity, lacks[0][0], "; ".join(lack for _, lack in lacks))
        if len(from_mul) == 2:
            return self.refuse(entity, "both_labels_mul", labels["mul"].value)
        self.count("items with label and description on both sides")
        values = (*sides, entity.id, LICENCE, from_mul[0] if from_mul else None, " ".join(classes) or None)
        for name, value in zip(self.columns, values, strict=True):
            self.columns[name].append(value)
        return None

    def batch(self) -> RawBatch:
        """The rows gathered since the last call."""
        found = RawBatch(self.pair, frame(self.columns, _EXTRA), self.refused, self.counts)
        self.start()
        return found


def _read(partition: Partition) -> Iterator[RawBatch]:
    pairs = [_PairRows(parse_pair(p), partition.options["exclude_internal"]) for p in partition.pairs]
    path = partition.path("dump")
    assert path is not None, "a Wikidata partition has its dump"
    read = 0
    for number, line in enumerate(lines_of(path), start=1):
        text = line.strip().rstrip(b",")
        if text in (b"", b"[", b"]"):
            continue
        if partition.limit is not None and read >= partition.limit:
            break
        read += 1
        try:
            for entity in _entities(text):
                classes = _classes(entity)
                for pair in pairs:
                    pair.add(entity, classes)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if isinstance(line, Unterminated):
                raise damaged(path, number - 1, "the last line is cut") from error
            for pair in pairs:
                pair.refused.append(unreadable(f"line:{number}", str(error), line))
        if read % _BATCH == 0:
            yield from (pair.batch() for pair in pairs)
    yield from (pair.batch() for pair in pairs)


SOURCE = Source(
    name="wikidata",
    upstream=UPSTREAM,
    licence=LICENCE,
    about="label + description of an item in both languages; terse, rich in names",
    citation="Vrandečić, Krötzsch (2014): Wikidata. CACM 57(10). https://doi.org/10.1145/2629489",
    limits=(
        "Label and description are joined by a space, as in the paper; the result is no sentence.",
        "Many descriptions follow a few patterns, so one side of different pairs is often nearly the same.",
    ),
    fetch=_fetch,
    read=_read,
    pairs="any two of about 400 languages",
    size="77K-1.6M pairs a language pair in the paper, more today; a dump of about 100 GB",
    cadence="weekly dumps; SPARQL is live",
    options=WikidataOptions,
    extra=(("label_from_mul", "string"), ("instance_of", "string")),
    sample="wikidata/wikidata-sample.json.gz",
)
