"""Results in the layout of Tables 2 and 3 of the Translation Pair Prediction paper (Mishra and Haghighi 2021).

A row is an encoder: the untouched one, then each training, its control above it. A column is a task in a language, and
a task's last column is the mean over its languages of the relative change, which is what the paper's Table 2 has. The
changes are relative, in per cent, as the paper prints them: F1 from 21.1 to 23.1 is +9.5%, and 2.0 points.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean

from tppc.evaluation.drawing import draw
from tppc.evaluation.selection import ORACLE
from tppc.evaluation.tables import Format, Row, Stat
from tppc.evaluation.visible import visible, visible_json

LEVEL = 0.05


@dataclass(frozen=True)
class Column:
    """A task in a language: test data under one protocol."""

    task: str
    metric: str
    language: str
    dataset: str
    protocol: str


@dataclass(frozen=True)
class Cell:
    """One encoder in one column. Means are fractions; `relative` is the change from the baseline, a fraction of it.

    `holm` and `holm_over_control` are p-values after Holm's correction, as `Row` has them.
    """

    mean: float
    sd: float | None
    relative: float | None = None
    holm: float | None = None
    holm_over_control: float | None = None

    @property
    def marks(self) -> str:
        """`*` where it differs from the baseline, `†` where from the control."""
        over = [("*", self.holm), ("†", self.holm_over_control)]
        return "".join(mark for mark, p_value in over if p_value is not None and p_value < LEVEL)


@dataclass
class Line:
    """One encoder's cells by column."""

    name: str
    role: str
    cells: dict[Column, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable:
    """The whole table; notes say how to read it."""

    columns: list[Column]
    lines: list[Line]
    notes: list[str]


def paper_table(rows: Sequence[Row]) -> PaperTable:
    """Rows of `build_table` in the paper's layout; development data is left out."""
    rows = [row for row in rows if not row.dataset.endswith(":dev")]
    columns = list(dict.fromkeys(_column(row) for row in rows))
    order = {task: number for number, task in enumerate(dict.fromkeys(_group(c) for c in columns))}
    columns.sort(key=lambda c: order[_group(c)])
    trivial = Line("trivial (best)", "trivial")
    lines: dict[tuple[str, str], Line] = {}

    def put(row: Row, role: str, stat: Stat | None, cell: Cell | None) -> None:
        if stat is not None and cell is not None:
            lines.setdefault((role, stat.encoder), Line(stat.encoder, role)).cells[_column(row)] = cell

    for row in rows:
        if row.trivial is not None:
            trivial.cells[_column(row)] = Cell(row.trivial, None)
        base = row.baseline.mean if row.baseline else None
        put(row, "baseline", row.baseline, _cell(row.baseline, None))
        put(row, "control", row.control, _cell(row.control, base))
        before, after = (row.gain.before, row.gain.after) if row.gain else (base, None)
        put(row, "trained", row.trained, _cell(row.trained, before, after, row.holm, row.holm_over_control))
    return PaperTable(columns, [trivial] * bool(trivial.cells) + _ordered(list(lines.values()), rows), _notes(rows))


def _column(row: Row) -> Column:
    return Column(row.task, row.metric, row.shown_language, row.dataset, row.protocol)


def _group(column: Column) -> tuple[str, str]:
    """Columns of one task, trained on the same data."""
    return column.task, column.dataset


def _cell(
    stat: Stat | None, before: float | None, after: float | None = None,
    holm: float | None = None, over_control: float | None = None,
) -> Cell | None:  # fmt: skip
    if stat is None:
        return None
    relative = ((stat.mean if after is None else after) - before) / before if before else None
    return Cell(stat.mean, stat.sd, relative, holm, over_control)


def _ordered(lines: list[Line], rows: Sequence[Row]) -> list[Line]:
    """Each baseline, and after it what was trained from it, a control before its trained encoder."""
    by_name = {(line.role, line.name): line for line in lines}
    wanted: dict[tuple[str, str], None] = {}
    for base in [*(line.name for line in lines if line.role == "baseline"), ""]:
        wanted |= {("baseline", base): None} if base else {}
        for row in rows:
            if (row.baseline.encoder if row.baseline else "") == base:
                wanted |= {(r, s.encoder): None for r, s in (("control", row.control), ("trained", row.trained)) if s}
    return [by_name[key] for key in dict.fromkeys([*wanted, *by_name])]


def _notes(rows: Sequence[Row]) -> list[str]:
    stats = [s for row in rows for s in (row.baseline, row.control, row.trained) if s]
    if not stats:
        return []
    seeds, runs = (max(getattr(s, name) for s in stats) for name in ("seeds", "runs"))
    fewest = min(s.seeds for s in stats)
    over = f"{'up to ' * (fewest < seeds)}{seeds} fine-tuning seed{'s' * (seeds > 1)}"
    over += f" of {runs} pretraining runs" if runs > 1 else ""
    said = [
        f"Values are per cent: mean over {over}{', ± standard deviation' if seeds * runs > 1 else ''}. In brackets the "
        "change from the baseline, relative to it in per cent, as the paper prints it (21.1 to 23.1 is +9.5%); Δ is "
        "its mean over the task's languages."
    ]
    for mark, of, test, holm in (
        ("*", "baseline", "test", "holm"),
        ("†", "control", "test_over_control", "holm_over_control"),
    ):
        tested = [getattr(row, test) is not None for row in rows if getattr(row, holm) is not None]
        count, drawn = len(tested), sum(tested)
        how = "paired t-test over runs" if runs > 1 else "paired t-test over seeds"
        if drawn:
            what = "sentences, seeds and runs" if runs > 1 else "sentences and seeds" if seeds > 1 else "sentences"
            others = f" ({drawn} cells) or {how} ({count - drawn})" if drawn < count else ""
            how = f"paired bootstrap over {what}{others}"
        if count:
            said.append(f"{mark} differs from the {of}: p < {LEVEL:g}, {how}, Holm's correction over {count} cells.")
    if any(s.runs == 1 for s in stats) and runs == 1 and any(row.trained for row in rows):
        said.append("One pretraining run of each kind: nothing here says what another run would have given.")
    if any(ORACLE in row.protocol for row in rows):
        said.append("ORACLE: target-language development data chose the epoch; this is not zero-shot transfer.")
    return said + [f"Protocol: {protocol}." for protocol in dict.fromkeys(row.protocol for row in rows)]


def render_paper(table: PaperTable, how: Format) -> str:
    """The table as `text`, `md`, `latex`, `csv` (one line a cell, fractions) or `json`."""
    if how == "csv" or how == "json":  # noqa: PLR1714  (so that the type is narrowed)
        cells = [
            {"encoder": line.name, "role": line.role, **asdict(column), **asdict(cell)}
            for line in table.lines
            for column, cell in line.cells.items()
        ]
        if how == "json":
            return visible_json(json.dumps({"cells": cells, "notes": table.notes}, ensure_ascii=False, indent=2))
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["encoder", "role", *Column.__dataclass_fields__, *Cell.__dataclass_fields__])
        writer.writerows([visible(v) if isinstance(v, str) else v for v in cell.values()] for cell in cells)
        return out.getvalue().rstrip("\n")
    header, lines = _for_people(table)
    return draw(header, lines, how, words=1, notes=[visible(note) for note in table.notes])


