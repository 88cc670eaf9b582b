"""What bitext mining is measured on: two monolingual sides, their gold pairs, and a development part.

The files are those of the BUCC shared task: a side is `id<TAB>text` on each line, the gold file `id<TAB>id`. A side
without a tab on every line is plain text, whose ids are line numbers from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.lines import malformed, numbered_lines
from tppc.evaluation.tasks.bitext import Mining, Sides, split_off, with_digest

if TYPE_CHECKING:
    from tppc.corpora.languages import Pair


@dataclass(frozen=True)
class MiningData:
    """The part that is scored, how to mine, and where the threshold comes from.

    Exactly one of `dev` (the threshold with the best F1 there, for each encoder) and `threshold` is given.
    """

    test: Sides
    dev: Sides | None
    threshold: float | None
    mining: Mining

    def describe(self) -> str:
        """As it stands in a result's protocol."""
        if self.threshold is not None:
            return f"{self.mining.describe()}; threshold {self.threshold:g}"
        assert self.dev is not None, "there is a development part or a threshold"
        return f"{self.mining.describe()}; threshold of best F1 on {self.dev.name}"


def mining_data(
    sides: Sides,
    mining: Mining = Mining(),  # noqa: B008  (frozen)
    *,
    dev: Sides | None = None,
    threshold: float | None = None,
    share: float = 0.2,
) -> MiningData:
    """Data for bitext mining: with a threshold, with a development part, or with one of `share` of the texts that is
    taken off `sides` and not scored.

    Raises `UsageError` where both are given, `TppcError` where one of the parts has no gold pair.
    """
    if dev is not None and threshold is not None:
        raise UsageError("a threshold is given or chosen on a development part: leave one of the two out")
    if threshold is None and dev is None:
        if not 0 < share < 1:
            raise UsageError(f"--dev-share must lie between 0 and 1 (it is {share})")
        dev, sides = split_off(sides, share)
    for part in (sides, *([] if dev is None else [dev])):
        if not len(part.gold):
            raise TppcError(f"{part.name}: it has no gold pair; give more, or another --dev-share")
    return MiningData(sides, dev, threshold, mining)


def read_sides(src: Path, tgt: Path, gold: Path, pair: Pair) -> Sides:
    """Two sides and the gold pairs between them, from three files.

    Raises `TppcError` that names file and line for a text that is empty, an id that stands twice, and a gold pair of
    ids that are not there.
    """
    texts, numbers = [], []
    for path in (src, tgt):
        by_id = _side(path)
        texts.append(list(by_id.values()))
        numbers.append({identity: number for number, identity in enumerate(by_id)})
    pairs: dict[tuple[int, int], None] = {}
    for number, line in numbered_lines(gold):
        ids = line.split("\t")
        if len(ids) != 2:
            malformed(gold, number, f"{len(ids)} tab-separated fields", "write source id, tab, target id")
        for path, identity, known in zip((src, tgt), ids, numbers, strict=True):
            if identity not in known:
                malformed(gold, number, f"{path.name} has no text {identity!r}", "give the gold file of these sides")
        pairs[numbers[0][ids[0]], numbers[1][ids[1]]] = None
    if not pairs:
        raise TppcError(f"{gold}: it holds no gold pairs; each line is a source id, a tab and a target id")
    name = f"{src.name}+{tgt.name}"
    indices = np.array(list(pairs), dtype=np.int64)
    return with_digest(Sides(name, "", pair.src, pair.tgt, texts[0], texts[1], indices))


def _side(path: Path) -> dict[str, str]:
    """Texts by id, in file order."""
    lines = list(numbered_lines(path))
    if not lines:
        raise TppcError(f"{path}: it holds no texts")
    named = all("\t" in line for _, line in lines)
    found: dict[str, str] = {}
    for number, line in lines:
        identity, text = line.split("\t", 1) if named else (str(number), line)
        if not text.strip():
            malformed(path, number, "an empty text", "take the line out")
        if identity in found:
            malformed(path, number, f"the id {identity!r} stands twice", "give each text an id of its own")
        found[identity] = text
    return found
