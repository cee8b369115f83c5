"""Parts of a network selected by a path, a site or a glob."""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import replace

from composer.dag.rules.places import Places
from composer.dag.sketch import Sketch
from composer.draw.view import Box, View
from composer.errors import Diagnostic, InputError, did_you_mean


def selected(sketch: Sketch, view: View, selector: str) -> list[View | Box]:
    """The selected blocks, and the blocks around selected operations; first, as a view, operations in no block.

    Copies are a single box, so several of them are found once. Raises InputError if nothing is selected.
    """
    # What only passes its input on is not drawn.
    found = Places.of(sketch.root).computing
    chosen = found.select(selector)
    if not chosen:
        help = did_you_mean(selector, [*found.sites, *found.paths], "`composer sites` lists every place")
        text = f"`--select {selector}` finds nothing in `{sketch.spec.name}`"
        raise InputError(Diagnostic("no-match", text, label="a site, or a glob over paths", help=help))
    boxes = {id(box): box for place in chosen if (box := _box_at(view, place.node.path)) is not None}.values()
    alone = [box.name for box in boxes if box.inner is None]
    return [*([_only(view, alone)] if alone else []), *(box for box in boxes if box.inner is not None)]


def _box_at(view: View, path: str, around: Box | None = None) -> Box | None:
    """The block at a path, or the block around an operation; the operation if it is in none.

    Of copies, only the first is drawn with its content.
    """
    for box in view.boxes:
        own = (*box.copies, box.path)
        for one in own if box.inner is None else (box.inner.path, *own):
            if path == one:
                return box if box.inner is not None else around or box
            if path.startswith(f"{one}."):
                # A block of one operation is drawn as the operation.
                return _box_at(box.inner, box.inner.path + path.removeprefix(one), box) if box.inner else around or box
    return around


def _only(view: View, names: Container[str]) -> View:
    """The view with these boxes alone, between what gives to them and what takes from them."""
    inputs: dict[str, str] = {}
    outputs: list[str] = []
    edges = []
    for edge in view.edges:
        source, target = edge.source, edge.target
        if source not in names and target not in names:
            continue
        if source not in names:
            name = ".".join(filter(None, (source.removeprefix("in:"), edge.output)))
            inputs[name] = edge.shape
            edge = replace(edge, source=f"in:{name}", output="")
        if target not in names:
            outputs.append(_free(target.removeprefix("out:"), outputs))
            edge = replace(edge, target=f"out:{outputs[-1]}", index=0)
        edges.append(edge)
    boxes = tuple(box for box in view.boxes if box.name in names)
    return replace(view, inputs=inputs, outputs=tuple(outputs), boxes=boxes, edges=tuple(edges))


def _free(name: str, taken: Collection[str]) -> str:
    """The name, marked if something else has it."""
    return _free(f"{name}'", taken) if name in taken else name
