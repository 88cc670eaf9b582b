"""Real text in many languages: the translation catalogues of Debian packages, unpacked or installed.

A catalogue is a `.mo` file (gettext), or a `.ftl` or `.properties` file inside a Firefox language pack (`.xpi`). The
language is in the path: `locale/mr/LC_MESSAGES/apt.mo`, `resource/ne/LC_MESSAGES/sw.mo`, `langpack-ur@....xpi`.
"""

from __future__ import annotations

import gettext
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

#: Where Debian puts the catalogues of installed packages.
INSTALLED = Path("/usr/share/locale")
_ENTRY = re.compile(r"^\s*[\w.-]+\s*=\s*(.+)$")
_PLACES = re.compile(r"\{[^{}]*\}|%\d*\$?[-\d.]*[a-zA-Z]+|\$[({]?\w+[)}]?|</?[^<>]*>|https?://\S+|\\[nt\"']")
_ACCELERATORS = re.compile(r"\(?[&~_](?=\w)")


def sentences(root: Path, language: str, letters: int = 20) -> list[str]:
    """Distinct texts of a language below a folder that hold at least so many letters, in a fixed order: a line of a
    message each, without markup, placeholders and accelerator marks."""
    found: dict[str, None] = {}
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".mo", ".xpi") and _language(p) == language):
        for message in _messages(path):
            for line in message.splitlines():
                text = " ".join(_ACCELERATORS.sub("", _PLACES.sub(" ", line)).split())
                if sum(c.isalpha() for c in text) >= letters:
                    found[text] = None
    return list(found)


def _language(path: Path) -> str:
    """The language of a catalogue, without its region: `ne` of `langpack-ne-NP@firefox-esr.mozilla.org.xpi`."""
    name = path.name.removeprefix("langpack-").partition("@")[0] if path.suffix == ".xpi" else path.parent.parent.name
    return re.split("[-_.@]", name)[0]


def _messages(path: Path) -> Iterator[str]:
    if path.suffix == ".mo":
        if path.stat().st_size > 100:  # smaller ones hold no message
            with path.open("rb") as file:
                try:
                    catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # no other list
                except UnicodeDecodeError:  # some old ones are not in the encoding that they tell
                    return
            # A text that nobody translated stands there as its own translation.
            yield from (v for k, v in catalogue.items() if k and v != (k[0] if isinstance(k, tuple) else k))
        return
    with zipfile.ZipFile(path) as pack:
        for name in sorted(pack.namelist()):
            if name.endswith((".ftl", ".properties")):
                for line in pack.read(name).decode("utf-8", "replace").splitlines():
                    if entry := _ENTRY.match(line):
                        yield entry.group(1)
