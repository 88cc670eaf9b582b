"""`write_report`: from paths to the page. The whole of `tppc report` is this one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tppc.corpora.files import write_bytes
from tppc.errors import TppcError, UsageError
from tppc.reports.before_after import geometry
from tppc.reports.collect import collect
from tppc.reports.comparison import results_view
from tppc.reports.page import render
from tppc.reports.sections import corpus_view, geometry_view, run_view


def write_report(paths: Sequence[str | Path], out: str | Path, baseline: str | None = None) -> Path:
    """Write one self-contained HTML page about corpora, runs and results.

    Args:
        paths: corpus folders, run folders and results `.jsonl` files, in the order in which they are shown.
        out: the page; written complete or not at all, over one that was there.
        baseline: the encoder to compare each run with; None takes what the run started from.

    Returns `out`. Raises `UsageError` for a path that is none of the three, `TppcError` for one that cannot be read or
    a page that cannot be written.
    """
    inputs = collect([Path(p) for p in paths])
    target = Path(out)
    if target.is_dir():
        raise UsageError(f"{target}: a folder; give the name of the page, such as {target / 'report.html'}")
    if baseline is not None and not inputs.runs:
        raise UsageError(f"--baseline {baseline} without a run to compare: give a run folder too")
    page = render(
        corpora=[corpus_view(i, c) for i, c in enumerate(inputs.corpora, 1)],
        runs=[run_view(i, r) for i, r in enumerate(inputs.runs, 1)],
        geometries=[geometry_view(i, r, geometry(r, inputs.corpora, baseline)) for i, r in enumerate(inputs.runs, 1)],
        results=results_view(inputs.results),
        results_read=len(inputs.results),
    )
    try:
        write_bytes(target, page.encode("utf-8"))
    except OSError as error:
        raise TppcError(f"{target}: cannot be written ({error.strerror}); choose another place with --out") from error
    return target
