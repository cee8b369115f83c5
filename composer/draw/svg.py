"""A picture as SVG, which any browser, paper or slide shows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from composer.amounts import plural, three_figures
from composer.draw import measure
from composer.draw.boxes import about, container, frame
from composer.draw.flow import flow
from composer.draw.legend import legend
from composer.draw.markup import element, moved, rectangle, spaced, text, title, words
from composer.draw.picture import Figure, Picture
from composer.draw.text import fit, width, wrap
from composer.draw.theme import style

MARGIN = 20
# The least width of a picture whose heading needs more room.
LEAST_WIDTH = 400
TITLE_SIZE = 17
HEADING = 44
MOST_LINES = 4
GAP = 36
CAPTION = 18
MONO_WIDTH = 6.1
MOST_COLUMNS = 110
LINE = 14


def render_svg(picture: Picture, theme: str = "auto", *, styled: bool = True) -> str:
    """The text of the file. Themes: `auto` (light or dark, as the reader prefers), `light`, `dark`, `paper`.

    styled  include a style sheet; False for a page that has its own
    """
    body, right, bottom = _figures(picture)
    problems = list(_problems(picture))
    widest = max((int(len(line) * MONO_WIDTH) for line in problems), default=0)
    right = max(right, widest, min(LEAST_WIDTH, _heading_width(picture)))
    drawn, legend_width, legend_height = legend(picture, right, coloured=theme != "paper")
    about = wrap(picture.description, measure.DETAIL_SIZE, right, MOST_LINES)
    top = HEADING + LINE * len(about)
    below = top + bottom + GAP
    lines = [spaced(line, 0, LINE * (row + 1), "mono") for row, line in enumerate(problems)]
    parts = [
        *_heading(picture, right, about),
        moved(0, top, body),
        moved(0, below, drawn, {"class": "legend"}),
        *([moved(0, below + legend_height + LINE, lines, {"class": "problems"})] if lines else ()),
    ]
    height = below + legend_height + (LINE * (len(lines) + 2) if lines else 0)
    tones = picture.coloured.sheet(theme) if picture.coloured is not None else ""
    sheet = style(theme) + tones if styled else None
    return _sheet(picture, sheet, parts, max(right, legend_width) + 2 * MARGIN, height + 2 * MARGIN)


def _sheet(picture: Picture, sheet: str | None, parts: list[str], width: int, height: int) -> str:
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {width} {height}",
        "width": width,
        "height": height,
        "class": "cg",
        "role": "img",
        "aria-label": picture.name,
    }
    children = [
        title(picture.name),
        element("desc", {}, [words(describe_picture(picture))]),
        *([] if sheet is None else [f"<style>{sheet}</style>"]),
        rectangle(0, 0, width, height, "paper", 0),
        moved(MARGIN, MARGIN, parts),
    ]
    return element("svg", attributes, children) + "\n"


def describe_picture(picture: Picture) -> str:
    """The picture in words, for readers who cannot see it."""
    boxes = sum(1 for figure in picture.figures for _ in figure.view.walk())
    sentences = [
        f"The network {picture.name} with {plural(picture.num_parameters, 'parameter', ',')}, "
        f"drawn as {plural(boxes, 'box')}."
    ]
    sentences += [picture.description] if picture.description else []
    sentences += [f"{rule.use} stands {rule.where} in {plural(rule.num_places, 'place')}." for rule in picture.rules]
    if picture.problems:
        sentences.append(f"It has mistakes: {'; '.join(problem.message for problem in picture.problems)}.")
    return " ".join(sentences)


def _subtitle(picture: Picture) -> str:
    parts = [f"{three_figures(picture.num_parameters)} parameters"] if picture.num_parameters else []
    parts += [f"{picture.takes} → {picture.gives}"] if picture.takes and picture.gives else []
    return " · ".join(parts)


def _heading(picture: Picture, room: int, about: Sequence[str]) -> Iterator[str]:
    yield text(fit(picture.name, TITLE_SIZE, room, bold=True), 0, 14, "title")
    yield text(fit(_subtitle(picture), measure.DETAIL_SIZE, room), 0, 31, "faint")
    for row, line in enumerate(about, 1):
        yield text(line, 0, 31 + LINE * row)


def _heading_width(picture: Picture) -> int:
    below = (_subtitle(picture), picture.description)
    return max(width(picture.name, TITLE_SIZE, bold=True), *(width(one, measure.DETAIL_SIZE) for one in below))


def _figures(picture: Picture) -> tuple[list[str], int, int]:
    """The figures beside each other, their width and height."""
    sizes = [_size(figure) for figure in picture.figures]
    across = picture.direction == "LR"
    limit = max((size[0 if across else 1] for size in sizes), default=0)
    corners = flow(sizes, limit, (GAP, GAP), rows=across)
    drawn = [
        moved(x, y, _figure(figure), {"class": "figure"})
        for figure, (x, y) in zip(picture.figures, corners, strict=True)
    ]
    placed = list(zip(corners, sizes, strict=True))
    right = max((x + wide for (x, _), (wide, _) in placed), default=0)
    return drawn, right, max((y + high for (_, y), (_, high) in placed), default=0)


def _size(figure: Figure) -> tuple[int, int]:
    above = CAPTION if figure.caption else 0
    return max(figure.layout.width, width(figure.caption, measure.DETAIL_SIZE)), figure.layout.height + above


def _figure(figure: Figure) -> Iterator[str]:
    if figure.frame is None:
        yield from container(figure.view, figure.layout)
        return
    above = CAPTION if figure.caption else 0
    if above:
        yield text(figure.caption, 0, 11, "faint")
    yield moved(0, above, frame(figure.frame, figure.view, figure.layout), about(figure.frame))


def _problems(picture: Picture) -> Iterator[str]:
    """The diagnostics, line by line, as a terminal shows them."""
    for problem in picture.problems:
        for line in str(problem).splitlines():
            indent = " " * (len(line) - len(line.lstrip()) + 4)
            yield from textwrap.wrap(line, MOST_COLUMNS, subsequent_indent=indent, drop_whitespace=False) or [""]
        yield ""
