"""The answers of encoders to tasks that train nothing: retrieval, bitext mining, semantic similarity.

Every function yields what was answered; `predictions.results_of` makes numbers of it. `trivial` gives the baselines
that know no encoder, `answers` asks the encoders of one run and compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tppc.errors import TppcError, UsageError
from tppc.evaluation.alike import describe
from tppc.evaluation.mining_data import MiningData
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.predictions import Predictions, results_of
from tppc.evaluation.results import Role
from tppc.evaluation.significance import paired_bootstrap
from tppc.evaluation.tasks import bitext, retrieval, similarity

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder
    from tppc.evaluation.tasks.bitext import Sides
    from tppc.evaluation.tasks.retrieval import Ranks

Say = Callable[[str], None]
_OTHERS_SEED = 0  # of the draw of pairs that are no translations; in the protocol, so that it can be told apart


Data = Pairs | MiningData


def check(task: str, data: Data) -> None:
    """Raise `UsageError` for data that the task cannot use."""
    fits = task == bitext.NAME if isinstance(data, MiningData) else task in (retrieval.NAME, similarity.NAME)
    if not fits:
        raise UsageError(f"{task} wants {'labelled data' if task != bitext.NAME else 'two sides and gold pairs'}")


def trivial(task: str, data: Data) -> list[Predictions]:
    """The trivial baselines of a task on its data."""
    if isinstance(data, MiningData):
        found = bitext.answers(bitext.identical(data.test), 0.0)
        gold = [[str(j)] for j in data.test.gold[:, 1].tolist()]
        identity = {"role": "trivial", "run": 0, "protocol": "trivial; text alone"}
        first = {"gold": gold, "predicted": [["0"]] * len(gold), "values": ()}
        return [
            _mining(data, found, encoder="identical texts", **identity),
            _predictions(bitext.NEAREST, data.test, encoder="the first target", **first, **identity),
        ]
    if task == similarity.NAME:
        asked = similarity.languages_alone(data, _OTHERS_SEED)
        values = [[cosine, cosine] for cosine in asked.cosine]
        how = "trivial; languages alone"
        return [_similarity(data, asked.kind, values, role="trivial", encoder="language ID", run=0, protocol=how)]
    values = retrieval.chance_values(data).tolist()
    how = "trivial; exact expectation"
    return [_retrieval(data, values, role="trivial", encoder="random order", run=0, protocol=how)]


def answers(
    task: str, loaded: Mapping[Role, Encoder], new: Mapping[Role, Encoder], data: Data, *, run: int, say: Say
) -> Iterator[list[Predictions]]:
    """Ask the encoders that are new in this run; `loaded` are all that it compares.

    Raises `TppcError` for an encoder that gives vectors which are not finite.
    """
    if isinstance(data, MiningData):
        yield from _mine(loaded, new, data, run=run, say=say)
    elif task == similarity.NAME:
        yield from _compare(loaded, new, data, run=run, say=say)
    else:
        yield from _search(loaded, new, data, run=run, say=say)


def vectors(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Embed texts, [n, H]. Raises `TppcError` for vectors that are not finite."""
    from tppc.encoders.embed import embed

    found = embed(encoder, texts)
    if not np.isfinite(found).all():
        raise TppcError(
            f"{encoder.name} gave vectors that are not finite numbers; its weights are damaged or its training diverged"
        )
    return found


def _search(
    loaded: Mapping[Role, Encoder], new: Mapping[Role, Encoder], pairs: Pairs, *, run: int, say: Say
) -> Iterator[list[Predictions]]:
    """Search translations, both ways."""
    how = f"no training; cosine; distinct candidates; ties count against; {describe(loaded)}"
    found: dict[Role, Ranks] = {}
    for role, encoder in new.items():
        ranks = found[role] = retrieval.retrieve(encoder, pairs)
        values = list(zip(ranks.forward.tolist(), ranks.backward.tolist(), strict=True))
        one = _retrieval(pairs, values, role=role, encoder=encoder.name, run=run, protocol=how)
        say(_line(one, role, f"{encoder.pooling} pooling, {len(pairs.src)} pairs", *retrieval.METRICS))
        yield [one]
    for role, before in found.items():
        if role != "trained" and "trained" in found:
            say(_bootstrap_line(role, before, found["trained"]))


