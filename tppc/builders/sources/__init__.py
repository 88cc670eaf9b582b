"""Where pairs come from. A new source is one file here and one entry in `SOURCES`, whose order is their priority."""

from tppc.builders.sources import tatoeba, wikidata, wikimatrix
from tppc.builders.sources.base import Source

SOURCES: dict[str, Source] = {module.SOURCE.name: module.SOURCE for module in (tatoeba, wikidata, wikimatrix)}
