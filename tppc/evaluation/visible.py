"""Text of strangers with its hidden characters made visible.

A label, a name or a pair may hold characters that turn the direction of what follows, controls that move a terminal's
cursor, or ones that no font draws. They are written out, so that a reader sees what a tokeniser would see.
"""

from __future__ import annotations

import json
import unicodedata

# ZWNJ and ZWJ are part of ordinary spelling in Persian, Hindi and other scripts, and of emoji. Between two characters
# beyond Latin-1 they are left to do their work; anywhere else they are shown.
_JOINERS = "\u200c\u200d"
_SHOWN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def is_hidden(text: str, at: int) -> bool:
    """Whether the character at this place is a control, format, private, unassigned or surrogate one to be shown."""
    character = text[at]
    if unicodedata.category(character) not in _SHOWN:
        return False
    if character in _JOINERS and 0 < at < len(text) - 1:
        return not all(ord(c) > 0xFF and c not in _JOINERS for c in (text[at - 1], text[at + 1]))
    return True


def code(character: str) -> str:
    """`⟨U+202E⟩` for a character."""
    return f"⟨U+{ord(character):04X}⟩"


def visible(text: str) -> str:
    """`text` with every control, format, private, unassigned and surrogate character written as `⟨U+202E⟩`."""
    return "".join(code(c) if is_hidden(text, i) else c for i, c in enumerate(text))


def visible_json(text: str) -> str:
    r"""JSON `text` with the same characters as JSON's own escapes (`\u202e`), so that it still says the same.

    Line feeds stay: in JSON they stand between values only.
    """
    return "".join(json.dumps(c)[1:-1] if c != "\n" and is_hidden(text, i) else c for i, c in enumerate(text))
