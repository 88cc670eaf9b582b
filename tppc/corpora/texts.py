"""Unpaired texts in one global order, for objectives that need no bitext.

A file holds texts of one language: plain (one a line, UTF-8) or Parquet (column `text`). It is read in blocks, of lines
or of row groups, whose places are found in one pass that also takes the file's digest; memory holds a few blocks. As
with pairs, everything follows from (files, seed) and the position: position p belongs to language p mod G, so every
batch holds the languages in equal shares; a language's blocks come in an order drawn anew each epoch, the texts of a
block in an order of their own. Nothing depends on the number of ranks.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tppc.errors import TppcError, UsageError

_LINES = 4_096  # of a block
_BLOCKS_IN_MEMORY = 3
COLUMN = "text"


@dataclass(frozen=True)
class TextBatch:
    """B texts of one step: their languages and the texts themselves."""

    step: int
    lang: list[str]
    text: list[str]


class TextFile:
    """The texts of one language; `rows` of them in `blocks`. Empty lines are no texts.

    Raises `TppcError` for a file that cannot be read, is compressed, is not UTF-8 (with the line), or holds no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                start = file.read(4)
                self._parquet = start == b"PAR1"
                if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd")):
                    raise TppcError(f"{path}: compressed; unpack it first, since texts are read out of order")
                file.seek(0)
                self.digest = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                self._places: list[tuple[int, int]] = []
                self.sizes: list[int] = []
                self._index_parquet() if self._parquet else self._index_lines(file)
        except OSError as error:
            raise TppcError(f"{path}: cannot be read ({error.strerror}); give a file of texts, one a line") from error
        self.rows = sum(self.sizes)
        if not self.rows:
            raise TppcError(f"{path}: no text in it; give a file of texts, one a line, or Parquet with a {COLUMN!r}")
        self._cache: OrderedDict[int, list[str]] = OrderedDict()

    def _index_lines(self, file: BinaryIO) -> None:
        begin = at = texts = 0
        for number, line in enumerate(file, 1):
            try:
                texts += bool(_unmarked(line.decode("utf-8"), at).strip())
            except UnicodeDecodeError as error:
                raise TppcError(f"{self.path}, line {number}: not UTF-8 ({error.reason}); convert the file") from error
            at += len(line)
            if number % _LINES == 0:
                self._add((begin, at), texts)
                begin, texts = at, 0
        self._add((begin, at), texts)

    def _index_parquet(self) -> None:
        try:
            file = pq.ParquetFile(self.path)
        except pa.ArrowException as error:
            raise TppcError(f"{self.path}: damaged Parquet ({error}); make the file again") from error
        if COLUMN not in file.schema_arrow.names or not _is_text(file.schema_arrow.field(COLUMN).type):
            have = ", ".join(file.schema_arrow.names)
            raise TppcError(f"{self.path}: no string column {COLUMN!r} (it has: {have}); rename the column of texts")
        for group in range(file.num_row_groups):
            texts = file.read_row_group(group, [COLUMN])[COLUMN].to_pylist()
            self._add((group, group), sum(bool(t and t.strip()) for t in texts))

    def _add(self, place: tuple[int, int], texts: int) -> None:
        if texts:
            self._places.append(place)
            self.sizes.append(texts)

    def block(self, index: int) -> list[str]:
        """The texts of a block, in file order."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        begin, end = self._places[index]
        if self._parquet:
            texts = pq.ParquetFile(self.path).read_row_group(begin, [COLUMN])[COLUMN].to_pylist()
        else:
            with self.path.open("rb") as file:
                file.seek(begin)
                texts = _unmarked(file.read(end - begin).decode("utf-8"), begin).split("\n")
        self._cache[index] = [t.strip() for t in texts if t and t.strip()]
        if len(self._cache[index]) != self.sizes[index]:
            raise TppcError(f"{self.path}: it changed while it was read; put it back and resume")
        if len(self._cache) > _BLOCKS_IN_MEMORY:
            self._cache.popitem(last=False)
        return self._cache[index]


def _is_text(column: pa.DataType) -> bool:
    """Whether a column holds strings, in any of Arrow's forms (polars writes the large one)."""
    kind = column.value_type if pa.types.is_dictionary(column) else column
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _unmarked(text: str, begin: int) -> str:
    """Text that begins at a byte of its file, without the mark that editors on Windows put before the first."""
    return text.removeprefix("\ufeff") if begin == 0 else text


class TextStream:
    """The global sequence of batches over one file a language.

    Args:
        files: by language. batch_size: texts of a step, over all languages. seed: of every shuffle.

    Several threads may ask for batches.
    """

    def __init__(self, files: Mapping[str, TextFile], *, batch_size: int, seed: int) -> None:
        if batch_size < len(files):
            raise UsageError(f"{batch_size} unpaired texts a step are too few for {len(files)} languages")
        self.files = dict(files)
        self.languages = list(files)
        self.batch_size, self.seed = batch_size, seed
        self._epochs: OrderedDict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._orders: OrderedDict[tuple[str, int, int], np.ndarray] = OrderedDict()
        self._asking = threading.Lock()

    def _random(self, *parts: object) -> np.random.Generator:
        digest = hashlib.sha256(repr((self.seed, *parts)).encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))

    def _epoch(self, lang: str, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Order of a language's blocks in an epoch, and at which of its texts each begins."""
        if (lang, epoch) not in self._epochs:
            file = self.files[lang]
            order = self._random("blocks", lang, file.digest, epoch).permutation(len(file.sizes))
            ends = np.asarray(file.sizes)[order].cumsum()
            self._epochs[lang, epoch] = order, np.concatenate([[0], ends[:-1]])
            while len(self._epochs) > 2 * len(self.files):
                self._epochs.popitem(last=False)
        return self._epochs[lang, epoch]

    def _text(self, lang: str, number: int) -> str:
        """The `number`-th text of a language in its endless sequence."""
        file = self.files[lang]
        epoch, inside = divmod(number, file.rows)
        order, begins = self._epoch(lang, epoch)
        at = int(np.searchsorted(begins, inside, side="right")) - 1
        block = int(order[at])
        return file.block(block)[int(self._order(lang, epoch, block)[inside - int(begins[at])])]

    def _order(self, lang: str, epoch: int, block: int) -> np.ndarray:
        """Order of the texts of a block in an epoch."""
        if (lang, epoch, block) not in self._orders:
            file = self.files[lang]
            random = self._random("texts", lang, file.digest, epoch, block)
            self._orders[lang, epoch, block] = random.permutation(file.sizes[block])
            while len(self._orders) > 2 * len(self.files):
                self._orders.popitem(last=False)
        return self._orders[lang, epoch, block]

    def batch(self, step: int) -> TextBatch:
        """The global batch of step `step` (from 0)."""
        positions = range(step * self.batch_size, (step + 1) * self.batch_size)
        langs = [self.languages[p % len(self.languages)] for p in positions]
        with self._asking:
            texts = [self._text(g, p // len(self.languages)) for g, p in zip(langs, positions, strict=True)]
        return TextBatch(step, langs, texts)
