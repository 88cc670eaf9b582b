"""Results to a table: a row for each task, language and metric; baseline, control and trained encoder side by side."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from statistics import fmean, stdev
from typing import Literal

from tppc.evaluation.results import Result, Role
from tppc.evaluation.significance import Paired, paired_by_seed
from tppc.evaluation.tasks import PRIMARY
from tppc.evaluation.visible import visible, visible_json

Format = Literal["text", "md", "csv", "json"]
_ONCE = -1  # stands for "no seed" where results are paired by seed


@dataclass(frozen=True)
class Stat:
    """One encoder's cell: mean and sample standard deviation (None for one seed) over `seeds` seeds."""

    encoder: str
    mean: float
    sd: float | None
    seeds: int


@dataclass(frozen=True)
class Row:
    """One row. Values are fractions; gains are trained minus baseline, and minus control, paired by seed.

    A cell's mean is over all of its seeds, a gain over the seeds that both encoders have; it is None where they share
    none.
    """

    task: str
    language: str
    metric: str
    dataset: str
    n: int
    trivial: float | None
    baseline: Stat | None
    control: Stat | None
    trained: Stat | None
    gain: Paired | None
    gain_over_control: Paired | None


_Key = tuple[str, str, str, str, str, int]


def build_table(results: Sequence[Result], all_metrics: bool = False) -> list[Row]:
    """Rows from results, in the order in which they first appear.

    Only results on the same data (by digest) under the same protocol share a row. Several trained encoders give a row
    each, beside the same baseline. Of a result that is there twice (same encoder, role and seed) the last counts.

    Args:
        all_metrics: show every metric, not the main one of each task alone.
    """
    trivial: dict[_Key, float] = {}
    cells: dict[tuple[_Key, str], dict[Role, dict[str, dict[int, float]]]] = {}
    for r in results:
        if not all_metrics and r.metric != PRIMARY.get(r.task, r.metric):
            continue
        key = (r.task, r.language, r.metric, r.dataset, r.dataset_digest, r.n)
        if r.role == "trivial":
            trivial[key] = r.value
            continue
        roles = cells.setdefault((key, r.protocol), {})
        roles.setdefault(r.role, {}).setdefault(r.encoder, {})[_ONCE if r.seed is None else r.seed] = r.value
    rows = []
    for (key, _), roles in cells.items():
        columns: list[list[_Cell]] = [
            list(roles.get(role, {}).items()) or [None] for role in ("baseline", "control", "trained")
        ]
        rows += [_row(key, trivial.get(key), *cell) for cell in product(*columns)]
    return rows


_Cell = tuple[str, dict[int, float]] | None


def _row(key: _Key, trivial: float | None, baseline: _Cell, control: _Cell, trained: _Cell) -> Row:
    task, language, metric, dataset, _, n = key

    def gain(before: _Cell) -> Paired | None:
        return paired_by_seed(before[1], trained[1]) if before and trained else None

    return Row(
        task, language, metric, dataset, n, trivial,
        _stat(baseline), _stat(control), _stat(trained), gain(baseline), gain(control),
    )  # fmt: skip


def _stat(cell: _Cell) -> Stat | None:
    if cell is None:
        return None
    values = list(cell[1].values())
    return Stat(cell[0], fmean(values), stdev(values) if len(values) > 1 else None, len(values))


def render(rows: Sequence[Row], how: Format) -> str:
    """The table as `text` (for a terminal), `md`, `csv` (fractions, full precision) or `json` (the rows).

    Control and format characters in names are written out; as JSON's own escapes in `json`, which loses nothing.
    """
    if how == "json":
        return visible_json(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
    if how == "csv":
        return _csv(rows)
    header, cells = _for_people(rows)
    if how == "md":
        lines = [header, ["---"] * 3 + ["---:"] * (len(header) - 3), *cells]
        return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines)
    return _text(header, cells)


