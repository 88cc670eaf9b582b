"""`CITATION.cff`: how to cite a corpus, in the Citation File Format 1.2.0 (https://doi.org/10.5281/zenodo.5171937)."""

from __future__ import annotations

import re
from typing import Any

from tppc.corpora.languages import language
from tppc.corpora.manifest import Manifest, SourceFacts
from tppc.manifests.yaml import to_yaml

NAME = "CITATION.cff"
# The format takes identifiers of the SPDX list alone; these are the ones that tppc's sources use.
_SPDX = re.compile(r"CC0-1\.0|CC-BY(-NC)?(-SA|-ND)?-[1-4]\.0|PDDL-1\.0|Unlicense")
_URL = re.compile(r"https?://[^\s,;)]+")


def citation_file(manifest: Manifest) -> str:
    """The text of `CITATION.cff`. The sources are cited as references, in the words in which they ask for it."""
    value: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this corpus, please cite it and the sources it was made from.",
        "type": "dataset",
        "title": title(manifest),
        "version": manifest.version,
        "date-released": manifest.date,
        "authors": [{"name": name} for name in dict.fromkeys(creator(s, f) for s, f in manifest.sources.items())],
        "abstract": abstract(manifest),
        "keywords": ["parallel corpus", "translation pairs", *manifest.pairs],
        "identifiers": [
            {
                "type": "other",
                "value": f"urn:tppc:build:{manifest.build_digest}",
                "description": "The build digest: the same for the same data.",
            }
        ],
    }
    if _SPDX.fullmatch(manifest.licence):
        value["license"] = manifest.licence
    value["references"] = [_reference(source, facts) for source, facts in manifest.sources.items()]
    return to_yaml(value)


def creator(source: str, facts: SourceFacts) -> str:
    """Who made the texts of a source."""
    return facts.creator or f"The contributors of {source}"


def _reference(source: str, facts: SourceFacts) -> dict[str, Any]:
    found = _URL.search(facts.citation)
    url = found.group().rstrip(".") if found else facts.upstream
    reference: dict[str, Any] = {
        "type": "data",
        "title": source,
        "authors": [{"name": creator(source, facts)}],
        "notes": facts.citation,
    }
    return reference | ({"url": url} if url and _URL.match(url) else {})


def title(manifest: Manifest) -> str:
    """The corpus in a few words: `wikidata/en-hi: English–Hindi translation pairs`."""
    names = _pair_names(manifest)
    said = names[0] if len(names) == 1 else f"{len(manifest.languages)}-language"
    return f"{manifest.name}: {said} translation pairs"


def abstract(manifest: Manifest) -> str:
    """What the corpus is, in one or two sentences."""
    names = _pair_names(manifest)
    pairs = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if names[6:] else "")
    sources = "; ".join(f"{source} ({facts.about})" for source, facts in manifest.sources.items())
    counts = ", ".join(f"{manifest.rows(split):,} in {split}" for split in manifest.splits) or "no row was kept"
    return f"{pairs} translation pairs from {sources}: {counts}."


def _pair_names(manifest: Manifest) -> list[str]:
    return [f"{language(p.src).name}–{language(p.tgt).name}" for p in manifest.language_pairs]


def cite_as(manifest: Manifest, *, versioned: bool = True) -> str:
    """One line that cites this very corpus."""
    name = f"{manifest.name} {manifest.version}" if versioned else manifest.name
    tool = f"tppc {manifest.versions.get('tppc', '')}".strip()
    return f"{name} ({manifest.date}), translation pairs made with {tool}. Build digest {manifest.build_digest}."
