"""The engine: a task is tried again where that can help, and named with its input where it cannot."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from tppc.builders import engine as module
from tppc.builders.engine import ATTEMPTS, Engine, Task, sweep
from tppc.builders.runner import run_tasks
from tppc.builders.sources.base import Partition
from tppc.builders.workspace import DONE, Workspace, paths_in, with_paths, workspace
from tppc.errors import TppcError


def work_in(path: Path) -> Workspace:
    return Workspace(path / "work")


def tell(folder: Path, text: str) -> None:
    """Write a line."""
    (folder / "out.txt").write_text(text)


def flaky(folder: Path, log: str, failures: int, kind: int = errno.EIO) -> None:
    """Fail as a disk or a network does, a few times."""
    with Path(log).open("a") as file:
        file.write("x")
    if Path(log).stat().st_size <= failures:
        raise OSError(kind, os.strerror(kind))
    tell(folder, "done")


def broken(folder: Path, part: str, bucket: int) -> None:
    """A fault of the code or of the data."""
    raise ValueError("no such column: score")


def dying(folder: Path, log: str, deaths: int) -> None:
    """Die as a process does that the kernel ends."""
    with Path(log).open("a") as file:
        file.write("x")
    if Path(log).stat().st_size <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    tell(folder, "alive")


def made(number: int) -> Task:
    return Task("tell", tell, {"text": str(number)}, number)


def test_a_passing_error_is_met_with_another_attempt(tmp_path: Path) -> None:
    log = tmp_path / "log"
    task = Task("flaky", flaky, {"log": str(log), "failures": ATTEMPTS - 1}, 1)
    (folder,) = run_tasks([task], work_in(tmp_path), Engine())
    assert (folder / "out.txt").read_text() == "done"
    assert log.stat().st_size == ATTEMPTS


@pytest.mark.parametrize(
    ("kind", "tries"), [(errno.EIO, ATTEMPTS), (errno.ENOSPC, 1), (errno.ENOENT, 1), (errno.EACCES, 1)]
)
def test_an_error_that_stays_is_not_tried_for_ever(tmp_path: Path, kind: int, tries: int) -> None:
    log = tmp_path / "log"
    files = {"pairs": "/data/WikiMatrix.en-hi.tsv.gz"}
    partition = Partition("wikimatrix", ("en-hi",), files, {"pairs": "0" * 64}, None)
    task = Task("clean", lambda folder, partition, **a: flaky(folder, **a), {"log": str(log), "failures": 99, "kind": kind, "partition": partition}, 1)  # fmt: skip
    with pytest.raises(TppcError, match=r"clean \(en-hi, /data/WikiMatrix.en-hi.tsv.gz\): failed") as caught:
        run_tasks([task], work_in(tmp_path), Engine())
    assert os.strerror(kind) in str(caught.value)
    assert log.stat().st_size == tries
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failure_names_step_and_input_and_keeps_what_is_done(tmp_path: Path, workers: int) -> None:
    bad = Task("identify", broken, {"part": "/somewhere/merge-0123/en-hi", "bucket": 7}, 1)
    with pytest.raises(TppcError) as caught:
        run_tasks([made(1), made(2), bad], work_in(tmp_path), Engine(workers=workers))
    assert "identify (/somewhere/merge-0123/en-hi, bucket 7): failed (ValueError: no such column: score)" in str(
        caught.value
    )
    if workers == 1:
        assert all((work_in(tmp_path).folder / made(n).name / "out.txt").is_file() for n in (1, 2))


def test_tasks_go_on_when_a_worker_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    dies_once = Task("dying", dying, {"log": str(log), "deaths": 1}, 1)
    folders = run_tasks([made(1), dies_once, made(2), made(3)], work_in(tmp_path), Engine(workers=2))
    assert [(f / "out.txt").read_text() for f in folders] == ["1", "alive", "2", "3"]
    assert log.stat().st_size == 2
    assert not list(work_in(tmp_path).folder.glob(".*"))


def test_a_task_that_always_kills_its_worker_is_named(tmp_path: Path) -> None:
    doomed = Task("dying", dying, {"log": str(tmp_path / "log"), "deaths": 99}, 1)
    with pytest.raises(TppcError, match=rf"dying: its process was ended from outside {ATTEMPTS} times"):
        run_tasks([doomed, made(1)], work_in(tmp_path), Engine(workers=2))
    sweep(work_in(tmp_path))
    assert not list(work_in(tmp_path).folder.glob(f"{module.TEMPORARY}*"))


def test_a_task_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    task = Task("flaky", flaky, {"log": str(log), "failures": 0}, 1)
    for _ in range(2):
        run_tasks([task], work_in(tmp_path), Engine())
    assert log.stat().st_size == 1


def test_outputs_behind_a_url_come_when_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    work = workspace("memory://engine/work")
    assert work.folder.parent == tmp_path.resolve()
    task = Task("wide", wide, {}, 1)
    (folder,) = run_tasks([task], work, Engine())
    elsewhere = Workspace(tmp_path / "elsewhere", work.address)
    assert elsewhere.finished() == {task.name}
    (reports,) = run_tasks([task], elsewhere, Engine())
    assert sorted(p.name for p in reports.iterdir()) == ["funnel.json"]
    elsewhere.bring([reports / "rows.parquet"])
    assert {p.name: p.read_bytes() for p in reports.iterdir()} == {p.name: p.read_bytes() for p in folder.iterdir()}
    assert (reports / DONE).is_file()
    elsewhere.remove()
    assert elsewhere.finished() == set()
    with pytest.raises(TppcError, match="is gone"):
        elsewhere.bring([reports])


def wide(folder: Path) -> None:
    """Rows and a count of them."""
    (folder / "rows.parquet").write_bytes(b"PAR1" * 1000)
    (folder / "funnel.json").write_text("{}")


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(TppcError, match=r"127\.0\.0\.1:1: the Ray cluster cannot be reached"):
        run_tasks([made(1)], work_in(tmp_path), Engine("ray", address="127.0.0.1:1"))


def test_paths_are_found_however_deep(tmp_path: Path) -> None:
    partition = Partition("bitext", ("en-hi",), {"src": "/a/b.tsv"}, {"src": "0"}, None, {"parts": ["/c/d", "e/f"]})
    found = set(paths_in({"partition": partition, "more": [Path("g"), {"x": "/h"}], "number": 3}))
    assert found == {Path("/a/b.tsv"), Path("/c/d"), Path("g"), Path("/h")}
    moved = with_paths(
        {"partition": partition, "more": (Path("g"), {"x": "/h"})}, lambda path: Path("/new") / path.name
    )
    assert moved["partition"].files == {"src": "/new/b.tsv"}
    assert moved["partition"].options == {"parts": ["/new/d", "e/f"]}
    assert moved["more"] == (Path("/new/g"), {"x": "/new/h"})
