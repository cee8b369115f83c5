"""Writes a graph into a file, as `composer graph` does: a picture, a figure of a width, or the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from composer import given
from composer.dag.composition import Composition
from composer.dag.sketch import Sketch
from composer.draw.formats import OF_PRINT, PAGE, format_of
from composer.draw.layout.sizing import Direction
from composer.draw.picture import Wish, draw
from composer.draw.theme import FIXED
from composer.errors import Diagnostic, InputError, one_of
from composer.files import staged

if TYPE_CHECKING:
    from torch import nn


def save_graph(
    graph: Composition,
    path: Path,
    depth: int | None,
    select: str | None,
    direction: Direction,
    theme: str,
    width: str | None,
    module: nn.Module | None,
    *,
    force: bool,
) -> None:
    """Write a graph into a file in the format of its ending. Arguments and errors are those of `Graph.save`."""
    kind = format_of(path, None)
    depth = None if depth is None else given.whole("depth", depth)
    select = None if select is None else given.text("select", select, "a site, or a glob over paths")
    given.choice("direction", direction, get_args(Direction))
    given.choice("theme", theme, ("auto", *FIXED))
    if width is not None:
        given.text("width", width, "a text with a unit, such as `8cm`: cm, mm, in or pt")
    if module is not None and not hasattr(module, "named_parameters"):
        raise given.wrong("module", module, "the network with its weights, an nn.Module")
    with staged([path], force=force) as (file,):
        file.write_bytes(_file(graph, kind, Wish(depth, select, direction), theme, width, module))


def _file(graph: Composition, kind: str, wish: Wish, theme: str, width: str | None, module: nn.Module | None) -> bytes:
    drawn = Sketch.of(graph)
    if width is not None:
        if kind not in OF_PRINT:
            text = f"a figure of a width is {one_of(OF_PRINT)}, not {kind}"
            raise InputError(Diagnostic("format", text, label=f"one of {one_of(OF_PRINT)}"))
        from composer.draw.printed.render import render_figure
        from composer.draw.printed.width import read_width

        return render_figure(drawn, wish, read_width(width), kind, theme)
    if kind == PAGE:
        from composer.page.render import render_page

        return render_page(drawn, graph, wish, theme, module=module).encode("utf-8", "replace")
    from composer.draw.render import render

    return render(draw(drawn, wish), kind, theme, graph)
