"""A fastText classifier, asked about a whole column of texts.

fastText (Joulin et al., 2017) takes the mean of the rows of a text's words and of their character n-grams, and a linear
classifier of it: a softmax, or a path through a binary tree of labels. It does so text by text, 5 to 17 microseconds
each, mostly for n-grams: each is hashed and looked up. All n-grams lie inside words, and a language repeats its
words; here each distinct word of a column is taken apart once, all of them at the same time, and a text is the sum of
its words. Of the tree only those branches are followed that can hold the answer. The answers are fastText's, to some
1e-6 of a probability: sums are made in another order, and in float64, so that machines agree with each other. Where two
labels are 1e-5 apart fastText may name the second, since it leaves a branch that only looks worse.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tppc.builders.language_id.fasttext_file import HIERARCHICAL, PREFIX, Weights, read_weights

_COLUMN = 128 << 20  # bytes of texts times numbers of a text at a time: 8 MiB where there are 16
_BLOCK = 1 << 16  # bytes of words at a time: the arrays stay in a core's cache
_ADDED = 1 << 13  # rows that are added up at a time, for the same reason
_END = "</s>"  # the word that ends every text
_SPACES = "[\t\x0b\x0c\r\0\n]"  # what parts words beside the space
_START, _PRIME = np.uint32(2_166_136_261), np.uint32(16_777_619)  # FNV-1a, 32 bits
_TINY = 1e-5  # what fastText adds to a probability before it takes the logarithm

Floats = NDArray[np.float64]
Places = NDArray[np.int64]


class Classifier:
    """A model in memory. `labels` are without their prefix, in the model's order."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self.labels = [label.removeprefix(PREFIX) for label in weights.labels]
        self._words = pl.DataFrame({"word": weights.words}).with_row_index("row").unique("word", keep="first")
        self._end = [row for row, word in enumerate(weights.words) if word == _END][:1]
        self._output = weights.output.astype(np.float64)
        self._tree = _Tree(weights.counts) if weights.loss == HIERARCHICAL else None

    @classmethod
    def read(cls, path: Path) -> Classifier:
        """The model of a file. Raises `NotReadable` for what is none, or of a kind that is not known here."""
        return cls(read_weights(path))

    def best(self, texts: pl.Series) -> tuple[NDArray[np.int64], Floats]:
        """The most likely label of each text as its place in `labels`, and its probability, both of shape (n,); -1 and
        0 for a text of which the model knows nothing at all. fastText's probabilities may exceed 1 by some 1e-5."""
        label, probability = np.full(len(texts), -1, np.int64), np.zeros(len(texts))
        for begin, means, known in self._means(texts):
            found, value = self._best(means[known])
            label[begin + known], probability[begin + known] = found, value
        return label, probability

    def together(self, texts: pl.Series, labels: Collection[str]) -> Floats:
        """The probability of some labels together for each text, of shape (n,)."""
        total = np.zeros(len(texts))
        wanted = [place for place, label in enumerate(self.labels) if label in labels]
        for begin, means, known in self._means(texts):
            total[begin + known] = self._together(means[known], wanted)
        return total

    def _best(self, means: Floats) -> tuple[NDArray[np.int64], Floats]:
        if self._tree is not None:
            return self._tree.best(lambda some, node: _sigmoid(means[some] @ self._output[node]), len(means))
        shares = _softmax(means @ self._output.T)
        place = shares.argmax(axis=1)
        return place, shares[np.arange(len(means)), place] + _TINY

    def _together(self, means: Floats, wanted: Sequence[int]) -> Floats:
        if self._tree is None:
            return np.asarray((_softmax(means @ self._output.T)[:, wanted] + _TINY).sum(axis=1))
        total = np.zeros(len(means))
        for label in wanted:
            found = np.ones(len(means))
            for node, right in self._tree.path(label):
                share = _sigmoid(means @ self._output[node])
                found *= (share if right else 1 - share) + _TINY
            total += found
        return total

    def _means(self, texts: pl.Series) -> Iterator[tuple[int, Floats, Places]]:
        """Some texts at a time: the place of their first one, their means, and which of them have any."""
        ends = texts.str.len_bytes().cum_sum().to_numpy()
        labels = 0 if self._tree is not None else len(self.labels)
        column = _COLUMN // max(labels, self._output.shape[1])
        begin = 0
        while begin < len(texts):
            done = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + column)))
            sums = self._sums(texts.slice(begin, end - begin))
            rows = sums[:, -1]
            yield begin, sums[:, :-1] / np.maximum(rows, 1)[:, None], np.flatnonzero(rows)
            begin = end

    def _sums(self, texts: pl.Series) -> Floats:
        """The sum of the rows of each text; the last column is their number."""
        if texts.str.contains(_SPACES).any():
            texts = texts.str.replace_all(_SPACES, " ")
        if texts.str.contains(_END, literal=True).any():  # as a word of the text it ends it
            texts = texts.str.replace(rf"(^| ){_END}( .*|$)", "")
        words = pl.DataFrame({"word": texts.str.split(" ")}).with_row_index("text").explode("word")
        words = words.filter(pl.col("word") != "")
        distinct = words.select(pl.col("word").unique()).with_row_index("number")
        which = words.join(distinct, on="word", how="left", maintain_order="left")["number"].to_numpy()
        vectors = self._of_words(distinct["word"])
        sums = np.zeros((len(texts), vectors.shape[1]))
        _add(sums, words["text"].to_numpy(), which, vectors.__getitem__)
        for row in self._end:
            sums[:, :-1] += self._weights.rows[row]
            sums[:, -1] += 1
        return sums

    def _of_words(self, words: pl.Series) -> Floats:
        """The sum of the rows of distinct words and of their n-grams; the last column is their number."""
        weights = self._weights
        sums = np.zeros((len(words), weights.rows.shape[1] + 1))
        own = words.to_frame("word").join(self._words, on="word", how="left", maintain_order="left")["row"]
        there = own.is_not_null().arg_true()
        _add(sums, there.to_numpy(), own.gather(there).to_numpy(), self._rows)
        if weights.ngrams[1] > 0:
            for word, bucket in _ngrams(words, *weights.ngrams, weights.buckets):
                row = len(weights.words) + bucket if weights.row_of is None else weights.row_of[bucket]
                kept = np.flatnonzero(row >= 0)
                _add(sums, word[kept], row[kept], self._rows)
        sums[words.str.starts_with(PREFIX).to_numpy()] = 0  # a label is no word of a text
        return sums

    def _rows(self, which: NDArray[np.integer]) -> Floats:
        """Rows of the model, and their number, which is one."""
        found = np.ones((len(which), self._weights.rows.shape[1] + 1))
        found[:, :-1] = self._weights.rows[which]
        return found


