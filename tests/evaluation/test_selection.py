"""Which weights are tested: the last, a mean, or those that a development set prefers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tppc.encoders.load import Encoder
from tppc.errors import UsageError
from tppc.evaluation.data import TaskData, load_task_data
from tppc.evaluation.finetune import FineTuning, Tuned, fine_tune, prepare_tokens
from tppc.evaluation.protocol import evaluate
from tppc.evaluation.results import Result
from tppc.evaluation.selection import Kept, Selection
from tppc.evaluation.tasks import task_named
from tppc.evaluation.tasks.task import labels_of

CONFIG = FineTuning(epochs=4, lr=5e-3, batch_size=8)
TRAIN = "Anna\tB-PER\nlikes\tO\nParis\tB-LOC\n\nParis\tB-LOC\nlikes\tO\nAnna\tB-PER\n\n" * 8
HINDI = "likes\tB-PER\nAnna\tO\nParis\tB-LOC\n\n" * 8


@pytest.fixture
def data(tmp_path: Path) -> TaskData:
    """English to Hindi, with a development set of either."""
    for name, text in {"train": TRAIN, "dev": TRAIN, "hi": HINDI, "hi-dev": HINDI}.items():
        (tmp_path / name).write_text(text)
    files = {"train": str(tmp_path / "train"), "dev": str(tmp_path / "dev"), "tests": [f"hi={tmp_path / 'hi'}"]}
    return load_task_data(task_named("ner"), **files, oracle=[f"hi={tmp_path / 'hi-dev'}"])  # type: ignore[arg-type]


def weights(tuned: Tuned) -> dict[str, torch.Tensor]:
    """A copy of all weights of the model and its head."""
    both = torch.nn.ModuleList([tuned.model, tuned.head])
    return {name: value.detach().clone() for name, value in both.named_parameters()}


def trained(tiny: Encoder, data: TaskData, kept: Kept) -> tuple[Tuned, list[dict[str, torch.Tensor]]]:
    """A fine-tuning with the weights after each epoch."""
    after: list[dict[str, torch.Tensor]] = []

    def look(tuned: Tuned, epoch: int) -> None:
        assert epoch == len(after)
        assert not tuned.model.training
        kept(tuned, epoch)
        after.append(weights(tuned))

    inputs = prepare_tokens(tiny, [item.tokens for item in data.train])
    return fine_tune(tiny, inputs, labels_of(data.train), CONFIG, 0, after_epoch=look), after


def never(tuned: Tuned, language: str | None) -> float:
    """No development set may be asked."""
    raise AssertionError


def test_the_last_weights_are_left_as_they_are(tiny: Encoder, data: TaskData) -> None:
    kept = Kept(Selection(), CONFIG.epochs, [], never)
    tuned, after = trained(tiny, data, kept)
    kept.load(tuned, "hi")
    assert all(torch.equal(value, after[-1][name]) for name, value in weights(tuned).items())


def test_the_mean_is_over_the_last_epochs(tiny: Encoder, data: TaskData) -> None:
    kept = Kept(Selection(how="average", average=3), CONFIG.epochs, [], never)
    tuned, after = trained(tiny, data, kept)
    kept.load(tuned, "hi")
    now = weights(tuned)
    for name, value in now.items():
        torch.testing.assert_close(value, torch.stack([one[name] for one in after[1:]]).mean(0))
    assert any(not torch.equal(value, after[-1][name]) for name, value in now.items())


def test_each_language_gets_the_epoch_that_its_score_prefers(tiny: Encoder, data: TaskData) -> None:
    scores = {"hi": iter([0.1, 0.9, 0.9, 0.2]), "ja": iter([0.5, 0.1, 0.1, 0.1]), None: iter([0.0, 0.0, 0.0, 0.3])}
    kept = Kept(Selection(how="oracle"), CONFIG.epochs, ["hi", "ja", None], lambda tuned, key: next(scores[key]))
    tuned, after = trained(tiny, data, kept)
    assert kept.epochs == {"hi": 2, "ja": 1, None: 4}  # of equal scores the earlier
    for language, epoch in (("hi", 1), ("ja", 0), (None, 3), ("hi", 1)):
        kept.load(tuned, language)
        assert all(torch.equal(value, after[epoch][name]) for name, value in weights(tuned).items())


def test_watching_changes_nothing(tiny: Encoder, data: TaskData) -> None:
    """Development scores between epochs leave the training as it is: dropout goes on, random numbers too."""
    inputs = prepare_tokens(tiny, [item.tokens for item in data.train])
    plain = fine_tune(tiny, inputs, labels_of(data.train), CONFIG, 0)
    config = {"how": "source-dev"}
    _, after = trained(tiny, data, Kept(Selection.model_validate(config), 4, [None], lambda tuned, key: 0.5))
    assert all(torch.equal(value, after[-1][name]) for name, value in weights(plain).items())


def protocols(results: list[Result]) -> set[str]:
    """How the encoders' results on Hindi came to be."""
    return {r.protocol for r in results if r.role == "trained" and r.language == "hi"}


def test_results_say_what_selected(tiny: Encoder, data: TaskData) -> None:
    for how, said in {
        "average": "zero-shot; mean of the last 2 epochs' weights;",
        "source-dev": "zero-shot; epoch selected on source-language dev;",
        "oracle": "target dev used; ORACLE: epoch selected on each target language's own dev;",
    }.items():
        selection = Selection.model_validate({"how": how, "average": 2})
        found = evaluate("ner", {"trained": tiny}, data, (0,), CONFIG, selection=selection)
        [protocol] = protocols(found)
        assert protocol.startswith(said)


def test_a_selection_that_cannot_be_made_is_refused(tiny: Encoder, data: TaskData, tmp_path: Path) -> None:
    files = {"train": str(tmp_path / "train"), "tests": [f"hi={tmp_path / 'hi'}"]}
    bare = load_task_data(task_named("ner"), **files)  # type: ignore[arg-type]
    for how, message in {
        "source-dev": "no development set of the source language",
        "oracle": "give a development file of each language",
        "average": "the mean of the last 9 epochs is asked for, but there are 4",
    }.items():
        selection = Selection.model_validate({"how": how, "average": 9})
        with pytest.raises(UsageError, match=message):
            evaluate("ner", {"trained": tiny}, bare, (0,), CONFIG, selection=selection)
    with pytest.raises(UsageError, match="hi has none"):
        load_task_data(task_named("ner"), **files, oracle=[f"ja={tmp_path / 'hi'}"])  # type: ignore[arg-type]