def _for_people(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and cells with values in per cent; columns that no row fills are left out."""
    header = ["task", "language", "metric", "trivial", "baseline", "control", "trained", "trained - baseline", "p",
              "trained - control", "p", "seeds", "n"]  # fmt: skip
    lines = []
    for row in rows:
        over_baseline, over_control = row.gain, row.gain_over_control
        language = f"{row.language} (dev)" if row.dataset.endswith(":dev") else row.language
        lines.append(
            [
                row.task, language, row.metric,
                "" if row.trivial is None else f"{100 * row.trivial:.1f}",
                *(_percent(s) for s in (row.baseline, row.control, row.trained)),
                _signed(row, row.baseline, over_baseline), _p(over_baseline),
                _signed(row, row.control, over_control), _p(over_control),
                seeds_of(row), f"{row.n:,}",
            ]
        )  # fmt: skip
    lines = [[visible(cell) for cell in line] for line in lines]
    used = [i for i in range(len(header)) if i < 3 or any(line[i] for line in lines)]
    return [header[i] for i in used], [[line[i] for i in used] for line in lines]


def _percent(stat: Stat | None) -> str:
    if stat is None:
        return ""
    return f"{100 * stat.mean:.1f}" + ("" if stat.sd is None else f" ± {100 * stat.sd:.1f}")


def seeds_of(row: Row) -> str:
    """How many seeds the row's encoders have: `3`, or `2 to 5` where they have not as many."""
    counts = sorted({s.seeds for s in (row.trained, row.baseline, row.control) if s})
    return "" if not counts else str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def shared_seeds(before: Stat | None, after: Stat | None, gain: Paired | None) -> str:
    """Over how many seeds a gain is, where the two encoders have other seeds besides; else nothing.

    The gain is then not the difference of the means that stand beside it.
    """
    if before is None or after is None:
        return ""
    if gain is None:
        return "no shared seed"
    if gain.n == before.seeds == after.seeds:
        return ""
    return f"{gain.n} shared seed{'' if gain.n == 1 else 's'}"


def _signed(row: Row, before: Stat | None, gain: Paired | None) -> str:
    shared = shared_seeds(before, row.trained, gain)
    if gain is None:
        return shared
    error = "" if gain.standard_error is None else f"SE {100 * gain.standard_error:.1f}"
    notes = ", ".join(note for note in (error, shared) if note)
    points = round(100 * gain.difference, 1) + 0.0  # no minus sign before a nought
    return f"{points:+.1f}" + (f" ({notes})" if notes else "")


def _p(gain: Paired | None) -> str:
    if gain is None or gain.p_value is None:
        return ""
    return "<0.001" if gain.p_value < 0.001 else f"{gain.p_value:.3f}"


def _csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = ["task", "language", "metric", "dataset", "n", "trivial"]
    for role in ("baseline", "control", "trained"):
        header += [f"{role}_encoder", role, f"{role}_sd", f"{role}_seeds"]
    for name in ("gain", "gain_over_control"):
        header += [name, f"{name}_se", f"{name}_p", f"{name}_seeds"]
    writer.writerow(header)
    for row in rows:
        line: list[object] = [*map(visible, (row.task, row.language, row.metric, row.dataset)), row.n, row.trivial]
        for stat in (row.baseline, row.control, row.trained):
            line += [visible(stat.encoder), stat.mean, stat.sd, stat.seeds] if stat else [None] * 4
        for gain in (row.gain, row.gain_over_control):
            line += [gain.difference, gain.standard_error, gain.p_value, gain.n] if gain else [None] * 4
        writer.writerow(line)
    return out.getvalue().rstrip("\n")


def _text(header: list[str], cells: list[list[str]]) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i < 3 else "right", no_wrap=True)
    for line in cells:
        table.add_row(*(Text(cell) for cell in line))  # Text: a cell is no markup
    out = io.StringIO()
    # As wide as it needs: a terminal wraps what a pipe must not lose.
    Console(file=out, width=400, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").split("\n"))
