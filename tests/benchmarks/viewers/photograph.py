"""Takes pictures of pages, small enough for a repository."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Error

from tests.benchmarks.viewers.features import Feature

WINDOW = {"width": 1440, "height": 900}
SCALE, COLOURS = 0.6, 160
GRAVE = ("serious", "critical")


@dataclass
class Camera:
    """A browser whose pictures go into a folder; `work` is where commands write."""

    browser: Any
    pictures: Path
    work: Path

    def first_screen(self, name: str, address: str) -> int | None:
        """Takes a picture of a viewer as it opens; gives the number of grave findings of axe-core."""
        with self.browser.new_context(viewport=WINDOW) as context:
            page = context.new_page()
            page.goto(address)
            page.wait_for_timeout(8_000)
            consent = page.get_by_text("Accept", exact=True)
            if consent.count():
                consent.first.click()
                page.wait_for_timeout(3_000)
            self.save(page, name.lower().replace(" ", "_"))
            return _grave(page)

    def first_screen_of_composer(self) -> int | None:
        """The same of composer's own page."""
        file = self.work / "first.html"
        self.run(f"graph papers/cbam/resnet50 -o {file}")
        return self.first_screen("composer", file.as_uri())

    def take(self, feature: Feature) -> None:
        """Runs a feature's command, does what it says in the page, and takes its picture."""
        if not feature.picture:
            return
        file = self.work / f"{feature.picture}.{'svg' if feature.is_picture else 'html'}"
        self.run(f"{feature.command} -o {file} --force")
        with self.browser.new_context(viewport=WINDOW, offline=True) as context:
            page = context.new_page()
            page.goto(file.as_uri() + feature.fragment)
            page.wait_for_timeout(1_000)
            for step in feature.steps:
                page.evaluate(step)
                page.wait_for_timeout(700)
            self.save(page, feature.picture)

    def run(self, command: str) -> None:
        """Runs a command of composer; a network with mistakes exits with 1, and is drawn all the same."""
        words = [sys.executable, "-m", "composer", *shlex.split(command)]
        done = subprocess.run(words, cwd=self.work, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stderr

    def save(self, page: Any, name: str) -> None:
        """The window as a PNG of few colours."""
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        small = image.resize((round(image.width * SCALE), round(image.height * SCALE)), Image.Resampling.LANCZOS)
        self.pictures.mkdir(parents=True, exist_ok=True)
        small.quantize(COLOURS, dither=Image.Dither.NONE).save(self.pictures / f"{name}.png", optimize=True)


def _grave(page: Any) -> int | None:
    """How much axe-core finds; None where a page lets no other script in, or is no HTML."""
    try:
        found = Axe().run(page).response["violations"]
    except Error:
        return None
    return sum(len(one["nodes"]) for one in found if one["impact"] in GRAVE)