def _for_people(table: PaperTable) -> tuple[list[str], list[list[str]]]:
    names = {_group(column): _short(column) for column in table.columns}
    several = {task for task, _ in names if len({name for group, name in names.items() if group[0] == task}) > 1}
    header, lines = ["encoder"], [[line.name] for line in table.lines]
    for group in dict.fromkeys(_group(column) for column in table.columns):
        columns = [column for column in table.columns if _group(column) == group]
        name = names[group]
        task = group[0] if group[0] not in several else name if name.startswith(group[0]) else f"{group[0]} {name}"
        header += [f"{task} {column.metric} {column.language}" for column in columns] + [f"{task} Δ{_kind(columns)}"]
        for shown, line in zip(lines, table.lines, strict=True):
            cells = [line.cells.get(column) for column in columns]
            shown += [_said(cell) for cell in cells]
            changes = [cell.relative for cell in cells if cell and cell.relative is not None]
            shown.append(f"{100 * fmean(changes):+.1f}%" if changes else "")
    return header, [[visible(cell) for cell in line] for line in lines]


def _short(column: Column) -> str:
    """The data's name without split and changes."""
    return column.dataset.partition(":")[0].partition(" (")[0]


def _kind(columns: Sequence[Column]) -> str:
    """What all columns say behind their language, such as ` (no neutral)`; nothing where they differ."""
    kinds = {"".join(column.language.partition(" (")[1:]) for column in columns}
    return kinds.pop() if len(kinds) == 1 else ""


def _said(cell: Cell | None) -> str:
    if cell is None:
        return ""
    sd = "" if cell.sd is None else f" ± {100 * cell.sd:.1f}"
    change = "" if cell.relative is None else f" ({100 * cell.relative:+.1f}%)"
    return f"{100 * cell.mean:.1f}{sd}{change}{cell.marks}"
