"""The results section: the table of `tppc.evaluation.tables`, differences as a figure, and the headline numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from tppc.evaluation.results import Result
from tppc.evaluation.significance import Paired
from tppc.evaluation.tables import Row, Stat, build_table, seeds_of, shared_seeds
from tppc.reports import figures
from tppc.reports.before_after import encoder_name
from tppc.reports.sections import Chart, chart

_NAMES = {"ner": "NER", "pos": "POS"}


@dataclass(frozen=True)
class Cell:
    """One cell's text; `tone` is `up` or `down` for a difference of more than two standard errors."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class RowView:
    """One row: the task and a cell for each column."""

    task: str
    cells: list[Cell]


@dataclass(frozen=True)
class Tile:
    """One number of the summary."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class ResultsView:
    """The results section. The first `words` of `columns` hold words, the rest numbers."""

    caption: str
    columns: list[str]
    words: int
    rows: list[RowView]
    charts: list[Chart]
    tiles: list[Tile]
    notes: list[str]


def _stat(stat: Stat | None) -> Cell:
    if stat is None:
        return Cell("")
    return Cell(f"{100 * stat.mean:.1f}" + ("" if stat.sd is None else f" ± {100 * stat.sd:.1f}"))


def clear(gain: Paired) -> bool:
    """Whether Student's paired t-test over seeds puts a difference apart from nought at 5%; never for a single seed."""
    return gain.p_value is not None and gain.p_value < 0.05


def _gain(row: Row, before: Stat | None, gain: Paired | None) -> Cell:
    shared = shared_seeds(before, row.trained, gain)
    if gain is None:
        return Cell(shared)
    error = "" if gain.standard_error is None else f" ± {200 * gain.standard_error:.1f}"
    tone = ("up" if gain.difference > 0 else "down") if clear(gain) else ""
    return Cell(f"{100 * gain.difference:+.1f}{error}" + (f" ({shared})" if shared else ""), tone)


def _task(name: str) -> str:
    return _NAMES.get(name) or name.replace("_", " ").capitalize()


def _language(row: Row) -> str:
    return f"{row.language} (dev)" if row.dataset.endswith(":dev") else row.language


def _several(rows: Sequence[Row]) -> bool:
    return len({r.trained.encoder for r in rows if r.trained}) > 1


def _table(rows: Sequence[Row]) -> tuple[list[str], int, list[RowView]]:
    """Columns, how many of them hold words, and rows; a column that no row fills is left out."""
    words = ["language", "metric"] + (["encoder"] if _several(rows) else [])
    columns = [*words, "trivial", "baseline", "control", "trained"]
    columns += ["trained − baseline", "trained − control", "seeds", "n"]
    lines = []
    for row in rows:
        cells = [Cell(_language(row)), Cell(row.metric)]
        if len(words) == 3:
            cells.append(Cell(encoder_name(row.trained.encoder) if row.trained else ""))
        cells += [
            Cell("" if row.trivial is None else f"{100 * row.trivial:.1f}"),
            *(_stat(s) for s in (row.baseline, row.control, row.trained)),
            _gain(row, row.baseline, row.gain), _gain(row, row.control, row.gain_over_control),
            Cell(seeds_of(row)), Cell(f"{row.n:,}"),
        ]  # fmt: skip
        lines.append(RowView(_task(row.task), cells))
    used = [i for i in range(len(columns)) if i < len(words) or any(line.cells[i].text for line in lines)]
    return [columns[i] for i in used], len(words), [RowView(v.task, [v.cells[i] for i in used]) for v in lines]


def _forest(name: str, rows: Sequence[Row], against: str) -> list[Chart]:
    bars = []
    for row in rows:
        gain = row.gain if against == "baseline" else row.gain_over_control
        if gain is not None and row.trained:
            label = f"{_task(row.task)} · {_language(row)}"
            label += f" · {encoder_name(row.trained.encoder)}" if _several(rows) else ""
            two = None if gain.standard_error is None else 200 * gain.standard_error
            bars.append(figures.Bar(label, 100 * gain.difference, two))
    if not bars:
        return []
    title = f"Trained − {against}"
    svg = figures.forest(f"{name}-{against}", title, bars, "points of the metric (× 100)")
    caption = "Differences paired by seed; arms are 2 standard errors over seeds. Grey: not clear of zero, or one seed."
    return [chart(title, svg, caption)]


def _tiles(rows: Sequence[Row], results: Sequence[Result]) -> list[Tile]:
    """Mean gain of each task over its target languages: not the language trained on, not development data."""
    sources = {(r.task, r.source_language) for r in results if r.source_language}
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        if row.trained and row.gain and not row.dataset.endswith(":dev") and (row.task, row.language) not in sources:
            groups.setdefault((row.task, row.metric, row.trained.encoder), []).append(row)
    tiles = []
    for (task, metric, encoder), found in groups.items():
        mean = 100 * fmean(r.gain.difference for r in found if r.gain)
        # Over the seeds that the gains are over, so that the three numbers agree.
        before = 100 * fmean(r.gain.before for r in found if r.gain)
        after = 100 * fmean(r.gain.after for r in found if r.gain)
        languages = ", ".join(dict.fromkeys(r.language for r in found))
        name = f"; {encoder_name(encoder)}" if _several(rows) else ""
        all_clear = all(clear(r.gain) for r in found if r.gain)
        tone = ("up" if mean > 0 else "down") if all_clear else ""
        note = f"{metric} {before:.1f} → {after:.1f} over the baseline; {languages}{name}"
        tiles.append(Tile(f"{_task(task)}, mean change", f"{mean:+.1f}", note, tone))
    return tiles[:8]


def results_view(results: Sequence[Result]) -> ResultsView | None:
    """What the page shows of results; None where there are none."""
    rows = build_table(results) or build_table(results, all_metrics=True)
    if not rows:
        return None
    columns, words, lines = _table(rows)
    encoders = sorted({(r.role, encoder_name(r.encoder)) for r in results if r.role != "trivial"})
    protocols = list(dict.fromkeys(r.protocol for r in results))
    notes = [
        "Encoders: " + "; ".join(f"{role}: {name}" for role, name in encoders) + "." if encoders else "",
        "Protocol: " + "; ".join(protocols) + ".",
    ]
    most = max((s.seeds for r in rows for s in (r.baseline, r.control, r.trained) if s), default=0)
    if most < 3:
        notes.append("Fewer than three seeds: read the differences as a hint, not as a finding.")
    return ResultsView(
        caption="Values × 100, mean ± standard deviation over seeds; differences paired by seed, ± 2 standard errors; "
        "where encoders have different seeds, over the shared ones",
        columns=columns,
        words=words,
        rows=lines,
        charts=_forest("forest", rows, "baseline") + _forest("forest", rows, "control"),
        tiles=_tiles(rows, results),
        notes=[n for n in notes if n],
    )
