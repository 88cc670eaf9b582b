"""The data of a fine-tuned task: one language to train on, its development set, and test sets by language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tppc.corpora.files import COMPRESSED, sha256_of_value
from tppc.corpora.languages import language
from tppc.errors import TppcError, UsageError
from tppc.evaluation.tasks.task import ReadOptions, Task

SAMPLE = "sample"


@dataclass(frozen=True)
class TaskData:
    """Labelled items of one task. `tests` is in the order of the languages' codes; `notes` say what was repaired."""

    name: str
    source_language: str
    train: Sequence[Any]
    dev: Sequence[Any]
    tests: Mapping[str, Sequence[Any]]
    notes: tuple[str, ...] = ()

    def digest(self, items: Sequence[Any]) -> str:
        """SHA-256 of the training items, the development items and `items`, as read and mapped."""
        return sha256_of_value([[vars(item) for item in part] for part in (self.train, self.dev, items)])


def load_task_data(
    task: Task,
    *,
    data: str | None = None,
    train: str | None = None,
    dev: str | None = None,
    tests: Sequence[str] = (),
    options: ReadOptions = ReadOptions(),  # noqa: B008  (frozen)
) -> TaskData:
    """Read a task's data from the sample, a folder or single files.

    Args:
        data: `sample` (what the package brings), or a folder of files named `en.train.conll`, `en.dev.conll`,
            `hi.test.conll`, compressed or not.
        train, dev, tests: files, `FILE` or `LANGUAGE=FILE` (tests need the language, training is English by default);
            instead of `data`.

    Raises `UsageError` for a request that does not fit together, `TppcError` for files that are missing or malformed.
    """
    files = list(tests)
    if (data is None) == (train is None):
        raise UsageError(
            "say what to train on: either --data sample, --data FOLDER, or --train FILE with --test hi=FILE"
        )
    if data is not None:
        if dev or files:
            raise UsageError(
                "--data brings its own development and test files: leave --dev and --test out, or use --train"
            )
        return _from_folder(task, data, options)
    assert train is not None
    source, train_file = _language_and_file(train, "en")
    dev_language, dev_file = _language_and_file(dev, source) if dev else (source, None)
    if dev_language != source:
        raise UsageError(
            f"--dev is {dev_language} but --train is {source}: development data must be of the training language"
        )
    if not files:
        raise UsageError("say what to test on: --test hi=FILE, once for each language")
    by_language: dict[str, Path] = {}
    for given in files:
        code, file = _language_and_file(given, None)
        if code in by_language:
            raise UsageError(f"--test names {code} twice: put the files of a language together, or evaluate twice")
        by_language[code] = file
    return _read(task, train_file.name, source, train=train_file, dev=dev_file, tests=by_language, options=options)


def _language_and_file(given: str, default: str | None) -> tuple[str, Path]:
    """Split `hi=FILE`; a plain file is of the default language."""
    code, equals, file = given.partition("=")
    if not equals:
        if default is None:
            raise UsageError(f"--test {given}: say the language too, as in --test hi={given}")
        return default, Path(given)
    return language(code).code, Path(file)


def _from_folder(task: Task, data: str, options: ReadOptions) -> TaskData:
    """Find `<language>.<split>.<ending>` in the sample or a folder."""
    if data == SAMPLE:
        from tppc.samples import sample_root

        folder = Path(sample_root()) / "tasks" / task.name
    else:
        folder = Path(data)
    if not folder.is_dir():
        raise TppcError(
            f"{folder}: no such folder; give --data sample, or a folder with files such as en.train.{task.endings[0]}"
        )
    found: dict[str, dict[str, Path]] = {"train": {}, "dev": {}, "test": {}}
    for file in sorted(folder.iterdir()):
        name = file.name
        for ending in COMPRESSED:
            name = name.removesuffix(ending)
        parts = name.split(".")
        if len(parts) == 3 and parts[1] in found and parts[2] in task.endings:
            code = language(parts[0]).code
            if code in found[parts[1]]:
                raise TppcError(
                    f"{folder}: two files for {code} {parts[1]} ({found[parts[1]][code].name}, {file.name}); keep one"
                )
            found[parts[1]][code] = file
    if len(found["train"]) != 1:
        have = ", ".join(f.name for f in found["train"].values()) or "none"
        raise TppcError(f"{folder}: one training file is wanted, such as en.train.{task.endings[0]}; there is: {have}")
    [(source, train)] = found["train"].items()
    if not found["test"]:
        raise TppcError(f"{folder}: no test file, such as hi.test.{task.endings[0]}")
    name = f"{SAMPLE}/{task.name}" if data == SAMPLE else folder.resolve().name
    return _read(task, name, source, train=train, dev=found["dev"].get(source), tests=found["test"], options=options)


def _read(
    task: Task,
    name: str,
    source: str,
    *,
    train: Path,
    dev: Path | None,
    tests: Mapping[str, Path],
    options: ReadOptions,
) -> TaskData:
    notes: list[str] = []

    def items(file: Path) -> Sequence[Any]:
        reading = task.read(file, options)
        notes.extend(reading.notes)
        return reading.items

    read_train, read_dev = items(train), items(dev) if dev else []
    read_tests = {code: items(tests[code]) for code in sorted(tests)}
    changes = options.describe()
    return TaskData(f"{name} ({changes})" if changes else name, source, read_train, read_dev, read_tests, tuple(notes))
