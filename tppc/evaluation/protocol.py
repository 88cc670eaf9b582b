"""The main road of evaluation: encoders in, results out.

For a labelled task every encoder is fine-tuned on the source language (English) with every seed and tested on every
other language: zero-shot transfer. The last checkpoint is taken; the source language's development score is reported
and selects nothing; target-language data is only ever tested on. Retrieval needs no training. Every task reports
trivial baselines beside the encoders (all-O, majority class, random order), since a score means little without them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from tppc.errors import UsageError
from tppc.evaluation.alike import describe, differently_read, load_alike
from tppc.evaluation.data import TaskData
from tppc.evaluation.finetune import FineTuning, Prepared, fine_tune, predict, prepare_texts, prepare_tokens
from tppc.evaluation.results import Result, Role
from tppc.evaluation.significance import paired_bootstrap
from tppc.evaluation.tasks import retrieval, task_named
from tppc.evaluation.tasks.retrieval import Pairs, Ranks
from tppc.evaluation.tasks.task import Labels, Task, labels_of

if TYPE_CHECKING:
    from tppc.encoders.load import Encoder

Say = Callable[[str], None]


def evaluate(
    task: str,
    encoders: Mapping[Role, str | Encoder],
    data: TaskData | Pairs,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    config: FineTuning | None = None,
    *,
    pooling: str | None = None,
    prefix: str | None = None,
    device: str | None = None,
    say: Say = lambda line: None,
) -> list[Result]:
    """Evaluate encoders on a task.

    Args:
        task: `retrieval`, `ner`, `pos` or `sentiment`.
        encoders: by role (`baseline`, `control`, `trained`): a name or folder, or a loaded encoder.
        data: from `load_pairs` for retrieval, from `load_task_data` for the others.
        seeds: of the fine-tuning, the same for every encoder, so that results are paired by seed.
        pooling, prefix: instead of the encoders' own; without them, see `alike`. device: cpu or cuda; CUDA where there
            is one.
        say: is told what happens, a line at a time.

    Returns every measured number, trivial baselines first. Raises `UsageError` for a request that makes no sense,
    `TppcError` for an encoder that cannot be loaded or that diverges.
    """
    unknown = sorted(set(encoders) - set(get_args(Role)) | set(encoders) & {"trivial"})
    if unknown or not encoders:
        raise UsageError(f"encoders are given by role: baseline, control or trained, not {unknown or 'none'}")

    where = _device(device)

    def load() -> dict[Role, Encoder]:
        loaded = load_alike(encoders, pooling=pooling, prefix=prefix, device=where)
        if differently_read(loaded):
            say(f"note: the encoders declare different ways to be read, and keep them: {describe(loaded)}")
        return loaded

    if isinstance(data, Pairs):
        if task != retrieval.NAME:
            raise UsageError(f"{task} wants labelled data, not pairs")
        return _retrieval(load(), data, say)
    chosen = task_named(task)
    if not seeds or len(set(seeds)) != len(seeds):
        raise UsageError(f"seeds must be at least one and all different (they are {list(seeds)})")
    return _zero_shot(chosen, load(), data, seeds, config=config or FineTuning(), say=say)


def _device(given: str | None) -> str:
    """The device asked for, or the best there is. Raises `UsageError` for one that is not here or of another kind."""
    import torch

    if given is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    found = re.fullmatch(r"cpu|cuda(?::([0-9]{1,4}))?", given)
    if not found:
        raise UsageError(f"--device {given}: no device that tppc runs on; use cpu, cuda or cuda:1")
    if given == "cpu":
        return given
    if not torch.cuda.is_available():
        raise UsageError(f"--device {given}: PyTorch finds no CUDA device here; use --device cpu")
    if int(found[1] or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {given}: PyTorch finds {torch.cuda.device_count()} CUDA devices, counted from 0")
    return given


def _zero_shot(
    task: Task,
    encoders: Mapping[Role, Encoder],
    data: TaskData,
    seeds: Sequence[int],
    *,
    config: FineTuning,
    say: Say,
) -> list[Result]:
    """Fine-tune on the source language, test on every language."""
    for note in data.notes:
        say(f"note: {note}")
    train_gold = labels_of(data.train)
    known = {label for one in train_gold for label in one}
    # What is scored: the source's development set, then the test sets.
    parts = [(data.source_language, "dev", data.dev)] if data.dev else []
    parts += [(code, "test", items) for code, items in data.tests.items()]
    gold = [labels_of(items) for _, _, items in parts]
    digests = [data.digest(items) for _, _, items in parts]
    labelled = "; first subword with text" if task.unit == "token" else ""
    read = f"{labelled}; {describe(encoders)}"
    results: list[Result] = []

    def record(index: int, predicted: Labels, role: Role, *, encoder: str, seed: int | None, how: str) -> float:
        code, split, _ = parts[index]
        scores = task.score(gold[index], predicted)
        for metric in task.metrics:
            results.append(
                Result(
                    task=task.name,
                    language=code,
                    metric=metric,
                    value=scores[metric],
                    n=sum(len(one) for one in gold[index]),
                    seed=seed,
                    encoder=encoder,
                    role=role,
                    protocol=how,
                    dataset=f"{data.name}:{split}",
                    dataset_digest=digests[index],
                    source_language=data.source_language,
                )
            )
        return scores[task.metrics[0]]

    for index, (code, split, _) in enumerate(parts):
        unseen = sorted({label for one in gold[index] for label in one} - known)
        if unseen:
            say(
                f"note: {code} {split} has labels that training never shows, which count as errors: {', '.join(unseen)}"
            )
        name, guessed = task.trivial(train_gold, gold[index])
        record(index, guessed, "trivial", encoder=name, seed=None, how="trivial; training labels alone")

    for role, encoder in encoders.items():
        train = _prepare(task, encoder, data.train)
        tests = [_prepare(task, encoder, items) for _, _, items in parts]
        if cut := _perhaps_cut(encoder, [train, *tests]):
            say(f"note: {cut} texts fill the {encoder.max_length} tokens that {encoder.name} reads and may be cut")
        for seed in seeds:
            start = time.monotonic()
            tuned = fine_tune(encoder, train, train_gold, config, seed, task=task.name)
            said = []
            for index, (code, split, _) in enumerate(parts):
                value = record(
                    index, predict(tuned, tests[index]), role, encoder=encoder.name, seed=seed,
                    how=_protocol(code, split, data.source_language, config, read),
                )  # fmt: skip
                said.append(f"{code}{' dev' if split == 'dev' else ''} {100 * value:.1f}")
            seconds = time.monotonic() - start
            say(f"{task.name} {role} seed {seed}: {task.metrics[0]} {', '.join(said)} ({seconds:.1f} s)")
    return results


def _protocol(code: str, split: str, source: str, config: FineTuning, read: str) -> str:
    """What a result says of how it came to be."""
    kind = "in-language" if code == source else "zero-shot"
    if split == "dev":
        kind = "source-language dev"
    return f"{kind}; last checkpoint; {config.describe()}{read}"


def _prepare(task: Task, encoder: Encoder, items: Sequence[Any]) -> Prepared:
    if task.unit == "token":
        return prepare_tokens(encoder, [item.tokens for item in items])
    return prepare_texts(encoder, [item.text for item in items])


def _perhaps_cut(encoder: Encoder, inputs: Sequence[Prepared]) -> int:
    """Texts as long as the encoder reads; tokens of sentences are never cut off, see `subwords`."""
    return sum(len(w.ids) >= encoder.max_length for one in inputs if one.unit == "text" for w in one.windows)


def _retrieval(
    encoders: Mapping[Role, Encoder],
    pairs: Pairs,
    say: Say,
) -> list[Result]:
    """Search translations with every encoder, both ways."""
    results: list[Result] = []

    def record(scores: Mapping[str, float], role: Role, encoder: str, how: str) -> None:
        for metric, value in scores.items():
            results.append(
                Result(
                    task=retrieval.NAME,
                    language=pairs.tgt_lang,
                    metric=metric,
                    value=value,
                    n=len(pairs.src),
                    seed=None,
                    encoder=encoder,
                    role=role,
                    protocol=how,
                    dataset=pairs.name,
                    dataset_digest=pairs.digest,
                    source_language=pairs.src_lang,
                )
            )

    record(retrieval.score_by_chance(pairs), "trivial", "random order", "trivial; exact expectation")
    found: dict[Role, Ranks] = {}
    how = f"no training; cosine; distinct candidates; ties count against; {describe(encoders)}"
    for role, encoder in encoders.items():
        found[role] = retrieval.retrieve(encoder, pairs)
        scores = retrieval.score(found[role], pairs)
        record(scores, role, encoder.name, how)
        said = ", ".join(f"{metric} {100 * scores[metric]:.1f}" for metric in retrieval.METRICS)
        say(
            f"retrieval {role} {pairs.src_lang}-{pairs.tgt_lang}: {said} "
            f"({encoder.pooling} pooling, {len(pairs.src)} pairs)"
        )
    for role, before in found.items():
        if role != "trained" and "trained" in found:
            say(_bootstrap_line(role, before, found["trained"]))
    return results


def _bootstrap_line(role: Role, before: Ranks, after: Ranks) -> str:
    """The gain in P@1 over pairs, each pair the mean of its two directions."""
    hits = [((r.forward == 1).astype(float) + (r.backward == 1)) / 2 for r in (before, after)]
    test = paired_bootstrap(*hits)
    return (
        f"retrieval trained over {role}: p@1 {100 * test.difference:+.1f}, "
        f"95% interval {100 * test.low:+.1f} to {100 * test.high:+.1f} "
        f"over {test.n} pairs (paired bootstrap, p {test.p_value:.2g})"
    )
