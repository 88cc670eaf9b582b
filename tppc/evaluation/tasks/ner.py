"""Named entities: micro-F1 over entities, by seqeval.

`f1` is seqeval's default, which follows conlleval and is what published tables hold: a predicted `I-PER` that
continues nothing begins an entity. `f1_strict` is seqeval's strict mode for IOB2, where it does not. Both count an
entity as right only with exact borders and type. `precision`, `recall` and `f1:PER` (a type's own) read as `f1` does,
`f1_strict:PER` as `f1_strict`; the types are those of the gold entities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tppc.evaluation.readers.choose import ENTITY_ENDINGS, read_tagged
from tppc.evaluation.readers.forms import Reading, TaggedSentence
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.tasks import measures
from tppc.evaluation.tasks.task import Labels, Task, random_labels

Entity = tuple[int, str, int, int]
"""Sentence, type, first and last token."""


def read(path: Path, options: ReadOptions) -> Reading[TaggedSentence]:
    """Read entities in any format of `readers`, then apply the label map if there is one."""
    return read_tagged(path, options, "entities")


def entities(labels: Labels) -> set[Entity]:
    """The entities of sentences of IOB2 tags, as seqeval's default reads them."""
    from seqeval.metrics.sequence_labeling import get_entities

    return {
        (number, kind, first, last)
        for number, tags in enumerate(labels)
        for kind, first, last in get_entities(list(tags))
    }


def strict_entities(labels: Labels) -> set[Entity]:
    """The entities of sentences of IOB2 tags, as seqeval's strict mode reads them: each begins with `B-`."""
    from seqeval.scheme import IOB2, Entities

    found = Entities([list(tags) for tags in labels], IOB2).entities
    return {(number, e.tag, e.start, e.end - 1) for number, sentence in enumerate(found) for e in sentence}


def score(gold: Labels, predicted: Labels) -> Mapping[str, float]:
    """The metrics of the module's docstring, 0 where nothing is predicted or nothing is there."""
    assert [len(g) for g in gold] == [len(p) for p in predicted], "every gold token must be scored"
    types, counts = _by_type(entities(gold), entities(predicted))
    strict_types, strict = _by_type(strict_entities(gold), strict_entities(predicted))
    every = counts.sum(-1)
    return {
        "f1": float(measures.micro_f1(counts)),
        "f1_strict": float(measures.micro_f1(strict)),
        "precision": float(measures.ratio(every[measures.RIGHT], every[measures.PREDICTED])),
        "recall": float(measures.ratio(every[measures.RIGHT], every[measures.GOLD])),
        **measures.by_class("f1", types, measures.f1(counts), counts),
        **measures.by_class("f1_strict", strict_types, measures.f1(strict), strict),
    }


def _by_type(gold: set[Entity], predicted: set[Entity]) -> tuple[Sequence[str], NDArray[np.int64]]:
    """Types, sorted, and counts [3, types]: right, predicted, gold."""
    types = sorted({kind for _, kind, *_ in gold | predicted})

    def count(some: Iterable[Entity]) -> list[int]:
        kinds = [kind for _, kind, *_ in some]
        return [kinds.count(kind) for kind in types]

    return types, np.array([count(gold & predicted), count(predicted), count(gold)], dtype=np.int64)


def counts(gold: Labels, predicted: Labels) -> NDArray[np.int64]:
    """Entities of each sentence that are right, predicted and gold, int64 [sentences, 3], as `f1` reads them."""
    found = np.zeros((len(gold), 3), dtype=np.int64)
    right, guessed = entities(gold), entities(predicted)
    for column, some in ((measures.RIGHT, right & guessed), (measures.PREDICTED, guessed), (measures.GOLD, right)):
        np.add.at(found, ([number for number, *_ in some], column), 1)
    return found


def measure(counts: NDArray[Any]) -> NDArray[np.float64]:
    """`f1` [...] of summed counts [..., 3]."""
    return measures.f1(counts[..., None])[..., 0]


def all_o(train: Labels, test: Labels) -> dict[str, Labels]:
    """Trivial baseline: no entities at all."""
    return {"all-O": [["O"] * len(one) for one in test]}


def trivials(train: Labels, test: Labels) -> dict[str, Labels]:
    """No entities at all, and tags drawn at random."""
    return all_o(train, test) | random_labels(train, test)


TASK = Task(
    name="ner",
    unit="token",
    metrics=("f1", "f1_strict", "precision", "recall"),
    endings=ENTITY_ENDINGS,
    read=read,
    score=score,
    counts=counts,
    measure=measure,
    trivials=trivials,
)
