"""The report's figures: pure functions from numbers to an SVG element.

Each takes a `name` (the id, unique in the page) and a `title`, writes its own description from the numbers, and is
narrow enough (about 310 points) that its text stays readable on a phone; the page sets several side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tppc.evaluation.visible import visible
from tppc.reports.geometry import Change, Matrix, Sides
from tppc.reports.svg import ALARM, INK, LINE, MUTED, SERIES, theme, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (4.3, 2.75)  # inches of 72 points
_SQUARE = (4.3, 3.9)
_POINTS = 300  # of a line; more would be finer than a screen
_LABEL = 30  # characters; longer ones would leave the axes no room
_MARKS = 100  # most spans of marked steps, each then about 3 points wide


@dataclass(frozen=True)
class Series:
    """One line: a label and n points."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Histogram:
    """Counts of n bins between n + 1 edges."""

    label: str
    edges: Sequence[float]
    counts: Sequence[float]


@dataclass(frozen=True)
class Bar:
    """One row of the forest figure: a difference and twice its standard error (None: a single seed)."""

    label: str
    delta: float
    two_se: float | None


def _axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    return figure, figure.add_subplot()


def _legend(axes: Axes, count: int, **more: Any) -> None:
    """A legend above the axes where there is more than one thing to tell apart; long labels go below each other."""
    if count > 1:
        handles, labels = axes.get_legend_handles_labels()
        handles, labels = handles[: len(SERIES)], labels[: len(SERIES)]  # after these the colours begin again
        title = f"and {count - len(SERIES)} more" if count > len(SERIES) else None
        columns = 1 if any(len(label) > 16 for label in labels) else min(count, 3)
        axes.legend(handles, labels, title=title, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns,
                    borderaxespad=0.2, handlelength=1.4, columnspacing=1.2, **more)  # fmt: skip


def shortened(label: str) -> str:
    """`visible(label)` of at most 30 characters: of a longer one the beginning and the end."""
    text = visible(label)
    head = (_LABEL - 1) // 2
    return text if len(text) <= _LABEL else f"{text[:head]}…{text[head + 1 - _LABEL :]}"


def spans(marks: Sequence[float], extent: float) -> list[tuple[float, float]]:
    """Marked steps as (first, last), those nearer to each other than a hundredth of `extent` in one."""
    found: list[tuple[float, float]] = []
    for mark in sorted(marks):
        if found and mark - found[-1][1] <= extent / _MARKS:
            found[-1] = (found[-1][0], mark)
        else:
            found.append((mark, mark))
    return found


def _mark(axes: Axes, marks: Sequence[float], series: Sequence[Series]) -> None:
    """A vertical line at each marked step, a band over those too near to be told apart."""
    steps = [*marks, *(x for one in series for x in (one.x[0], one.x[-1]))]
    for first, last in spans(marks, max(steps) - min(steps)):
        if first == last:
            axes.axvline(first, color=ALARM, linewidth=0.8, alpha=0.5)
        else:
            axes.axvspan(first, last, color=ALARM, alpha=0.2, linewidth=0.8)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def thinned(x: Sequence[float], y: Sequence[float], points: int = _POINTS) -> tuple[Matrix, Matrix]:
    """Means of at most `points` equal runs of a line, so that a long run makes no large page."""
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(xs) <= points:
        return xs, ys
    cuts = np.linspace(0, len(xs), points + 1).astype(int)
    sizes = np.diff(cuts)
    return np.add.reduceat(xs, cuts[:-1]) / sizes, np.add.reduceat(ys, cuts[:-1]) / sizes


