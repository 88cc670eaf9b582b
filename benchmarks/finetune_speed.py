"""A fine-tuning beside Hugging Face's `Trainer` with the collator of its token-classification example.

    python benchmarks/finetune_speed.py [--train FILE --test FILE] [--task ner|pos] [--encoder FOLDER]
                                        [--sentences 2000] [--tested N] [--epochs 2] [--precision bf16] [--seeds 3]

The same sentences, encoder, epochs, batch size, learning rate, schedule and precision three times: ours, Trainer as it
is (random order, each batch padded to its longest), and Trainer with `group_by_length`. Each seed runs all three, one
after another in one process with the threads that torch was given (OMP_NUM_THREADS). Printed are CPU seconds of the
training alone, the ratio to ours, and the score on the test file, each with its mean and spread over the seeds.
Trainer's model labels first subwords, as the example does; ours the first subword with text. Every gold token is scored
in all three.

Without files a small random encoder learns the package's samples: that shows that the comparison runs, not more.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from tppc.encoders.load import Encoder, load_encoder
from tppc.encoders.scratch import make_encoder
from tppc.evaluation.data import load_task_data
from tppc.evaluation.finetune import FineTuning, fine_tune, predict, prepare_tokens
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.tasks import task_named
from tppc.evaluation.tasks.task import Task, labels_of

Sentences = Sequence[Any]


def data_of(options: argparse.Namespace, task: Task) -> tuple[Sentences, Sentences]:
    """Training and test sentences: of the files, or the samples'."""
    if options.train is None:
        loaded = load_task_data(task, data="sample")
        return loaded.train, loaded.dev
    how = ReadOptions(labels=options.labels)
    return task.read(options.train, how).items[: options.sentences], task.read(options.test, how).items[
        : options.tested
    ]


def ours(encoder: Encoder, train: Sentences, test: Sentences, config: FineTuning, seed: int) -> tuple[float, list[Any]]:
    """CPU seconds of the training, and the labels found in the test sentences."""
    inputs, asked = (
        prepare_tokens(encoder, [s.tokens for s in train]),
        prepare_tokens(encoder, [s.tokens for s in test]),
    )
    begin = time.process_time()
    tuned = fine_tune(encoder, inputs, labels_of(train), config, seed)
    seconds = time.process_time() - begin
    return seconds, predict(tuned, asked)


def theirs(strategy: str) -> Callable[..., tuple[float, list[Any]]]:
    """The same with Trainer and a sampling strategy."""

    def run(
        encoder: Encoder, train: Sentences, test: Sentences, config: FineTuning, seed: int
    ) -> tuple[float, list[Any]]:
        from transformers import (
            AutoModelForTokenClassification,
            DataCollatorForTokenClassification,
            Trainer,
            TrainingArguments,
            set_seed,
        )

        labels = sorted({tag for s in train for tag in s.tags})
        number = {label: i for i, label in enumerate(labels)}

        def encode(sentences: Sentences, known: bool) -> list[dict[str, Any]]:
            rows = []
            for s in sentences:
                row = encoder.tokenizer(
                    list(s.tokens), is_split_into_words=True, truncation=True, max_length=encoder.max_length
                )
                words = row.word_ids()
                first = [w is not None and w != before for before, w in zip([None, *words], words, strict=False)]
                row["labels"] = [
                    (number[s.tags[w]] if known else 0) if f else -100 for f, w in zip(first, words, strict=True)
                ]
                rows.append(dict(row))
            return rows

        set_seed(seed)
        with TemporaryDirectory() as folder:
            encoder.model.save_pretrained(folder)
            model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=len(labels))
            arguments = TrainingArguments(
                folder, num_train_epochs=config.epochs, per_device_train_batch_size=config.batch_size,
                per_device_eval_batch_size=64, learning_rate=config.lr, warmup_steps=config.warmup,
                weight_decay=config.weight_decay, max_grad_norm=config.max_grad_norm, bf16=config.precision == "bf16",
                train_sampling_strategy=strategy, seed=seed, use_cpu=not torch.cuda.is_available(), report_to="none",
                save_strategy="no", logging_strategy="no", disable_tqdm=True,
            )  # fmt: skip
            trainer = Trainer(
                model, arguments, train_dataset=encode(train, True),
                data_collator=DataCollatorForTokenClassification(encoder.tokenizer),
            )  # fmt: skip
            begin = time.process_time()
            trainer.train()
            seconds = time.process_time() - begin
            rows = encode(test, False)
            found = trainer.predict(rows)
        best = np.asarray(found.predictions).argmax(-1)
        return seconds, [
            [labels[i] for i, label in zip(scores, row["labels"], strict=False) if label != -100]
            for scores, row in zip(best, rows, strict=True)
        ]

    return run


SYSTEMS: dict[str, Callable[..., tuple[float, list[Any]]]] = {
    "tppc": ours,
    "Trainer": theirs("random"),
    "Trainer, group_by_length": theirs("group_by_length"),
}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--task", default="ner")
    parser.add_argument("--labels")
    parser.add_argument("--encoder")
    parser.add_argument("--sentences", type=int, default=2_000)
    parser.add_argument("--tested", type=int, help="sentences to test on; all without")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    task = task_named(options.task)
    train, test = data_of(options, task)
    encoder = (
        load_encoder(options.encoder)
        if options.encoder
        else make_encoder("scratch:tiny", [" ".join(s.tokens) for s in train], seed=0)
    )
    config = FineTuning(
        epochs=options.epochs, lr=options.lr, batch_size=options.batch_size, precision=options.precision
    )
    print(
        f"{len(train):,} sentences, {len(test):,} to test on, {encoder.name}, "
        f"{torch.get_num_threads()} threads; {config.describe()}"
    )
    seconds: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    scores: dict[str, list[list[float]]] = {name: [] for name in SYSTEMS}
    gold = labels_of(test)
    for seed in range(options.seeds):
        for name, run in SYSTEMS.items():
            spent, found = run(encoder, train, test, config, seed)
            assert [len(one) for one in found] == [len(one) for one in gold], "every gold token is scored"
            values = task.score(gold, found)
            seconds[name].append(spent)
            scores[name].append([100 * values[metric] for metric in task.metrics])
            said = ", ".join(f"{metric} {100 * values[metric]:.1f}" for metric in task.metrics)
            print(f"seed {seed} {name}: {spent:.1f} CPU seconds, {said}", flush=True)
    for name in SYSTEMS:
        ratio = [a / b for a, b in zip(seconds[name], seconds["tppc"], strict=True)]
        said = ", ".join(
            f"{metric} {statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"
            for metric, values in zip(task.metrics, zip(*scores[name], strict=True), strict=True)
        )
        print(
            f"{name}: {statistics.mean(seconds[name]):.1f} CPU seconds, {statistics.mean(ratio):.2f} x ours "
            f"({min(ratio):.2f} to {max(ratio):.2f}); {said}"
        )


if __name__ == "__main__":
    main()
