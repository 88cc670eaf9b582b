"""The data of a fine-tuned task: one language to train on, its development set, and test sets by language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tppc.corpora.files import COMPRESSED, sha256_of_value
from tppc.corpora.languages import language
from tppc.errors import TppcError, UsageError
from tppc.evaluation.readers.forms import Reading
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.readers.texts import labels_beside
from tppc.evaluation.tasks.task import Task

SAMPLE = "sample"

# What a split is called in folders of the `datasets` library, by what it is for here.
_SPLITS = {"train": ("train",), "dev": ("validation", "dev", "valid", "val"), "test": ("test",)}


@dataclass(frozen=True)
class TaskData:
    """Labelled items of one task. `tests` is in the order of the languages' codes; `notes` say what was repaired.

    `oracle` holds development items of the target languages: there only where somebody asked to select by them.
    `files` says where `train` and `hi test` were read; nothing that is kept names them.
    """

    name: str
    source_language: str
    train: Sequence[Any]
    dev: Sequence[Any]
    tests: Mapping[str, Sequence[Any]]
    notes: tuple[str, ...] = ()
    oracle: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

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
    oracle: Sequence[str] = (),
    options: ReadOptions = ReadOptions(),  # noqa: B008  (frozen)
) -> TaskData:
    """Read a task's data from the sample, a folder or single files.

    Args:
        data: `sample` (what the package brings), or a folder of files named `en.train.conll`, `en.dev.conll`,
            `hi.test.conll`, compressed or not.
        train, dev, tests: files, `FILE` or `LANGUAGE=FILE` (tests need the language, training is English by default);
            instead of `data`.
        oracle: development files of target languages, `LANGUAGE=FILE`: only to select by, see `selection`.

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
        return _with_oracle(task, _from_folder(task, data, options), oracle, options)
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
    read = _read(task, train_file.name, source, train=train_file, dev=dev_file, tests=by_language, options=options)
    return _with_oracle(task, read, oracle, options)


def _with_oracle(task: Task, data: TaskData, files: Sequence[str], options: ReadOptions) -> TaskData:
    """Add development sets of target languages; none of them may be missing."""
    if not files:
        return data
    by_language = dict(_language_and_file(given, None, "--oracle") for given in files)
    if missing := sorted(set(data.tests) - set(by_language)):
        raise UsageError(f"--oracle needs a development file for each tested language: {', '.join(missing)} has none")
    return replace(
        data, oracle={code: _read_split(task, file, "dev", options).items for code, file in by_language.items()}
    )


def _language_and_file(given: str, default: str | None, option: str = "--test") -> tuple[str, Path]:
    """Split `hi=FILE`; a plain file is of the default language."""
    code, equals, file = given.partition("=")
    if not equals:
        if default is None:
            raise UsageError(f"{option} {given}: say the language too, as in {option} hi={given}")
        return default, Path(given)
    return language(code).code, Path(file)


def _from_folder(task: Task, data: str, options: ReadOptions) -> TaskData:
    """Find `<language>.<split>.<ending>` in the sample or a folder."""
    if data == SAMPLE:
        from tppc.samples import sample_root

        folder = Path(sample_root()) / "tasks" / (task.sample or task.name)
    else:
        folder = Path(data)
    if not folder.is_dir():
        raise TppcError(
            f"{folder}: no such folder; give --data sample, or a folder with files such as en.train.{task.endings[0]}"
        )
    found: dict[str, dict[str, Path]] = {"train": {}, "dev": {}, "test": {}}
    left_out = []
    for file in sorted(folder.iterdir()):
        name = file.name
        for ending in COMPRESSED:
            name = name.removesuffix(ending)
        parts = name.split(".")
        two_files = task.unit == "text" and labels_beside(file) is not None  # en.train_text.txt, en.train_labels.txt
        split = parts[1].removesuffix("_text") if two_files else parts[1] if len(parts) == 3 else ""
        if len(parts) != 3 or split not in found:
            continue
        if not two_files and parts[2].lower() not in task.endings:
            left_out.append(file.name)
            continue
        code = language(parts[0]).code
        if code in found[split]:
            raise TppcError(
                f"{folder}: two files for {code} {split} ({found[split][code].name}, {file.name}); keep one"
            )
        found[split][code] = file
    if len(found["train"]) != 1:
        have = ", ".join(f.name for f in found["train"].values()) or "none"
        raise TppcError(f"{folder}: one training file is wanted, such as en.train.{task.endings[0]}; there is: {have}")
    [(source, train)] = found["train"].items()
    if not found["test"]:
        raise TppcError(f"{folder}: no test file, such as hi.test.{task.endings[0]}")
    name = f"{SAMPLE}/{task.sample or task.name}" if data == SAMPLE else folder.resolve().name
    read = _read(task, name, source, train=train, dev=found["dev"].get(source), tests=found["test"], options=options)
    if not left_out:
        return read
    known = ", ".join(task.endings)
    note = f"{folder.name}: not read, since {task.name} takes {known} from a folder: {', '.join(left_out)}"
    return replace(read, notes=(note, *read.notes))


def _read_split(task: Task, file: Path, split: str, options: ReadOptions) -> Reading[Any]:
    """Read a file for `train`, `dev` or `test`, which says which split of a folder with several is meant."""
    return task.read(file, replace(options, split=_SPLITS[split]))


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

    def items(file: Path, split: str) -> Sequence[Any]:
        reading = _read_split(task, file, split, options)
        notes.extend(reading.notes)
        return reading.items

    read_train, read_dev = items(train, "train"), items(dev, "dev") if dev else []
    read_tests = {code: items(tests[code], "test") for code in sorted(tests)}
    changes = options.describe()
    files = {"train": train} | {f"{code} test": file for code, file in tests.items()}
    shown = f"{name} ({changes})" if changes else name
    return TaskData(shown, source, read_train, read_dev, read_tests, tuple(notes), files=files)
