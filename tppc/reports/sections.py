"""From inputs to what the template shows: numbers in their order, charts with their captions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from tppc.corpora.languages import Pair, language
from tppc.corpora.manifest import Funnel, Manifest
from tppc.errors import UsageError
from tppc.reports import figures
from tppc.reports.before_after import Geometry, Panel
from tppc.reports.collect import CorpusInput, Reject, RunInput, flat, series
from tppc.reports.geometry import Distances


@dataclass(frozen=True)
class Chart:
    """A figure of the page: heading, SVG, and one sentence on how to read it."""

    title: str
    svg: Markup
    caption: str


@dataclass(frozen=True)
class FunnelStep:
    """One row of the funnel: `rows` taken out (or kept) at this step, `left` rows after it; shares are of rows read."""

    label: str
    kind: str  # read, rejected, deduplicated, dropped or kept
    rows: int
    left: int
    share: float
    left_share: float


@dataclass(frozen=True)
class Reason:
    """Rejects of one filter: the funnel's count, where it has one, and the rows to read."""

    name: str
    total: int | None
    rows: list[Reject]


@dataclass(frozen=True)
class CorpusView:
    """A corpus as the page shows it."""

    id: str
    manifest: Manifest
    about: str  # its languages, in words
    codes: tuple[str, str]  # language codes of the two sides; empty where it has several pairs
    languages: tuple[str, str]  # what the two sides are called
    kept: int
    steps: list[FunnelStep]
    unaccounted: int
    charts: list[Chart]
    lengths: list[tuple[str, str, dict[str, Any]]]  # split, measure, its numbers
    identified: list[tuple[str, str, list[tuple[str, int]]]]  # split, side, rows by language
    split: str | None
    sample: list[dict[str, Any]]
    reasons: list[Reason]


@dataclass(frozen=True)
class Alarm:
    """One kind of alarm in consecutive lines of the metrics: steps `first` to `last`."""

    first: int
    last: int
    what: str


@dataclass(frozen=True)
class RunView:
    """A run as the page shows it."""

    id: str
    name: str
    facts: list[tuple[str, str]]
    charts: list[Chart]
    alarms: list[Alarm]
    raised: int  # alarms in all lines together
    settings: list[tuple[str, str]]


@dataclass(frozen=True)
class PanelView:
    """Geometry of one corpus: the two halves of the map, then distances."""

    title: str
    split: str
    pairs: int
    map: list[Chart]
    charts: list[Chart]
    table: list[tuple[str, str, Distances]]


@dataclass(frozen=True)
class GeometryView:
    """Geometry of one run."""

    id: str
    run: str
    baseline: str
    panels: list[PanelView]
    notes: list[str]


def chart(title: str, svg: str, caption: str) -> Chart:
    """A chart of an SVG from `figures`, which goes into the page as it is."""
    return Chart(title, Markup(svg), caption)  # made by figures.py, whose labels are escaped as XML


def funnel_steps(funnel: Funnel) -> list[FunnelStep]:
    """The funnel from top to bottom: read, filters by what they took, duplicates, selection rules, kept splits."""
    whole = max(funnel.read, 1)
    left = funnel.read
    steps = [FunnelStep("rows read", "read", left, left, 1.0 if left else 0.0, 1.0 if left else 0.0)]
    taken = [("rejected", name, rows) for name, rows in sorted(funnel.rejected.items(), key=lambda i: (-i[1], i[0]))]
    taken += [("deduplicated", "exact duplicates", funnel.deduplicated)]
    taken += [("dropped", name, rows) for name, rows in sorted(funnel.dropped.items())]
    for kind, name, rows in taken:
        left -= rows
        steps.append(FunnelStep(name, kind, rows, left, rows / whole, max(left, 0) / whole))
    order = {"train": 0, "dev": 1, "test": 2}
    for split, rows in sorted(funnel.kept.items(), key=lambda i: (order.get(i[0], 3), i[0])):
        steps.append(FunnelStep(f"kept: {split}", "kept", rows, rows, rows / whole, rows / whole))
    return steps


def _language_name(code: str) -> str:
    try:
        return language(code).name
    except UsageError:
        return code


def _histogram(label: str, numbers: Any) -> figures.Histogram | None:
    """The histogram of a statistics entry; None where it is missing or not of the manifest's form."""
    found = numbers.get("histogram") if isinstance(numbers, dict) else None
    if not isinstance(found, dict):
        return None
    edges, counts = found.get("edges", []), found.get("counts", [])
    return figures.Histogram(label, edges, counts) if counts and len(edges) == len(counts) + 1 else None


