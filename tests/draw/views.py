"""Views made up for tests: any number of boxes, wired at random."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from composer.draw.view import Box, Edge, View


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
    shapes: Mapping[str, str] = dict.fromkeys(inputs, "3×224×224")
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
