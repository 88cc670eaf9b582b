"""Results to a table: a row for each task, language and metric; baseline, control and trained encoder side by side."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from statistics import fmean, stdev
from typing import Literal

from tppc.evaluation.compared import Answers, Model, compared, model_of
from tppc.evaluation.drawing import draw
from tppc.evaluation.resampling import Difference, Stratum, holm
from tppc.evaluation.results import Result, Role
from tppc.evaluation.selection import ORACLE
from tppc.evaluation.significance import Paired, paired
from tppc.evaluation.tasks import PRIMARY
from tppc.evaluation.visible import visible, visible_json

Format = Literal["text", "md", "csv", "json", "latex"]
_BEFORE: tuple[Role, Role] = ("baseline", "control")


@dataclass(frozen=True)
class Stat:
    """One encoder's cell: mean and sample standard deviation (None for one value) over `seeds` seeds of `runs` runs."""

    encoder: str
    mean: float
    sd: float | None
    seeds: int
    runs: int = 1
    start: str | None = None
    recipe: str | None = None


@dataclass(frozen=True)
class Row:
    """One row. Values are fractions; gains are trained minus baseline, and minus control, paired by run and seed.

    A cell's mean is over all of its seeds, a gain over the seeds that both encoders have; it is None where they share
    none. `trivial` is the best of the trivial baselines. `test` is the gain by resampling, there where the predictions
    are and the metric is the task's main one. `holm` is the p-value of the gain (of `test`, else of `gain`) after
    Holm's correction over the rows of the table, without those of development data.
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
    protocol: str
    test: Difference | None = None
    test_over_control: Difference | None = None
    holm: float | None = None
    holm_over_control: float | None = None

    @property
    def shown_language(self) -> str:
        """The language with what a reader must know of it: development data, an oracle's selection, dropped labels."""
        parts = ["dev"] if self.dataset.endswith(":dev") else []
        parts += ["no neutral"] if "neutral dropped" in self.dataset else []
        parts += ["oracle"] if ORACLE in self.protocol else []
        return f"{self.language} ({', '.join(parts)})" if parts else self.language


_Key = tuple[str, str, str, str, str, int]
_Cell = tuple[Model, dict[Stratum, float]] | None


def build_table(results: Sequence[Result], all_metrics: bool = False, answers: Answers | None = None) -> list[Row]:
    """Rows from results, in the order in which they first appear.

    Only results on the same data (by digest) under the same protocol share a row, and only encoders that do not say
    that they come from different starts or recipes. Several trained encoders give a row each, beside the same baseline.
    Of a result that is there twice (same encoder, role, run and seed) the last counts.

    Args:
        all_metrics: show every metric, not the main one of each task alone.
        answers: predictions of the same encoders, for tests over sentences and seeds.
    """
    trivial: dict[_Key, float] = {}
    cells: dict[tuple[_Key, str], dict[Role, dict[Model, dict[Stratum, float]]]] = {}
    for r in results:
        if not all_metrics and r.metric != PRIMARY.get(r.task, r.metric):
            continue
        key = (r.task, r.language, r.metric, r.dataset, r.dataset_digest, r.n)
        if r.role == "trivial":
            trivial[key] = max(r.value, trivial.get(key, 0.0))
            continue
        roles = cells.setdefault((key, r.protocol), {})
        roles.setdefault(r.role, {}).setdefault(model_of(r), {})[r.run, r.seed] = r.value
    rows = []
    for (key, protocol), roles in cells.items():
        # Without a baseline of its own start, or a control of its own recipe, a trained encoder stands alone.
        for trained in _or_none(list(roles.get("trained", {}).items())):
            baselines, controls = (
                _or_none([c for c in roles.get(role, {}).items() if _belongs(c, trained)]) for role in _BEFORE
            )
            for baseline, control in product(baselines, controls):
                rows.append(_row(key, protocol, trivial.get(key), baseline, control, trained, answers))
    return _corrected(rows)


def _or_none(cells: Sequence[_Cell]) -> Sequence[_Cell]:
    return cells or [None]


def _belongs(before: _Cell, trained: _Cell) -> bool:
    """Whether a baseline or control may be compared with a trained encoder: nobody says that they are strangers."""
    if before is None or trained is None:
        return True
    one, other = before[0], trained[0]
    same_start = None in (one.start, other.start) or one.start == other.start
    return same_start and (None in (one.recipe, other.recipe) or one.recipe == other.recipe)


def _row(
    key: _Key,
    protocol: str,
    trivial: float | None,
    baseline: _Cell,
    control: _Cell,
    trained: _Cell,
    answers: Answers | None,
) -> Row:
    task, language, metric, dataset, _, n = key

    def gain(before: _Cell) -> Paired | None:
        return paired(before[1], trained[1]) if before and trained else None

    def test(before: _Cell) -> Difference | None:
        if not (answers and before and trained and metric == PRIMARY.get(task)):
            return None
        return compared(answers, before, trained)

    return Row(
        task, language, metric, dataset, n, trivial, _stat(baseline), _stat(control), _stat(trained),
        gain(baseline), gain(control), protocol, test(baseline), test(control),
    )  # fmt: skip


def _stat(cell: _Cell) -> Stat | None:
    if cell is None:
        return None
    model, by_stratum = cell
    values = list(by_stratum.values())
    runs, seeds = ({stratum[i] for stratum in by_stratum} for i in (0, 1))
    sd = stdev(values) if len(values) > 1 else None
    return Stat(model.encoder, fmean(values), sd, len(seeds), len(runs), model.start, model.recipe)