def _bootstrap_line(role: Role, before: Ranks, after: Ranks) -> str:
    """The gain in P@1 over pairs, each pair the mean of its two directions."""
    hits = [((r.forward == 1).astype(float) + (r.backward == 1)) / 2 for r in (before, after)]
    test = paired_bootstrap(*hits)
    return (
        f"retrieval trained over {role}: p@1 {100 * test.difference:+.1f}, "
        f"95% interval {100 * test.low:+.1f} to {100 * test.high:+.1f} "
        f"over {test.n} pairs (paired bootstrap, p {test.p_value:.2g})"
    )


def _mine(
    loaded: Mapping[Role, Encoder], new: Mapping[Role, Encoder], data: MiningData, *, run: int, say: Say
) -> Iterator[list[Predictions]]:
    """Mine bitext; the threshold of each encoder comes from the development part."""
    read = describe(loaded)
    for role, encoder in new.items():
        threshold = data.threshold
        if threshold is None:
            assert data.dev is not None, "data has a development part or a threshold"
            src, tgt = vectors(encoder, data.dev.src), vectors(encoder, data.dev.tgt)
            threshold = bitext.best_threshold(bitext.mined(data.dev, src, tgt, data.mining))
        src, tgt = vectors(encoder, data.test.src), vectors(encoder, data.test.tgt)
        found = bitext.answers(bitext.mined(data.test, src, tgt, data.mining), threshold)
        identity = {"role": role, "encoder": encoder.name, "run": run}
        one = _mining(data, found, **identity, protocol=f"no training; {data.describe()}; {read}")
        gold, nearest = bitext.nearest_targets(data.test, src, tgt)
        other = _predictions(
            bitext.NEAREST, data.test, gold=gold, predicted=nearest, values=(),
            **identity, protocol=f"no training; nearest target by cosine; {read}",
        )  # fmt: skip
        say(_line(one, role, f"threshold {threshold:.4f}, {len(data.test.gold)} gold pairs", *bitext.METRICS))
        say(_line(other, role, f"as mteb counts, {len(data.test.gold)} gold pairs", *bitext.NEAREST_METRICS[:2]))
        yield [one, other]


def _compare(
    loaded: Mapping[Role, Encoder], new: Mapping[Role, Encoder], pairs: Pairs, *, run: int, say: Say
) -> Iterator[list[Predictions]]:
    """Tell translations from other pairs."""
    how = f"no training; cosine; others drawn with seed {_OTHERS_SEED}; {describe(loaded)}"
    for role, encoder in new.items():
        src, tgt = vectors(encoder, pairs.src), vectors(encoder, pairs.tgt)
        head = encoder.translation if encoder.layer is None else None
        asked = similarity.ask(pairs, src, tgt, head, seed=_OTHERS_SEED)
        columns = [asked.cosine] if asked.probability is None else [asked.cosine, asked.probability]
        values = [list(row) for row in zip(*columns, strict=True)]
        one = _similarity(pairs, asked.kind, values, role=role, encoder=encoder.name, run=run, protocol=how)
        say(_line(one, role, f"{encoder.pooling} pooling, {len(pairs.src)} pairs", *similarity.METRICS))
        yield [one]


def _line(one: Predictions, role: Role, note: str, *metrics: str) -> str:
    scores = {r.metric: r.value for r in results_of(one)}
    said = ", ".join(f"{metric} {100 * scores[metric]:.1f}" for metric in metrics)
    return f"{one.task} {role} {one.source_language}-{one.language}: {said} ({note})"


def _retrieval(pairs: Pairs, values: Sequence[Sequence[int]], **identity: Any) -> Predictions:
    return _predictions(retrieval.NAME, pairs, gold=(), predicted=(), values=values, **identity)


def _mining(data: MiningData, found: bitext.Answers, **identity: Any) -> Predictions:
    return _predictions(
        bitext.NAME, data.test, gold=found.gold, predicted=found.predicted, values=found.values, **identity
    )


def _similarity(pairs: Pairs, kind: Sequence[str], values: Sequence[Sequence[float]], **identity: Any) -> Predictions:
    gold = [[one] for one in kind]
    return _predictions(similarity.NAME, pairs, gold=gold, predicted=(), values=values, **identity)


def _predictions(task: str, of: Pairs | Sides, **more: Any) -> Predictions:
    return Predictions(
        task=task,
        language=of.tgt_lang,
        dataset=of.name,
        dataset_digest=of.digest,
        source_language=of.src_lang,
        seed=None,
        **more,
    )
