"""Text of strangers as HTML: mark-up escaped, hidden characters written out (see `tppc.evaluation.visible`)."""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

from tppc.evaluation.visible import code, is_hidden


def marked(text: str) -> Markup:
    """`visible(text)` as escaped HTML, with each code in a `<span class="ctl">` whose title is the character's name."""
    pieces: list[Markup] = []
    for i, character in enumerate(text):
        if is_hidden(text, i):
            name = unicodedata.name(character, "control character")
            pieces.append(Markup('<span class="ctl" title="{}">{}</span>').format(name, code(character)))
        else:
            pieces.append(escape(character))
    return Markup("").join(pieces)
