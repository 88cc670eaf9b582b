"""`croissant.json`: the corpus in Croissant 1.1 (http://mlcommons.org/croissant/1.1), JSON-LD that dataset searches
and ML data loaders read, with the responsible-AI properties of http://mlcommons.org/croissant/RAI/1.0.

One `FileObject` with its SHA-256 for each shard; one `FileSet` and one `RecordSet` for each pair; the splits are an
enumeration of their own (`cr:Split`), and a row's split follows from the name of its file. Written by hand: it needs no
library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tppc.corpora.files import canonical_json
from tppc.corpora.manifest import Manifest, Shard
from tppc.corpora.schema import MEANINGS, schema_of
from tppc.manifests.citation import abstract, cite_as, creator
from tppc.manifests.responsible import responsible_ai

NAME = "croissant.json"
VERSION = "http://mlcommons.org/croissant/1.1"
_PARQUET = "application/x-parquet"
_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "float": "sc:Float", "bool": "sc:Boolean"}
_SPLITS = {
    "train": "cr:TrainingSplit",
    "dev": "cr:ValidationSplit",
    "test": "cr:TestSplit",
}
# fmt: off
_TERMS = (
    "annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes", "extract", "field",
    "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "md5",
    "parentField", "path", "readLines", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
    "sdVersion", "separator", "source", "subField", "transform", "unArchive", "value",
)
# fmt: on
# Croissant 1.1, appendix 1, and the language maps of names and descriptions that its validator knows.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "key": "cr:key",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant(manifest: Manifest) -> bytes:
    """The bytes of `croissant.json`."""
    upstreams = [facts.upstream for facts in manifest.sources.values() if facts.upstream]
    value: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [VERSION, "http://mlcommons.org/croissant/RAI/1.0"],
        "name": manifest.name,
        "description": abstract(manifest),
        "version": manifest.version,
        "license": [licence_url(name) for name in manifest.licences] or [licence_url(manifest.licence)],
        "url": upstreams[0] if upstreams else f"urn:tppc:build:{manifest.build_digest}",
        "creator": [
            {"@type": "sc:Organization", "name": creator(source, facts)}
            | ({"url": facts.upstream} if facts.upstream else {})
            for source, facts in manifest.sources.items()
        ],
        "datePublished": manifest.date,
        "inLanguage": manifest.languages,
        "keywords": ["parallel corpus", "translation pairs", "bitext", *manifest.pairs],
        "citeAs": cite_as(manifest),
        "isLiveDataset": False,
        "distribution": [_file(s) for s in manifest.shards] + [_file_set(pair) for pair in _pairs(manifest)],
        "recordSet": _record_sets(manifest),
        "prov:wasDerivedFrom": _sources(manifest),
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": manifest.command,
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "prov:label": f"tppc {manifest.versions.get('tppc', '')}".strip(),
            },
        },
        **responsible_ai(manifest),
    }
    return canonical_json(value)


def licence_url(expression: str) -> str:
    """The page of a licence; the expression itself where there is none."""
    name = expression.removeprefix("LicenseRef-")
    parts = name.split("-")
    if name.startswith("CC-BY-") and len(parts) >= 3:
        kind = "-".join(p for p in parts[1:] if p.isalpha() and p in ("BY", "NC", "SA", "ND")).lower()
        version = next((p for p in parts if p[0].isdigit()), "")
        country = parts[-1].lower() if parts[-1] not in (version, "BY", "NC", "SA", "ND") else ""
        return "/".join(["https://creativecommons.org/licenses", kind, version, *([country] if country else []), ""])
    return expression if expression.startswith("LicenseRef-") else f"https://spdx.org/licenses/{expression}.html"


def _pairs(manifest: Manifest) -> list[str]:
    """Pairs that have rows: a file set without files would be an error."""
    return [pair for pair in manifest.pairs if manifest.rows(pair=pair)]


def _file(shard: Shard) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": shard.path,
        "name": shard.path.rsplit("/", maxsplit=1)[-1],
        "description": f"{shard.rows} rows of the {shard.split} split of {shard.pair}.",
        "contentUrl": shard.path,
        "contentSize": f"{shard.bytes} B",
        "encodingFormat": _PARQUET,
        "sha256": shard.sha256,
    }


def _file_set(pair: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{pair}-files",
        "name": f"{pair}-files",
        "description": f"All shards of {pair}.",
        "encodingFormat": _PARQUET,
        "includes": f"data/{pair}/*.parquet",
    }


def _record_sets(manifest: Manifest) -> list[dict[str, Any]]:
    if not manifest.splits:
        return []
    splits = {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits that have rows.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": "sc:URL"},
        ],
        "data": [{"splits/name": split, "splits/url": _SPLITS[split]} for split in manifest.splits],
    }
    return [splits, *(_record_set(manifest, pair) for pair in _pairs(manifest))]


def _record_set(manifest: Manifest, pair: str) -> dict[str, Any]:
    files = {"@id": f"{pair}-files"}
    split = {
        "@type": "cr:Field",
        "@id": f"{pair}/split",
        "name": "split",
        "description": "The split that the row's file belongs to.",
        "dataType": "sc:Text",
        "references": {"field": {"@id": "splits/name"}},
        "source": {
            "fileSet": files,
            "extract": {"fileProperty": "filename"},
            # Also right for a name that was cut already: readers that join with the splits apply it twice.
            "transform": {"regex": f"^({'|'.join(_SPLITS)})(?:-|$)"},
        },
    }
    columns = [
        {
            "@type": "cr:Field",
            "@id": f"{pair}/{column.name}",
            "name": column.name,
            "description": MEANINGS.get(column.name, "A column of the source's own."),
            "dataType": _TYPES[str(column.type)],
            "source": {"fileSet": files, "extract": {"column": column.name}},
        }
        for column in schema_of(manifest.extra_columns)
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": pair,
        "name": pair,
        "description": f"Translation pairs of {pair}: one record a row, {manifest.rows(pair=pair)} in all.",
        "key": [{"@id": f"{pair}/{name}"} for name in ("src_key", "tgt_key")],
        "field": [split, *columns],
    }


def _sources(manifest: Manifest) -> Sequence[dict[str, Any]]:
    """What the data was derived from: snapshots and parents, by digest."""
    snapshots = [
        {
            "@type": "prov:Entity",
            "@id": quote(s.url, safe=":/%?=&~+,;@"),
            "prov:label": s.name,
            "sc:sha256": s.sha256,
            "sc:contentSize": f"{s.bytes} B",
        }
        for s in manifest.snapshots
    ]
    parents = [
        {"@type": "prov:Entity", "@id": f"urn:tppc:build:{p.build_digest}", "prov:label": f"{p.name} {p.version}"}
        for p in manifest.parents
    ]
    return [*snapshots, *parents]
