"""A task's data in a folder: which files are taken, which are named as left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tppc.errors import TppcError
from tppc.evaluation.data import load_task_data
from tppc.evaluation.tasks import task_named

Write = Callable[[str, str], Path]

NER = "Anna\tB-PER\n\n"


def test_files_of_different_formats_stand_side_by_side(write: Write, tmp_path: Path) -> None:
    write("d/en.train.conll", NER)
    write("d/hi.test.ssf", '<Sentence id="1">\n0\t((\tSSF\n1\tराम\n\t))\n</Sentence>\n')
    write("d/ja.test.jsonl", '{"text": "東京", "spans": [{"start": 0, "end": 2, "label": "LOC"}]}\n')
    data = load_task_data(task_named("ner"), data=str(tmp_path / "d"))
    assert {code: items[0].tags for code, items in data.tests.items()} == {"hi": ("O",), "ja": ("B-LOC", "I-LOC")}
    assert any("cut into words" in note for note in data.notes)


def test_a_file_that_is_not_taken_is_named(write: Write, tmp_path: Path) -> None:
    for name in ("en.train.conll", "hi.test.conll", "ar.test.xml", "notes.md"):
        write(f"d/{name}", NER)
    data = load_task_data(task_named("ner"), data=str(tmp_path / "d"))
    [note] = data.notes
    assert note.startswith("d: not read, since ner takes conll")
    assert note.endswith(": ar.test.xml")


def test_the_two_file_form_in_a_folder(write: Write, tmp_path: Path) -> None:
    for name in ("en.train", "hi.test"):
        write(f"d/{name}_text.txt", "good\nbad\n")
        write(f"d/{name}_labels.txt", "2\n0\n")
    data = load_task_data(task_named("sentiment"), data=str(tmp_path / "d"))
    assert [item.label for item in data.tests["hi"]] == ["positive", "negative"]
    assert data.notes == ()


def test_two_files_of_one_language_are_refused(write: Write, tmp_path: Path) -> None:
    for name in ("en.train.conll", "hi.test.conll", "hi.test.jsonl"):
        write(f"d/{name}", NER)
    with pytest.raises(TppcError, match=r"two files for hi test \(hi\.test\.conll, hi\.test\.jsonl\)"):
        load_task_data(task_named("ner"), data=str(tmp_path / "d"))
