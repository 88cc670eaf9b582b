"""The answers that are kept: never another verdict, however the cache looks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshots import matrix_rows

from tppc.builders.build import build
from tppc.builders.cache import clean, entries
from tppc.builders.language_id import lid, lid_cache
from tppc.builders.language_id.lid_cache import Answers, keys_of
from tppc.builders.recipe import load_recipe
from tppc.corpora.files import sha256_of_file
from tppc.corpora.languages import Pair

TOP = 2**64 - 1
EN_HI = [Pair("en", "hi")]
ALONE = load_recipe(None, language_id={"shortcuts": False})


def answered(texts: list[str], label: int = 7) -> np.ndarray:
    found = keys_of(texts)
    found["label"], found["score"] = label, [len(text) for text in texts]
    return found


def fill(folder: Path, texts: list[str], lowest: int = 0, highest: int = TOP) -> None:
    known = Answers(folder, lowest, highest)
    known.add(answered(texts))
    known.save()


def found(folder: Path, texts: list[str], lowest: int = 0, highest: int = TOP) -> list[bool]:
    keys = keys_of(texts)
    known: list[bool] = Answers(folder, lowest, highest).look_up(keys).tolist()
    assert all(k["score"] == len(t) for k, t, is_known in zip(keys, texts, known, strict=True) if is_known)
    return known


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=20, unique=True), max_size=9), st.text())
def test_what_was_kept_is_found_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, kept: list[list[str]], other: str
) -> None:
    folder = tmp_path_factory.mktemp("lid")
    for texts in kept:
        fill(folder, texts)
    everything = [text for texts in kept for text in texts]
    assert found(folder, everything) == [True] * len(everything)
    assert found(folder, [f"{other} not kept"]) == [f"{other} not kept" in everything]


def test_only_files_of_the_buckets_range_are_read(tmp_path: Path) -> None:
    fill(tmp_path, ["low"], 0, 999)
    fill(tmp_path, ["high"], 1_000, 1_999)
    assert found(tmp_path, ["low", "high"], 0, 999) == [True, False]
    assert found(tmp_path, ["low", "high"], 500, 1_500) == [True, True]


def test_many_files_of_a_bucket_become_one(tmp_path: Path) -> None:
    for number in range(9):
        fill(tmp_path, [f"text {number}"])
        assert len(list(tmp_path.iterdir())) <= lid_cache._FILES
    assert found(tmp_path, [f"text {n}" for n in range(9)]) == [True] * 9


def test_a_small_bucket_merges_no_files_of_a_larger_one(tmp_path: Path) -> None:
    for number in range(6):
        fill(tmp_path, [f"wide {number}"], 0, 10_000 + number)
    before = set(tmp_path.iterdir())
    fill(tmp_path, ["narrow"], 10, 20)
    assert before <= set(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 28])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, damage: bytes) -> None:
    fill(tmp_path, ["one"])
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    (tmp_path / "notes.lid").write_bytes(b"not ours")
    assert found(tmp_path, ["one"]) == [False]
    fill(tmp_path, ["one"])
    assert found(tmp_path, ["one"]) == [True]


def test_a_cache_that_cannot_be_written_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    fill(tmp_path / "file" / "en-hi", ["one"])
    assert "are not kept" in capsys.readouterr().err


def test_the_oldest_go_first_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lid_cache.folder_of("0" * 64, "en-hi")
    for number in range(4):
        fill(folder, [f"text {number}"], number, number)
        (path,) = folder.glob(f"{number:016x}-*")
        os.utime(path, (1_000 + number, 1_000 + number))
    size = sum(p.stat().st_size for p in folder.iterdir())
    lid_cache.prune(size)
    assert len(list(folder.iterdir())) == 4
    found(folder, ["text 0"], 0, 0)  # reading makes it young
    lid_cache.prune(size // 2)
    assert sorted(int(p.name[:16], 16) for p in folder.iterdir()) == [0, 3]


def test_the_cache_commands_know_it() -> None:
    fill(lid_cache.folder_of("0" * 64, "en-hi"), ["one"])
    (entry,) = entries()
    assert (entry.kind, entry.name) == ("other", "lid")
    for path in entry.path.rglob("*"):
        os.utime(path, (1_000, 1_000))
    os.utime(entry.path, (1_000, 1_000))
    assert [why for _, why in clean(everything=True)] == [None]
    assert entries() == []


def digests(corpus: Path) -> dict[str, str]:
    names = [p for p in corpus.rglob("*") if p.is_file() and "manifest" not in p.name]
    return {p.relative_to(corpus).as_posix(): sha256_of_file(p) for p in sorted(names)}


def test_the_same_bytes_with_a_full_cache_an_empty_one_and_other_workers(
    wikimatrix: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = str(wikimatrix(matrix_rows(600)))
    asked: list[int] = []
    answers = lid.answers

    def count(texts: Any, model: lid.Model) -> Any:
        asked.append(len(texts))
        return answers(texts, model)

    monkeypatch.setattr(lid, "answers", count)
    outs = []
    for name in ("first", "second"):
        asked.append(0)
        (corpus,) = build("wikimatrix", EN_HI, origin=origin, recipe=ALONE, out=tmp_path / name)
        outs.append((digests(corpus.path), sum(asked)))
        asked.clear()
    monkeypatch.setenv("TPPC_CACHE", str(tmp_path / "other cache"))
    (corpus,) = build("wikimatrix", EN_HI, origin=origin, recipe=ALONE, out=tmp_path / "third", workers=2)
    assert outs[0][0] == outs[1][0] == digests(corpus.path)
    assert outs[0][1] > 0
    assert outs[1][1] == 0, "the second build asks nothing"
    stricter = load_recipe(None, language_id={"shortcuts": False}, filters={"length": {"max_chars": 40}})
    asked.clear()
    build("wikimatrix", EN_HI, origin=origin, recipe=stricter, out=tmp_path / "fourth")
    assert sum(asked) == 0, "other filters leave other rows, but no text that was not asked about"


def test_processes_that_write_at_once_and_are_killed_leave_a_sound_cache(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]); from test_lid_cache import fill\n"
        "number = 0\n"
        "while True:\n"
        "    fill(Path(sys.argv[1]), [f'{sys.argv[3]} {number} {n}' for n in range(200)]); number += 1\n"
    )
    here = Path(__file__).parent
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here), *sys.path])}
    command = [sys.executable, "-c", program, str(tmp_path), str(here)]
    writers = [subprocess.Popen([*command, str(n)], env=env) for n in range(3)]
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("*.lid"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    assert any(found(tmp_path, [f"{w} 0 0" for w in range(3)]))
    fill(tmp_path, ["after the kills"])
    assert found(tmp_path, ["after the kills"]) == [True]
