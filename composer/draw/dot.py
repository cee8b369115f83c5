"""A picture as DOT, for Graphviz: open blocks are clusters."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from composer.draw import measure
from composer.draw.flat import flat_edges, shared_boxes
from composer.draw.legend import entries
from composer.draw.picture import Figure, Picture
from composer.draw.theme import LIGHT, class_of, colours
from composer.draw.view import Box, View
from composer.visible import visible

# Letters in a line of the description.
COLUMNS = 80


def render_dot(picture: Picture) -> str:
    """The text of the file."""
    lines = [
        f"digraph {_quoted(picture.name)} {{",
        f"  rankdir={picture.direction}",
        f"  label={_quoted(_title(picture))} labelloc=t fontname=Helvetica fontsize=16",
        '  node [shape=box style="rounded,filled" fontname=Helvetica fontsize=11 margin="0.12,0.06"]',
        f"  edge [fontname=Helvetica fontsize=9 color={_quoted(LIGHT.wire)} arrowsize=0.7]",
    ]
    for number, figure in enumerate(picture.figures):
        lines += _figure(figure, f"{number}:" if number else "")
    lines += _legend(picture)
    return "\n".join([*lines, "}", ""])


def _title(picture: Picture) -> str:
    return "\n".join([picture.name, *wrap(picture.description, COLUMNS)])


def _legend(picture: Picture) -> Iterator[str]:
    """What the colours and marks mean: boxes one below the other, in a cluster of their own."""
    boxes = [box for figure in picture.figures for box in figure.view.walk()]
    shown = entries(picture.rules, boxes, coloured=True)
    if not shown:
        return
    yield '  subgraph "cluster_:legend" {'
    yield f"    label=legend labeljust=l style=rounded color={_quoted(LIGHT.frame[1])} fontsize=11"
    for number, entry in enumerate(shown):
        look = "shape=plaintext style=solid"
        if entry.kind:
            fill, line = colours(LIGHT)[entry.kind]
            dashed = ',dashed"' if entry.kind in ("helper", "unreached") else '"'
            look = f'style="rounded,filled{dashed} fillcolor={_quoted(fill)} color={_quoted(line)}'
        yield f"    {_quoted(f':legend:{number}')} [label={_quoted(entry.told)} {look}]"
    chain = " -> ".join(_quoted(f":legend:{number}") for number in range(len(shown)))
    yield f"    {chain} [style=invis]"
    yield "  }"


def _figure(figure: Figure, prefix: str) -> Iterator[str]:
    view = figure.view
    ends = [(f"in:{name}", name) for name in view.inputs] + [(f"out:{name}", name) for name in view.outputs]
    for end, name in ends:
        yield f"  {_quoted(prefix + end)} [label={_quoted(name)} shape=oval style=solid]"
    if figure.frame is None:
        yield from _boxes(view, prefix, "  ")
    else:
        yield from _cluster(figure.frame, view, prefix, "  ", figure.caption)
    for path, owner in shared_boxes(view):
        line = "style=dashed arrowhead=none constraint=false"
        yield f"  {_quoted(prefix + owner)} -> {_quoted(prefix + path)} [{line}]"
    for edge in flat_edges(view):
        label = f" [label={_quoted(edge.shape)}]" if edge.shape else ""
        yield f"  {_quoted(prefix + edge.source)} -> {_quoted(prefix + edge.target)}{label}"


def _boxes(view: View, prefix: str, indent: str) -> Iterator[str]:
    for box in view.boxes:
        if box.inner is not None:
            yield from _cluster(box, box.inner, prefix, indent)
            continue
        fill, line = colours(LIGHT)[class_of(box)]
        dashed = ' style="rounded,filled,dashed"' if box.state == "unreached" or box.helper else ""
        width = " penwidth=2" if box.rule is not None or box.problem is not None else ""
        yield (
            f"{indent}{_quoted(prefix + box.path)} [label={_quoted(label_of(box))} fillcolor={_quoted(fill)}"
            f" color={_quoted(line)}{dashed}{width}]"
        )


def _cluster(box: Box, view: View, prefix: str, indent: str, caption: str = "") -> Iterator[str]:
    yield f"{indent}subgraph {_quoted(f'cluster_{prefix}{box.path}')} {{"
    line = _quoted(LIGHT.frame[1])
    yield f"{indent}  label={_quoted(label_of(box, caption))} labeljust=l style=rounded color={line} fontsize=11"
    yield from _boxes(view, prefix, f"{indent}  ")
    yield f"{indent}}}"


def label_of(box: Box, caption: str = "") -> str:
    """The words in a box, line by line, then those that stand above it in a picture."""
    words = "  ".join(part for part in (box.label, measure.detail(box), measure.chip(box)) if part)
    lines = [words, *(measure.pill(*held) for held in box.holds if box.inner is None and box.kind == "block")]
    if box.rule is not None:
        lines.append(f"inserted by rule {box.rule + 1}")
    return "\n".join([*lines, *measure.problem_lines(box), *([caption] if caption else [])])


def _quoted(text: str) -> str:
    lines = (visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n"))
    return '"' + "\\n".join(lines) + '"'
