"""A printed figure as the bytes of a file."""

from __future__ import annotations

import io

from composer.dag.sketch import Sketch
from composer.draw.convert import convert
from composer.draw.picture import Wish
from composer.draw.printed.svg import render_printed
from composer.draw.printed.width import Width
from composer.draw.tikz import render_tikz

# Dots per inch of a PNG, as journals ask for line drawings; CSS has 96 pixels per inch.
DOTS, PIXELS = 600, 96


def render_figure(sketch: Sketch, wish: Wish, width: Width, format: str, theme: str = "auto") -> bytes:
    """The file of a figure this wide: `svg`, `png`, `pdf` or `tex`.

    Raises InputError if the network does not fit, and UnavailableError if an extra is missing.
    """
    svg = render_printed(sketch, wish, width, theme)
    if format == "tex":
        return render_tikz(svg, "paper" if theme == "auto" else theme).encode()
    if format == "png":
        return _with_size(convert(svg, format, scale=DOTS / PIXELS))
    return convert(svg, format) if format == "pdf" else svg.encode("utf-8", "replace")


def _with_size(png: bytes) -> bytes:
    """The PNG with its dots per inch, so that it is as wide as asked for wherever it is placed."""
    from PIL import Image

    file = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.save(file, "PNG", dpi=(DOTS, DOTS), optimize=True)
    return file.getvalue()