def _length_charts(name: str, pair: Pair, split: str, statistics: dict[str, Any]) -> list[Chart]:
    sides = [
        _histogram(_language_name(pair.src), statistics.get("src_chars")),
        _histogram(_language_name(pair.tgt), statistics.get("tgt_chars")),
    ]
    charts = []
    lengths = [h for h in sides if h]
    if lengths:
        svg = figures.histograms(f"{name}-chars", f"Characters a text, {split}", lengths, "characters")
        charts.append(chart("Length", svg, f"Characters a text, {split}; the longest 0.5% lie beyond the right edge."))
    ratio = _histogram("ratio", statistics.get("ratio"))
    if ratio:
        svg = figures.histograms(f"{name}-ratio", f"Length ratio, {split}", [ratio], "target / source characters")
        charts.append(chart("Length ratio", svg, "Characters of the target for each character of the source."))
    score = _histogram("score", statistics.get("score"))
    if score:
        svg = figures.histograms(f"{name}-score", f"Score of the source, {split}", [score], "score")
        charts.append(chart("Score", svg, "The source's own score of its pairs."))
    return charts


def corpus_view(number: int, one: CorpusInput) -> CorpusView:
    """What the page shows of a corpus."""
    manifest = one.corpus.manifest
    name = f"corpus-{number}"
    pairs = manifest.language_pairs
    lengths, identified, charts = [], [], list[Chart]()
    for pair in pairs:
        splits = {s: v.model_dump(exclude_none=True) for s, v in manifest.statistics.get(str(pair), {}).items()}
        ordered = sorted(splits, key=lambda s: ({"train": 0, "dev": 1, "test": 2}.get(s, 3), s))
        measures = (("src_chars", f"characters, {pair.src}"), ("tgt_chars", f"characters, {pair.tgt}"),
                    ("ratio", "length ratio"), ("score", "score"))  # fmt: skip
        for split in ordered:
            shown, numbers = split if len(pairs) == 1 else f"{split}, {pair}", splits[split]
            lengths += [(shown, label, numbers[key]) for key, label in measures if numbers.get(key)]
            identified += [
                (shown, code, sorted(numbers[key].items(), key=lambda i: (-i[1], i[0]))[:5])
                for key, code in (("src_lid", pair.src), ("tgt_lid", pair.tgt))
                if numbers.get(key)
            ]
        if ordered and not charts:  # a mixture may have a hundred pairs: its first one stands for them
            shown = ordered[0] if len(pairs) == 1 else f"{ordered[0]}, {pair}"
            charts = _length_charts(name, pair, shown, splits[ordered[0]])
    names = [f"{_language_name(p.src)} and {_language_name(p.tgt)}" for p in pairs]
    only = pairs[0] if len(pairs) == 1 else None
    reasons = [Reason(r, manifest.funnel.rejected.get(r), rows) for r, rows in one.rejects.items()]
    return CorpusView(
        id=name,
        manifest=manifest,
        about=names[0] if only else f"{len(pairs)} pairs: {'; '.join(names[:6])}{'; ...' if names[6:] else ''}",
        codes=(only.src, only.tgt) if only else ("", ""),
        languages=(_language_name(only.src), _language_name(only.tgt)) if only else ("Source", "Target"),
        kept=sum(s.rows for s in manifest.shards),
        steps=funnel_steps(manifest.funnel),
        unaccounted=manifest.funnel.unaccounted(),
        charts=charts,
        lengths=lengths,
        identified=identified,
        split=one.split,
        sample=one.sample,
        reasons=sorted(reasons, key=lambda r: (-(r.total or 0), r.name)),
    )


@dataclass(frozen=True)
class _Plot:
    """A chart of a run's metrics: what to draw, what to call it, and how to read it."""

    slug: str
    title: str
    keys: list[tuple[str, ...]]
    labels: list[str]
    ylabel: str
    caption: str


def _plots(objectives: list[str]) -> list[_Plot]:
    # With a single objective the total is that objective times its weight: one line says it all.
    total: list[tuple[str, ...]] = [("loss",)] if len(objectives) != 1 else []
    losses = total + [("losses", o) for o in objectives]
    return [
        _Plot("loss", "Loss", losses, ["total"] * len(total) + objectives, "loss", "Training loss by objective."),
        _Plot("cos", "Cosine of pairs", [("cos_pos",), ("cos_neg",)], ["translations", "other pairs"], "cosine",
              "Mean cosine of translations and of other pairs of a batch: the gap is what TPP learns."),
        _Plot("p1", "P@1 in the batch", [("batch_p_at_1",)], ["P@1"], "share",
              "Share of sources whose nearest target in the batch is their translation."),
        _Plot("lr", "Learning rate", [("lr",)], ["learning rate"], "rate", "As the schedule set it."),
        _Plot("padding", "Padding and masking", [("padding_share",), ("masked_share",)], ["padding", "masked"], "share",
              "Tokens that are padding, as a share of all; negatives masked as possible translations, likewise."),
        _Plot("speed", "Throughput", [("pairs_per_s",)], ["pairs/s"], "pairs/s", "As the trainer logged it."),
        _Plot("scale", "Scale of the logits", [("scale",)], ["scale"], "scale", "What similarities are multiplied by."),
        _Plot("bias", "Bias of the logits", [("bias",)], ["bias"], "bias", "What is added to them."),
    ]  # fmt: skip