def lines(
    name: str,
    title: str,
    series: Sequence[Series],
    ylabel: str,
    *,
    marks: Sequence[float] = (),
    floor: float | None = None,
) -> str:
    """Lines over training steps; `marks` are steps with an alarm, `floor` a value the y axis must show."""
    parts = []
    with theme():
        from matplotlib.ticker import MaxNLocator

        figure, axes = _axes(_SIZE)
        if marks:
            _mark(axes, marks, series)
        for i, one in enumerate(series):
            x, y = thinned(one.x, one.y)
            marker = "o" if len(x) == 1 else None
            axes.plot(x, y, color=SERIES[i % len(SERIES)], label=shortened(one.label), marker=marker)
            parts.append(f"{one.label} goes from {_number(one.y[0])} at step {_number(one.x[0])} "
                         f"to {_number(one.y[-1])} at step {_number(one.x[-1])}")  # fmt: skip
        if floor is not None:
            low, high = axes.get_ylim()
            axes.set_ylim(min(low, floor), max(high, floor))
        axes.set_xlabel("step")
        axes.set_ylabel(ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(visible=False, axis="x")
        _legend(axes, len(series))
        if marks:
            parts.append(f"steps with an alarm: {len(marks)}")
        return to_svg(figure, name, title, "; ".join(parts) + ".")


def density(edges: Matrix, counts: Matrix) -> Matrix:
    """Share by width of n bins between n + 1 edges: heights that compare between histograms of other bins."""
    widths = np.diff(edges)
    heights: Matrix = counts / counts.sum() / np.where(widths == 0, 1, widths)
    return heights


def histograms(name: str, title: str, bars: Sequence[Histogram], xlabel: str) -> str:
    """Overlaid histograms as densities; the last 0.5% is cut off."""
    parts, right, left = [], -np.inf, np.inf
    with theme():
        figure, axes = _axes(_SIZE)
        for i, one in enumerate(bars):
            edges, counts = np.asarray(one.edges, dtype=np.float64), np.asarray(one.counts, dtype=np.float64)
            total = counts.sum()
            if total == 0:
                continue
            share = density(edges, counts)
            colour = SERIES[i % len(SERIES)]
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.28)
            axes.stairs(share, edges, color=colour, linewidth=1.3, label=shortened(one.label))
            last = int(np.searchsorted(np.cumsum(counts), 0.995 * total))
            right, left = max(right, edges[min(last, len(counts) - 1) + 1]), min(left, edges[np.flatnonzero(counts)[0]])
            mode = int(np.argmax(share))
            common = f"{_number(edges[mode])} to {_number(edges[mode + 1])}"
            parts.append(f"{one.label}: {int(total):,} pairs, most often {common}")
            axes.set_ylabel("density")
        if parts:
            # From zero where that wastes little of the width; a score between 1.0 and 1.3 gets the width to itself.
            axes.set_xlim(0.0 if 0 <= left < 0.4 * right else left, right)
        axes.set_xlabel(xlabel)
        axes.grid(visible=False, axis="x")
        _legend(axes, len(bars))
        return to_svg(figure, name, title, "; ".join(parts) + "." if parts else "No rows.")


def scatter(name: str, title: str, pairs: tuple[Matrix, Matrix], others: tuple[Matrix, Matrix], measure: str) -> str:
    """Distance before (x) against after (y) on equal axes; points below the diagonal came nearer.

    `pairs` and `others` are (before, after) of translations and of non-translations, each [n].
    """
    with theme():
        figure, axes = _axes(_SQUARE)
        parts = []
        groups = (("non-translations", others, SERIES[1], "s"), ("translations", pairs, SERIES[0], "o"))
        values = np.concatenate([*pairs, *others])
        low, high = float(values.min()), float(values.max())
        pad = 0.04 * (high - low or 1.0)
        limits = (low - pad, high + pad)
        axes.plot(limits, limits, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        for label, (before, after), colour, marker in groups:
            if len(before):
                axes.scatter(before, after, s=9, color=colour, alpha=0.5, linewidths=0, marker=marker, label=label)
                parts.append(f"{int((after < before).sum())} of {len(before)} {label} are nearer after training")
        axes.set_xlim(limits)
        axes.set_ylim(limits)
        axes.set_aspect("equal")
        axes.set_xlabel(f"{measure} distance before")
        axes.set_ylabel(f"{measure} distance after")
        _legend(axes, 2, markerscale=1.8)
        return to_svg(figure, name, title, "; ".join(parts) + ".")


def change_histogram(
    name: str, title: str, pairs: tuple[Matrix, Change], others: tuple[Matrix, Change] | None, measure: str
) -> str:
    """Histogram of `after - before` [n] of both groups, with the mean of each and its 95% interval above it."""
    groups = [("translations", pairs, SERIES[0])] + ([("non-translations", others, SERIES[1])] if others else [])
    with theme():
        figure, axes = _axes(_SIZE)
        everything = np.concatenate([delta for _, (delta, _), _ in groups])
        spread = float(np.ptp(everything)) or 1.0
        edges = np.linspace(everything.min() - 0.01 * spread, everything.max() + 0.01 * spread, 41)
        parts, top = [], 0.0
        for label, (delta, _), colour in groups:
            counts, _ = np.histogram(delta, edges)
            share = counts / len(delta)
            top = max(top, float(share.max()))
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.28)
            axes.stairs(share, edges, color=colour, linewidth=1.3, label=label)
        for i, (label, (_, one), colour) in enumerate(groups):
            height = top * (1.08 + 0.09 * i)
            arms = [[one.mean - one.low], [one.high - one.mean]]
            axes.errorbar([one.mean], [height], xerr=arms, color=colour, fmt="o", markersize=4, capsize=3)
            parts.append(f"mean change of {label} {one.mean:+.3f}, 95% interval {one.low:+.3f} to {one.high:+.3f}")
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_ylim(0, top * 1.28)
        axes.set_xlabel(f"change of {measure} distance (after − before)")
        axes.set_ylabel("share")
        axes.grid(visible=False, axis="x")
        _legend(axes, len(groups))
        return to_svg(figure, name, title, "; ".join(parts) + ".")