def _add(
    totals: Floats, place: Places, which: NDArray[np.integer], values: Callable[[NDArray[np.integer]], Floats]
) -> None:
    """Add the `values` of `which` to `totals` at places that rise."""
    for begin in range(0, len(place), _ADDED):
        here = place[begin : begin + _ADDED]
        starts = np.flatnonzero(np.diff(here, prepend=-1))
        totals[here[starts]] += np.add.reduceat(values(which[begin : begin + _ADDED]), starts, axis=0)


def _ngrams(words: pl.Series, shortest: int, longest: int, buckets: int) -> Iterator[tuple[Places, Places]]:
    """The hashes of all character n-grams of `<word>`, modulo `buckets`, and the word of each, in rising order; not of
    `<` and `>` alone. Some words and one length of n-grams at a time."""
    framed = ("<" + words + ">").rechunk().to_arrow()
    _, ends_at, data = framed.buffers()
    ends = np.frombuffer(ends_at, np.int64)[framed.offset : framed.offset + len(words) + 1]
    text = np.frombuffer(data, np.uint8)
    begin = 0
    while begin < len(words):
        end = max(begin + 1, int(np.searchsorted(ends, ends[begin] + _BLOCK)) - 1)
        for word, bucket in _block(text[ends[begin] : ends[end]], ends[begin : end + 1], shortest, longest, buckets):
            yield begin + word, bucket
        begin = end


