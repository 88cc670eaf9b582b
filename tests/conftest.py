"""What all tests share: no network caches outside the test, and the folder of real data where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads of a test stay in the test; waits between attempts are short."""
    monkeypatch.setenv("TPPC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TPPC_BACKOFF", "0.01")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real data that is not part of the project: `$TPPC_SHARED`, or `shared` beside the checkout."""
    folder = Path(os.environ.get("TPPC_SHARED") or Path(__file__).parents[2] / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder} (set TPPC_SHARED to the folder that holds `data/`)")
    return folder
