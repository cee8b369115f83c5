"""A convolution or linear layer with the norm and the activation beside it as one box, as papers draw them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from composer.draw.view import Box, View

# Letter of a box in a chain: a layer with weights, a norm, an activation.
_LETTERS = {"conv": "C", "linear": "C", "norm": "N", "activation": "A"}
# Chains to join, the longest first. In networks with the norm first, it belongs to the layer behind it.
_CHAINS = ("CNA", "NAC", "CN", "CA")


def joined(view: View) -> View:
    """The view with such chains as one box each, here and in every block of it."""
    inside = [replace(box, inner=joined(box.inner)) if box.inner is not None else box for box in view.boxes]
    view = replace(view, boxes=tuple(_single(box) for box in inside))
    following = _following(view)
    runs = list(_runs(view.boxes, following))
    first = {box.name: run[0].name for run in runs for box in run}
    edges = [
        replace(edge, source=first.get(edge.source, edge.source))
        for edge in view.edges
        if first.get(edge.source, edge.source) != first.get(edge.target)
    ]
    return replace(view, boxes=tuple(_box(run) for run in runs), edges=tuple(edges))


def _single(box: Box) -> Box:
    """A block that holds nothing but one joined box, as that box with the block's name."""
    inner = box.inner
    if inner is None or box.problem is not None or len(inner.boxes) != 1 or box.shares:
        return box
    (child,) = inner.boxes
    if child.inner is not None or child.rule is not None or child.count > 1 or len(inner.edges) != 2:
        return box
    about = {name: getattr(box, name) for name in ("name", "path", "label", "copies", "shapes", "changed", "line")}
    return replace(child, **about, num_parameters=box.num_parameters)


def _following(view: View) -> Mapping[str, str]:
    """Box -> the box behind it, where nothing else takes its output and that box takes nothing else."""
    taken = Counter(edge.source for edge in view.edges)
    takes = Counter(edge.target for edge in view.edges)
    return {
        edge.source: edge.target
        for edge in view.edges
        if taken[edge.source] == 1 and takes[edge.target] == 1 and edge.target in view.by_name
    }


def _runs(boxes: Sequence[Box], following: Mapping[str, str]) -> Iterator[list[Box]]:
    by_name = {box.name: box for box in boxes}
    used: set[str] = set()
    for box in boxes:
        if box.name in used:
            continue
        run = [box]
        # A chain of three, not of two, decides: in `norm act conv norm act conv` the second norm belongs to the end.
        while (name := following.get(run[-1].name)) is not None and len(run) < 3:
            run.append(by_name[name])
        letters = "".join(_letter(one) for one in run)
        chain = next((chain for chain in _CHAINS if letters.startswith(chain)), " ")
        run = [one for one in run[: len(chain)] if one.name not in used]
        if len(run) < len(chain):
            run = [box]
        used |= {one.name for one in run}
        yield run


def _letter(box: Box) -> str:
    plain = box.rule is None and box.problem is None and box.inner is None and box.state == "made"
    return _LETTERS.get(box.kind, " ") if plain and box.count == 1 and not box.shares and not box.holds else " "


def _box(run: Sequence[Box]) -> Box:
    """One box for a chain, with the layer's name, and its words in the order of the chain."""
    if len(run) == 1:
        return run[0]
    main = next(box for box in run if _letter(box) == "C")
    return replace(
        main,
        name=run[0].name,
        detail=" + ".join(box.detail for box in run),
        shapes=run[-1].shapes,
        changed=any(box.changed for box in run),
        num_parameters=sum(box.num_parameters for box in run),
    )
