"""Protected sets: texts that must not occur in a corpus, on either side, in any split.

A row goes out that shares with a set its comparison key, its letters (see `forms`: in whatever tokenisation, case or
punctuation), or a long run: 8 words, or 32 letters (20 where the script parts no words: about eight words of English,
Hindi or Arabic hold 32 to 40 letters, twenty characters of Japanese say as much). Runs of words find what shares
eight short words, runs of letters what was tokenised in another way. A text without a letter protects nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from tppc.builders.recipe import Protect
from tppc.builders.select.forms import comparison_forms, digests, has_letter, letter_runs, letters, word_runs
from tppc.builders.select.texts import Spellings, files_below, read_texts
from tppc.corpora.corpus import Corpus
from tppc.corpora.files import canonical_json
from tppc.corpora.manifest import NAME
from tppc.errors import TppcError, UsageError

_BATCH = 10_000
_TABLE_BITS = 22
_KINDS = ("keys", "letters", "runs")
_HELD = ("src_key", "tgt_key")


def prepare(folder: Path, path: str, rules: dict[str, int]) -> None:
    """Write what rows are compared with (`keys.npy`, `letters.npy`, `runs.npy`: sorted uint64) and `texts.json`: how
    many texts the set holds.

    Memory follows the digests of the set (some 8 bytes for each letter of it). Raises `UsageError` for a set without a
    text.
    """
    settings = Protect.model_validate(rules)
    found: dict[str, list[np.ndarray]] = {kind: [np.empty(0, np.uint64)] for kind in _KINDS}
    texts = 0
    for keys, sentences in _contents(Path(path)):
        found["keys"].append(keys.view(np.uint64))
        texts += len(keys)
        stream = iter(sentences)
        while batch := list(islice(stream, _BATCH)):
            texts += _add(found, batch, settings)
    if texts == 0:
        raise UsageError(f"{path}: no text with a letter in it, so there is nothing to protect; check --protect")
    for kind in _KINDS:
        np.save(folder / f"{kind}.npy", _once(np.concatenate(found[kind])))
    (folder / "texts.json").write_bytes(canonical_json(texts))


def _add(found: dict[str, list[np.ndarray]], batch: Sequence[Spellings], settings: Protect) -> int:
    """Add the digests of some sentences; returns how many of them hold a letter."""
    spellings = [text for sentence in batch for text in sentence]
    row = np.repeat(np.arange(len(batch)), [len(sentence) for sentence in batch])
    forms = comparison_forms(spellings)
    lettered = has_letter(forms)
    row, forms = row[lettered.to_numpy()], forms.filter(lettered)
    plain = letters(forms)
    found["keys"].append(digests(forms))
    found["letters"].append(digests(plain))
    found["runs"] += [_once(runs) for runs, _ in _runs(forms, plain, settings)]
    return len(np.unique(row))


def _once(values: np.ndarray) -> np.ndarray:
    """The values in order, each once; by sorting, since `np.unique` hashes, which takes ten times as long here."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    once: np.ndarray = ordered[first]
    return once


def _runs(forms: pl.Series, plain: pl.Series, settings: Protect) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield word_runs(forms, settings.words)
    yield letter_runs(plain, settings.letters, settings.characters)


def _contents(path: Path) -> Iterator[tuple[np.ndarray, Iterable[Spellings]]]:
    """Of each file of a set the keys (int64) of texts that are known by their keys alone, and the texts."""
    none = np.empty(0, np.int64)
    if (path / NAME).is_file():
        corpus = Corpus(path)
        held = [split for split in ("dev", "test") if corpus.rows(split)]
        if not held:
            raise UsageError(
                f"{path}: a corpus without dev and test, so there is nothing to protect; "
                "to keep its pairs out of this one, give it with --against"
            )
        corpus.check_shards(*held)
        for split in held:
            yield none, _sides(corpus, split)
        return
    for file in files_below(path) if path.is_dir() else [path]:
        if file.suffix == ".parquet" and set(_HELD) <= (columns := _columns(file)) and "src_text" not in columns:
            yield np.unique(pl.read_parquet(file, columns=list(_HELD)).to_numpy().astype(np.int64).ravel()), ()
        else:
            yield none, read_texts(file)


def _columns(path: Path) -> set[str]:
    try:
        return set(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TppcError(f"{path}: no Parquet file that can be read ({error}); check --protect") from error


def _sides(corpus: Corpus, split: str) -> Iterator[Spellings]:
    for group in corpus.row_groups(split):
        for column in group.read(["src_text", "tgt_text"]).columns:
            yield from ((text,) for text in column.to_pylist())


@dataclass(frozen=True)
class Guard:
    """One prepared set, on disk until it is asked."""

    keys: np.ndarray
    letters: np.ndarray
    runs: np.ndarray
    table: np.ndarray  # which beginnings of a digest occur in `runs`: most rows need no search

    @classmethod
    def load(cls, folder: Path) -> Guard:
        """Open what `prepare` wrote."""
        keys, plain, runs = (np.load(folder / f"{kind}.npy", mmap_mode="r") for kind in _KINDS)
        table = np.zeros(1 << _TABLE_BITS, bool)
        table[runs >> np.uint64(64 - _TABLE_BITS)] = True
        return cls(keys, plain, runs, table)

    def holds(self, runs: np.ndarray) -> np.ndarray:
        """Which runs the set holds: bool of shape (m,)."""
        found: np.ndarray = self.table[runs >> np.uint64(64 - _TABLE_BITS)]
        found[found] = _among(runs[found], self.runs)
        return found


def hits(guards: Sequence[Guard], rows: pl.DataFrame, settings: Protect) -> list[np.ndarray]:
    """For each set, which rows share a text or a run with it, on either side: bool of shape (n,)."""
    found = [np.zeros(rows.height, bool) for _ in guards]
    for start in range(0, rows.height, _BATCH):
        piece = rows.slice(start, _BATCH)
        for side in ("src", "tgt"):
            forms = comparison_forms(piece[f"{side}_text"].to_list())
            plain, lettered = letters(forms), has_letter(forms).to_numpy()
            keys, bare = digests(forms), digests(plain)
            runs = list(_runs(forms, plain, settings))
            for guard, hit in zip(guards, found, strict=True):
                here = hit[start : start + _BATCH]
                here |= _among(keys, guard.keys) | (_among(bare, guard.letters) & lettered)
                for run, row in runs:
                    here[row[guard.holds(run)]] = True
    return found


def _among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Which values occur in a sorted array."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: np.ndarray = ordered[place] == values
    return found
