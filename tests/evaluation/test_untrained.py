"""Bitext mining and similarity from encoders to results: the same numbers from stored answers, to the last bit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cipher import cipher_pairs

from tppc.corpora.keys import side_keys
from tppc.encoders.embed import embed
from tppc.encoders.load import Encoder, Translation
from tppc.errors import TppcError, UsageError
from tppc.evaluation.mining_data import mining_data
from tppc.evaluation.pairs import Pairs
from tppc.evaluation.predictions import read_predictions, results_of
from tppc.evaluation.protocol import answers, evaluate
from tppc.evaluation.resampling import counted, difference
from tppc.evaluation.tasks.bitext import best_threshold, mined, sides_of


def pairs(count: int, same: int = 0) -> Pairs:
    """`count` pairs, the last `same` of which are the same text on both sides."""
    src = [f"{a} {i}" for i, (a, _) in enumerate(cipher_pairs(count, 0))]
    tgt = [f"{b} {i}" for i, (_, b) in enumerate(cipher_pairs(count, 0))]
    tgt[count - same :] = src[count - same :]
    return Pairs("made:test", "0", "en", "hi", src, tgt, side_keys(src), side_keys(tgt))


@pytest.mark.parametrize("task", ["bitext", "similarity", "retrieval"])
def test_stored_answers_give_the_same_results(tiny: Encoder, tmp_path: Path, task: str) -> None:
    data = mining_data(sides_of(pairs(40, same=8))) if task == "bitext" else pairs(40)
    said: list[str] = []
    found = evaluate(task, {"baseline": tiny, "trained": tiny}, data, predictions=tmp_path, say=said.append)
    again = [r for path in tmp_path.iterdir() for one in read_predictions(path) for r in results_of(one)]
    assert sorted(found, key=str) == sorted(again, key=str)
    assert {r.role for r in found} == {"trivial", "baseline", "trained"}
    values = {(r.task, r.metric): r.value for r in found if r.role == "baseline"}
    assert values == {(r.task, r.metric): r.value for r in found if r.role == "trained"}
    assert len({r.protocol for r in found if r.role != "trivial"}) == len({r.task for r in found})
    assert all(f"{task} {role} en-hi: " in " ".join(said) for role in ("baseline", "trained"))


def test_equal_texts_are_what_the_trivial_baseline_of_mining_finds(tiny: Encoder) -> None:
    data = mining_data(sides_of(pairs(40, same=8)), threshold=0.0)
    found = evaluate("bitext", {"trained": tiny}, data)
    trivial = {(r.task, r.metric): r.value for r in found if r.role == "trivial"}
    assert trivial["bitext", "recall"] == 8 / 40
    assert trivial["bitext", "precision"] == 1.0
    assert trivial["bitext-nearest", "accuracy"] == 1 / 40
    assert {r.n for r in found} == {40}


def test_the_threshold_is_the_best_one_of_the_development_part_alone(tiny: Encoder) -> None:
    data = mining_data(sides_of(pairs(60, same=20)), share=0.4)
    assert data.dev is not None
    by_hand = best_threshold(mined(data.dev, embed(tiny, data.dev.src), embed(tiny, data.dev.tgt), data.mining))
    said: list[str] = []
    evaluate("bitext", {"trained": tiny}, data, say=said.append)
    assert f"(threshold {by_hand:.4f}, " in said[0]
    oracle = best_threshold(mined(data.test, embed(tiny, data.test.src), embed(tiny, data.test.tgt), data.mining))
    assert f"{oracle:.4f}" != f"{by_hand:.4f}"


def test_what_was_mined_is_compared_source_by_source(tiny: Encoder) -> None:
    """The same encoder differs from itself by nothing; from its own answers without a third of them by what they are."""
    data = mining_data(sides_of(pairs(60, same=30)), threshold=0.0)
    found = [one for parts in answers("bitext", {"trained": tiny}, data, (0,)) for one in parts]
    [full] = [one for one in found if one.task == "bitext" and one.role == "trained"]
    thinned = replace(full, predicted=[[] if i % 3 == 0 else one for i, one in enumerate(full.predicted)])
    before, after = counted([thinned, full])
    f1 = [results_of(one)[0].value for one in (thinned, full)]
    assert [before.value(), after.value()] == pytest.approx(f1)
    same = difference({(0, None): after}, {(0, None): after})
    assert same is not None
    assert (same.value, same.low, same.high, same.p_randomised) == (0.0, 0.0, 0.0, 1.0)
    gain = difference({(0, None): before}, {(0, None): after})
    assert gain is not None
    assert gain.value == pytest.approx(f1[1] - f1[0])
    assert gain.low < gain.value < gain.high
    assert gain.sentences == 60


def test_an_encoder_that_knows_its_logit_is_asked_for_its_accuracy(tiny: Encoder) -> None:
    knowing = replace(tiny, translation=Translation("cosine", 4.0, -2.0))
    found = evaluate("similarity", {"trained": knowing}, pairs(30))
    metrics = {r.metric for r in found if r.role == "trained"}
    assert {"auc hard", "accuracy hard"} <= metrics
    plain = evaluate("similarity", {"trained": tiny}, pairs(30))
    assert not {r.metric for r in plain if r.role == "trained"} & {"accuracy hard"}
    [language] = [r.value for r in found if r.role == "trivial" and r.metric == "auc tpp2021"]
    assert 0.5 < language < 1


def test_a_layer_is_part_of_the_protocol(tiny: Encoder) -> None:
    last = evaluate("retrieval", {"trained": tiny}, pairs(30))
    first = evaluate("retrieval", {"trained": tiny}, pairs(30), layer=1)
    assert first[-1].protocol.replace("layer=1; ", "") == last[-1].protocol
    with pytest.raises(UsageError, match="it has the layers"):
        evaluate("retrieval", {"trained": tiny}, pairs(30), layer=3)


def test_data_of_another_kind_and_broken_vectors_are_refused(tiny: Encoder) -> None:
    import copy

    with pytest.raises(UsageError, match="bitext wants two sides and gold pairs"):
        evaluate("bitext", {"trained": tiny}, pairs(4))
    with pytest.raises(UsageError, match="ner wants labelled data"):
        evaluate("ner", {"trained": tiny}, pairs(4))
    broken = replace(tiny, model=copy.deepcopy(tiny.model))
    next(iter(broken.model.parameters())).data.fill_(math.nan)
    for task, data in (("similarity", pairs(8)), ("bitext", mining_data(sides_of(pairs(8)), threshold=1.0))):
        with pytest.raises(TppcError, match="not finite numbers"):
            evaluate(task, {"trained": broken}, data)
    assert np.isfinite(next(iter(tiny.model.parameters())).detach().numpy()).all()
