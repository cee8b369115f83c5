"""A real browser: Debian's Chromium (or any other), driven by Playwright, that counts every request and complaint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from browser.chromium import ABSENT, executable, started
from draw.conftest import make, view_of

__all__ = ["browser", "make", "open_page", "page_of", "view_of"]

# Serious means: someone cannot use the page.
GRAVE = ("serious", "critical")
LOUD = ("error", "warning")
# The script of a network's page has taken over; other pages are whole when they are loaded.
READY = "() => !document.getElementById('data') || document.documentElement.classList.contains('ready')"


def pause(page: Any, milliseconds: int) -> None:
    """Waits by the page's own clock and for two more frames: what the page had due by then has happened, however busy
    the machine is. A pause by the test's clock may end before the page has had its turn."""
    page.evaluate(
        """milliseconds => new Promise(done => setTimeout(
            () => requestAnimationFrame(() => requestAnimationFrame(done)), milliseconds))""",
        milliseconds,
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of a process; where there is none they are skipped, and the summary says so."""
    program = executable()
    if program is None:
        pytest.skip(ABSENT)
    with started(program) as chromium:
        yield chromium


@dataclass
class Opened:
    """A page and everything it did that it should not: requests but for its own file, complaints on the console."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def assert_quiet(self) -> None:
        """It asked nobody for anything, and nothing went wrong in it."""
        assert self.requests == []
        assert self.complaints == []

    def grave(self) -> list[str]:
        """What axe-core finds that would keep people from using the page."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['help']} at {[node['target'] for node in one['nodes']][:3]}"
            for one in found
            if one["impact"] in GRAVE
        ]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file from disk in a context of its own; options are those of Playwright's `new_context`."""
    with ExitStack() as contexts:

        def opener(file: Path, fragment: str = "", **options: Any) -> Opened:
            options = {"viewport": {"width": 1280, "height": 800}, "offline": True, **options}
            context = contexts.enter_context(browser.new_context(**options))
            page = context.new_page()
            opened = Opened(page)
            own = file.resolve().as_uri()

            def requested(request: Any) -> None:
                if request.url.partition("#")[0] != own and not request.url.startswith("data:"):
                    opened.requests.append(request.url)

            page.on("request", requested)
            page.on("console", lambda said: opened.complaints.append(said.text) if said.type in LOUD else None)
            page.on("pageerror", lambda error: opened.complaints.append(str(error)))
            page.on("dialog", lambda dialog: (opened.complaints.append(dialog.message), dialog.dismiss()))
            page.goto(own + (f"#{fragment}" if fragment else ""))
            if options.get("java_script_enabled", True):
                page.wait_for_function(READY)
            return opened

        yield opener


@pytest.fixture(scope="session")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The page of a spec as a file, made once."""
    from functools import cache

    import composer
    from composer.dag.sketch import Sketch
    from composer.page.render import render_page

    @cache
    def found(name: str) -> Path:
        graph = composer.graph(name)
        file = tmp_path_factory.mktemp("page") / "net.html"
        file.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
        return file

    return found
