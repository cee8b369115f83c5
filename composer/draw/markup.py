"""XML, escaped: whatever names and descriptions hold stays text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from composer.draw.text import size_of, width
from composer.visible import visible

Attributes = Mapping[str, object]


def element(name: str, attributes: Attributes, children: Iterable[str] | None = None) -> str:
    """One element; children are markup already."""
    written = "".join(f' {key}="{escape(visible(str(value)))}"' for key, value in attributes.items() if value != "")
    return f"<{name}{written}/>" if children is None else f"<{name}{written}>{''.join(children)}</{name}>"


def words(text: str) -> str:
    """Text as markup, line by line."""
    return "\n".join(escape(visible(line), quote=False) for line in text.split("\n"))


def text(content: str, x: int, y: int, kind: str = "") -> str:
    """A line of text; `kind` are classes of the style sheet. In any font it is as long as it was measured."""
    size, bold = size_of(kind)
    length = width(visible(content), size, bold=bold)
    fixed = {"textLength": length, "lengthAdjust": "spacingAndGlyphs"} if length else {}
    return element("text", {"x": x, "y": y, "class": kind, **fixed}, [words(content)])


def spaced(content: str, x: int, y: int, kind: str = "") -> str:
    """A line of text that keeps its spaces."""
    return element("text", {"x": x, "y": y, "class": kind, "xml:space": "preserve"}, [words(content)])


def title(content: str) -> str:
    """What shows when the pointer rests on the element that it is in; screen readers read it."""
    return element("title", {}, [words(content)])


def moved(x: int, y: int, children: Iterable[str], attributes: Attributes | None = None) -> str:
    """Children in coordinates of their own."""
    place = {"transform": f"translate({x} {y})"} if x or y else {}
    return element("g", {**(attributes or {}), **place}, children)


def rectangle(x: int, y: int, width: int, height: int, kind: str, radius: int = 4) -> str:
    """A rectangle with round corners."""
    return element("rect", {"x": x, "y": y, "width": width, "height": height, "rx": radius, "class": kind})
