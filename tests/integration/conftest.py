"""One browser for all tests that look at a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium; skips where there is none, fails instead under TPPC_REQUIRE_BROWSER=1."""
    with chromium() as running:
        yield running
