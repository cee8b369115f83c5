"""How a figure is arranged: the deepest, least wrapped arrangement that fits a width and a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from composer.dag.sketch import Sketch
from composer.draw.build import build_view
from composer.draw.flow import flow
from composer.draw.insets import Inset, beside, insets
from composer.draw.layout import Known, lay_out
from composer.draw.legend import entries
from composer.draw.picture import Inserted, Wish, inserted_by, readable_depth
from composer.draw.printed.arrangement import GAP, MARGIN, MOST_HEIGHT, TEXT, Arrangement, Part, Piece, room_in
from composer.draw.printed.columns import Column, columns, gutter
from composer.draw.printed.join import joined
from composer.draw.printed.metrics import PrintMetrics
from composer.draw.printed.width import Width
from composer.draw.printed.words import wrapped
from composer.draw.selection import selected
from composer.draw.view import Box, View, num_boxes, opened, without_shapes
from composer.errors import Diagnostic, InputError

# A page holds fewer; more would only take long to lay out.
MOST_BOXES = 500
# How much room a dashed line between boxes that share weights takes beside them.
SHARING = 14
# From boxes with a line each to narrow boxes, the words of which are wrapped, and then without shapes at the wires.
METRICS = [
    *(PrintMetrics(most, uniform=True) for most in (330, 260, 200, 160)),
    *(PrintMetrics(most, uniform=False) for most in (160, 120, 90, 60)),
    *(PrintMetrics(most, uniform=False, shapes=False) for most in (160, 120, 90, 60)),
]


def fitted(sketch: Sketch, wish: Wish, width: Width, *, coloured: bool) -> Arrangement:
    """The arrangement of a network for this width.

    coloured  whether the legend tells the colours of kinds

    Raises InputError if nothing fits, with the least width that does, and for a selection that finds nothing.
    """
    room = room_in(width)
    tried: list[Arrangement] = []
    for alike in _candidates(sketch, wish, coloured=coloured):
        found = [one for one in alike if one.fits(room)]
        if found:
            return min(found, key=lambda one: (one.height(room), one.width))
        tried += alike
    raise InputError(_too_narrow(sketch.spec.name, width, wish, tried))


def _too_narrow(name: str, width: Width, wish: Wish, tried: Sequence[Arrangement]) -> Diagnostic:
    less = "draw less of it: `--depth 1`, `--no-insets` or `--select PLACE`"
    if wish.depth == 1:
        less = "draw a part of it: `--select PLACE`"
    for least in width.steps():
        room = room_in(least)
        if any(one.fits(room) for one in tried):
            text = f"`{name}` does not fit {width}: at {TEXT} pt and at most 22 cm high it needs {least}"
            help = (f"write `--width {least}`", f"or {less}")
            return Diagnostic("width", text, label="the least width that does", help=help)
    if any(one.height(one.width) + 2 * MARGIN <= MOST_HEIGHT for one in tried):
        text = f"`{name}` fits no width of a figure: at {TEXT} pt and at most 22 cm high it needs more than 2 m"
        return Diagnostic("width", text, label="a smaller part of the network", help=(less,))
    text = f"`{name}` fits no width: a part of it is higher than 22 cm, or it has more than {MOST_BOXES} boxes"
    return Diagnostic("width", text, label="layers, with what is open in them, that fit a page", help=(less,))


def _candidates(sketch: Sketch, wish: Wish, *, coloured: bool) -> Iterator[list[Arrangement]]:
    """Arrangements of equal boxes, the most welcome first."""
    whole = build_view(sketch)
    view = joined(whole)
    rules = inserted_by(sketch, view)
    known = Known()
    chosen = [whole] if wish.select is None else selected(sketch, whole, wish.select)
    insets_too = wish.insets and wish.select is None
    # As deep as a picture of any width is drawn.
    deepest = wish.depth or max(
        readable_depth(one, insets_too=insets_too) if isinstance(one, View) else readable_depth(_inside(one))
        for one in chosen
    )
    chosen = [joined(one) if isinstance(one, View) else replace(one, inner=joined(_inside(one))) for one in chosen]
    for depth in [deepest] if wish.depth else range(deepest, 0, -1):
        if num_boxes(opened(view, depth)) > MOST_BOXES:
            continue
        for metrics, families in _choices(insets_too=insets_too):
            found = beside(view, depth) if families else insets(view, depth) if insets_too else ()
            parts = list(_parts(chosen, depth, metrics, known, tuple(found)))
            if all(part is not None for part in parts):
                yield _arranged([part for part in parts if part is not None], rules, metrics, coloured=coloured)


def _choices(*, insets_too: bool) -> Iterator[tuple[PrintMetrics, bool]]:
    """Sizes, and whether a block of each family is beside the network: these go first, then shapes at the wires."""
    for shapes in (True, False):
        for families in (True, False) if insets_too else (False,):
            yield from ((metrics, families) for metrics in METRICS if metrics.shapes == shapes)


def _parts(
    chosen: Sequence[View | Box],
    depth: int,
    metrics: PrintMetrics,
    known: Known,
    shown_beside: Sequence[Inset],
) -> Iterator[Part | None]:
    """The network with the blocks beside it, or the chosen blocks; None for what is too high."""
    for one in chosen:
        if isinstance(one, Box):
            yield _framed(replace(one, label=one.path), opened(_inside(one), depth), "", metrics, known)
            continue
        shown = _shown(opened(one, depth), metrics)
        found = columns(lay_out(shown, "TB", known, role="whole", metrics=metrics), MOST_HEIGHT - 2 * MARGIN)
        yield None if found is None else Part(shown, tuple(found))
        for inset in shown_beside:
            yield _framed(inset.box, inset.view, inset.caption, metrics, known)


def _framed(box: Box, view: View, caption: str, metrics: PrintMetrics, known: Known) -> Part:
    view = _shown(view, metrics)
    layout = lay_out(view, "TB", known, role="alone", head=metrics.header_width(box), metrics=metrics)
    return Part(view, (Column(layout, (), ()),), box, tuple(wrapped(caption, layout.width)))


def _shown(view: View, metrics: PrintMetrics) -> View:
    return view if metrics.shapes else without_shapes(view)


def _inside(box: Box) -> View:
    assert box.inner is not None, "what is selected is a block"
    return box.inner


def _arranged(
    parts: Sequence[Part], rules: Sequence[Inserted], metrics: PrintMetrics, *, coloured: bool
) -> list[Arrangement]:
    """The parts in columns: those of the network beside each other, then the blocks below or beside the last one."""
    boxes = [box for part in parts for box in ([part.frame] if part.frame else []) + [*part.view.walk()]]
    shown = tuple(entries(rules, boxes, coloured=coloured))
    items = [(part, number) for part in parts for number in range(len(part.columns))]
    sizes = [_size(part, number) for part, number in items]
    first = len(parts[0].columns) - 1
    corners_before, x = [], 0
    for (part, number), (width, _) in list(zip(items, sizes, strict=True))[:first]:
        corners_before.append((x, 0))
        x += width + gutter(len(part.columns[number].leaves))
    found = {}
    for limit in _limits([height for _, height in sizes[first:]]):
        corners = tuple(flow(sizes[first:], limit, (GAP, GAP), rows=False))
        found[corners] = tuple(
            Piece(part, number, left, top, *size)
            for (part, number), (left, top), size in zip(
                items, [*corners_before, *((x + left, top) for left, top in corners)], sizes, strict=True
            )
        )
    return [Arrangement(metrics, pieces, shown, tuple(rules)) for pieces in found.values()]


def _size(part: Part, number: int) -> tuple[int, int]:
    column = part.columns[number]
    return column.layout.width + (SHARING if part.shares else 0), part.above + column.height


def _limits(heights: Sequence[int]) -> list[int]:
    """Every height that consecutive items have together."""
    sums = {
        sum(heights[start:stop]) + GAP * (stop - start - 1)
        for start in range(len(heights))
        for stop in range(start + 1, len(heights) + 1)
    }
    return sorted(sums)
