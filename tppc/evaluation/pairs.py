"""Pairs of texts to evaluate on: a corpus's held-out split, a file of pairs, or two line-aligned files.

A file of pairs is TSV (source and target in the first two columns; a first line that names both languages is a
header), JSON lines or Parquet, told by its ending, else by its first bytes. JSON lines and Parquet name their columns
after the languages (`en`, `hi`), `src_text` and `tgt_text` as a corpus does, `src` and `tgt`, `sentence1` and
`sentence2`, or hold `translation` with an entry for each language, as Hugging Face's translation data does. Texts are
taken as they stand; an empty one, or a line that is no pair, is an error with file and line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tppc.corpora.files import COMPRESSED, DAMAGED, open_compressed, sha256_of_value
from tppc.corpora.keys import side_keys
from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.lines import malformed, numbered_lines

if TYPE_CHECKING:
    from tppc.corpora.corpus import Corpus
    from tppc.corpora.languages import Pair

_ENDINGS = {".tsv": "tsv", ".tab": "tsv", ".txt": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
            ".parquet": "parquet", ".pq": "parquet"}  # fmt: skip
_NAMES = (("src_text", "tgt_text"), ("src", "tgt"), ("sentence1", "sentence2"))
_HOLDS = "one text for each side"


@dataclass(frozen=True)
class Pairs:
    """n pairs to search, row i of one side belonging to row i of the other; keys are int64 of shape (n,)."""

    name: str
    digest: str
    src_lang: str
    tgt_lang: str
    src: list[str]
    tgt: list[str]
    src_key: np.ndarray
    tgt_key: np.ndarray

    def take(self, rows: np.ndarray, name: str) -> Pairs:
        """The pairs of these row numbers, under another name."""
        src, tgt = [self.src[i] for i in rows], [self.tgt[i] for i in rows]
        return replace(
            self,
            name=name,
            digest=sha256_of_value([src, tgt]),
            src=src,
            tgt=tgt,
            src_key=self.src_key[rows],
            tgt_key=self.tgt_key[rows],
        )


def load_pairs(corpus: Corpus, split: str = "test", limit: int | None = None, pair: Pair | None = None) -> Pairs:
    """The pairs of a corpus's split, at most the first `limit` (a corpus's order is random already).

    Args:
        pair: which language pair of a mixture that has several.

    Raises `TppcError` for a split that is not there, is empty, or whose shards were changed; `UsageError` for a limit
    below 1.
    """
    _check_limit(limit)
    corpus.check_shards(split)
    frame = corpus.scan(split, pair).select("src_text", "tgt_text", "src_key", "tgt_key")
    rows = (frame.head(limit) if limit else frame).collect()
    if not len(rows):
        raise TppcError(f"{corpus.path}: its {split} split is empty; build it with --holdout dev=N,test=N")
    src, tgt = rows["src_text"].to_list(), rows["tgt_text"].to_list()
    own = pair or corpus.pair
    of = f" {pair}" if pair is not None and len(corpus.pairs) > 1 else ""
    return Pairs(
        name=f"{corpus.name}:{split}{of}" + (f" (first {limit})" if limit and limit == len(rows) else ""),
        digest=sha256_of_value([src, tgt]),
        src_lang=own.src,
        tgt_lang=own.tgt,
        src=src,
        tgt=tgt,
        src_key=rows["src_key"].to_numpy(),
        tgt_key=rows["tgt_key"].to_numpy(),
    )


def read_pairs(path: Path, pair: Pair, limit: int | None = None) -> Pairs:
    """The pairs of a TSV, JSON-lines or Parquet file in file order, at most the first `limit`.

    Raises `TppcError` that names file and line for what is no pair, `UsageError` for a limit below 1 or a file whose
    format nothing tells.
    """
    _check_limit(limit)
    kind = _format(path)
    if kind == "parquet":
        rows = _parquet(path, pair)
    elif kind == "jsonl":
        rows = _json_lines(path, pair)
    else:
        rows = _tsv(path, pair)
    return _taken(rows, path.name, path, pair, limit)


def read_aligned(src: Path, tgt: Path, pair: Pair, limit: int | None = None) -> Pairs:
    """The pairs of two files, line i of one being the translation of line i of the other; at most the first `limit`.

    Raises `TppcError` where one has more lines than the other or an empty one, `UsageError` for a limit below 1.
    """
    _check_limit(limit)

    def rows() -> Iterator[tuple[int, str, str]]:
        left, right = numbered_lines(src), numbered_lines(tgt)
        while True:
            one, other = next(left, None), next(right, None)
            if one is None and other is None:
                return
            if one is None or other is None:
                shorter, longer = (src, tgt) if one is None else (tgt, src)
                number = (one or other or (0, ""))[0]
                malformed(
                    longer, number, f"{shorter} has no such line", "line-aligned files have as many lines as each other"
                )
            for path, (number, text) in ((src, one), (tgt, other)):
                if not text.strip():
                    malformed(path, number, "an empty line, which is no text", "take it out of both files")
            yield one[0], one[1], other[1]

    return _taken(rows(), f"{src.name}+{tgt.name}", src, pair, limit)


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1 (it is {limit})")


def _taken(rows: Iterator[tuple[int, str, str]], name: str, path: Path, pair: Pair, limit: int | None) -> Pairs:
    src: list[str] = []
    tgt: list[str] = []
    for _, left, right in rows:
        if limit is not None and len(src) == limit:
            break
        src.append(left)
        tgt.append(right)
    if not src:
        raise TppcError(f"{path}: it holds no pairs; give a file with {_HOLDS} on each line")
    return Pairs(
        name=name + (f" (first {limit})" if limit == len(src) else ""),
        digest=sha256_of_value([src, tgt]),
        src_lang=pair.src,
        tgt_lang=pair.tgt,
        src=src,
        tgt=tgt,
        src_key=side_keys(src),
        tgt_key=side_keys(tgt),
    )


def _format(path: Path) -> str:
    stem = path.name.lower()
    for ending in COMPRESSED:
        stem = stem.removesuffix(ending)
    known = _ENDINGS.get(Path(stem).suffix)
    if known is not None:
        return known
    try:
        with open_compressed(path) as file:
            start = file.read(4_096)
    except DAMAGED as error:
        raise TppcError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error}); give a file of pairs"
        ) from None
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.lstrip().startswith(b"{"):
        return "jsonl"
    if b"\t" in start.partition(b"\n")[0]:
        return "tsv"
    raise UsageError(
        f"{path}: neither its name nor its first line tells how it holds pairs; name it .tsv, .jsonl or .parquet, "
        "or give two line-aligned files with --src and --tgt"
    )


def _tsv(path: Path, pair: Pair) -> Iterator[tuple[int, str, str]]:
    for number, line in numbered_lines(path):
        fields = line.split("\t")
        if len(fields) < 2:
            malformed(path, number, "no tab, so no pair", "write source, a tab and target on each line")
        if number == 1 and [f.strip().lower() for f in fields[:2]] in _headers(pair):
            continue
        if not fields[0].strip() or not fields[1].strip():
            malformed(path, number, "one side is empty", "write source, a tab and target on each line")
        yield number, fields[0], fields[1]


def _headers(pair: Pair) -> list[list[str]]:
    return [[pair.src.lower(), pair.tgt.lower()], *(list(names) for names in _NAMES), ["source", "target"]]


def _json_lines(path: Path, pair: Pair) -> Iterator[tuple[int, str, str]]:
    for number, line in numbered_lines(path):
        if not line.strip():
            malformed(path, number, "an empty line, which is no pair", "take it out")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            malformed(path, number, f"not JSON ({error})", "write one object on each line")
        if not isinstance(value, dict):
            malformed(path, number, "not an object", "write one object on each line")
        found = _sides(value, pair)
        if found is None:
            malformed(
                path, number, f"no text for both sides (it has {', '.join(map(str, value)) or 'nothing'})",
                f'write {{"{pair.src}": "...", "{pair.tgt}": "..."}}',
            )  # fmt: skip
        yield number, *found


def _sides(value: dict[str, Any], pair: Pair) -> tuple[str, str] | None:
    """The two texts of a row, under whichever names; None where they are missing, empty or no text."""
    inner = value.get("translation")
    if isinstance(inner, dict):
        value = inner
    for src, tgt in ((pair.src, pair.tgt), *_NAMES):
        if src in value and tgt in value:
            found = value[src], value[tgt]
            return found if all(isinstance(text, str) and text.strip() for text in found) else None
    return None


def _parquet(path: Path, pair: Pair) -> Iterator[tuple[int, str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(4_096, use_threads=False):
                for number, row in enumerate(batch.to_pylist(), start=number + 1):  # noqa: B020  (goes on counting)
                    found = _sides(row, pair)
                    if found is None:
                        malformed(
                            path, number, f"no text for both sides (columns: {', '.join(row)})",
                            f"name the columns {pair.src} and {pair.tgt}",
                        )  # fmt: skip
                    yield number, *found
    except FileNotFoundError:
        raise TppcError(f"{path}: there is no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise TppcError(f"{path}: not a sound Parquet file after row {number} ({error}); export it again") from None
