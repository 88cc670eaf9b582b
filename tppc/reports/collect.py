"""Read what a report is about: corpus folders, run folders and results files.

Everything here comes from files that people hand round, so each is checked and an error names the file, the line and
the remedy. Nothing of a corpus is read whole: a handful of rows, the rejects that are shown, the held-out pairs that
are drawn.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import itertools
import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tppc.corpora.corpus import Corpus
from tppc.corpora.manifest import NAME
from tppc.errors import TppcError, UsageError
from tppc.training.tracking import read_metrics

if TYPE_CHECKING:
    from tppc.evaluation.results import Result

SAMPLE_ROWS = 12
REJECTS_PER_REASON = 20
_SAMPLE_COLUMNS = ["src_text", "tgt_text", "source", "source_id", "score", "licence", "src_lang", "tgt_lang"]


@dataclass(frozen=True)
class Reject:
    """A row that a filter refused. `raw` is the bytes of an unreadable row as text, bad bytes as `\\xNN`."""

    reason: str
    source_id: str
    src_text: str | None
    tgt_text: str | None
    raw: str | None
    detail: str | None


@dataclass(frozen=True)
class CorpusInput:
    """A corpus, the first rows of its train split (rows are in key order, so they are a random sample), its rejects."""

    corpus: Corpus
    split: str | None
    sample: list[dict[str, Any]]
    rejects: dict[str, list[Reject]]


@dataclass(frozen=True)
class RunInput:
    """A run folder: its resolved config and its metrics, one dictionary a step in order of steps."""

    path: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name


@dataclass(frozen=True)
class Inputs:
    """Everything a report is about, in the order given."""

    corpora: list[CorpusInput]
    runs: list[RunInput]
    results: list[Result]


def _kind(path: Path) -> str:
    """`corpus`, `run` or `results`; raises `UsageError` for anything else."""
    wanted = f"give a corpus folder ({NAME}), a run folder (config.toml and metrics.jsonl) or a results .jsonl"
    if path.is_dir():
        if (path / NAME).is_file():
            return "corpus"
        has = [n for n in ("config.toml", "metrics.jsonl") if (path / n).is_file()]
        if len(has) == 2:
            return "run"
        if has:
            missing = "metrics.jsonl" if has == ["config.toml"] else "config.toml"
            raise UsageError(f"{path}: a run without {missing}; let `tppc train` write its first step, or {wanted}")
        if (path / "data").is_dir():
            raise UsageError(f"{path}: a corpus folder without {NAME} is unfinished; run the same `tppc build` again")
        raise UsageError(f"{path}: neither a corpus nor a run; {wanted}")
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; {wanted}")
    if path.name == "metrics.jsonl":
        raise UsageError(f"{path}: these are the metrics of a run; give the run folder that holds them")
    if path.suffix != ".jsonl":
        raise UsageError(f"{path}: neither a corpus, a run nor results; {wanted}")
    return "results"


def _rejects(path: Path) -> dict[str, list[Reject]]:
    """The first rejects of each reason, reasons in alphabetical order; empty where the corpus has no such file."""
    found: dict[str, list[Reject]] = {}
    if not path.is_file():
        return found
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for text in file:
                number += 1
                row = json.loads(text)
                shown = found.setdefault(str(row["reason"]), [])
                if len(shown) < REJECTS_PER_REASON:
                    raw = row.get("raw")
                    readable = None if raw is None else base64.b64decode(raw).decode("utf-8", "backslashreplace")
                    source_id = str(row.get("source_id") or "")
                    texts = row.get("src_text"), row.get("tgt_text"), readable, row.get("detail")
                    shown.append(Reject(str(row["reason"]), source_id, *texts))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        where = f"{path}, line {max(number, 1)}"
        raise TppcError(f"{where}: not a reject ({error}); fetch or build the corpus again") from error
    return dict(sorted(found.items()))


def _corpus(path: Path) -> CorpusInput:
    import polars as pl

    corpus = Corpus(path)
    split = next((s for s in ("train", "dev", "test") if corpus.rows(s)), None)
    sample: list[dict[str, Any]] = []
    if split:
        try:
            sample = corpus.scan(split).select(_SAMPLE_COLUMNS).head(SAMPLE_ROWS).collect().to_dicts()
        except (pl.exceptions.PolarsError, OSError) as error:
            first = str(error).splitlines()[0]
            raise TppcError(f"{path}: its {split} shards cannot be read ({first}); fetch or build it again") from error
    return CorpusInput(corpus, split, sample, _rejects(path / "rejects.jsonl.gz"))


def _run(path: Path) -> RunInput:
    config_path = path / "config.toml"
    try:
        config = tomllib.loads(config_path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TppcError(f"{config_path}: not TOML ({error}); restore the file that `tppc train` wrote") from error
    return RunInput(path, config, read_metrics(path))


def collect(paths: Sequence[Path]) -> Inputs:
    """Read all `paths`; a run's own `results.jsonl` is read with it, and a result given twice counts once.

    Raises `UsageError` for a path that is no corpus, run or results file, `TppcError` for one that cannot be read.
    """
    if not paths:
        raise UsageError("nothing to report on: give corpus folders, run folders or results files")
    corpora, runs, files = [], [], []
    for path, kind in [(p, _kind(p)) for p in dict.fromkeys(paths)]:
        if kind == "corpus":
            corpora.append(_corpus(path))
        elif kind == "run":
            runs.append(_run(path))
            if (path / "results.jsonl").is_file():
                files.append(path / "results.jsonl")
        else:
            files.append(path)
    results: list[Result] = []
    if files:
        from tppc.evaluation.results import read_results

        results = list({r.model_dump_json(): r for r in read_results(list(dict.fromkeys(files)))}.values())
    return Inputs(corpora, runs, results)


def series(metrics: Sequence[dict[str, Any]], *keys: str) -> tuple[list[float], list[float]]:
    """Steps and values of one metric (`("losses", "tpp")` for a nested one), where it is a finite number."""
    steps, values = [], []
    for row in metrics:
        value: Any = row
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            steps.append(float(row["step"]))
            values.append(float(value))
    return steps, values


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A config tree as dotted names and values as TOML would write them, in the file's order; tables after values."""
    tables = []
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            tables.append(flat(value, f"{name}."))
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            tables += [flat(v, f"{name}[{i}].") for i, v in enumerate(value)]
        else:
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    yield from itertools.chain.from_iterable(tables)
