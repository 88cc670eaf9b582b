"""What the language-ID model answered, kept so that a corpus that is built again does not ask twice.

    <cache>/lid/<digest of the model>-<versions of what evaluates it>/<pair>/<lowest>-<highest order key>-<digest>.lid

A file holds the answers to the open texts of one bucket: records of 20 bytes, sorted by 128 bits of hashes of the text
as the model sees it, then a digest of them. A later build of the pair reads the files whose order keys meet its
bucket's, so that a look costs what the bucket has, not what the cache has: rows keep their order key when a recipe
changes, and buckets are ranges of it. The text's key alone decides what is found; the file's name only says where to
look. At most 64 MB are read for a bucket, the files that were used last.

Files appear complete or not at all and are never changed, so processes need no lock; one that is damaged is removed and
counts as absent. Where `_FILES` of them lie inside a bucket they are merged into one. The whole is bounded
by `LIMIT` bytes: the files that were not read for the longest time go first, when the next build begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import numpy as np
import polars as pl
import xxhash

from tppc.builders.progress import note
from tppc.corpora.files import cache_folder, write_bytes

#: Bytes of all answers together: 100 million texts.
LIMIT = 2 << 30
_EVALUATION = 2  # of `classifier`: another number where it would give other answers
_FILES = 4
_MOST = 64 << 20  # bytes that are read for one bucket: a bucket of a small corpus may meet every file of a large one
_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})-[0-9a-f]{16}\.lid")
_RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("label", "<u2"), ("score", "<u2")])
_SUFFIX = ".lid"
_DIGEST = 8


def folder_of(model_sha256: str, pair: str) -> Path:
    """Where the answers of a model for a pair are."""
    return cache_folder() / "lid" / f"{model_sha256[:16]}-{_EVALUATION}-{metadata.version('fasttext-predict')}" / pair


def keys_of(texts: Sequence[str] | pl.Series) -> np.ndarray:
    """128-bit keys of prepared texts as records with `high` and `low`, shape (n,): their xxh3-64 and xxh64."""
    import polars_hash

    text = polars_hash.col("text").nchash
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    found = frame.select(high=text.xxh3_64(), low=text.xxhash64())
    keys = np.zeros(len(texts), _RECORD)
    keys["high"], keys["low"] = found["high"].to_numpy(), found["low"].to_numpy()
    return keys


class Answers:
    """The answers that are known for a bucket: the range of its rows' order keys, both ends included."""

    def __init__(self, folder: Path, lowest: int, highest: int) -> None:
        self.folder, self.lowest, self.highest = folder, lowest, highest
        self.inside: list[tuple[Path, int]] = []  # files of this very range, and where their records are
        self.records: list[np.ndarray] = []
        self.new: list[np.ndarray] = []
        left = _MOST
        for _, path, range_of in sorted(_meeting(folder, lowest, highest), reverse=True):
            found = _read(path, left)
            if found is not None:
                left -= found.nbytes
                if lowest <= range_of[0] and range_of[1] <= highest:
                    self.inside.append((path, len(self.records)))
                self.records.append(found)

    def look_up(self, keys: np.ndarray) -> np.ndarray:
        """Fill `label` and `score` of the keys that are known, in place; returns which, bool of shape (n,)."""
        known = np.zeros(len(keys), bool)
        for records in self.records:
            high = np.ascontiguousarray(records["high"])
            place = np.minimum(np.searchsorted(high, keys["high"]), len(high) - 1)
            # Two texts with the same upper half would be one in 2^64: the second is then asked again.
            same = (high[place] == keys["high"]) & (records["low"][place] == keys["low"])
            keys["label"][same], keys["score"][same] = records["label"][place[same]], records["score"][place[same]]
            known |= same
        return known

    def add(self, answered: np.ndarray) -> None:
        """Note new answers: records as `keys_of` makes them, with label and score."""
        if len(answered):
            self.new.append(answered)

    def save(self) -> None:
        """Write what is new."""
        if not self.new:
            return
        answered = np.concatenate(self.new)
        old = self.inside if len(self.inside) >= _FILES else []
        written = self._write(np.concatenate([answered, *(self.records[place] for _, place in old)]))
        for path, _ in old if written else ():
            if path != written:
                path.unlink(missing_ok=True)

    def _write(self, records: np.ndarray) -> Path | None:
        """Write a file; None where that cannot be."""
        records = records[np.lexsort((records["low"], records["high"]))]
        again = (records["high"][1:] == records["high"][:-1]) & (records["low"][1:] == records["low"][:-1])
        body = records[np.concatenate([[True], ~again])].tobytes()
        digest = xxhash.xxh3_64_digest(body)
        path = self.folder / f"{self.lowest:016x}-{self.highest:016x}-{digest.hex()}{_SUFFIX}"
        try:
            write_bytes(path, body + digest)
        except OSError as error:  # full, read-only, or cleaned this moment: the build needs no cache
            note(f"{path}: the answers of language ID are not kept ({error.strerror})")
            return None
        return path


def _meeting(folder: Path, lowest: int, highest: int) -> Iterator[tuple[int, Path, tuple[int, int]]]:
    """Files whose range meets another one, with when they were last used and their range."""
    for path in folder.glob(f"*{_SUFFIX}"):
        name = _NAME.fullmatch(path.name)
        if name is not None and (low := int(name[1], 16)) <= highest and (high := int(name[2], 16)) >= lowest:
            with suppress(FileNotFoundError):  # merged by another process this moment
                yield path.stat().st_mtime_ns, path, (low, high)


def _read(path: Path, most: int) -> np.ndarray | None:
    """The records of a file; None for one that is gone, longer than `most` bytes, or damaged, which is removed."""
    try:
        data = path.read_bytes() if path.stat().st_size <= most else b""
    except OSError:  # merged or cleaned by another process this moment, or not ours to read
        return None
    if not data:
        return None
    with suppress(OSError):
        path.touch()  # when it was last used
    body, digest = data[:-_DIGEST], data[-_DIGEST:]
    if not body or len(body) % _RECORD.itemsize or xxhash.xxh3_64_digest(body) != digest:
        path.unlink(missing_ok=True)
        return None
    return np.frombuffer(body, _RECORD)


def prune(limit: int = LIMIT) -> None:
    """Remove the answers that were not read for the longest time until the rest takes at most `limit` bytes."""
    found = []
    for path in (cache_folder() / "lid").rglob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError):  # merged by another process this moment
            state = path.stat()
            found.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= limit:
            break
        path.unlink(missing_ok=True)
        total -= size
