"""The work folder goes when a build ends, also one that was killed at its very end, and what others left stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snapshots import matrix_rows

from tppc.builders import workspace as workspace_module
from tppc.builders.build import build
from tppc.builders.workspace import Workspace
from tppc.corpora.languages import Pair

EN_HI = [Pair("en", "hi")]


@pytest.mark.parametrize("step", ["before", "half-way"])
def test_killed_while_the_work_folder_goes_the_next_start_removes_it(
    wikimatrix: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        """As SIGKILL, but that `finally` runs."""

    def die(*_: Any) -> None:
        raise Killed

    mirror, out = wikimatrix(matrix_rows(300)), tmp_path / "out"
    with monkeypatch.context() as context:
        if step == "before":
            context.setattr(Workspace, "remove", die)
        else:
            context.setattr(workspace_module, "in_threads", die)
        with pytest.raises(Killed):
            build("wikimatrix", EN_HI, origin=str(mirror), out=out)
    assert any((out / ".work").glob("wikimatrix*/*")), "something is left"
    build("wikimatrix", EN_HI, origin=str(mirror), out=out)
    assert [path.name for path in (out / ".work").iterdir()] == ["wikimatrix.lock"]


def test_what_another_build_left_is_not_removed_with_it(wikimatrix: Callable[..., Path], tmp_path: Path) -> None:
    mirror, out = wikimatrix(matrix_rows(300)), tmp_path / "out"
    build("wikimatrix", EN_HI, origin=str(mirror), out=out)
    (out / ".work" / "wikimatrix" / "clean-of-another-pair").mkdir(parents=True)
    build("wikimatrix", EN_HI, origin=str(mirror), out=out)
    assert (out / ".work" / "wikimatrix" / "clean-of-another-pair").is_dir()
