"""A picture as Mermaid, for Markdown, folded until it is within Mermaid's limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from composer.draw.chunks import in_chunks
from composer.draw.dot import label_of
from composer.draw.flat import flat_edges, shared_boxes
from composer.draw.marks import COLOURS, Marks
from composer.draw.picture import Picture
from composer.draw.theme import LIGHT, class_of, colours
from composer.draw.view import Box, View, num_levels, opened
from composer.visible import visible

# Mermaid's `maxEdges` and `maxTextSize`; beyond them it shows an error.
MOST_EDGES = 500
MOST_CHARACTERS = 50_000
LONGEST_LABEL = 160

Part = tuple[Box | None, View]


def render_mermaid(picture: Picture, marks: Marks | None = None) -> str:
    """The text of the file: the whole picture, or as much of it as Mermaid accepts. `marks` colours boxes."""
    marks = marks or Marks()
    parts = [(figure.frame, figure.view) for figure in picture.figures]
    for number, smaller in enumerate(_ever_smaller(parts)):
        text = _written(picture, smaller, marks, folded=number > 0)
        if text is not None:
            return text
    raise AssertionError("a picture of few boxes is small")


def _ever_smaller(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """The parts with fewer and fewer levels, then with fewer boxes, at last only the first ten parts."""
    yield parts
    for depth in range(max(num_levels(view) for _, view in parts) - 1, 0, -1):
        yield [(frame, opened(view, depth)) for frame, view in parts]
    for most in (100, 50, 25, 10, 3):
        yield [(frame, in_chunks(view, most)) for frame, view in parts]
    yield [(frame, in_chunks(view, 3)) for frame, view in parts[:10]]


def _written(picture: Picture, parts: Sequence[Part], marks: Marks, *, folded: bool) -> str | None:
    """The text of a file with these parts; None if it exceeds Mermaid's limits."""
    title = f"{picture.name}: {picture.description}" if picture.description else picture.name
    lines = ["---", f"title: {json.dumps(title[:200], ensure_ascii=False)}", "---"]
    lines.append(f"flowchart {picture.direction}")
    if folded:
        lines.append(f"%% Folded: Mermaid draws at most {MOST_EDGES} edges and {MOST_CHARACTERS} characters.")
    num_edges = 0
    for number, (frame, view) in enumerate(parts):
        edges, shared = flat_edges(view), shared_boxes(view)
        num_edges += len(edges) + len(shared)
        if num_edges > MOST_EDGES:
            return None
        ids: dict[str, str] = {}
        drawn = list(_part(frame, view, f"p{number}", ids, marks))
        lines += drawn
        for edge in edges:
            label = f"|{_quoted(edge.shape)}|" if edge.shape else ""
            lines.append(f"  {ids[edge.source]} -->{label} {ids[edge.target]}")
        lines += [f"  {ids[owner]} -.- {ids[path]}" for path, owner in shared]
    used = {_class_of(box, marks) for _, view in parts for box in view.walk() if box.inner is None}
    text = "\n".join([*lines, *(_class(name) for name in sorted(used)), ""])
    return text if len(text) <= MOST_CHARACTERS else None


def _class_of(box: Box, marks: Marks) -> str:
    return marks.of(box) or class_of(box)


def _class(name: str) -> str:
    fill, line = COLOURS.get(name) or colours(LIGHT)[name]
    width = 2 if name in ("inserted", "failed", "holds", *COLOURS) else 1
    return f"  classDef {name} fill:{fill},stroke:{line},stroke-width:{width}px,color:{LIGHT.ink}"


def _part(frame: Box | None, view: View, prefix: str, ids: dict[str, str], marks: Marks) -> Iterator[str]:
    for end, name in [(f"in:{name}", name) for name in view.inputs] + [(f"out:{name}", name) for name in view.outputs]:
        ids[end] = f"{prefix}e{len(ids)}"
        yield f"  {ids[end]}([{_quoted(name)}])"
    if frame is None:
        yield from _boxes(view, prefix, ids, "  ", marks)
    else:
        yield from _subgraph(frame, view, prefix, ids, "  ", marks)


def _boxes(view: View, prefix: str, ids: dict[str, str], indent: str, marks: Marks) -> Iterator[str]:
    for box in view.boxes:
        if box.inner is not None:
            yield from _subgraph(box, box.inner, prefix, ids, indent, marks)
        else:
            ids[box.path] = f"{prefix}n{len(ids)}"
            yield f"{indent}{ids[box.path]}[{_quoted(label_of(box))}]:::{_class_of(box, marks)}"


def _subgraph(box: Box, view: View, prefix: str, ids: dict[str, str], indent: str, marks: Marks) -> Iterator[str]:
    name = ids[f"frame {box.path}"] = f"{prefix}f{len(ids)}"
    yield f"{indent}subgraph {name} [{_quoted(label_of(box))}]"
    yield from _boxes(view, prefix, ids, f"{indent}  ", marks)
    yield f"{indent}end"


def _quoted(text: str) -> str:
    """A label as Mermaid reads it, with entities for all characters that Mermaid or HTML would interpret."""
    lines = (_escaped(visible(line)) for line in text[:LONGEST_LABEL].split("\n"))
    return f'"{"<br/>".join(lines)}"'


def _escaped(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in " .,:+-–×·…/_()" else f"#{ord(letter)};" for letter in text)
