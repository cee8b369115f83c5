"""The page of a network as a single HTML file: a static picture, which its script then replaces."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from composer.amounts import plural, three_figures
from composer.dag.composition import Composition
from composer.dag.sketch import Sketch
from composer.draw.chunks import in_chunks
from composer.draw.picture import Picture, Wish, draw, readable_depth
from composer.draw.svg import MARGIN, render_svg
from composer.draw.values import Values
from composer.draw.view import num_boxes, opened
from composer.html import document, words
from composer.page.data import Network, failure_data, networks_of, page_data
from composer.page.modes import in_colours
from composer.page.schema import BoxData, PageData, RuleData, ViewData
from composer.page.theme import page_style

# A static picture of more boxes shows consecutive boxes as a single box.
MOST_STATIC = 2000

# From the network to the first block beside it, between those, and to the canvas's edge; as client/src/insets.js.
GAP, BETWEEN, EDGE = 48, 32, 24

_FOLDER = Path(__file__).parent


def render_page(
    sketch: Sketch,
    graph: Composition | None = None,
    wish: Wish | None = None,
    theme: str = "auto",
    seconds: Mapping[str, float] | None = None,
    values: Sequence[Values] = (),
    module: nn.Module | None = None,
) -> str:
    """The HTML page of a network, complete if `graph` is given, else as far as it goes.

    seconds  measured times, by path
    values   further numbers of its nodes
    module   the network with its weights, whose distributions are shown
    Raises InputError for a selection that finds nothing, and for a colour that the page does not have.
    """
    wish, networks = wish or Wish(), networks_of(sketch, graph, seconds, values, module)
    with uncollected():
        data = page_data(networks, wish)
        picture, facts = static_picture(networks[0], wish), data["facts"][networks[0].key]
        return write_page(in_colours(picture, data["colour"], data["modes"], facts, values), data, theme)


@contextmanager
def uncollected() -> Iterator[None]:
    """Turn off Python's search for reference cycles: a page of 10,000 nodes makes a million values without cycles, and
    the search takes half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def static_picture(network: Network, wish: Wish) -> Picture:
    """The picture on the page until its script runs: the network as far as it is open, without insets."""
    wish, view = replace(wish, insets=False, select=None), network.view
    if num_boxes(opened(view, wish.depth or readable_depth(view))) > MOST_STATIC:
        # Too many boxes to read, and a browser would need seconds before the script may start.
        wish, view = replace(wish, depth=1), in_chunks(view, MOST_STATIC // 10)
    return draw(network.sketch, wish, view)


def render_failure(picture: Picture, theme: str = "auto") -> str:
    """The HTML page of a text that makes no network: its problems, and their lines."""
    return write_page(picture, failure_data(picture), theme)


def write_page(picture: Picture, data: PageData, theme: str = "auto", without_script: Sequence[str] = ()) -> str:
    """The HTML of a page, from picture and data. `without_script` is markup for browsers that run no scripts."""
    facts, drawn = " · ".join(_facts(picture)), render_svg(picture, theme, styled=False)
    body = "\n".join(
        [
            '<div id="page">',
            f'<header id="head"><h1>{words(picture.name)}</h1><p>{words(facts)}</p></header>',
            f'<main id="canvas" class="canvas" aria-label="The network">{drawn}</main>',
            "</div>",
            f"<noscript>{''.join([*without_script, *_rules(data['rules'])])}</noscript>",
        ]
    )
    tones = [picture.coloured.sheet("page")] if picture.coloured is not None else []
    styles = [page_style(theme), *tones, _read("client.css"), *_room_for_insets(data)]
    return document(picture.name, body, styles=styles, scripts=[_read("client.js")], data=data)


def _room_for_insets(data: PageData) -> Iterator[str]:
    """Styles that leave the room in which the script shows blocks beside the network, so that nothing jumps then."""
    network = data["networks"][0]
    boxes = {box["path"]: box for box in boxes_in(network["root"])}
    if data["direction"] != "TB" or not network["insets"]:
        return

    def width(view: ViewData, state: int) -> int:
        return data["layouts"][view["layouts"][state]]["size"][0]

    right, gap, rules = width(network["root"], -1), GAP, []
    for path, _ in network["insets"]:
        right += gap + width(boxes[path]["inner"], 0)
        shift = f"margin-left:calc((100% - {right}px)/2 - {MARGIN}px)"
        rules.append(f"@media (min-width:{right + 2 * EDGE}px){{#canvas>svg:not([id]){{{shift}}}}}")
        gap = BETWEEN
    yield "".join(rules)


def boxes_in(view: ViewData) -> Iterator[BoxData]:
    """Every box of a view, with the boxes inside others."""
    for box in view["boxes"]:
        yield box
        if "inner" in box:
            yield from boxes_in(box["inner"])


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An HTML table; every cell is text."""
    lines = [_row("th", heads), *(_row("td", row) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _facts(picture: Picture) -> Iterable[str]:
    if picture.num_parameters:
        yield f"{three_figures(picture.num_parameters)} parameters"
    if picture.takes and picture.gives:
        yield f"{picture.takes} → {picture.gives}"
    if picture.problems:
        yield plural(len(picture.problems), "mistake")


def _rules(rules: Sequence[RuleData]) -> Iterable[str]:
    if rules:
        yield "<h2>Attention</h2>"
        rows = [(rule["number"], rule["use"], rule["where"], rule["places"]) for rule in rules]
        yield table(("rule", "mechanism", "where", "places"), rows)


def _row(cell: str, values: Sequence[Any]) -> str:
    return f"<tr>{''.join(f'<{cell}>{words(str(value))}</{cell}>' for value in values)}</tr>"


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8").strip()


__all__ = ["Network", "boxes_in", "render_failure", "render_page", "table", "write_page"]
