"""TMX, the translation memory exchange format (TMX 1.4b, LISA 2005), read unit by unit.

A unit `tu` holds a variant `tuv` for each language with one `seg`. Of a segment its text is kept, also that inside
`hi`; the codes of the program that wrote it (`bpt`, `ept`, `ph`, `it`, `ut`) hold markup, not text, and go, with the
`sub` inside them. A file that declares XML entities is refused: no program writes such, and they can be made to
explode.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from xml.parsers import expat

import langcodes

from tppc.builders.sources.base import Refused
from tppc.builders.sources.compressed import damaged
from tppc.builders.sources.records import Record
from tppc.corpora.files import DAMAGED, open_compressed
from tppc.corpora.languages import Pair
from tppc.errors import TppcError

_CODES = frozenset({"bpt", "ept", "ph", "it", "ut"})
_CHUNK = 1 << 16


def tmx_records(path: Path, pair: Pair, own_codes: tuple[str, str] | None = None) -> Iterator[Record | Refused]:
    """Records of a TMX file; the id is the number of the unit, from 1. A unit without a side is `no_src` or `no_tgt`.

    Args:
        own_codes: what the file calls source and target, where that is no BCP-47 code (OPUS's `zh_cn`).

    A variant fits a language whose code it has in any spelling (`EN`, `eng`, `pt_br`), and one of a region or script
    fits the language asked for without one (`en-US` is `en`, but `pt` is not `pt-BR`); an exact match goes first.
    Raises `TppcError`, with the line, for a file that is cut, not well-formed, or not TMX.
    """
    codes = own_codes or (pair.src, pair.tgt)
    units = _Units(path)
    sides = list(zip((pair.src, pair.tgt), codes, strict=True))
    for number, variants in enumerate(units, start=1):
        src, tgt = (_best(variants, code, own) for code, own in sides)
        if src is None or tgt is None:
            missing, code = ("no_src", pair.src) if src is None else ("no_tgt", pair.tgt)
            there = ", ".join(language for language, _ in variants) or "no variant"
            yield Refused(missing, str(number), f"no {code} in the unit ({there})")
        else:
            yield Record(str(number), src, tgt)


class _Units:
    """Iterates over the units of a file: each a list of (language as written, text)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[list[tuple[str, str]]] = []
        self.root = ""
        self.variants: list[tuple[str, str]] = []
        self.language = ""
        self.segment: list[str] | None = None
        self.inside_code = 0

    def __iter__(self) -> Iterator[list[tuple[str, str]]]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        parser.SkippedEntityHandler = self._skipped
        try:
            with open_compressed(self.path) as file:
                while chunk := file.read(_CHUNK):
                    parser.Parse(chunk, False)
                    yield from self.found
                    self.found.clear()
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise TppcError(
                f"{self.path}, line {error.lineno}: not well-formed XML ({expat.ErrorString(error.code)}), or the file "
                "is cut; fetch or export it again"
            ) from error
        except (ValueError, LookupError) as error:  # an encoding of several bytes a character, or one of no name
            raise TppcError(
                f"{self.path}: its XML declaration names an encoding that cannot be read ({error}); convert it and "
                "the declaration to UTF-8"
            ) from error
        except DAMAGED as error:
            raise damaged(self.path, parser.CurrentLineNumber - 1, str(error)) from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.root:
            self.root = name
            if name != "tmx":
                raise TppcError(f"{self.path}: not TMX, its first element is <{name}>; check --from and --format")
        if self.segment is not None:
            self.inside_code += name in _CODES
        elif name == "tu":
            self.variants = []
        elif name == "tuv":
            self.language = attributes.get("xml:lang") or attributes.get("lang") or ""  # `lang`: TMX 1.1
        elif name == "seg":
            self.segment, self.inside_code = [], 0

    def _end(self, name: str) -> None:
        if name == "seg" and self.segment is not None:
            self.variants.append((self.language, "".join(self.segment)))
            self.segment = None
        elif self.segment is not None:
            self.inside_code -= name in _CODES
        elif name == "tu":
            self.found.append(self.variants)

    def _text(self, text: str) -> None:
        if self.segment is not None and not self.inside_code:
            self.segment.append(text)

    def _skipped(self, name: str, is_parameter: bool) -> None:
        # `&nbsp;` and the like where a DTD that is not at hand may declare them; it is never fetched.
        self._text(html.unescape(f"&{name};"))

    def _entity(self, name: str, *rest: object) -> None:
        raise TppcError(f"{self.path}: declares the XML entity {name!r}; such files are refused, export it without")


def _best(variants: list[tuple[str, str]], code: str, own: str) -> str | None:
    """The text of the variant that fits a language best; the first of equals."""
    ranked = [(rank, text) for language, text in variants if (rank := _fit(language, code, own)) is not None]
    return min(ranked, key=lambda r: r[0])[1] if ranked else None


@lru_cache(maxsize=4096)
def _fit(language: str, code: str, own: str) -> int | None:
    """How well a variant's language fits the canonical `code`: 0 exactly, 1 as a region or script of it, None not."""
    if language.replace("_", "-").lower() in (own.replace("_", "-").lower(), code.lower()):
        return 0
    try:
        tag = langcodes.Language.get(language, normalize=True)
    except ValueError:
        return None
    if str(tag) == code:
        return 0
    return 1 if tag.language == code else None
