"""Parts of a network selected by a path, a site or a glob."""

from __future__ import annotations

from composer.dag.rules.places import Places
from composer.dag.sketch import Sketch
from composer.draw.view import Box, View
from composer.errors import Diagnostic, InputError, did_you_mean


def selected(sketch: Sketch, view: View, selector: str) -> list[Box | None]:
    """The selected blocks, and the blocks around selected operations; None for the network itself.

    Copies are a single box, so several of them are found once. Raises InputError if nothing is selected.
    """
    # What only passes its input on is not drawn.
    found = Places.of(sketch.root).computing
    chosen = found.select(selector)
    if not chosen:
        help = did_you_mean(selector, [*found.sites, *found.paths], "`composer sites` lists every place")
        text = f"`--select {selector}` finds nothing in `{sketch.spec.name}`"
        raise InputError(Diagnostic("no-match", text, label="a site, or a glob over paths", help=help))
    blocks = {id(block): block for place in chosen for block in [_block_at(view, place.node.path)]}
    return list(blocks.values())


def _block_at(view: View, path: str, around: Box | None = None) -> Box | None:
    """The block at a path, or the block around an operation. Of copies, only the first is drawn with its content."""
    for box in view.boxes:
        own = (*box.copies, box.path)
        if box.inner is None:
            if path in own:
                return around
            continue
        for one in (box.inner.path, *own):
            if path == one:
                return box
            if path.startswith(f"{one}."):
                return _block_at(box.inner, box.inner.path + path.removeprefix(one), box)
    return around
