"""A picture in any format, as the bytes of a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from composer.draw.document import document
from composer.draw.dot import render_dot
from composer.draw.mermaid import render_mermaid
from composer.draw.picture import Picture
from composer.draw.svg import render_svg
from composer.errors import Diagnostic, UnavailableError

if TYPE_CHECKING:
    from composer.dag.graph import Graph

# Pixels of a PNG for each of an SVG: sharp on paper and on dense screens.
PNG_SCALE = 2


def render(picture: Picture, format: str, theme: str = "auto", graph: Graph | None = None) -> bytes:
    """The file of a picture. `graph` adds its facts to JSON. Raises UnavailableError where an extra is missing."""
    if format in ("png", "pdf"):
        # They know no reader's preference.
        return _converted(render_svg(picture, "light" if theme == "auto" else theme), format)
    if format == "json":
        text = json.dumps(document(picture, graph), ensure_ascii=False, indent=1) + "\n"
    elif format == "dot":
        text = render_dot(picture)
    elif format == "mmd":
        text = render_mermaid(picture)
    else:
        text = render_svg(picture, theme)
    return text.encode("utf-8", "replace")


def _converted(svg: str, format: str) -> bytes:
    try:
        import cairosvg
    except (ImportError, OSError) as error:
        # OSError: the Python package is there, the library it binds is not.
        help = ("pip install 'attention-composer[draw]'; it needs the cairo library (libcairo2) too",)
        text = f"{format.upper()} needs the extra `draw`: {error}"
        raise UnavailableError(Diagnostic("extra", text, label="CairoSVG, or an SVG", help=help)) from error
    if format == "pdf":
        return bytes(cairosvg.svg2pdf(bytestring=svg.encode()))
    return bytes(cairosvg.svg2png(bytestring=svg.encode(), scale=PNG_SCALE))
