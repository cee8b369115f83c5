"""A picture in any format, as the bytes of a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from composer.draw.convert import convert
from composer.draw.document import document
from composer.draw.dot import render_dot
from composer.draw.mermaid import render_mermaid
from composer.draw.picture import Picture
from composer.draw.svg import render_svg
from composer.draw.tikz import render_tikz

if TYPE_CHECKING:
    from composer.dag.composition import Composition


def render(picture: Picture, format: str, theme: str = "auto", graph: Composition | None = None) -> bytes:
    """The file of a picture. `graph` adds its facts to JSON.

    Raises UnavailableError if an extra is missing, and InputError for a picture that is too large for TeX.
    """
    if format in ("png", "pdf"):
        # These formats cannot follow the reader's preference.
        return convert(render_svg(picture, "light" if theme == "auto" else theme), format)
    if format == "tex":
        fixed = "light" if theme == "auto" else theme
        text = render_tikz(render_svg(picture, fixed), fixed)
    elif format == "json":
        text = json.dumps(document(picture, graph), ensure_ascii=False, indent=1) + "\n"
    elif format == "dot":
        text = render_dot(picture)
    elif format == "mmd":
        text = render_mermaid(picture)
    else:
        text = render_svg(picture, theme)
    return text.encode("utf-8", "replace")