def _block(
    text: NDArray[np.uint8], ends: Places, shortest: int, longest: int, buckets: int
) -> Iterator[tuple[Places, Places]]:
    """`_ngrams` of a block of words, which end where `ends` say, the first of which is where they begin."""
    starts = np.flatnonzero((text & 0xC0) != 0x80)  # of characters
    width = np.diff(starts, append=len(text))
    first = np.searchsorted(starts, ends - ends[0])  # character of each word
    word = np.repeat(np.arange(len(ends) - 1), np.diff(first))
    left = first[word + 1] - np.arange(len(starts))  # characters of the word from here on
    # The bytes of each character as fastText hashes them: signed, then widened.
    signed = np.append(text, np.zeros(3, np.uint8)).view(np.int8).astype(np.int32).view(np.uint32)
    parts = [signed[starts + number] for number in range(int(width.max(initial=1)))]
    hashes = np.full(len(starts), _START, np.uint32)
    for length in range(1, longest + 1):
        last = length - 1  # how far the last character of an n-gram is from its first
        hashes = hashes[: len(starts) - last]
        for number, part in enumerate(parts):
            longer = (hashes ^ part[last:]) * _PRIME
            hashes = longer if number == 0 else np.where(width[last:] > number, longer, hashes)
        if length >= shortest:
            fits = left[: len(hashes)] >= length
            if length == 1:
                fits &= (left > 1) & (np.diff(word, prepend=-1) == 0)
            places = np.flatnonzero(fits)
            found = hashes[places]
            # A division by a number that is known is quick in numpy, a remainder is not.
            yield word[places], (found - found // np.uint32(buckets) * np.uint32(buckets)).astype(np.int64)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)))


def _softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


class _Tree:
    """fastText's Huffman tree over the labels (HierarchicalSoftmaxLoss): nodes are numbered after the labels, and node
    labels + i has row i of the output. `counts` of the labels fall."""

    def __init__(self, counts: Sequence[int]) -> None:
        self._labels = len(counts)
        inner = max(0, len(counts) - 1)
        weight = [*counts, *[10**15] * inner]
        self._children: list[tuple[int, int]] = []
        leaf, node = len(counts) - 1, len(counts)
        for number in range(inner):
            pair = []
            for _ in range(2):
                if leaf >= 0 and weight[leaf] < weight[node]:
                    pair.append(leaf)
                    leaf -= 1
                else:
                    pair.append(node)
                    node += 1
            self._children.append((pair[0], pair[1]))
            weight[len(counts) + number] = weight[pair[0]] + weight[pair[1]]
        self._parent = {left: (row, False) for row, (left, _) in enumerate(self._children)}
        self._parent |= {right: (row, True) for row, (_, right) in enumerate(self._children)}

    def path(self, label: int) -> list[tuple[int, bool]]:
        """The rows of the nodes above a label, and whether it lies on their right."""
        found = []
        node = label
        while node in self._parent:
            row, right = self._parent[node]
            found.append((row, right))
            node = self._labels + row
        return found

    def best(self, share: Callable[[Places, int], Floats], count: int) -> tuple[NDArray[np.int64], Floats]:
        """The most likely label of each of `count` texts, and its probability.

        Args:
            share: of some texts, the probability of going right at a node.
        """
        label, best = np.zeros(count, np.int64), np.zeros(count)
        # From the root down: which texts come to a node, and how likely it is. The best label has one in `_labels` or
        # more, so that a node well below holds nobody's.
        there = {self._labels + len(self._children) - 1: (np.arange(count), np.ones(count))}
        for row in range(len(self._children) - 1, -1, -1):
            if (here := there.pop(self._labels + row, None)) is None:
                continue
            texts, above = here
            right = share(texts, row)
            for child, part in zip(self._children[row], (1 - right, right), strict=True):
                value = above * (part + _TINY)
                if child < self._labels:
                    better = value > best[texts]
                    label[texts[better]], best[texts[better]] = child, value[better]
                else:
                    kept = np.flatnonzero(value * self._labels >= 0.5)
                    if len(kept):
                        there[child] = texts[kept], value[kept]
        return label, best
