"""Probes: what a logistic regression reads from frozen vectors, held against scikit-learn's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tppc.encoders.load import Encoder
from tppc.errors import TppcError, UsageError
from tppc.evaluation.data import TaskData, load_task_data
from tppc.evaluation.experiment import TaskEntry
from tppc.evaluation.finetune import FineTuning
from tppc.evaluation.plan import load_data
from tppc.evaluation.probing import Probing, cross_validated, learn_probe
from tppc.evaluation.protocol import evaluate
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.selection import Selection
from tppc.evaluation.tasks import task_named


@pytest.fixture(scope="module")
def clouds() -> tuple[np.ndarray, list[str]]:
    """200 vectors around four centres, far from the origin and on different scales."""
    random = np.random.default_rng(0)
    kinds = random.integers(0, 4, 200)
    vectors = random.normal(size=(4, 6))[kinds] + random.normal(size=(200, 6))
    return (vectors * [1, 10, 100, 1, 1, 1] + 50).astype(np.float32), ["dbca"[k] for k in kinds]


def test_a_probe_is_scikit_learns_regression_on_standardised_vectors(clouds: tuple[np.ndarray, list[str]]) -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, labels = clouds
    standard = (vectors - vectors[:150].mean(0)) / vectors[:150].std(0)
    model = LogisticRegression(C=0.5, max_iter=1_000).fit(standard[:150], labels[:150])
    probe = learn_probe(vectors[:150], labels[:150], Probing(inverse_penalty=0.5))
    assert probe.converged
    ranked = probe.ranked(vectors[150:], 3)
    assert [one[0] for one in ranked] == model.predict(standard[150:]).tolist()
    order = np.argsort(-model.predict_proba(standard[150:]), axis=1)[:, :3]
    assert ranked == [[str(model.classes_[i]) for i in row] for row in order]


def test_two_labels_are_ranked_too(clouds: tuple[np.ndarray, list[str]]) -> None:
    vectors, labels = clouds
    probe = learn_probe(vectors, ["a" if label == "a" else "b" for label in labels], Probing())
    assert {tuple(sorted(one)) for one in probe.ranked(vectors, 5)} == {("a", "b")}


def test_what_cannot_be_learnt_is_said(clouds: tuple[np.ndarray, list[str]]) -> None:
    vectors, labels = clouds
    with pytest.raises(TppcError, match="have the label 'a'"):
        learn_probe(vectors[:2], ["a", "a"], Probing())
    with pytest.raises(TppcError, match="not finite"):
        learn_probe(np.full_like(vectors, np.inf), labels, Probing())
    assert not learn_probe(vectors, labels, Probing(max_iterations=1)).converged


def test_groups_are_kept_apart_in_cross_validation() -> None:
    # Pairs of equal rows with a label of chance: learnt by heart where one of a pair may teach the other.
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(80, 60)), random.integers(0, 2, 80).astype(str)
    vectors, twice = np.repeat(rows, 2, axis=0).astype(np.float32), np.repeat(labels, 2).tolist()
    config = Probing(inverse_penalty=1_000.0)
    apart = cross_validated(vectors, twice, config, groups=np.repeat(np.arange(80), 2))
    mixed = cross_validated(np.concatenate([vectors[::2], vectors[1::2]]), twice[::2] + twice[1::2], config)
    assert apart < 0.7
    assert mixed > 0.8
    assert cross_validated(vectors, twice, config, groups=np.repeat(np.arange(80), 2)) == apart


def test_end_to_end(tiny: Encoder, tmp_path: Path) -> None:
    (tmp_path / "en.tsv").write_text("good film\tx\nbad film\ty\nfilm\tneutral\n" * 8)
    (tmp_path / "hi.tsv").write_text("very good\tx\nvery bad\ty\nvery\tneutral\n" * 3)
    files = {"train": str(tmp_path / "en.tsv"), "tests": [f"hi={tmp_path / 'hi.tsv'}"]}
    data = load_task_data(task_named("probe"), **files, options=ReadOptions(neutral="drop"))  # type: ignore[arg-type]
    before = {name: p.detach().clone() for name, p in tiny.model.named_parameters()}
    found = evaluate("probe", {"baseline": tiny, "trained": tiny}, data, (0,))
    assert {r.n for r in found} == {6}
    probed = [r for r in found if r.role == "trained"]
    assert {r.seed for r in probed} == {None}
    assert all("zero-shot; frozen encoder; logistic regression" in r.protocol for r in probed)
    assert {"macro_f1", "accuracy", "f1:x"} <= {r.metric for r in probed}
    assert [r.value for r in probed] == [r.value for r in found if r.role == "baseline"]
    assert all((p == before[name]).all() for name, p in tiny.model.named_parameters())
    with pytest.raises(UsageError, match="set up by Probing"):
        evaluate("probe", {"trained": tiny}, data, (0,), FineTuning())
    with pytest.raises(UsageError, match="nothing to select"):
        evaluate("probe", {"trained": tiny}, data, (0,), selection=Selection(how="average"))


def test_a_grid_takes_probes_without_seeds() -> None:
    entry = TaskEntry(task="probe", data="sample", test_items=20)
    data = load_data("topics", entry)
    assert not entry.seeded
    assert isinstance(data, TaskData)
    assert {len(items) for items in data.tests.values()} == {20}
