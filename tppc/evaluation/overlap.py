"""Was something trained on what is tested? Counted by keys: among a task's own data, and in an encoder's corpora.

Pairs are compared by side key (`tppc.corpora.keys`). Labelled sentences come in tokens, which do not say where there
was white space, so they are compared, with each other and with corpora, by the key of the text without any. What an
encoder was trained on is known where its run's `config.toml` and the corpora that it names are still there; of a
foreign encoder nothing is known, and nothing is said.

A test set may be a translation of the training set, sentence by sentence, and share no text: the parallel treebanks of
Universal Dependencies (PUD) have the same 1,000 sentences in every language. They are known by their sentence ids
(`n01001011`), or else by their file names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tppc.corpora.corpus import Corpus
from tppc.corpora.keys import side_keys
from tppc.errors import TppcError
from tppc.evaluation.data import TaskData
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.readers.forms import TaggedSentence
from tppc.evaluation.readers.lines import numbered_lines

if TYPE_CHECKING:
    import polars as pl

    from tppc.evaluation.tasks.bitext import Sides

_PUD_ID = re.compile(r"#\s*sent_id\s*=\s*([nw]\d{8})\s*")
_ROWS = 1 << 18


@dataclass(frozen=True)
class Overlap:
    """`shared` of the `of` items of `tested` are in `trained`; `unknown` says why it could not be counted.

    `parallel`: they are translations of what was trained on, item by item, so the scores are not zero-shot ones.
    """

    tested: str
    trained: str
    shared: int
    of: int
    unknown: str | None = None
    parallel: bool = False

    def __str__(self) -> str:
        if self.unknown is not None:
            return f"overlap of {self.tested} with {self.trained} is not known: {self.unknown}"
        return f"LEAK: {self.shared:,} of {self.of:,} {self.tested} are in {self.trained}"


def pair_overlaps(encoder: str, name: str, src_key: np.ndarray, tgt_key: np.ndarray) -> list[Overlap]:
    """Of tested pairs, given by the keys of their sides, int64 [n], those of which a text is in a corpus that the
    encoder was trained on: one for each corpus that shares any, or is not there.
    """
    found = []
    tested = f"tested pairs of {name}"
    for trained, corpus in trained_on(encoder):
        if isinstance(corpus, str):
            found.append(Overlap(tested, trained, 0, len(src_key), corpus))
            continue
        shared = np.isin(src_key, _trained_keys(corpus, "src_key", src_key))
        shared |= np.isin(tgt_key, _trained_keys(corpus, "tgt_key", tgt_key))
        if shared.any():
            found.append(Overlap(tested, trained, int(shared.sum()), len(src_key)))
    return found


def task_overlaps(data: TaskData) -> list[Overlap]:
    """Of each scored set, the items whose text is in the training set, or which are translations of training
    sentences; and of the test sets those in the development set.
    """
    train, dev = keys_of(data.train), keys_of(data.dev)
    sets = [(f"{data.source_language} dev", dev)] if len(dev) else []
    sets += [(f"{code} test", keys_of(items)) for code, items in data.tests.items()]
    found = []
    for name, keys in sets:
        found.append(_shared(f"{name} texts", keys, "the training set", train))
        if not name.endswith(" dev"):
            found.append(_shared(f"{name} texts", keys, "the development set", dev))
    return [one for one in found if one.shared] + list(_parallel(data.files))


def corpus_overlaps(encoder: str, data: TaskData) -> list[Overlap]:
    """Of each labelled test set, the items whose text is on either side of a corpus that the encoder was trained on."""
    tested = {f"{code} test texts": keys_of(items) for code, items in data.tests.items()}
    found = []
    for name, corpus in trained_on(encoder):
        if isinstance(corpus, str):
            found.append(Overlap("the test texts", name, 0, sum(map(len, tested.values())), corpus))
            continue
        wanted = np.unique(np.concatenate(list(tested.values())))
        seen = _seen(corpus, wanted)
        found += [_shared(which, keys, name, seen) for which, keys in tested.items()]
    return [one for one in found if one.shared or one.unknown]


def overlaps(data: TaskData | Pairs | Sides, encoders: Iterable[str]) -> list[Overlap]:
    """Everything of the above that concerns an evaluation: the task's own data, then each encoder by name or folder."""
    names = list(dict.fromkeys(encoders))
    if isinstance(data, TaskData):
        return [*task_overlaps(data), *(one for name in names for one in corpus_overlaps(name, data))]
    if isinstance(data, Pairs):
        keys = data.src_key, data.tgt_key
    else:
        keys = side_keys(data.src)[data.gold[:, 0]], side_keys(data.tgt)[data.gold[:, 1]]
    return [one for name in names for one in pair_overlaps(name, data.name, *keys)]


