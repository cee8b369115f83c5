"""What laying out a container costs, and drawing a network of 10,000 nodes. Run it: python -m tests.benchmarks.draw"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator

import composer
from composer.dag.limits import Limits
from composer.dag.sketch import Sketch
from composer.draw.layout import lay_out
from composer.draw.picture import Wish, draw
from composer.draw.svg import render_svg
from composer.draw.view import Box, Edge, View
from composer.network import Graph
from tests.benchmarks.engine import chain
from tests.benchmarks.see import least

Wires = Iterator[tuple[int, int]]
INPUT = -1


def shortcuts(size: int) -> Wires:
    """A chain with a shortcut over every four boxes."""
    for index in range(size):
        yield index - 1, index
        if index % 4 == 0 and index:
            yield index - 4, index


def random_graph(size: int) -> Wires:
    """One or two inputs each, from the forty boxes before."""
    chance = random.Random(0)
    for index in range(size):
        for _ in range(chance.choice((1, 2))):
            yield chance.randrange(max(0, index - 40), index) if index else INPUT, index


def fan(size: int) -> Wires:
    """All boxes side by side between two."""
    yield INPUT, 0
    for index in range(1, size - 1):
        yield 0, index
        yield index, size - 1


def view(size: int, form: Callable[[int], Wires]) -> View:
    """A container of boxes wired in this form."""
    boxes = tuple(
        Box(f"n{index}", f"n{index}", f"n{index}", (), "conv", "conv2d", "3×3 conv2d", {"": "64×56×56"}, False, 0)
        for index in range(size)
    )
    counts = [0] * size
    edges = []
    for source, target in form(size):
        edges.append(Edge("in:input" if source == INPUT else f"n{source}", "", f"n{target}", counts[target]))
        counts[target] += 1
    edges.append(Edge(f"n{size - 1}", "", "out:output", 0))
    return View("", "network", {"input": "3×224×224"}, boxes, ("output",), tuple(edges), 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--boxes", type=int, nargs="+", default=[1250, 2500, 5000])
    options = parser.parse_args()
    print(f"{'seconds':<16}" + "".join(f"{size:>8,}" for size in options.boxes))
    for form in (shortcuts, random_graph, fan):
        views = [view(size, form) for size in options.boxes]
        cells = [least(lambda one=one: lay_out(one, role="whole"), options.runs) for one in views]  # type: ignore[misc]
        print(f"{form.__name__:<16}" + "".join(f"{cell:>8.2f}" for cell in cells))
    graph = Graph.of(composer.load(chain(2500, flat=True, rule=True)), Limits(nodes=10**6))
    nodes = sum(1 for _ in graph.root.walk())
    for words, wish in (("folded", Wish()), ("all open", Wish(depth=9))):
        seconds = least(lambda wish=wish: render_svg(draw(Sketch.of(graph), wish)), options.runs)  # type: ignore[misc]
        print(f"SVG of {nodes:,} nodes, {words}: {seconds:.2f}")


if __name__ == "__main__":
    main()
