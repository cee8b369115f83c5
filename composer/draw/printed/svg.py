"""A printed figure as SVG: exactly as wide as asked for, all text at 7 pt."""

from __future__ import annotations

from composer.dag.sketch import Sketch
from composer.draw.markup import element, moved, title, words
from composer.draw.picture import Figure, Picture, Wish
from composer.draw.printed.arrangement import GAP, MARGIN, UNITS, Arrangement, room_in
from composer.draw.printed.boxes import PrintedBoxes
from composer.draw.printed.fitting import fitted
from composer.draw.printed.legend import keys
from composer.draw.printed.width import Width
from composer.draw.svg import describe_picture
from composer.draw.theme import print_sheet
from composer.visible import visible


def render_printed(sketch: Sketch, wish: Wish, width: Width, theme: str = "auto") -> str:
    """The text of the file. Themes: `paper`, `light` or `dark`; `auto` is `paper`.

    Raises InputError if the network does not fit the width, or for a selection that finds nothing.
    """
    found = fitted(sketch, wish, width, coloured=theme in ("light", "dark"))
    room = room_in(width)
    drawing = PrintedBoxes(found.metrics)
    left = MARGIN + (room - found.width) // 2
    parts = [
        moved(left, MARGIN, [*drawing.pieces(found.pieces)], {"class": "figure"}),
        moved(MARGIN, MARGIN + found.bottom + GAP // 2, keys(found.legend, room), {"class": "legend"}),
    ]
    return _sheet(_picture(sketch, found), width, found.height(room) + 2 * MARGIN, theme, parts)


def _sheet(picture: Picture, width: Width, height: int, theme: str, parts: list[str]) -> str:
    across = round(width.points * UNITS, 3)
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {across:g} {height}",
        "width": width,
        "height": f"{height / UNITS:.3f}pt",
        "class": "cg",
        "role": "img",
        "aria-label": picture.name,
    }
    paper = element("rect", {"x": 0, "y": 0, "width": f"{across:g}", "height": height, "class": "paper"})
    children = [
        title(picture.name),
        element("desc", {}, [words(describe_picture(picture))]),
        f"<style>{print_sheet(theme)}</style>",
        paper,
        *parts,
    ]
    return element("svg", attributes, children) + "\n"


def _picture(sketch: Sketch, found: Arrangement) -> Picture:
    """What the figure shows, for its description in words."""
    shown = [piece for piece in found.pieces if piece.number == 0]
    return Picture(
        name=visible(sketch.spec.name),
        num_parameters=sketch.root.num_parameters,
        takes="",
        gives="",
        direction="TB",
        figures=tuple(Figure(piece.part.view, piece.column.layout, piece.part.frame) for piece in shown),
        rules=found.rules,
        description=sketch.spec.description,
    )