def pair_map(name: str, title: str, sides: Sides, whole: Matrix, languages: tuple[str, str]) -> str:
    """One panel of the joint t-SNE map: n sources, n targets, a line between translations.

    `whole` holds the coordinates of both panels, [m, 2], so that both have the same limits.
    """
    from matplotlib.collections import LineCollection

    with theme():
        figure, axes = _axes(_SQUARE)
        axes.add_collection(LineCollection([np.stack(p) for p in zip(sides.src, sides.tgt, strict=True)], colors=MUTED,
                                           linewidths=0.7, alpha=0.6))  # fmt: skip
        for points, label, colour, marker in zip((sides.src, sides.tgt), languages, SERIES, "os", strict=False):
            x, y = points[:, 0], points[:, 1]
            axes.scatter(x, y, s=16, color=colour, label=shortened(label), marker=marker, linewidths=0, zorder=3)
        low, high = whole.min(axis=0), whole.max(axis=0)
        middle, half = (low + high) / 2, 0.53 * float((high - low).max() or 1.0)
        axes.set_xlim(middle[0] - half, middle[0] + half)
        axes.set_ylim(middle[1] - half, middle[1] + half)
        axes.set_aspect("equal")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in ("top", "right", "left", "bottom"):
            axes.spines[side].set_visible(True)
            axes.spines[side].set_color(LINE)
        _legend(axes, 2, markerscale=1.4)
        description = f"{len(sides.src)} pairs of {languages[0]} and {languages[1]} as points in a plane"
        return to_svg(figure, name, title, description + "; a line joins the two sides of each pair.")


def forest(name: str, title: str, bars: Sequence[Bar], xlabel: str) -> str:
    """Differences as points with +-2 standard errors, one a row, around a line at zero."""
    with theme():
        figure, axes = _axes((4.9, 0.75 + 0.3 * len(bars)))
        parts = []
        for i, bar in enumerate(bars):
            y = len(bars) - 1 - i
            clear = bar.two_se is not None and abs(bar.delta) > bar.two_se
            colour = (SERIES[2] if bar.delta > 0 else ALARM) if clear else MUTED
            axes.errorbar([bar.delta], [y], xerr=bar.two_se, color=colour, fmt="o", markersize=5, capsize=3)
            parts.append(f"{bar.label} {bar.delta:+.3f}" + ("" if bar.two_se is None else f" ± {bar.two_se:.3f}"))
        axes.axvline(0, color=INK, linewidth=0.9)
        axes.set_yticks(range(len(bars)), [shortened(bar.label) for bar in reversed(bars)])
        for label in axes.get_yticklabels():
            label.set_color(INK)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.set_ylim(-0.6, len(bars) - 0.4)
        axes.set_xlabel(xlabel)
        return to_svg(figure, name, title, "; ".join(parts) + "." if parts else "No differences.")
