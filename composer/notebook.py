"""A graph where people work: drawn in a notebook's cell, or as a page in the browser."""

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

if TYPE_CHECKING:
    from composer.dag.composition import Composition

CELL_HEIGHT = 640


def graph_html(graph: Composition, wish: Wish | None = None) -> str:
    """A graph as markup for a notebook's cell: its picture as an image, not its page.

    Every cell that ends in a graph keeps this in the notebook's file, which a page would make ten times as large. An
    image shows too where a notebook is not trusted yet, on the web, or printed: what cleans markup there takes scripts
    and SVG elements out, and lets images stay. Its text for those who do not see it is the picture in words.
    """
    picture = draw(Sketch.of(graph), wish)
    source = base64.b64encode(render_svg(picture).encode()).decode()
    return f'<img alt="{escape(describe_picture(picture))}" src="data:image/svg+xml;base64,{source}">'


def show_graph(graph: Composition, wish: Wish | None = None) -> None:
    """Show the page of a graph in the notebook that asks, or else in the browser."""
    from composer.page.render import render_page

    page = render_page(Sketch.of(graph), graph, wish)
    interactive = sys.modules.get("IPython")
    if interactive is not None and interactive.get_ipython() is not None:
        from IPython.display import HTML, display

        display(HTML(frame_of(page)))
        return
    with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="composer-", delete=False, encoding="utf-8") as file:
        file.write(page)
    webbrowser.open(Path(file.name).as_uri())


def frame_of(page: str) -> str:
    """A page in a frame that holds it whole: nothing is fetched, and it reaches nothing of the notebook around it."""
    sandbox = "allow-scripts allow-popups allow-popups-to-escape-sandbox"
    # IPython warns of markup that is nothing but a frame.
    return (
        f'<div><iframe sandbox="{sandbox}" srcdoc="{escape(page)}" width="100%" height="{CELL_HEIGHT}" '
        'title="The network" style="border:0"></iframe></div>'
    )
