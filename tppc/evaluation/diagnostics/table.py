"""Diagnostics as a table: a row for each measure and layer, the encoders side by side, before and after."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from tppc.evaluation.diagnostics.diagnose import Measured
from tppc.evaluation.drawing import Drawing, draw
from tppc.evaluation.results import Role
from tppc.evaluation.significance import paired_bootstrap
from tppc.evaluation.visible import visible, visible_json

Format = Literal["text", "md", "csv", "json"]
_ROLES: tuple[Role, ...] = ("trivial", "baseline", "control", "trained")
_LAYERED = ("cka", "cka others", "cosine gap", "p@1", "language probe")
_FRACTIONS = ("p@1", "p@1 centred", "language probe", "own language nearest", "own language nearest centred")


@dataclass(frozen=True)
class Row:
    """One measure of one layer (None: the encoder as it is read), by role; None where a role was not measured.

    `gain` is trained minus baseline; `low` and `high` are the 95% interval of a paired bootstrap over pairs, where the
    measure is a mean over pairs.
    """

    measure: str
    layer: int | None
    dataset: str
    n: int
    trivial: float | None
    baseline: float | None
    control: float | None
    trained: float | None
    gain: float | None
    low: float | None
    high: float | None


def build_rows(measured: Sequence[Measured]) -> list[Row]:
    """Rows of diagnostics, those of encoders as they are read first, then measure by measure, layer by layer."""
    cells: dict[tuple[str, int | None, str, str], dict[Role, Measured]] = {}
    places: dict[str, int] = {}  # of measures and data, in the order of the encoders' own
    for one in measured:
        d = one.diagnostic
        cells.setdefault((d.measure, d.layer, d.dataset, d.dataset_digest), {})[d.role] = one
        if d.role != "trivial":
            places.setdefault(d.measure, len(places))
            places.setdefault(d.dataset_digest, len(places))

    def place(key: tuple[str, int | None, str, str]) -> tuple[int, bool, int, int]:
        return places[key[3]], key[1] is not None, places[key[0]], key[1] or 0

    return [_row(key, cells[key]) for key in sorted(cells, key=place)]


def _row(key: tuple[str, int | None, str, str], roles: dict[Role, Measured]) -> Row:
    values = {role: roles[role].diagnostic.value if role in roles else None for role in _ROLES}
    before, after = roles.get("baseline"), roles.get("trained")
    gain = low = high = None
    if before is not None and after is not None:
        gain = after.diagnostic.value - before.diagnostic.value
        if before.items is not None and after.items is not None:
            test = paired_bootstrap(before.items, after.items)
            low, high = test.low, test.high
    any_role = next(iter(roles.values())).diagnostic
    return Row(
        key[0], key[1], key[2], any_role.n,
        values["trivial"], values["baseline"], values["control"], values["trained"], gain, low, high,
    )  # fmt: skip


def render_rows(rows: Sequence[Row], how: Format) -> str:
    """The table as `csv` or `json` (every row, full precision), or for people as `text` or `md`: one table of the
    encoders as they are read, one by layer, with P@1 and probes in per cent.
    """
    if how == "json":
        return visible_json(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2))
    if how == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**asdict(row), "dataset": visible(row.dataset)} for row in rows)
        return out.getvalue().rstrip("\n")
    tables = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        own = [row for row in rows if row.dataset == dataset]
        tables.append(f"{visible(dataset)}, {own[0].n:,} pairs, as the encoders are read:")
        tables.append(_whole([row for row in own if row.layer is None], how))
        if layers := [row for row in own if row.layer is not None]:
            arrow = "baseline > trained" if any(row.gain is not None for row in layers) else "layer by layer"
            tables.append(f"{visible(dataset)}, {arrow}:")
            tables.append(_by_layer(layers, how))
    return "\n\n".join(tables)


def _whole(rows: Sequence[Row], how: Drawing) -> str:
    """A row for each measure of the encoders as they are read."""
    header = ["measure", "trivial", "baseline", "control", "trained", "trained - baseline", "95% interval"]
    lines = []
    for row in rows:
        cells = [_shown(row, value) for value in (row.trivial, row.baseline, row.control, row.trained)]
        interval = "" if row.low is None else f"{_shown(row, row.low, '+')} to {_shown(row, row.high, '+')}"
        lines.append([visible(row.measure), *cells, _shown(row, row.gain, "+"), interval])
    used = [i for i in range(len(header)) if i == 0 or any(line[i] for line in lines)]
    return draw([header[i] for i in used], [[line[i] for i in used] for line in lines], how, 1)


def _by_layer(rows: Sequence[Row], how: Drawing) -> str:
    """A row for each layer, a column for each measure: before and after, or the one encoder there is."""
    cells = {(row.layer, row.measure): row for row in rows}
    measures = [name for name in _LAYERED if any(row.measure == name for row in rows)]
    lines = []
    for layer in sorted({row.layer for row in rows if row.layer is not None}):
        line = [str(layer)]
        for name in measures:
            row = cells[layer, name]
            both = [_shown(row, value) for value in (row.baseline, row.trained)]
            line.append(" > ".join(one for one in both if one) or _shown(row, row.control))
        lines.append(line)
    return draw(["layer", *measures], lines, how, 0)


def _shown(row: Row, value: float | None, sign: str = "") -> str:
    if value is None:
        return ""
    if row.measure in _FRACTIONS:
        return f"{100 * value:{sign}.1f}"
    return f"{value:{sign}.3f}"
