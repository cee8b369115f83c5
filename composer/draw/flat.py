"""An opened view for formats that route wires themselves: closed boxes, and the edges between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from composer.draw.view import Edge, View


@dataclass(frozen=True)
class FlatEdge:
    """A tensor from a closed box to another, each by its path; or from `in:NAME`, or to `out:NAME`."""

    source: str
    target: str
    shape: str


def flat_edges(view: View) -> list[FlatEdge]:
    """Every edge between closed boxes, through the frames of open boxes."""
    found: list[FlatEdge] = []
    names = {(f"in:{name}", ""): f"in:{name}" for name in view.inputs}
    for name, (source, shape) in _follow(view, names, found).items():
        found.append(FlatEdge(source, f"out:{name}", shape))
    return list(dict.fromkeys(found))


def shared_boxes(view: View) -> list[tuple[str, str]]:
    """Paths of closed boxes that call what another closed box owns, each with the path of that box."""
    closed = {path: box for box in view.walk() if box.inner is None for path in box.copies or (box.path,)}
    found = [(box.path, owner) for box in closed.values() for owner in box.shares if owner in closed]
    return list(dict.fromkeys((path, closed[owner].path) for path, owner in found if path != closed[owner].path))


def _follow(view: View, names: dict[tuple[str, str], str], found: list[FlatEdge]) -> dict[str, tuple[str, str]]:
    """Add the edges of a view. `names`: the view's sources -> closed boxes; the result: its outputs -> closed boxes."""
    names = dict(names)
    arriving: dict[str, list[Edge]] = {}
    for edge in view.edges:
        arriving.setdefault(edge.target, []).append(edge)
    for box in view.boxes:
        taken = [edge for edge in arriving.get(box.name, ()) if (edge.source, edge.output) in names]
        if box.inner is None:
            names.update({(box.name, output): box.path for output in (*box.shapes, "")})
            found += [FlatEdge(names[edge.source, edge.output], box.path, edge.shape) for edge in taken]
            continue
        inputs = list(box.inner.inputs)
        inside = {(f"in:{inputs[edge.index]}", ""): names[edge.source, edge.output] for edge in taken}
        given = _follow(box.inner, inside, found)
        names |= {(box.name, output): source for output, (source, _) in given.items()}
        if given:
            names[box.name, ""] = next(iter(given.values()))[0]
    return dict(_leaving(view, names))


def _leaving(view: View, names: dict[tuple[str, str], str]) -> Iterator[tuple[str, tuple[str, str]]]:
    for edge in view.edges:
        end = (edge.source, edge.output)
        if edge.target.startswith("out:") and end in names:
            yield edge.target.removeprefix("out:"), (names[end], edge.shape)
