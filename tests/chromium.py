"""A headless Chromium for tests, which notes what a page did."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Runs before anything of the page: the page itself has no script that could count what its policy refused.
_WATCH = "window.refused=[];document.addEventListener('securitypolicyviolation',e=>window.refused.push(e.blockedURI))"
CLEAN = {"console": [], "fetched": [], "refused": [], "pwned": "undefined"}


@contextmanager
def chromium() -> Iterator[Any]:
    """Headless Chromium; skips where there is none, fails instead under TPPC_REQUIRE_BROWSER=1."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next((found for name in names if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        missing = "Chromium" if binary is None else "chromedriver"
        reason = f"no {missing} on PATH (install chromium and chromium-driver)"
        if os.environ.get("TPPC_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = binary
    # Containers give no user namespaces and little shared memory; the page under test is our own.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as browser:
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _WATCH})
        yield browser


def open_page(browser: Any, page: Path | str, width: int = 1280) -> None:
    """Show a page in a window of some width, everything unfolded."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page if isinstance(page, str) else page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")


def signs(browser: Any) -> dict[str, Any]:
    """What a page that ran or fetched something would leave behind."""
    return {
        "console": browser.get_log("browser"),
        "fetched": browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)"),
        "refused": browser.execute_script("return window.refused"),
        "pwned": browser.execute_script("return typeof window.pwned"),
    }
