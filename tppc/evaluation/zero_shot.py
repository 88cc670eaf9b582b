"""The answers of encoders to labelled test sets: learnt on the source language, asked in every language.

Every function yields what was answered; `predictions.results_of` makes numbers of it. Nothing here looks at a test
set's gold labels but to store them beside the answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tppc.errors import UsageError
from tppc.evaluation.data import TaskData
from tppc.evaluation.finetune import FineTuning, Prepared, Tuned, fine_tune, predict, prepare_texts, prepare_tokens
from tppc.evaluation.predictions import Predictions, results_of
from tppc.evaluation.results import Role
from tppc.evaluation.selection import Kept, Selection
from tppc.evaluation.tasks.task import Labels, Task, labels_of

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """A set that is scored: the source language's development set, or a language's test set."""

    language: str
    split: Literal["dev", "test"]
    items: Sequence[Any]
    gold: Sequence[Sequence[str]]
    digest: str

    def __str__(self) -> str:
        return f"{self.language}{' dev' if self.split == 'dev' else ''}"


def parts_of(data: TaskData) -> list[Part]:
    """What is scored: the source language's development set where there is one, then the test sets."""
    sets: list[tuple[str, Literal["dev", "test"], Sequence[Any]]] = []
    if data.dev:
        sets.append((data.source_language, "dev", data.dev))
    sets += [(code, "test", items) for code, items in data.tests.items()]
    return [Part(code, split, items, labels_of(items), data.digest(items)) for code, split, items in sets]


def notes_of(data: TaskData, parts: Sequence[Part]) -> Iterator[str]:
    """What was repaired in the data, and the labels of test sets that training never shows."""
    yield from data.notes
    known = {label for one in labels_of(data.train) for label in one}
    for part in parts:
        if unseen := sorted({label for one in part.gold for label in one} - known):
            where = f"{part.language} {part.split}"
            yield f"{where} has labels that training never shows, which count as errors: {', '.join(unseen)}"


def trivial_answers(task: Task, data: TaskData, parts: Sequence[Part]) -> Iterator[list[Predictions]]:
    """The task's trivial baselines, each with its answers to all parts."""
    train = labels_of(data.train)
    by_name: dict[str, list[Predictions]] = {}
    for part in parts:
        for name, guessed in task.trivials(train, part.gold).items():
            how = "trivial; training labels alone"
            one = predictions_of(
                task, data, part, guessed, role="trivial", encoder=name, run=0, seed=None, protocol=how
            )
            by_name.setdefault(name, []).append(one)
    yield from by_name.values()


def kind_of(part: Part, source: str) -> str:
    """What a part's score is, where nothing of the target language is used but to test."""
    if part.split == "dev":
        return "source-language dev"
    return "in-language" if part.language == source else "zero-shot"


@dataclass(frozen=True)
class Setting:
    """How encoders learn and are asked: the same for all that are compared. `read` describes how they are read."""

    seeds: Sequence[int]
    config: FineTuning
    selection: Selection
    read: str

    def protocol(self, task: Task, part: Part, source: str) -> str:
        """What a result says of how it came to be."""
        kind = kind_of(part, source)
        if kind == "zero-shot" and self.selection.how == "oracle":
            kind = "target dev used"
        labelled = "; first subword with text" if task.unit == "token" else ""
        return f"{kind}; {self.selection.describe()}; {self.config.describe()}{labelled}; {self.read}"


def encoder_answers(
    task: Task,
    encoder: Encoder,
    data: TaskData,
    parts: Sequence[Part],
    setting: Setting,
    *,
    role: Role,
    run: int,
    say: Say,
) -> Iterator[list[Predictions]]:
    """Fine-tune an encoder with each seed and ask it; the answers to all parts, one list a seed.

    Raises `UsageError` for a selection that wants development data which is not there.
    """
    train, gold = _prepare(task, encoder, data.train), labels_of(data.train)
    asked = [_prepare(task, encoder, part.items) for part in parts]
    if cut := _perhaps_cut(encoder, [train, *asked]):
        say(f"note: {cut} texts fill the {encoder.max_length} tokens that {encoder.name} reads and may be cut")
    kept_by = _keeper(task, encoder, data, setting)
    for seed in setting.seeds:
        start = time.monotonic()
        kept = kept_by()
        tuned = fine_tune(encoder, train, gold, setting.config, seed, task=task.name, after_epoch=kept)
        answers, said = [], []
        for part, inputs in zip(parts, asked, strict=True):
            kept.load(tuned, part.language if part.split == "test" else None)
            how = setting.protocol(task, part, data.source_language)
            one = predictions_of(
                task, data, part, predict(tuned, inputs, task.ranked),
                role=role, encoder=encoder.name, run=run, seed=seed, protocol=how,
            )  # fmt: skip
            answers.append(one)
            said.append(f"{part} {100 * results_of(one)[0].value:.1f}")
        of_run = f" run {run}" if run else ""
        seconds = time.monotonic() - start
        say(f"{task.name} {role}{of_run} seed {seed}: {task.metrics[0]} {', '.join(said)} ({seconds:.1f} s)")
        yield answers


def _keeper(task: Task, encoder: Encoder, data: TaskData, setting: Setting) -> Callable[[], Kept]:
    """What makes the keeper of a fine-tuning's weights; development sets are prepared once."""
    sets: dict[str | None, Sequence[Any]] = {}
    if setting.selection.how == "oracle":
        if not data.oracle:
            raise UsageError("to select as an oracle, give a development file of each language: --oracle hi=FILE")
        sets.update(data.oracle)
    if setting.selection.how in ("source-dev", "oracle") and data.dev:
        sets[None] = data.dev
    if setting.selection.how == "source-dev" and not data.dev:
        raise UsageError("there is no development set of the source language to select on: give one with --dev")
    prepared = {key: (_prepare(task, encoder, items), labels_of(items)) for key, items in sets.items()}

    def score(tuned: Tuned, key: str | None) -> float:
        inputs, gold = prepared[key]
        return task.score(gold, predict(tuned, inputs))[task.metrics[0]]

    return lambda: Kept(setting.selection, setting.config.epochs, list(sets), score)


def predictions_of(task: Task, data: TaskData, part: Part, predicted: Labels, **identity: Any) -> Predictions:
    """The answers to one part, with what says which they are."""
    return Predictions(
        task=task.name,
        language=part.language,
        dataset=f"{data.name}:{part.split}",
        dataset_digest=part.digest,
        source_language=data.source_language,
        gold=part.gold,
        predicted=predicted,
        values=(),
        **identity,
    )


def _prepare(task: Task, encoder: Encoder, items: Sequence[Any]) -> Prepared:
    if task.unit == "token":
        return prepare_tokens(encoder, [item.tokens for item in items])
    return prepare_texts(encoder, [item.text for item in items])


def _perhaps_cut(encoder: Encoder, inputs: Sequence[Prepared]) -> int:
    """Texts as long as the encoder reads; tokens of sentences are never cut off, see `subwords`."""
    return sum(len(w.ids) >= encoder.max_length for one in inputs if one.unit == "text" for w in one.windows)
