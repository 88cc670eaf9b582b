"""Text of strangers, made safe to read.

A pair comes from the open web: it may hold mark-up, characters that turn the direction of what follows, or controls
that no font draws. Mark-up is the template's matter (every value is escaped); this module makes the rest visible, so
that a reader sees what a tokeniser would see.
"""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

# ZWNJ and ZWJ are part of ordinary spelling in Persian, Hindi and other scripts, and of emoji. Between two characters
# beyond Latin-1 they are left to do their work; anywhere else they are shown.
_JOINERS = "\u200c\u200d"
_SHOWN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def _is_hidden(text: str, at: int) -> bool:
    character = text[at]
    if unicodedata.category(character) not in _SHOWN:
        return False
    if character in _JOINERS and 0 < at < len(text) - 1:
        return not all(ord(c) > 0xFF and c not in _JOINERS for c in (text[at - 1], text[at + 1]))
    return True


def _code(character: str) -> str:
    return f"⟨U+{ord(character):04X}⟩"


def visible(text: str) -> str:
    """`text` with every control, format, private, unassigned and surrogate character written as `⟨U+202E⟩`."""
    return "".join(_code(c) if _is_hidden(text, i) else c for i, c in enumerate(text))


def marked(text: str) -> Markup:
    """`visible(text)` as escaped HTML, with each code in a `<span class="ctl">` whose title is the character's name."""
    pieces: list[Markup] = []
    for i, character in enumerate(text):
        if _is_hidden(text, i):
            name = unicodedata.name(character, "control character")
            pieces.append(Markup('<span class="ctl" title="{}">{}</span>').format(name, _code(character)))
        else:
            pieces.append(escape(character))
    return Markup("").join(pieces)
