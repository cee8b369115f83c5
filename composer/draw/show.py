"""Pictures where people work: in a notebook, or in a window of the browser."""

from __future__ import annotations

import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from composer.dag.sketch import Sketch
from composer.draw.picture import Wish, draw
from composer.draw.svg import render_svg

if TYPE_CHECKING:
    from composer.dag.graph import Graph


def graph_html(graph: Graph, wish: Wish | None = None) -> str:
    """A graph as markup for a notebook's cell."""
    return render_svg(draw(Sketch.of(graph), wish))


def show_graph(graph: Graph, wish: Wish | None = None) -> None:
    """Show a graph in the notebook that asks, or else in the browser."""
    markup = graph_html(graph, wish)
    interactive = sys.modules.get("IPython")
    if interactive is not None and interactive.get_ipython() is not None:
        from IPython.display import SVG, display

        display(SVG(markup))
        return
    with tempfile.NamedTemporaryFile("w", suffix=".svg", prefix="composer-", delete=False, encoding="utf-8") as file:
        file.write(markup)
    webbrowser.open(Path(file.name).as_uri())