def _facts(run: RunInput, alarms: int) -> list[tuple[str, str]]:
    facts = [("steps", f"{run.metrics[-1]['step']:,}" if run.metrics else "0")]
    for label, key, form in (("last loss", "loss", "{:.4f}"), ("last P@1 in the batch", "batch_p_at_1", "{:.3f}")):
        _, values = series(run.metrics, key)
        if values:
            facts.append((label, form.format(values[-1])))
    for label, key in (("median pairs/s", "pairs_per_s"), ("median tokens/s", "tokens_per_s")):
        _, values = series(run.metrics, key)
        if values:
            facts.append((label, f"{float(np.median(values)):,.0f}"))
    _, padding = series(run.metrics, "padding_share")
    if padding:
        facts.append(("mean padding", f"{float(np.mean(padding)):.1%}"))
    return [*facts, ("alarms", f"{alarms:,}")]


def alarms_of(metrics: Sequence[dict[str, Any]]) -> list[Alarm]:
    """The alarms of a run, each kind once for all consecutive lines that raise it, in the order of their beginnings."""
    found: list[Alarm] = []
    open_: dict[str, int] = {}  # kind -> its place in `found`, of those that the line before raised
    for row in metrics:
        step, raised = int(row["step"]), row.get("alarms")
        places = {}
        for what in dict.fromkeys(str(a) for a in raised) if isinstance(raised, list) else ():
            place = open_.get(what, len(found))
            if place == len(found):
                found.append(Alarm(step, step, what))
            else:
                found[place] = Alarm(found[place].first, step, what)
            places[what] = place
        open_ = places
    return found


def run_view(number: int, run: RunInput) -> RunView:
    """What the page shows of a run; a metric that the run does not have makes no chart."""
    name = f"run-{number}"
    raised = [(float(row["step"]), a) for row in run.metrics if isinstance(a := row.get("alarms"), list) and a]
    marks = [step for step, _ in raised]
    count = sum(len(found) for _, found in raised)
    objectives = sorted({str(k) for row in run.metrics if isinstance(row.get("losses"), dict) for k in row["losses"]})
    charts = []
    for plot in _plots(objectives):
        found = []
        for key, label in zip(plot.keys, plot.labels, strict=True):
            steps, values = series(run.metrics, *key)
            if steps:
                found.append(figures.Series(label, steps, values))
        if found:
            shown = marks if plot.slug in ("loss", "cos") else []
            svg = figures.lines(
                f"{name}-{plot.slug}", f"{plot.title}, {run.name}", found, plot.ylabel, marks=shown, floor=0.0
            )
            caption = plot.caption + (" Vertical lines are alarms." if shown else "")
            charts.append(chart(plot.title, svg, caption))
    return RunView(name, run.name, _facts(run, count), charts, alarms_of(run.metrics), count, list(flat(run.config)))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _panel(name: str, one: Panel) -> PanelView:
    source, target = (_language_name(c) for c in one.held_out.languages)
    maps, scatters, changes = [], [], []
    if one.map:
        joint = one.map
        whole = np.concatenate([joint.before.src, joint.before.tgt, joint.after.src, joint.after.tgt])
        for when, sides in (("Before", joint.before), ("After", joint.after)):
            svg = figures.pair_map(f"{name}-map-{when.lower()}", f"{when} training, {one.held_out.pair}", sides, whole,
                                   (source, target))  # fmt: skip
            maps.append(chart(f"{when} training", svg, f"{len(sides.src)} held-out pairs; a line joins translations."))
    table = []
    for found in (one.cosine, one.l2):
        slug, measure = f"{name}-{found.measure.lower()}", found.measure
        svg = figures.scatter(f"{slug}-scatter", f"{measure} distance before and after, {one.held_out.pair}",
                              (found.pairs_before, found.pairs_after), (found.others_before, found.others_after),
                              measure)  # fmt: skip
        below = "A point is a pair; below the diagonal it came nearer."
        scatters.append(chart(f"{_capital(measure)} distance", svg, below))
        others = (found.others_after - found.others_before, found.others) if found.others else None
        pairs = (found.pairs_after - found.pairs_before, found.pairs)
        title = f"Change of {measure} distance, {one.held_out.pair}"
        svg = figures.change_histogram(f"{slug}-change", title, pairs, others, measure)
        changes.append(chart(f"Change of {measure} distance", svg, "Points above: means with their 95% intervals."))
        table.append((measure, "translations", found))
        if found.others:
            table.append((measure, "non-translations", found))
    title = f"{one.held_out.corpus} ({one.held_out.pair})"
    return PanelView(title, one.held_out.split, one.cosine.pairs.n, maps, scatters + changes, table)


def geometry_view(number: int, run: RunInput, found: Geometry) -> GeometryView:
    """What the page shows of a run's geometry."""
    panels = [_panel(f"geometry-{number}-{i}", p) for i, p in enumerate(found.panels, 1)]
    return GeometryView(f"geometry-{number}", run.name, found.baseline, panels, found.notes)


def language_tag(code: str | None) -> str:
    """`code` where it can stand in a `lang` attribute, else nothing."""
    return code if code and re.fullmatch(r"[A-Za-z0-9-]{1,35}", code) else ""
