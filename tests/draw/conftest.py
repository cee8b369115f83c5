"""Views made up for tests, networks of many forms, and what must hold of any layout of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

import composer
from composer.dag.sketch import Sketch
from composer.draw.build import build_view
from composer.draw.layout import Layout, Placed, Wire
from composer.draw.measure import label_width
from composer.draw.view import Box, Edge, View

FOLDER = Path(__file__).parent / "networks"

Area = tuple[int, int, int, int]


def find_faults(layout: Layout, view: View) -> list[str]:
    """Everything that is wrong with a layout and with those inside it."""
    found = list(_faults(layout, view))
    for placed in layout.boxes:
        if placed.inside is not None:
            inner = view.by_name[placed.name].inner
            assert inner is not None
            found += [f"{placed.name}: {fault}" for fault in find_faults(placed.inside, inner)]
    return found


def _faults(layout: Layout, view: View) -> Iterator[str]:
    boxes = {placed.name: placed for placed in layout.boxes}
    assert set(boxes) >= {box.name for box in view.boxes}
    for one, other in combinations(layout.boxes, 2):
        if _overlap(_area(one), _area(other)):
            yield f"{one.name} and {other.name} overlap"
    for placed in layout.boxes:
        left, top, right, bottom = _area(placed)
        if left < 0 or top < 0 or right > layout.width or bottom > layout.height:
            yield f"{placed.name} is outside"
    assert sorted(map(repr, (wire.edge for wire in layout.wires))) == sorted(map(repr, view.edges))
    for wire in layout.wires:
        yield from _wire_faults(wire, layout, boxes)
    yield from _shared(layout)
    yield from _label_faults(layout)


def _wire_faults(wire: Wire, layout: Layout, boxes: dict[str, Placed]) -> Iterator[str]:
    name = f"{wire.edge.source} -> {wire.edge.target}"
    for end, point, leaving in ((wire.edge.source, wire.points[0], True), (wire.edge.target, wire.points[-1], False)):
        if end in boxes:
            if not _on_edge(point, _area(boxes[end])):
                yield f"{name} does not touch {end}"
        elif point != layout.ports[end]:
            yield f"{name} does not {'leave' if leaving else 'enter'} by {end}"
    for (x, y), (a, b) in pairwise(wire.points):
        if x != a and y != b:
            yield f"{name} runs aslant"
        if max(x, a) > layout.width or max(y, b) > layout.height or min(x, y, a, b) < 0:
            yield f"{name} leaves the picture"
        line = (min(x, a), min(y, b), max(x, a), max(y, b))
        for placed in boxes.values():
            if _through(line, _area(placed)):
                yield f"{name} runs through {placed.name}"


def _shared(layout: Layout) -> Iterator[str]:
    """Two tensors on one line could not be told apart."""
    lines: dict[tuple[str, int], list[tuple[int, int, tuple[str, str]]]] = {}
    for wire in layout.wires:
        tensor = (wire.edge.source, wire.edge.output)
        for (x, y), (a, b) in pairwise(wire.points):
            if x == a:
                lines.setdefault(("x", x), []).append((min(y, b), max(y, b), tensor))
            else:
                lines.setdefault(("y", y), []).append((min(x, a), max(x, a), tensor))
    for line, stretches in lines.items():
        for (start, end, tensor), (begin, stop, other) in combinations(stretches, 2):
            if tensor != other and min(end, stop) > max(start, begin):
                yield f"{tensor} and {other} share a stretch of {line}"


def _label_faults(layout: Layout) -> Iterator[str]:
    """Words must stand on nothing: no box, no other words, no wire but their own."""
    areas = {}
    for label in layout.labels:
        width = label_width(label.shape)
        left = label.x - width if label.end else label.x
        areas[label.source, label.output] = (left, label.y - 9, left + width, label.y + 1)
    for (one, area), (other, its) in combinations(areas.items(), 2):
        if _overlap(area, its):
            yield f"the shapes of {one} and {other} overlap"
    for tensor, area in areas.items():
        for placed in layout.boxes:
            if _overlap(area, _area(placed)):
                yield f"the shape of {tensor} stands on {placed.name}"
        for wire in layout.wires:
            for (x, y), (a, b) in pairwise(wire.points):
                if _through((min(x, a), min(y, b), max(x, a), max(y, b)), area):
                    yield f"a wire runs through the shape of {tensor}"


def _area(placed: Placed) -> Area:
    return placed.x, placed.y, placed.x + placed.width, placed.y + placed.height


def _overlap(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _through(line: Area, box: Area) -> bool:
    """Whether a line runs inside a box."""
    if line[1] == line[3]:
        return box[1] < line[1] < box[3] and line[0] < box[2] and box[0] < line[2]
    return box[0] < line[0] < box[2] and line[1] < box[3] and box[1] < line[3]


def _on_edge(point: tuple[int, int], box: Area) -> bool:
    x, y = point
    left, top, right, bottom = box
    inside = left <= x <= right and top <= y <= bottom
    return inside and (x in (left, right) or y in (top, bottom))


def a_box(
    name: str, *, inner: View | None = None, copies: int = 1, outputs: Sequence[str] = ("",), **facts: object
) -> Box:
    path = name
    defaults: dict[str, object] = {
        "label": name,
        "copies": tuple(f"{path}_{index}" for index in range(copies)) if copies > 1 else (),
        "kind": "block" if inner is not None else "conv",
        "op": "conv2d",
        "detail": "conv2d",
        "shapes": dict.fromkeys(outputs, "64×56×56"),
        "changed": False,
        "num_parameters": 0,
    }
    return Box(name=name, path=path, inner=inner, **{**defaults, **facts})  # type: ignore[arg-type]


def a_view(
    boxes: Sequence[Box],
    wires: Sequence[tuple[str, str]],
    inputs: Sequence[str] = ("input",),
    outputs: Sequence[str] = ("output",),
) -> View:
    """A view; a wire is a pair of ends, `name.output` for one of several outputs."""
    count: dict[str, int] = {}
    edges = []
    for source, target in wires:
        name, _, output = source.partition(".")
        edges.append(Edge(name, output, target, count.get(target, 0), "64×56×56"))
        count[target] = count.get(target, 0) + 1
    shapes = dict.fromkeys(inputs, "3×224×224")
    return View("", "network", shapes, tuple(boxes), tuple(outputs), tuple(edges), 0, 0)


def random_view(seed: int, size: int, density: float = 1.5, depth: int = 2) -> View:
    """A random directed acyclic graph, some of whose boxes are containers with several inputs and outputs."""
    chance = random.Random(seed)
    inputs = [f"x{index}" for index in range(chance.choice((1, 1, 1, 2, 3)))]
    outputs = [f"y{index}" for index in range(chance.choice((1, 1, 2)))]
    ends = [f"in:{name}" for name in inputs]
    boxes: list[Box] = []
    wires: list[tuple[str, str]] = []
    for index in range(size):
        name = f"n{index}" + "_long" * chance.choice((0, 0, 0, 4))
        inner = (
            random_view(chance.randrange(10**9), chance.randint(1, 6), density, depth - 1)
            if depth and chance.random() < 0.2
            else None
        )
        given = list(inner.outputs) if inner and len(inner.outputs) > 1 else [""]
        changed = chance.random() < 0.4
        boxes.append(a_box(name, inner=inner, copies=chance.choice((1, 1, 1, 3)), outputs=given, changed=changed))
        num_inputs = len(inner.inputs) if inner else min(len(ends), 1 + int(chance.expovariate(1 / density)))
        if inner is None and chance.random() < 0.05:
            num_inputs = 0
        for _ in range(num_inputs):
            recent = chance.random() < 0.6
            wires.append((chance.choice(ends[-3:] if recent else ends), name))
        ends += [f"{name}.{output}" if output else name for output in given]
    wires += [(ends[-1] if index == 0 else chance.choice(ends), f"out:{name}") for index, name in enumerate(outputs)]
    return a_view(boxes, wires, inputs, outputs)


@pytest.fixture(scope="session")
def faults() -> Callable[[Layout, View], list[str]]:
    return find_faults


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """Boxes and views by hand, and at random."""
    return SimpleNamespace(box=a_box, view=a_view, random_view=random_view)


@pytest.fixture(scope="session")
def view_of() -> Callable[[object], View]:
    """The view of a spec, everything open; a name of the folder beside this file will do, and a mapping too."""

    def found(source: object) -> View:
        here = None if isinstance(source, dict) else FOLDER / f"{source}.yaml"
        return build_view(Sketch.of(composer.graph(here if here is not None and here.exists() else source)))

    return found
