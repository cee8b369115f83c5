"""How long 10,000 nodes take to open, in composer's page and in Model Explorer, in turn."""

from __future__ import annotations

import json
import statistics
import time
import urllib.parse
from pathlib import Path
from typing import Any

import composer
from composer.dag.composition import Composition
from composer.dag.limits import Limits
from composer.dag.sketch import Sketch
from composer.network import Graph
from composer.page.render import render_page
from tests.benchmarks.page import blocks
from tests.benchmarks.viewers.others import free_port, running

ELEMENTS = "document.getElementsByTagName('*').length"


# Runs in the interpreter that has Model Explorer: serves a graph in its own format.
SERVE = """
import sys
from pathlib import Path
from model_explorer import visualize_from_config
from model_explorer.config import ModelExplorerConfig
config = ModelExplorerConfig()
config.graphs_list.append(Path(sys.argv[1]).read_text())
config.model_sources.append({"url": "graphs://large/0"})
visualize_from_config(config, port=int(sys.argv[2]), no_open_in_browser=True)
"""


def ratio(browser: Any, python: str, folder: Path, runs: int) -> str:
    """A sentence with the median ratio of neighbouring openings, and the elements of each page.

    python  an interpreter that has Model Explorer
    """
    graph = Graph.of(composer.load(blocks(588)), Limits(nodes=10**6))
    page, file = folder / "large.html", folder / "large.json"
    page.write_text(render_page(Sketch.of(graph), graph), encoding="utf-8")
    file.write_text(json.dumps(_of_model_explorer(graph)), encoding="utf-8")
    port = free_port()
    data = urllib.parse.quote(json.dumps({"models": [{"url": "graphs://large/0"}]}))
    found = []
    with running([python, "-c", SERVE, str(file), str(port)], port):
        for _ in range(runs):
            ours, own = _opened(browser, page.as_uri(), "document.documentElement.classList.contains('ready')")
            theirs = f"http://localhost:{port}/?data={data}"
            other, their = _opened(browser, theirs, "document.body.innerText.includes('op node count')")
            found.append(ours / other)
    count, median = len(graph.operations), statistics.median(found)
    return (
        f"A network of {count:,} operations in {count // 17} equal blocks opens in {median:.2f} times "
        f"Model Explorer's time (median of {runs}, in turn, from the address to the drawing, the blocks closed), with "
        f"{own:,} elements; Model Explorer, which draws by WebGL, here without a graphics card, has {their:,}."
    )


def _opened(browser: Any, address: str, is_there: str) -> tuple[float, int]:
    """Seconds until a page is there, and how many elements it has."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address, timeout=180_000)
    page.wait_for_function(f"() => {is_there}", polling=20, timeout=180_000)
    seconds = time.perf_counter() - start
    elements = int(page.evaluate(ELEMENTS))
    context.close()
    return seconds, elements


def _of_model_explorer(graph: Composition) -> dict[str, Any]:
    """The graph in Model Explorer's own format: operations with their paths as layers, and what they take."""
    nodes: list[dict[str, Any]] = []
    before = None
    for node, _ in graph.operations:
        taken = {"sourceNodeId": before, "sourceNodeOutputId": "0", "targetNodeInputId": "0"}
        around = node.path.rpartition(".")[0].replace(".", "/")
        incoming = [taken] if before else []
        nodes.append({"id": node.path, "label": node.op, "namespace": around, "incomingEdges": incoming})
        before = node.path
    return {"graphs": [{"id": "large", "nodes": nodes}]}
