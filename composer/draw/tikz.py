"""An SVG of composer as TikZ: the same lines, boxes and words at the same places, in the fonts of the document.

The file is a document of its own, and `\\input` in another document places the picture there.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

from composer.draw.tex import comment, words
from composer.draw.text import size_of
from composer.draw.theme import FIXED, Theme, colours
from composer.errors import Diagnostic, InputError

# TeX counts to 16383; a larger number is an error of pgf.
MOST = 16_000
# pt (72 to an inch, TeX's bp) per unit of a length in an SVG.
POINTS = {"": 0.75, "px": 0.75, "pt": 1.0, "mm": 72 / 25.4, "cm": 72 / 2.54, "in": 72.0}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_COMMAND = re.compile(r"([MLQCZ])([^MLQCZ]*)")

_HEAD = r"""% {name}, drawn by composer. `pdflatex` makes a page of this file;
% in a document with \usepackage{{tikz}}, \input places the picture.
\expandafter\ifx\csname @nodocument\endcsname\relax
  \def\cgend{{}}
\else
  \documentclass{{article}}
  \usepackage[paperwidth={width}bp,paperheight={height}bp,margin=0bp,noheadfoot]{{geometry}}
  \usepackage{{tikz}}
  % Fonts of any size, where they are installed.
  \IfFileExists{{lmodern.sty}}{{\usepackage{{lmodern}}}}{{}}
  \pagestyle{{empty}}\topskip=0bp\parindent=0bp\def\cgend{{\end{{document}}}}
  \begin{{document}}
\fi
\begingroup
% Words that are longer than they were measured become narrower. Characters that pdfTeX has not are told by number.
\def\cgfit#1#2{{\setbox0=\hbox{{#2}}\ifdim\wd0>#1\resizebox{{#1}}{{\height}}{{\box0}}\else\box0\fi}}
\ifx\pdftexversion\undefined\def\cgchar#1#2{{\symbol{{#2}}}}\else\def\cgchar#1#2{{[U+#1]}}\fi
"""


@dataclass(frozen=True)
class _Place:
    """Where an element is: the origin of its group, the group's class, and its own class."""

    x: float
    y: float
    within: str


def render_tikz(svg: str, theme: str) -> str:
    """The text of the file. Themes: `light`, `dark`, `paper`.

    Raises InputError if the picture is larger than TeX can count.
    """
    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    if max(width, height) > MOST:
        help = ("draw fewer levels: `--depth 1`", "or a part: `--select PLACE`", "or write an .svg")
        text = f"the picture is {max(width, height):g} pixels long, and TeX cannot count beyond {MOST}"
        raise InputError(Diagnostic("format", text, label="a smaller picture, or another format", help=help))
    unit = _points(root.get("width") or "") / width
    writer = _Writer(FIXED[theme], unit)
    drawn = list(writer.element(root, _Place(0, 0, "")))
    name = comment(root.get("aria-label") or "")
    head = _HEAD.format(name=name, width=f"{width * unit:.3f}", height=f"{height * unit:.3f}")
    picture = [
        *writer.definitions(),
        f"\\begin{{tikzpicture}}[x={unit:.6f}bp,y=-{unit:.6f}bp,inner sep=0bp,outer sep=0bp,font=\\sffamily]",
        f"\\useasboundingbox (0,0) rectangle ({width:g},{height:g});",
        *drawn,
        "\\end{tikzpicture}%",
        "\\endgroup",
        "\\cgend",
    ]
    return head + "\n".join(picture) + "\n"


