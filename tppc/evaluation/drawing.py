"""A table of strings as text for a terminal, Markdown or LaTeX."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Literal

Drawing = Literal["text", "md", "latex"]

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "†": r"$\dagger$", "−": "$-$", "Δ": r"$\Delta$",
    "×": r"$\times$", "⟨": r"$\langle$", "⟩": r"$\rangle$",
}  # fmt: skip


def draw(
    header: Sequence[str], lines: Sequence[Sequence[str]], how: Drawing, words: int, notes: Sequence[str] = ()
) -> str:
    """Draw a table; `words` is how many of the first columns are set to the left. Notes go below it.

    The LaTeX is a `tabular` of the booktabs package, every special character escaped, with the notes as comments.
    """
    if how == "md":
        rows = [header, ["---"] * words + ["---:"] * (len(header) - words), *lines]
        table = "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in rows)
        return "\n\n".join([table, *(re.sub(r"^([*+-])(?= )", r"\\\1", note) for note in notes)])  # no list
    if how == "latex":
        return _latex(header, lines, words, notes)
    return "\n".join([_text(header, lines, words), *([""] if notes else []), *notes])


def latex_text(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(_LATEX.get(c, c) for c in text)


def _latex(header: Sequence[str], lines: Sequence[Sequence[str]], words: int, notes: Sequence[str]) -> str:
    def row(cells: Sequence[str]) -> str:
        return " & ".join(latex_text(cell) for cell in cells) + r" \\"

    said = [re.sub(r"\s+", " ", f"% {note}") for note in ("needs \\usepackage{booktabs}", *notes)]
    columns = "l" * words + "r" * (len(header) - words)
    body = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", row(header), r"\midrule", *map(row, lines)]
    return "\n".join([*said, *body, r"\bottomrule", r"\end{tabular}"])


def _text(header: Sequence[str], lines: Sequence[Sequence[str]], words: int) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i < words else "right", no_wrap=True)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))  # Text: a cell is no markup
    out = io.StringIO()
    # As wide as it needs: a terminal wraps what a pipe must not lose.
    Console(file=out, width=600, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").split("\n"))
