"""Shows a graph: as a picture in a notebook's cell, or as a page in a notebook or browser."""

from __future__ import annotations

import base64
import sys
import tempfile
import webbrowser
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from composer.dag.sketch import Sketch
from composer.draw.picture import Wish, draw
from composer.draw.svg import describe_picture, render_svg
from composer.html import packed

if TYPE_CHECKING:
    from torch import nn

    from composer.dag.composition import Composition

CELL_HEIGHT = 640


def graph_html(graph: Composition, wish: Wish | None = None) -> str:
    """Markup of a graph for a notebook's cell: its picture as an image, with a description as alternative text.

    Not its page: the notebook's file stores the markup of every cell that ends in a graph, and a page is ten times as
    large. Not SVG elements: in untrusted notebooks, on the web and in print, scripts and SVG elements are removed from
    markup, but images stay.
    """
    picture = draw(Sketch.of(graph), wish)
    source = base64.b64encode(render_svg(picture).encode()).decode()
    return f'<img alt="{escape(describe_picture(picture))}" src="data:image/svg+xml;base64,{source}">'


def show_graph(graph: Composition, wish: Wish | None = None, module: nn.Module | None = None) -> None:
    """Show the page of a graph, with the weights of its module if given, in the current notebook or the browser."""
    from composer.page.render import render_page

    page = render_page(Sketch.of(graph), graph, wish, module=module)
    interactive = sys.modules.get("IPython")
    if interactive is not None and interactive.get_ipython() is not None:
        from IPython.display import HTML, display

        display(HTML(frame_of(page)))
        return
    with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="composer-", delete=False, encoding="utf-8") as file:
        file.write(page)
    webbrowser.open(Path(file.name).as_uri())


def frame_of(page: str) -> str:
    """Markup of a frame that contains the whole page: it fetches nothing, and cannot reach the notebook around it.

    The page is packed, because the notebook's file stores it: a frame takes half of the page's bytes.
    """
    sandbox = "allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox"
    boot = (Path(__file__).parent / "page/boot.js").read_text(encoding="utf-8").strip()
    inside = (
        '<!doctype html><meta charset="utf-8">'
        f'<script type="application/octet-stream" id="packed">{packed(page)}</script><script>{boot}</script>'
    )
    # The `div`, because IPython warns about markup that is only a frame.
    return (
        f'<div><iframe sandbox="{sandbox}" srcdoc="{escape(inside)}" width="100%" height="{CELL_HEIGHT}" '
        'title="The network" style="border:0"></iframe></div>'
    )