@dataclass(frozen=True)
class _Writer:
    """Writes elements in the colours of a theme; `unit` is how many pt a unit of the SVG is."""

    theme: Theme
    unit: float

    def definitions(self) -> Iterator[str]:
        """The colours, by name."""
        named = {"ink": self.theme.ink, "faint": self.theme.faint, "wire": self.theme.wire, "paper": self.theme.paper}
        named |= {"on": self.theme.on_badge, "pill": self.theme.inserted[1], "alarm": self.theme.failed[1]}
        for kind, (fill, line) in colours(self.theme).items():
            named |= {f"{kind}-fill": fill, f"{kind}-line": line}
        for name, colour in named.items():
            yield f"\\definecolor{{cg-{name}}}{{HTML}}{{{colour.removeprefix('#').upper()}}}"

    def element(self, element: ElementTree.Element, place: _Place) -> Iterator[str]:
        """The commands for an element and for all that is in it."""
        kind = element.tag.rpartition("}")[2]
        if kind in ("svg", "g"):
            x, y = map(float, _NUMBER.findall(element.get("transform") or "0 0"))
            inside = _Place(place.x + x, place.y + y, element.get("class") or "")
            for child in element:
                yield from self.element(child, inside)
        elif kind == "rect":
            yield self.rectangle(element, place)
        elif kind == "circle":
            x, y, radius = (float(element.get(name) or 0) for name in ("cx", "cy", "r"))
            yield f"\\fill[cg-pill] {_point(place, x, y)} circle [radius={radius * self.unit:.3f}bp];"
        elif kind == "path":
            yield self.path(element, place)
        elif kind == "text" and element.text:
            yield self.text(element, place)

    def rectangle(self, element: ElementTree.Element, place: _Place) -> str:
        x, y, width, height, radius = (float(element.get(name) or 0) for name in ("x", "y", "width", "height", "rx"))
        corners = f"rounded corners={min(radius, width / 2, height / 2) * self.unit:.3f}bp"
        area = f"{_point(place, x, y)} rectangle {_point(place, x + width, y + height)};"
        if element.get("class") == "box":
            return f"\\filldraw[{self.box(place.within)},{corners}] {area}"
        return f"\\fill[cg-{element.get('class')},{corners}] {area}"

    def box(self, kind: str) -> str:
        """How a box of a class is filled and drawn."""
        thick = {**dict.fromkeys(("inserted", "inserted-frame"), self.theme.inserted_width), "failed": 1.8}.get(
            kind, 1.0
        )
        dashed = f",{self.dashes(4, 3)}" if kind in ("helper", "unreached") else ""
        return f"fill=cg-{kind}-fill,draw=cg-{kind}-line,line width={thick * self.unit:.3f}bp{dashed}"

    def dashes(self, on: float, off: float) -> str:
        return f"dash pattern=on {on * self.unit:.3f}bp off {off * self.unit:.3f}bp"

    def path(self, element: ElementTree.Element, place: _Place) -> str:
        line = " ".join(_commands(element.get("d") or "", place))
        if element.get("class") == "head":
            return f"\\fill[cg-wire] {line};"
        dashed = f",{self.dashes(4, 3)}" if element.get("stroke-dasharray") else ""
        return f"\\draw[cg-wire,line width={1.2 * self.unit:.3f}bp{dashed}] {line};"

    def text(self, element: ElementTree.Element, place: _Place) -> str:
        kinds = (element.get("class") or "").split()
        size, bold = size_of(" ".join(kinds))
        size = 10 if "mono" in kinds else size
        anchor = "base east" if "end" in kinds else "base" if "mid" in kinds else "base west"
        colour = next((one for one in ("on", "alarm", "faint") if one in kinds), "faint" if "label" in kinds else "ink")
        font = f"\\fontsize{{{size * self.unit:.3f}bp}}{{{1.2 * size * self.unit:.3f}bp}}\\selectfont"
        font += "\\bfseries" * bold + "\\ttfamily" * ("mono" in kinds)
        written = words(element.text or "", spaces="mono" in kinds)
        if length := element.get("textLength"):
            written = f"\\cgfit{{{float(length) * self.unit:.3f}bp}}{{{font} {written}}}"
        else:
            written = f"{font} {written}"
        x, y = float(element.get("x") or 0), float(element.get("y") or 0)
        return f"\\node[anchor={anchor},text=cg-{colour}] at {_point(place, x, y)} {{{written}}};"


def _point(place: _Place, x: float, y: float) -> str:
    return f"({place.x + x:g},{place.y + y:g})"


def _commands(path: str, place: _Place) -> Iterator[str]:
    """The commands of a path as TikZ; a quadratic curve becomes a cubic one."""
    at = (0.0, 0.0)
    for command, numbers in _COMMAND.findall(path):
        values = [float(number) for number in _NUMBER.findall(numbers)]
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "Z":
            yield "-- cycle"
            continue
        if command == "Q":
            (a, b), end = points
            first = ((at[0] + 2 * a) / 3, (at[1] + 2 * b) / 3)
            points = [first, ((end[0] + 2 * a) / 3, (end[1] + 2 * b) / 3), end]
        shown = [_point(place, *point) for point in points]
        if command in "QC":
            yield f".. controls {shown[0]} and {shown[1]} .. {shown[2]}"
        else:
            yield shown[0] if command == "M" else f"-- {shown[0]}"
        at = points[-1]


def _points(length: str) -> float:
    found = re.fullmatch(r"([\d.]+)([a-z]*)", length)
    assert found is not None, "composer writes the width of its pictures so"
    return float(found[1]) * POINTS[found[2]]
