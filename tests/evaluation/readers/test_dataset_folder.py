"""Folders of the `datasets` library: saved ones, ones of data files, splits, label names."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tppc.errors import TppcError, UsageError
from tppc.evaluation.data import load_task_data
from tppc.evaluation.readers.choose import read_labelled, read_tagged
from tppc.evaluation.readers.dataset_folder import folder_named
from tppc.evaluation.readers.forms import LabelledText, TaggedSentence
from tppc.evaluation.readers.options import ReadOptions
from tppc.evaluation.tasks import task_named

datasets = pytest.importorskip("datasets", reason="the datasets library is not installed")
Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the library stores is seen here."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "library-cache")


def made(*tags: int) -> Any:
    """A dataset of one-token sentences with named tags."""
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-PER", "I-PER"])),
        }
    )
    columns = {"tokens": [[f"w{i}"] for i in range(len(tags))], "ner_tags": [[tag] for tag in tags]}
    return datasets.Dataset.from_dict(columns, features=features)


def test_a_saved_dataset_with_splits(tmp_path: Path) -> None:
    folder = tmp_path / "wikiann-hi"
    datasets.DatasetDict({"train": made(0, 1), "validation": made(1), "test": made(1, 0, 0)}).save_to_disk(folder)
    reading = read_tagged(Path(f"{folder}:test"), ReadOptions())
    assert [s.tags for s in reading.items] == [("B-PER",), ("O",), ("O",)]
    assert reading.items[0] == TaggedSentence(("w0",), ("B-PER",))
    assert len(read_tagged(folder, ReadOptions(split=("dev", "validation"))).items) == 1
    with pytest.raises(UsageError, match=r"no split 'dev'; there are: train, validation, test"):
        read_tagged(Path(f"{folder}:dev"), ReadOptions())
    with pytest.raises(UsageError, match=r"say which split, as in wikiann-hi:train"):
        read_tagged(folder, ReadOptions())


def test_a_saved_dataset_with_one_split(tmp_path: Path) -> None:
    made(0, 1).save_to_disk(tmp_path / "one")
    assert len(read_tagged(tmp_path / "one", ReadOptions(split=("test",))).items) == 2
    with pytest.raises(UsageError, match="holds one split, so name none"):
        read_tagged(tmp_path / "one:test", ReadOptions())


def test_the_roles_of_files_choose_their_splits(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    datasets.DatasetDict({"train": made(0, 1), "validation": made(1), "test": made(1, 0, 0)}).save_to_disk(folder)
    data = load_task_data(
        task_named("ner"), train=str(folder), dev=str(folder), tests=[f"hi={folder}", f"ar={folder}:train"]
    )
    assert [len(part) for part in (data.train, data.dev, data.tests["hi"], data.tests["ar"])] == [2, 1, 3, 2]


CARD = """---
configs:
- config_name: en
  data_files:
  - split: train
    path: en/train.parquet
- config_name: hi
  data_files:
  - split: test
    path: hi/test.parquet
---
"""


def test_a_folder_with_a_card_and_configurations(tmp_path: Path) -> None:
    folder = tmp_path / "card"
    for name in ("en/train", "hi/test"):
        (folder / name).parent.mkdir(parents=True)
        made(1, 0).to_parquet(folder / f"{name}.parquet")
    (folder / "README.md").write_text(CARD)
    assert [s.tags for s in read_tagged(Path(f"{folder}:hi:test"), ReadOptions()).items] == [("B-PER",), ("O",)]
    data = load_task_data(task_named("ner"), train=f"{folder}:en:train", tests=[f"hi={folder}:hi:test"])
    assert len(data.tests["hi"]) == 2
    with pytest.raises(TppcError, match=r"card: the datasets library cannot read it \(.*ja"):
        read_tagged(Path(f"{folder}:ja:test"), ReadOptions())
    assert all(file.suffix == ".lock" for file in (tmp_path / "library-cache").rglob("*"))  # no copy of the data


def test_a_folder_of_json_lines(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps({"text": "good", "label": "positive"}) + "\n")
    (folder / "test.jsonl").write_text(json.dumps({"text": "bad", "label": "negative"}) + "\n")
    assert read_labelled(folder, ReadOptions(split=("train",))).items == [LabelledText("good", "positive")]
    assert read_labelled(Path(f"{folder}:test"), ReadOptions()).items == [LabelledText("bad", "negative")]


def test_a_malformed_row_is_named_with_folder_split_and_row(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    datasets.DatasetDict({"test": made(0, -1)}).save_to_disk(folder)
    with pytest.raises(TppcError, match=r"saved, test row 2: ner_tags is -1, and labels go from 0 to 2"):
        read_tagged(folder, ReadOptions())


def test_a_folder_that_is_no_dataset_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TppcError, match="empty: the datasets library cannot read it"):
        read_tagged(tmp_path / "empty", ReadOptions())
    broken = tmp_path / "broken"
    datasets.DatasetDict({"test": made(0, 1)}).save_to_disk(broken)
    for file in broken.rglob("*.arrow"):
        file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(TppcError, match="broken: the datasets library cannot read it"):
        read_tagged(broken, ReadOptions())


def test_names_behind_colons_and_colons_in_names(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert folder_named(tmp_path / "a:b") == (tmp_path / "a:b", ())
    assert folder_named(tmp_path / "a:b:test") == (tmp_path / "a:b", ("test",))
    assert folder_named(tmp_path / "a:b:hi:test") == (tmp_path / "a:b", ("hi", "test"))
    assert folder_named(tmp_path / "c:test") is None


def test_without_the_library_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "datasets":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'tppc\[datasets\]'"):
        read_tagged(tmp_path, ReadOptions())
