"""The file format of fastText's classifiers (`.bin`, `.ftz`), version 12: what of it decides an answer.

Read after fastText's sources (FastText::saveModel, Dictionary::save, QuantMatrix::save, ProductQuantizer::save): all
numbers little-endian, texts ended by a zero byte. A compressed model holds its rows as codes of parts of a vector
(Jégou et al., 2011, product quantisation) times the code of a length, and only the n-grams that were worth their place.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What a label begins with, in the file as in the library's answers.
PREFIX = "__label__"
_MAGIC, _VERSION = 793_712_314, 12
_SUPERVISED = 3
#: The numbers of the losses that are known here.
HIERARCHICAL, SOFTMAX = 1, 3
_CODES = 256  # values of a code
_LABEL = 1  # the kind of an entry that is no word
_ENDS = 4_096  # bytes of one word, at most; more means that this is no such file


class NotReadable(ValueError):
    """No classifier in this format, or of a kind that is not read here; the text says which."""


@dataclass(frozen=True)
class Weights:
    """A classifier.

    Attributes:
        words, labels: the dictionary; row i belongs to word i. counts: of the labels, in training.
        rows: float32 of shape (words and n-grams, dimensions). output: float32, a row a label, or an inner node.
        ngrams: lengths of n-grams in characters, shortest and longest; longest 0 where there are none.
        buckets: n-grams are numbered by their hash modulo this. row_of: the row of each such number, -1 for one that
        the model does without; None where it is the number after those of the words.
        loss: `HIERARCHICAL` or `SOFTMAX`.
    """

    words: list[str]
    labels: list[str]
    counts: list[int]
    rows: NDArray[np.float32]
    output: NDArray[np.float32]
    ngrams: tuple[int, int]
    buckets: int
    row_of: NDArray[np.int32] | None
    loss: int


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.place = data, 0

    def values(self, form: str) -> Any:
        """Some values, as `struct` names their types; one alone comes without a tuple."""
        found = struct.unpack_from(f"<{form}", self.data, self.place)
        self.place += struct.calcsize(f"<{form}")
        return found if len(found) > 1 else found[0]

    def text(self) -> str:
        """A text up to its zero byte; empty where it is no UTF-8, since no text that is asked about can hold it."""
        end = self.data.find(b"\0", self.place, self.place + _ENDS)
        if end < 0:
            raise NotReadable("a word without an end")
        found, self.place = self.data[self.place : end], end + 1
        try:
            return found.decode()
        except UnicodeDecodeError:
            return ""

    def array(self, kind: str, count: int) -> NDArray[Any]:
        """An array, as it lies in the file."""
        found = np.frombuffer(self.data, kind, count, self.place)
        self.place += found.nbytes
        return found

    def centroids(self) -> NDArray[np.float32]:
        """The values of the codes of each part, shape (parts, 256, values of a part)."""
        width, parts, values, last = self.values("4i")
        if values != last:
            raise NotReadable("parts of a vector of unequal length")
        found: NDArray[np.float32] = self.array("<f4", width * _CODES).reshape(parts, _CODES, values)
        return found

    def matrix(self) -> NDArray[np.float32]:
        """A matrix, decoded where it is compressed."""
        if not self.values("?"):
            height, width = self.values("2q")
            found: NDArray[np.float32] = self.array("<f4", height * width).reshape(height, width)
            return found
        lengths_apart = self.values("?")
        height, width = self.values("2q")
        codes = self.array("u1", self.values("i")).reshape(height, -1)
        parts = self.centroids()
        found = parts[np.arange(codes.shape[1]), codes].reshape(height, width)
        if lengths_apart:
            lengths = self.array("u1", height)
            found = found * self.centroids()[0][lengths]
        return found


def read_weights(path: Path) -> Weights:
    """Read a classifier. Raises `NotReadable` for anything else, and for classifiers with n-grams of words or another
    loss than `HIERARCHICAL` and `SOFTMAX`."""
    try:
        with path.open("rb") as file:
            return _read(_Reader(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except (struct.error, ValueError, IndexError) as error:
        raise NotReadable(str(error)) from error


def _read(file: _Reader) -> Weights:
    magic, version = file.values("2i")
    if (magic, version) != (_MAGIC, _VERSION):
        raise NotReadable("not a file of fastText's format 12")
    # dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate
    *_, word_ngrams, loss, model, buckets, shortest, longest, _ = file.values("12i")
    file.values("d")
    if model != _SUPERVISED or word_ngrams > 1 or loss not in (HIERARCHICAL, SOFTMAX):
        raise NotReadable("a model of another kind")
    size, words, _ = file.values("3i")
    _, kept = file.values("2q")
    names: list[str] = []
    counts: list[int] = []
    for number in range(size):
        names.append(file.text())
        count, kind = file.values("qb")
        counts.append(count)
        if (kind == _LABEL) != (number >= words):
            raise NotReadable("words and labels out of order")
    row_of = None
    if kept >= 0:
        pairs = file.array("<i4", 2 * kept).reshape(-1, 2)
        row_of = np.full(buckets, -1, np.int32)
        row_of[pairs[:, 0]] = words + pairs[:, 1]
    rows, output = file.matrix(), file.matrix()
    least = words + buckets if row_of is None else int(row_of.max(initial=words - 1)) + 1
    if rows.shape[0] < (least if longest else words) or rows.shape[1:] != output.shape[1:]:
        raise NotReadable("matrices that do not fit the dictionary")
    return Weights(
        names[:words], names[words:], counts[words:], rows, output, (shortest, longest), buckets, row_of, loss
    )
