"""Normalisation of text: NFC and white space, nothing that could change a word.

Marks are never stripped and compatibility characters never folded (that is for keys, see `corpora.keys`). ZWJ and ZWNJ
carry meaning in Hindi and Persian and stay; what carries none in any language goes: zero-width space, word joiner, BOM.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")
# Python's \s would also take U+001C..U+001F, which are control characters that a filter should see.
_SPACE = re.compile("[ \t\n\r\x0b\x0c\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def normalise(text: str) -> str:
    """NFC; zero-width space, word joiner and BOM removed; runs of white space become one space; no space at the
    ends.
    """
    if text.isascii():
        return _SPACE.sub(" ", text).strip(" ")
    return _SPACE.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFC", text))).strip(" ")
