"""Where a browser is, and how to start it so that it asks nobody for anything by itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ABSENT = "NO BROWSER: pages are not tested. Install Chromium (apt-get install chromium) or set COMPOSER_BROWSER"
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
]


def executable() -> str | None:
    """What `COMPOSER_BROWSER` names, or the first that is installed."""
    return os.environ.get("COMPOSER_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def started(program: str, **environment: str) -> Iterator[Any]:
    """A browser, driven by Playwright; with variables of its environment besides those that are set."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=QUIET, chromium_sandbox=False, env={**os.environ, **environment}
        )
        yield chromium
        chromium.close()