def _corrected(rows: list[Row]) -> list[Row]:
    """The rows with Holm's correction: the gains over baselines are one family, those over controls another."""
    changes: dict[int, dict[str, float]] = {}
    for name, gains in (("holm", ("test", "gain")), ("holm_over_control", ("test_over_control", "gain_over_control"))):
        family = {}
        for number, row in enumerate(rows):
            test, gain = getattr(row, gains[0]), getattr(row, gains[1])
            p_value = test.p_bootstrap if test else gain.p_value if gain else None
            if p_value is not None and not row.dataset.endswith(":dev"):
                family[number] = p_value
        for number, p_value in holm(family).items():
            changes.setdefault(number, {})[name] = p_value
    return [replace(row, **changes.get(number, {})) for number, row in enumerate(rows)]  # type: ignore[arg-type]


def render(rows: Sequence[Row], how: Format) -> str:
    """The table as `text` (for a terminal), `md`, `latex`, `csv` (fractions, full precision) or `json` (the rows).

    Control and format characters in names are written out; as JSON's own escapes in `json`, which loses nothing.
    """
    if how == "json":
        return visible_json(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
    if how == "csv":
        return _csv(rows)
    header, cells = _for_people(rows)
    return draw(
        header, cells, how, words=header.index("metric") + 1 + sum(name in header for name in ("data", "encoder"))
    )


def _for_people(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Header and cells with values in per cent; columns that no row fills are left out."""
    header = ["task", "language", "metric", "data", "encoder", "trivial", "baseline", "control", "trained",
              "trained - baseline", "p", "p (Holm)", "trained - control", "p", "p (Holm)", "runs", "seeds",
              "n"]  # fmt: skip
    lines = []
    for row, apart in zip(rows, _told_apart(rows), strict=True):
        over_baseline, over_control = row.gain, row.gain_over_control
        lines.append(
            [
                row.task, row.shown_language, row.metric, *apart,
                "" if row.trivial is None else f"{100 * row.trivial:.1f}",
                *(_percent(s) for s in (row.baseline, row.control, row.trained)),
                _signed(row, row.baseline, over_baseline), _p(over_baseline, row.test), _said(row.holm),
                _signed(row, row.control, over_control), _p(over_control, row.test_over_control),
                _said(row.holm_over_control), _runs_of(row), seeds_of(row), f"{row.n:,}",
            ]
        )  # fmt: skip
    lines = [[visible(cell) for cell in line] for line in lines]
    used = [i for i in range(len(header)) if i < 3 or any(line[i] for line in lines)]
    return [header[i] for i in used], [[line[i] for i in used] for line in lines]


def _told_apart(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Data and encoder of each row, where rows of the same task, language and metric are of several; else nothing."""
    alike: dict[tuple[str, str, str], tuple[set[str], set[str]]] = {}
    found = []
    for row in rows:
        stat = row.trained or row.control or row.baseline
        key, names = (row.task, row.shown_language, row.metric), (row.dataset, stat.encoder if stat else "")
        for one, some in zip(names, alike.setdefault(key, (set(), set())), strict=True):
            some.add(one)
        found.append((key, names))
    return [
        (data if len(alike[key][0]) > 1 else "", encoder if len(alike[key][1]) > 1 else "")
        for key, (data, encoder) in found
    ]


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
    if gain.unit == "run" or gain.n == before.seeds == after.seeds:
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


def _p(gain: Paired | None, test: Difference | None) -> str:
    """The p-value by resampling, else by seeds."""
    return _said(test.p_bootstrap if test else gain.p_value if gain else None)


def _said(p_value: float | None) -> str:
    if p_value is None:
        return ""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _runs_of(row: Row) -> str:
    """How many pretraining runs there are, where it is more than one."""
    most = max((s.runs for s in (row.trained, row.control) if s), default=1)
    return str(most) if most > 1 else ""


def _csv(rows: Sequence[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header = ["task", "language", "metric", "dataset", "n", "trivial"]
    for role in ("baseline", "control", "trained"):
        header += [f"{role}_encoder", role, f"{role}_sd", f"{role}_seeds"]
    for name in ("gain", "gain_over_control"):
        header += [name, f"{name}_se", f"{name}_p", f"{name}_seeds"]
    for name in ("test", "test_over_control"):
        header += [f"{name}_low", f"{name}_high", f"{name}_p", f"{name}_p_randomised", f"{name}_holm"]
    writer.writerow([*header, "runs", "protocol"])
    for row in rows:
        line: list[object] = [*map(visible, (row.task, row.language, row.metric, row.dataset)), row.n, row.trivial]
        for stat in (row.baseline, row.control, row.trained):
            line += [visible(stat.encoder), stat.mean, stat.sd, stat.seeds] if stat else [None] * 4
        for gain in (row.gain, row.gain_over_control):
            line += [gain.difference, gain.standard_error, gain.p_value, gain.n] if gain else [None] * 4
        for test, adjusted in ((row.test, row.holm), (row.test_over_control, row.holm_over_control)):
            found = [test.low, test.high, test.p_bootstrap, test.p_randomised] if test else [None] * 4
            line += [*found, adjusted]
        writer.writerow([*line, row.trained.runs if row.trained else None, visible(row.protocol)])
    return out.getvalue().rstrip("\n")
