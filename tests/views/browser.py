"""A headless Chromium, driven by selenium; both are no dependency: tests that need them skip where they are missing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium(*, dark: bool = False, size: tuple[int, int] = (1440, 900)) -> Iterator[Any]:
    """Give a browser without a window, for a colour scheme."""
    selenium = pytest.importorskip("selenium.webdriver")
    found, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not found or not driver:
        pytest.skip("chromium and chromedriver are not installed")
    options = selenium.ChromeOptions()
    options.binary_location = found
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ):
        options.add_argument(flag)
    options.add_argument(f"--window-size={size[0]},{size[1]}")
    if dark:
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ["SE_OFFLINE"] = "true"
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    try:
        scheme = "dark" if dark else "light"
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        yield browser
    finally:
        browser.quit()


def opened(browser: Any, path: Any) -> float:
    """Open a page; return the milliseconds until it was ready."""
    import time

    browser.get(path.resolve().as_uri())
    end = time.monotonic() + 30
    while time.monotonic() < end:
        ready = browser.execute_script("return document.documentElement.dataset.ready")
        if ready:
            return float(ready)
        time.sleep(0.02)
    raise AssertionError(browser.get_log("browser"))
