"""What a picture shows: a tree of views, a view per scope. Its boxes are nodes, or runs of equal nodes."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from composer.errors import Diagnostic
from composer.visible import visible

State = Literal["made", "failed", "unreached"]
Holds = tuple[tuple[int, str, int], ...]


@dataclass(frozen=True)
class Tint:
    """What a number makes of a box: words in place of what the box is, and a class; empty for the one of its kind."""

    words: str
    look: str


@dataclass(frozen=True)
class Box:
    """A node, or several equal nodes in a row or beside each other. Its texts are made visible here, for all pictures.

    name        its name in its view; of copies, the first copy's
    path        the node's path, and its id in every picture; of copies, the first copy's
    label       the text to show: the name, or `1–2` for copies 1 and 2
    copies      paths of its nodes, if there are several
    kind        the registry's kind of the operation, `attention` for a mechanism, `block` for a scope
    op          name of the operation or block
    detail      the same with its most important options
    shapes      output -> shape; of copies, the last copy's
    changed     whether the shape of the output differs from that of the input
    rule        number of the attention rule that inserted it, from 0
    helper      whether it only serves a mechanism: tokens of a map and back, the gate of `start: identity`
    holds       what attention rules inserted inside: rule, mechanism, number of places
    inner       the view of its content; None for an operation
    shares      paths of the nodes that own what it calls; in pictures, dashed lines lead to them
    tint        how a number of its nodes colours it
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
    shares: tuple[str, ...] = ()
    tint: Tint | None = None

    def __post_init__(self) -> None:
        for name in ("label", "detail"):
            object.__setattr__(self, name, visible(getattr(self, name)))

    @property
    def count(self) -> int:
        """The number of its nodes."""
        return max(1, len(self.copies))


@dataclass(frozen=True)
class Edge:
    """A tensor from one end to another: a box, `in:NAME` (an input of the view) or `out:NAME` (an output of the view).

    output  the output of the source; empty for a single output
    index   number of the target's input, from 0
    """

    source: str
    output: str
    target: str
    index: int
    shape: str = ""


@dataclass(frozen=True)
class View:
    """The boxes of a scope in running order, and the edges between them.

    `key` is equal for views that are written alike, whatever their names and inputs; `form` also if options differ.
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
        """Name -> box."""
        return {box.name: box for box in self.boxes}

    @cached_property
    def has_mistakes(self) -> bool:
        """Whether a node in it has a problem of its own."""
        return any(box.problem is not None or (box.inner is not None and box.inner.has_mistakes) for box in self.boxes)

    def walk(self) -> Iterator[Box]:
        """Every box, with the boxes inside others."""
        for box in self.boxes:
            yield box
            if box.inner is not None:
                yield from box.inner.walk()


def opened(view: View, depth: int) -> View:
    """The view with `depth` levels of boxes, from 1. Deeper blocks are closed, unless they contain mistakes."""
    boxes = (
        replace(box, inner=opened(box.inner, depth - 1) if depth > 1 or box.inner.has_mistakes else None)
        if box.inner is not None
        else box
        for box in view.boxes
    )
    return replace(view, boxes=tuple(boxes))


def opened_at(view: View, paths: Container[str]) -> View:
    """The view with only the boxes at these paths open, if the boxes around them are open too."""
    boxes = (
        replace(box, inner=opened_at(box.inner, paths) if box.path in paths else None) if box.inner is not None else box
        for box in view.boxes
    )
    return replace(view, boxes=tuple(boxes))


def without_shapes(view: View) -> View:
    """The view without the shapes of tensors at its wires."""
    boxes = (replace(box, inner=without_shapes(box.inner)) if box.inner is not None else box for box in view.boxes)
    return replace(view, boxes=tuple(boxes), edges=tuple(replace(edge, shape="") for edge in view.edges))


def num_levels(view: View) -> int:
    """The number of levels of boxes."""
    return 1 + max((num_levels(box.inner) for box in view.boxes if box.inner is not None), default=0)


def num_boxes(view: View) -> int:
    """The number of boxes drawn for an opened view."""
    return sum(1 for _ in view.walk())
