"""What a picture shows: a tree of views, one for each scope, whose boxes are nodes or runs of like nodes."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from composer.errors import Diagnostic

State = Literal["made", "failed", "unreached"]
Holds = tuple[tuple[int, str, int], ...]


@dataclass(frozen=True)
class Box:
    """A node, or several like nodes one behind the other.

    name      its name in its view; it is the first copy's
    path      the node's path: its id in every picture; of several copies, the first one's
    label     what people read: the name, or `1–2` for copies 1 and 2
    copies    paths of the nodes that it stands for, when they are several
    kind      the registry's kind of the operation, `attention` of a mechanism, `block` of a scope
    op, detail  name of the operation or block, and the same with what matters most of its options
    shapes    what it gives, by output; of copies, what the last one gives
    changed   whether that differs from what arrives
    rule      number of the attention rule that put it there, counted from 0
    helper    whether it only helps a mechanism: tokens of a map and back, the gate of `start: identity`
    holds     what attention rules put inside: rule, mechanism, number of places
    inner     the view of what is inside; None for an operation
    """

    name: str
    path: str
    label: str
    copies: tuple[str, ...]
    kind: str
    op: str
    detail: str
    shapes: Mapping[str, str]
    changed: bool
    num_parameters: int
    rule: int | None = None
    helper: bool = False
    holds: Holds = ()
    line: str = ""
    state: State = "made"
    problem: Diagnostic | None = None
    inner: View | None = None

    @property
    def count(self) -> int:
        """How many nodes it stands for."""
        return max(1, len(self.copies))


@dataclass(frozen=True)
class Edge:
    """A tensor from one end to another: a box, `in:NAME` (the view takes it) or `out:NAME` (the view gives it).

    output  which output of the source, empty for its only one
    index   which input of the target, counted from 0
    """

    source: str
    output: str
    target: str
    index: int
    shape: str = ""


@dataclass(frozen=True)
class View:
    """The boxes of one scope in the order they run, and what flows between them.

    `key` is the same for views that are written alike, whatever their names and what arrives at them; `form` for those
    that differ in options too.
    """

    path: str
    block: str
    inputs: Mapping[str, str]
    boxes: tuple[Box, ...]
    outputs: tuple[str, ...]
    edges: tuple[Edge, ...]
    key: int
    form: int

    @cached_property
    def by_name(self) -> dict[str, Box]:
        """Its boxes by name."""
        return {box.name: box for box in self.boxes}

    @cached_property
    def has_mistakes(self) -> bool:
        """Whether anything in it has a problem of its own."""
        return any(box.problem is not None or (box.inner is not None and box.inner.has_mistakes) for box in self.boxes)

    def walk(self) -> Iterator[Box]:
        """Every box, those inside others too."""
        for box in self.boxes:
            yield box
            if box.inner is not None:
                yield from box.inner.walk()


def opened(view: View, depth: int) -> View:
    """The view with `depth` levels of boxes shown, counted from 1. What is deeper is closed, but for mistakes."""
    boxes = (
        replace(box, inner=opened(box.inner, depth - 1) if depth > 1 or box.inner.has_mistakes else None)
        if box.inner is not None
        else box
        for box in view.boxes
    )
    return replace(view, boxes=tuple(boxes))


def opened_at(view: View, paths: Container[str]) -> View:
    """The view with the boxes of these paths open, as far as all around them are, and no others."""
    boxes = (
        replace(box, inner=opened_at(box.inner, paths) if box.path in paths else None) if box.inner is not None else box
        for box in view.boxes
    )
    return replace(view, boxes=tuple(boxes))


def num_levels(view: View) -> int:
    """How many levels of boxes there are."""
    return 1 + max((num_levels(box.inner) for box in view.boxes if box.inner is not None), default=0)


def num_boxes(view: View) -> int:
    """How many boxes are drawn for an opened view."""
    return sum(1 for _ in view.walk())
