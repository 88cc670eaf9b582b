"""How well filters tell good pairs from bad ones, on a sample whose rows somebody has labelled.

For each filter: how many of the bad rows it refuses (recall), how many of the rows it refuses are bad (precision), and
how many bad rows it alone finds. For each of its numbers, what other values would do. So a user sets thresholds for a
new language with a few hundred labelled pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import ValidationError

from tppc.builders.filters import all_filters
from tppc.builders.filters.agreement import Expected
from tppc.builders.filters.base import Filter, Settings
from tppc.builders.filters.plugins import explain
from tppc.builders.learn import log_ratios, median_ratio
from tppc.builders.normalise import normaliser
from tppc.builders.recipe import Recipe
from tppc.builders.sources.compressed import lines_of
from tppc.corpora.languages import Pair
from tppc.errors import TppcError, UsageError

_GOOD = frozenset({"good", "clean", "ok", "1"})
# What other rows decide, so that no filter can know it.
_NOT_OF_FILTERS = frozenset({"exact_duplicate", "near_duplicate"})
_STEPS = (0.25, 0.5, 0.75, 0.9, 1.1, 1.25, 1.5, 2.0, 4.0)
_QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5)


@dataclass(frozen=True)
class Counts:
    """Rows of a sample that a filter refuses, out of `good` and `bad` ones."""

    good: int
    bad: int
    good_refused: int
    bad_refused: int

    @property
    def precision(self) -> float | None:
        """Share of the refused rows that are bad; None if none is refused."""
        refused = self.good_refused + self.bad_refused
        return self.bad_refused / refused if refused else None

    @property
    def recall(self) -> float:
        """Share of the bad rows that are refused."""
        return self.bad_refused / max(self.bad, 1)

    @property
    def cost(self) -> float:
        """Share of the good rows that are refused."""
        return self.good_refused / max(self.good, 1)


@dataclass(frozen=True)
class Value:
    """One setting of a filter at one value, the others as in the recipe; `alone` as in `Verdict`."""

    setting: str
    value: float
    counts: Counts
    alone: int


@dataclass(frozen=True)
class Verdict:
    """One filter on the sample. `alone` are the bad rows that no other enabled filter refuses."""

    name: str
    enabled: bool
    counts: Counts
    alone: int
    values: list[Value]


@dataclass(frozen=True)
class Tuning:
    """All filters on the sample; `by_kind` is the share of the rows of each label that some enabled filter refuses."""

    pair: str
    verdicts: list[Verdict]
    together: Counts
    by_kind: dict[str, float]
    left_out: int
    suggested: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_truth(path: Path, pair: Pair) -> pl.DataFrame:
    """A labelled sample: columns `src_text`, `tgt_text`, `score` (null where the file has none), `label`.

    The file is a TSV without quoting: `src`, `tgt`, `label` and, if there is one, `score`; a first line with these
    names may stand there. `good` and `clean` mark good pairs, every other label a fault. Or it is a `NAME.truth.tsv` of
    row number (from 0 or 1: that of its first line) and label, beside a `NAME.tsv.gz` or `NAME.tsv` in the layout of
    WikiMatrix (score, then the texts in alphabetical order of the codes).

    Raises `TppcError` for a line that does not fit.
    """
    rows: list[tuple[str, str, float | None, str]] = []
    for number, cells, label in _numbered(path, pair):
        try:
            score = float(cells[2]) if len(cells) > 2 and cells[2] else None
        except ValueError:
            raise TppcError(
                f"{path} line {number}: {cells[2]!r} is no score; the columns are src, tgt, label, score"
            ) from None
        rows.append((cells[0], cells[1], score, label.strip().lower()))
    names = {"src_text": pl.String, "tgt_text": pl.String, "score": pl.Float32, "label": pl.String}
    return pl.DataFrame(rows, schema=names, orient="row")


def _numbered(path: Path, pair: Pair) -> Iterator[tuple[int, list[str], str]]:
    """Line number, [src, tgt, score] and label of each row."""
    lines = [line.split("\t") for line in _text(path)]
    if path.name.endswith(".truth.tsv"):
        stem = path.name.removesuffix(".truth.tsv")
        beside = [p for p in (path.with_name(f"{stem}.tsv.gz"), path.with_name(f"{stem}.tsv")) if p.is_file()]
        if not beside:
            raise TppcError(f"{path}: there is no {stem}.tsv.gz or {stem}.tsv beside it with the pairs")
        codes = [side.wikimatrix for side in pair.languages]
        order = (1, 2) if codes == sorted(codes) else (2, 1)
        pairs = [line.split("\t") for line in _text(beside[0])]
        first = 1 if lines and lines[0][0] == "1" else 0
        for number, cells in enumerate(lines, start=1):
            row = int(cells[0]) - first if len(cells) == 2 and cells[0].isdecimal() else -1
            if not 0 <= row < len(pairs):
                raise TppcError(f"{path} line {number}: not the number of a row of {beside[0].name} and a label")
            given = [*pairs[row], "", ""][:3]
            yield number, [given[order[0]], given[order[1]], given[0]], cells[1]
        return
    for number, cells in enumerate(lines, start=1):
        if number == 1 and [c.lower() for c in cells[:3]] == ["src", "tgt", "label"]:
            continue
        if len(cells) not in (3, 4):
            raise TppcError(
                f"{path} line {number}: {len(cells)} columns; there must be src, tgt, label and maybe score"
            )
        yield number, [cells[0], cells[1], *cells[3:]], cells[2]


def _text(path: Path) -> Iterator[str]:
    try:
        for line in lines_of(path):
            yield line.decode("utf-8", "replace").rstrip("\r\n")
    except OSError as error:
        raise TppcError(f"{path}: cannot read the labelled sample ({error.strerror}); check --truth") from error


def tune(sample: pl.DataFrame, pair: Pair, recipe: Recipe, max_cost: float = 0.001) -> Tuning:
    """Ask every filter about every row of a sample (columns as of `read_truth`).

    Args:
        max_cost: share of the good rows that a suggested value may refuse.

    Raises `UsageError` for a sample without good or without bad rows.
    """
    run = normaliser(recipe.normalise)
    rows = sample.with_columns(
        pl.Series(name, [run(t) for t in sample[name].to_list()], pl.String) for name in ("src_text", "tgt_text")
    )
    kept = rows.filter(~pl.col("label").is_in(list(_NOT_OF_FILTERS)))
    good = kept["label"].is_in(list(_GOOD)).to_numpy()
    if good.all() or not good.any():
        raise UsageError("the sample has only one kind of rows; label some `good`, and others with the name of a fault")
    counts = _Counter(good)
    ratio = median_ratio(dict(log_ratios(kept.filter(pl.Series(good))).value_counts().iter_rows()))
    table = pair.languages[1].length / pair.languages[0].length
    settings = recipe.filters.by_name(ratio or table)
    filters = all_filters(recipe.plugins.filters)
    try:
        refused = {f.name: _refused(kept, f, settings[f.name], pair) for f in filters}
    except Exception as error:
        explain(error, kept, settings, pair, recipe.plugins.filters)
        raise
    on = [name for name in refused if settings[name].enabled]
    how_many = np.sum([refused[name] for name in on], axis=0) if on else np.zeros(len(good), dtype=np.int64)
    verdicts = []
    for one in filters:
        have, mine = settings[one.name], refused[one.name]
        missed = ~good & (how_many - (mine if have.enabled else 0) == 0)  # by all the others
        values = []
        for name, value, changed in _other_values(have, kept):
            there = _refused(kept, one, changed, pair)
            values.append(Value(name, value, counts(there), int((there & missed).sum())))
        verdicts.append(Verdict(one.name, have.enabled, counts(mine), int((mine & missed).sum()), values))
    dropped = pl.Series(how_many > 0)
    kinds = kept.select("label").with_columns(dropped=dropped).group_by("label").agg(pl.col("dropped").mean())
    return Tuning(
        str(pair),
        verdicts,
        counts(how_many > 0),
        dict(sorted(kinds.iter_rows())),
        len(rows) - len(kept),
        _suggest(verdicts, max_cost),
    )


class _Counter:
    """Counts what of the good and the bad rows is refused."""

    def __init__(self, good: NDArray[np.bool_]) -> None:
        self.good = good

    def __call__(self, refused: NDArray[np.bool_]) -> Counts:
        bad = ~self.good
        return Counts(
            int(self.good.sum()), int(bad.sum()), int((refused & self.good).sum()), int((refused & bad).sum())
        )


def _refused(rows: pl.DataFrame, one: Filter, settings: Settings, pair: Pair) -> NDArray[np.bool_]:
    found = rows.with_columns(found=one.reject(settings, pair))["found"]
    return found.fill_null(False).to_numpy().astype(np.bool_)


def _other_values(settings: Settings, rows: pl.DataFrame) -> Iterator[tuple[str, float, Settings]]:
    """Each number of a filter at other values than its own, as far as it allows them, in order."""
    for name, about in type(settings).model_fields.items():
        have = getattr(settings, name)
        if name == "enabled" or (isinstance(settings, Expected) and name == "target_per_source"):
            continue
        if isinstance(have, (int, float)):
            whole = isinstance(have, int)
            # A limit just above 1 (a ratio) has its room above 1.
            around = [1 + (have - 1) * s for s in _STEPS] if _above_one(about.metadata) else [have * s for s in _STEPS]
            values = {round(v) if whole else round(v, 3) for v in around} - {have} if have else {1, 2, 3}
        elif have is None:
            values = _from_data(name, rows)
        else:
            continue
        for value in sorted(values):
            try:
                yield name, value, type(settings).model_validate({**settings.model_dump(), name: value})
            except ValidationError:
                continue  # outside what the filter allows


def _above_one(limits: Sequence[Any]) -> bool:
    return any(getattr(limit, "gt", None) == 1 or getattr(limit, "ge", None) == 1 for limit in limits)


def _from_data(name: str, rows: pl.DataFrame) -> set[float]:
    """Values for a limit that is unset: of the sources' scores, or round numbers of characters."""
    scores = rows["score"].drop_nulls()
    if name in ("min", "max") and len(scores):
        shares = _QUANTILES if name == "min" else tuple(1 - q for q in _QUANTILES)
        return {round(float(scores.quantile(q) or 0), 3) for q in shares}
    return {20, 30, 40, 60, 80} if name.endswith("_chars") else set()


def _suggest(verdicts: Sequence[Verdict], max_cost: float) -> dict[str, dict[str, Any]]:
    """For each enabled filter the one number whose other value finds more bad rows that all other filters miss, at no
    more than `max_cost` of the good rows.

    A filter that costs more than that as it is gets the value that keeps most of what it finds, or is switched off.
    """
    found: dict[str, dict[str, Any]] = {}
    for verdict in (v for v in verdicts if v.enabled):
        too_dear = verdict.counts.cost > max_cost
        fitting = [v for v in verdict.values if v.counts.cost <= max_cost and (too_dear or v.alone > verdict.alone)]
        if fitting:
            best = max(fitting, key=lambda v: (v.alone, v.counts.bad_refused, -v.counts.good_refused))
            found[verdict.name] = {best.setting: best.value}
        elif too_dear:
            found[verdict.name] = {"enabled": False}
    return found