def flagged(data: TaskData) -> TaskData:
    """The data, with `LEAK` in its name, and so in every result, where a test set is parallel to the training set."""
    return replace(data, name=f"{data.name} (LEAK: parallel)") if any(_parallel(data.files)) else data


def trained_on(encoder: str) -> Iterator[tuple[str, Corpus | str]]:
    """Name of each corpus that an encoder was trained on, and the corpus, or why it cannot be read.

    An encoder that a run started from and that is itself a run's is followed, too.
    """
    seen: set[Path] = set()
    start = encoder
    while (config := Path(start).parent / "config.toml").is_file() and config.resolve() not in seen:
        if Path(start).name == "initial":  # a run keeps the untouched start beside its encoder
            return
        seen.add(config.resolve())
        settings = tomllib.loads(config.read_text("utf-8"))
        for path in dict.fromkeys(_corpus_paths(settings)):
            name = f"{path}, on which {encoder} was trained"
            try:
                yield name, Corpus(path)
            except TppcError as error:
                yield name, str(error)
        start = str(settings.get("encoder", ""))


def _corpus_paths(settings: Any) -> Iterator[str]:
    """The `path` of every entry of a `corpora` table, at whatever depth (a curriculum's stages have their own)."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            if name == "corpora" and isinstance(value, list):
                yield from (str(one["path"]) for one in value if isinstance(one, dict) and "path" in one)
            else:
                yield from _corpus_paths(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _corpus_paths(value)


def keys_of(items: Sequence[Any]) -> np.ndarray:
    """Keys of labelled items' texts without white space, int64 [n]."""
    import polars as pl

    texts = ["".join(i.tokens) if isinstance(i, TaggedSentence) else i.text for i in items]
    return _unspaced(pl.Series(texts, dtype=pl.String))


def _unspaced(texts: pl.Series) -> np.ndarray:
    return side_keys(texts.str.replace_all(r"\s+", ""))


def _shared(tested: str, keys: np.ndarray, trained: str, others: np.ndarray) -> Overlap:
    return Overlap(tested, trained, int(np.isin(keys, others).sum()), len(keys))


def _trained_keys(corpus: Corpus, column: str, wanted: np.ndarray) -> np.ndarray:
    """Those of the wanted keys that a column of the training split has; no more of it is held in memory."""
    import polars as pl

    asked = pl.Series(np.unique(wanted)).implode()
    return corpus.scan("train").select(column).filter(pl.col(column).is_in(asked)).collect()[column].to_numpy()


def _seen(corpus: Corpus, wanted: np.ndarray) -> np.ndarray:
    """Which of the wanted keys a corpus's training texts have, on either side; a piece of the corpus at a time."""
    import polars as pl
    import pyarrow as pa

    found = []
    groups = corpus.row_groups("train")
    while groups:
        rows, taken = 0, []
        while groups and rows < _ROWS:
            taken.append(groups.pop(0))
            rows += taken[-1].rows
        table = pa.concat_tables([group.read(["src_text", "tgt_text"]) for group in taken])
        for side in ("src_text", "tgt_text"):
            keys = _unspaced(pl.Series(pl.from_arrow(table[side])))
            found.append(wanted[np.isin(wanted, keys)])
    return np.unique(np.concatenate(found)) if found else wanted[:0]


def _parallel(files: Mapping[str, Path]) -> Iterator[Overlap]:
    """Test files that hold translations of the training file's sentences: parallel treebanks."""
    if "train" not in files:
        return
    train, named = set(_pud_ids(files["train"])), _is_pud(files["train"])
    for which, path in files.items():
        if not which.endswith(" test"):
            continue
        tested = list(_pud_ids(path))
        if shared := sum(one in train for one in tested):
            what = "the training set, in another language (parallel treebank, same sentence ids)"
            yield Overlap(f"{which} sentences", what, shared, len(tested), parallel=True)
        elif named and _is_pud(path) and not (train and tested):
            what = (
                "the training set, in another language (by the file names both are PUD, whose sentences are parallel)"
            )
            yield Overlap(f"{which} file", what, 1, 1, parallel=True)


def _is_pud(path: Path) -> bool:
    return re.search(r"(?<![a-z])pud(?![a-z])", path.name.lower()) is not None


def _pud_ids(path: Path) -> Iterator[str]:
    """Sentence ids of PUD's form in the comments of a file; of a binary file none."""
    if path.suffix in (".parquet", ".pq") or path.is_dir():
        return
    for _, line in numbered_lines(path):
        if line.startswith("#") and (found := _PUD_ID.fullmatch(line)):
            yield found.group(1)
