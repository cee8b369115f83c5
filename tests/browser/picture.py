"""Takes the picture of a page that the README shows, examples/pictures/page.png:

python -m tests.browser.picture
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import composer
from composer.dag.sketch import Sketch
from composer.page.render import render_page

from .chromium import ABSENT, executable, started

FILE = Path(__file__).parent.parent.parent / "examples" / "pictures" / "page.png"
NETWORK, SHOWN = "papers/cbam/resnet50", "layer1.0.cbam"
SIZE = {"width": 1440, "height": 860}


def main() -> None:
    """Open the page with a node, its lines and its panel, and write what is seen."""
    program = executable()
    if program is None:
        raise SystemExit(ABSENT)
    graph = composer.graph(NETWORK)
    with tempfile.TemporaryDirectory() as folder, started(program) as browser:
        file = Path(folder) / "net.html"
        file.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
        page = browser.new_context(viewport=SIZE, offline=True).new_page()
        page.goto(f"{file.as_uri()}#o=layer1,layer1.0")
        page.wait_for_selector("html.ready")
        page.evaluate("composer.store.set({ source: true, panel: true })")
        page.evaluate(f"composer.store.select({SHOWN!r})")
        # Boxes glide to their places.
        page.wait_for_timeout(1500)
        page.screenshot(path=FILE)
    print(f"wrote {FILE}: look at it")


if __name__ == "__main__":
    main()
