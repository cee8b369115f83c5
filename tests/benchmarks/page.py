"""What a network's page costs to write, how large it is, and when a browser shows it.

Run it: python -m tests.benchmarks.page
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import composer
from composer.dag.limits import Limits
from composer.dag.sketch import Sketch
from composer.network import Graph
from composer.page.render import render_page
from tests.benchmarks.engine import chain
from tests.benchmarks.see import least
from tests.browser.chromium import executable, started

# The script runs before the page is interactive; what is painted first may be its picture, or the static one.
TIMES = """async () => {
    const first = () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
    while (first() === undefined) await new Promise(done => setTimeout(done, 10));
    const [navigation] = performance.getEntriesByType("navigation");
    return [first(), navigation.domInteractive, document.documentElement.classList.contains("ready")];
}"""


def blocks(count: int) -> dict[str, Any]:
    """Copies of one block of 17 nodes."""
    nodes: dict[str, Any] = {}
    for index in range(4):
        nodes |= {
            f"conv{index}": {"op": "conv2d", "out_channels": 8, "kernel_size": 3},
            f"bn{index}": "batch_norm",
            f"act{index}": "relu",
            f"depthwise{index}": {"op": "conv2d", "out_channels": 8, "kernel_size": 3, "groups": 8},
        }
    nodes["add"] = {"op": "add", "from": ["depthwise3", "input"]}
    stem = {"op": "conv2d", "out_channels": 8, "kernel_size": 3}
    return {
        "input": [3, 16, 16],
        "blocks": {"unit": {"nodes": nodes}},
        "nodes": {"stem": stem, "units": {"block": "unit", "repeat": count}},
    }


def networks() -> dict[str, Graph]:
    """What is measured: a usual network, and four of 10,000 nodes."""
    specs = {
        "SE-ResNet-50": "papers/se/resnet50",
        "555 × 17 nodes in blocks": blocks(555),
        "one flat list": chain(2490, flat=True, rule=False),
        "blocks + eca, and without": chain(1660, flat=False, rule=True),
        "flat + eca, and without": chain(1990, flat=True, rule=True),
    }
    return {words: Graph.of(composer.load(spec), Limits(nodes=10**6)) for words, spec in specs.items()}


def paint(browser: Any, file: Path) -> tuple[float, float]:
    """Milliseconds from the start of loading to the first paint, and until the script has taken over."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(file.as_uri())
    first, interactive, ready = page.evaluate(TIMES)
    assert ready, "the script has not taken over"
    context.close()
    return first, interactive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(f"{'':<28}{'nodes':>8}{'write s':>9}{'kB':>8}{'paint ms':>10}{'ready ms':>10}")
    program = executable()
    with tempfile.TemporaryDirectory() as folder, started(program) if program else nullcontext() as browser:
        for words, graph in networks().items():
            # What belongs to composing is not the page's.
            assert graph.num_macs + graph.plain.num_macs
            pages: list[str] = []
            seconds = least(lambda graph=graph, pages=pages: pages.append(_page(graph)), options.runs)  # type: ignore[misc]
            file = Path(folder) / "page.html"
            file.write_text(pages[0], encoding="utf-8")
            nodes = sum(1 for _ in graph.root.walk())
            shown = [paint(browser, file) for _ in range(options.runs)] if browser else []
            times = [f"{statistics.median(column):>10.0f}" for column in zip(*shown, strict=True)]
            print(f"{words:<28}{nodes:>8,}{seconds:>9.2f}{len(pages[0].encode()) / 1e3:>8,.0f}{''.join(times)}")


def _page(graph: Graph) -> str:
    return render_page(Sketch.of(graph), graph)


if __name__ == "__main__":
    main()
