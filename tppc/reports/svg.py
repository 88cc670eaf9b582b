"""From a matplotlib figure to SVG that lives inside the page.

Three things matplotlib's own SVG lacks: colours that follow the page's light or dark scheme (figures are drawn in
marker colours, each of which becomes a CSS variable), ids that do not clash with another figure's, and a name and
description for those who cannot see it. Bytes depend on the figure alone: ids from a fixed salt, no date.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from tppc.evaluation.visible import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Marker colour -> CSS variable of page.css. The markers are near black and differ in the last digits, so that a figure
# taken out of the page is still legible.
INK, MUTED, LINE, SURFACE = "#010201", "#010202", "#010203", "#010204"
SERIES = ("#0102a1", "#0102a2", "#0102a3", "#0102a4", "#0102a5", "#0102a6", "#0102a7")
ALARM = "#0102a8"
_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", SURFACE: "surface", ALARM: "alarm"} | {
    colour: f"c{i}" for i, colour in enumerate(SERIES, 1)
}
_STYLE: dict[str, Any] = {
    "svg.hashsalt": "tppc",
    "svg.fonttype": "none",  # real text: small, readable aloud, in the page's own font
    "text.parse_math": False,  # a `$` in a name is a dollar
    "font.size": 9.0,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.7,
    "axes.formatter.useoffset": False,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}
_SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"


@contextmanager
def theme() -> Iterator[None]:
    """Draw in the report's style, whatever matplotlibrc the user has; the user's settings come back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        for key, value in _STYLE.items():
            matplotlib.rcParams[key] = value  # type: ignore[index]  # its key type lists every name
        yield


def _style(text: str) -> str:
    """A style attribute with CSS variables for marker colours and the page's font."""
    text = re.sub(r"font-family: [^;]*(; )?", "", text)
    return re.sub(r"#0102[0-9a-f]{2}", lambda m: f"var(--{_VARIABLES[m[0]]})" if m[0] in _VARIABLES else m[0], text)


def _rounded(text: str) -> str:
    """Numbers cut to two decimals of a point: finer than any screen, and a third of the bytes."""
    return re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), text)


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The SVG element of `figure`, to be put into an HTML page as it is. Call it inside `theme()`.

    Args:
        name: an id, unique in the page, of letters, digits and hyphens. title: what the figure is, a few words.
        description: what it shows, for those who cannot see it.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Labels may be in any script: the reader's browser has the letters, matplotlib's own font need not.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=metadata)
    ET.register_namespace("", _SVG)
    root = ET.fromstring(file.getvalue())
    for element in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(element)
    for defs in root.iter(f"{{{_SVG}}}defs"):
        for sheet in defs.findall(f"{{{_SVG}}}style"):
            defs.remove(sheet)  # in a page, `*{...}` would hold for the whole page
    everything = list(root.iter())
    wanted = {
        found
        for element in everything
        for value in element.attrib.values()
        for found in re.findall(r"^#([\w-]+)$|url\(#([\w-]+)\)", value)
        for found in found
        if found
    }
    for element in everything:
        if element.tag != f"{{{_SVG}}}text" and not (element.text or "").strip():
            element.text = None
        element.tail = None  # indentation: a third of the bytes
        for key, value in list(element.attrib.items()):
            if key == "id":
                del element.attrib[key]
                if value in wanted:
                    element.set("id", f"{name}-{value}")
            elif key == _HREF:
                del element.attrib[key]
                element.set("href", f"#{name}-{value[1:]}")
            elif key == "clip-path":
                element.set(key, value.replace("#", f"#{name}-"))
            elif key == "style":
                element.set(key, _style(value))
            elif key in ("d", "x", "y", "transform", "width", "height", "points"):
                element.set(key, _rounded(value))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-desc")
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    for i, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = visible(text)
        root.insert(i, element)
    return ET.tostring(root, encoding="unicode")
