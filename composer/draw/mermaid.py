"""A picture as Mermaid, for Markdown, folded until it is within Mermaid's limits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from composer.amounts import plural
from composer.draw.chunks import in_chunks
from composer.draw.dot import label_of
from composer.draw.flat import flat_edges, shared_boxes
from composer.draw.legend import Entry, entries
from composer.draw.marks import COLOURS, Marks
from composer.draw.picture import Picture
from composer.draw.theme import LIGHT, class_of, colours
from composer.draw.view import Box, View, num_levels, opened
from composer.visible import visible

# Mermaid's `maxEdges` and `maxTextSize`; beyond them it shows an error.
MOST_EDGES = 500
MOST_CHARACTERS = 50_000
LONGEST_LABEL = 160

# Entries of a legend, and letters in one: with them, any legend leaves room for a network.
MOST_ENTRIES = 20
LONGEST_ENTRY = 80


@dataclass(frozen=True)
class _Part:
    """The network, or a block shown by itself, with the frame around it and words about it."""

    frame: Box | None
    view: View
    caption: str


def render_mermaid(picture: Picture, marks: Marks | None = None) -> str:
    """The text of the file: the whole picture, or as much of it as Mermaid accepts.

    `marks` colours boxes; the legend, which is of kinds and rules, is left out then.
    """
    parts = [_Part(figure.frame, figure.view, figure.caption) for figure in picture.figures]
    for how, smaller in _ever_smaller(parts):
        text = _written(picture, smaller, marks or Marks(), how)
        if text is not None:
            return text
    raise AssertionError("a picture of few boxes is small")


def _ever_smaller(parts: Sequence[_Part]) -> Iterator[tuple[str, Sequence[_Part]]]:
    """The parts with fewer and fewer levels, then with fewer boxes, at last only the first; and what was done."""
    yield "", parts
    for depth in range(max(num_levels(part.view) for part in parts) - 1, 0, -1):
        how = f"{plural(depth, 'level')} of blocks open, which `--depth {depth}` asks for"
        yield how, [replace(part, view=opened(part.view, depth)) for part in parts]
    for most in (100, 50, 25, 10, 3):
        how = f"nodes in a row joined to at most {most} boxes"
        yield how, [replace(part, view=in_chunks(part.view, most)) for part in parts]
    for first in (10, 1):
        how = f"nodes in a row joined to at most 3 boxes, only the first {plural(first, 'part')}"
        yield how, [replace(part, view=in_chunks(part.view, 3)) for part in parts[:first]]


def _written(picture: Picture, parts: Sequence[_Part], marks: Marks, how: str) -> str | None:
    """The text of a file with these parts; None if it exceeds Mermaid's limits."""
    title = f"{picture.name}: {picture.description}" if picture.description else picture.name
    lines = ["---", f"title: {json.dumps(title[:200], ensure_ascii=False)}", "---"]
    lines.append(f"flowchart {picture.direction}")
    if how:
        lines.append(f"%% Folded: Mermaid draws at most {MOST_EDGES} edges and {MOST_CHARACTERS} characters: {how}.")
    num_edges = 0
    for number, part in enumerate(parts):
        edges, shared = flat_edges(part.view), shared_boxes(part.view)
        num_edges += len(edges) + len(shared)
        if num_edges > MOST_EDGES:
            return None
        writer = _Writer(f"p{number}", marks)
        lines += writer.part(part)
        for edge in edges:
            label = f"|{_quoted(edge.shape)}|" if edge.shape else ""
            lines.append(f"  {writer.ids[edge.source]} -->{label} {writer.ids[edge.target]}")
        lines += [f"  {writer.ids[owner]} -.- {writer.ids[path]}" for path, owner in shared]
    boxes = [box for part in parts for box in part.view.walk()]
    shown = [] if marks.kinds else entries(picture.rules, boxes, coloured=True)
    lines += _legend(shown)
    used = {_class_of(box, marks) for box in boxes if box.inner is None}
    used |= {entry.kind for entry in shown[:MOST_ENTRIES] if entry.kind}
    text = "\n".join([*lines, *(_class(name) for name in sorted(used)), ""])
    return text if len(text) <= MOST_CHARACTERS else None


def _legend(shown: Sequence[Entry]) -> Iterator[str]:
    """What the colours and marks mean, one below the other."""
    if not shown:
        return
    yield '  subgraph legend ["legend"]'
    yield "    direction LR"
    for number, entry in enumerate(shown[:MOST_ENTRIES]):
        kind = f":::{entry.kind}" if entry.kind else ""
        yield f"    l{number}[{_quoted(entry.told[:LONGEST_ENTRY])}]{kind}"
    if len(shown) > MOST_ENTRIES:
        yield f"    l{MOST_ENTRIES}[{_quoted(f'and {len(shown) - MOST_ENTRIES} more')}]"
    yield "  end"


def _class_of(box: Box, marks: Marks) -> str:
    return marks.of(box) or class_of(box)


def _class(name: str) -> str:
    fill, line = COLOURS.get(name) or colours(LIGHT)[name]
    width = 2 if name in ("inserted", "inserted-frame", "failed", "holds", *COLOURS) else 1
    return f"  classDef {name} fill:{fill},stroke:{line},stroke-width:{width}px,color:{LIGHT.ink}"


@dataclass
class _Writer:
    """Writes the boxes of a part; `ids` becomes the id of each box, frame and end in the file."""

    prefix: str
    marks: Marks
    ids: dict[str, str] = field(default_factory=dict)

    def part(self, part: _Part) -> Iterator[str]:
        view = part.view
        ends = [(f"in:{name}", name) for name in view.inputs] + [(f"out:{name}", name) for name in view.outputs]
        for end, name in ends:
            yield f"  {self.id(end, 'e')}([{_quoted(name)}])"
        if part.frame is None:
            yield from self.boxes(view, "  ")
        else:
            yield from self.subgraph(part.frame, view, "  ", part.caption)

    def boxes(self, view: View, indent: str) -> Iterator[str]:
        for box in view.boxes:
            if box.inner is not None:
                yield from self.subgraph(box, box.inner, indent)
            else:
                yield f"{indent}{self.id(box.path, 'n')}[{_quoted(label_of(box))}]:::{_class_of(box, self.marks)}"

    def subgraph(self, box: Box, view: View, indent: str, caption: str = "") -> Iterator[str]:
        yield f"{indent}subgraph {self.id(f'frame {box.path}', 'f')} [{_quoted(label_of(box, caption))}]"
        yield from self.boxes(view, f"{indent}  ")
        yield f"{indent}end"

    def id(self, name: str, kind: str) -> str:
        """A new id for what has this name."""
        self.ids[name] = f"{self.prefix}{kind}{len(self.ids)}"
        return self.ids[name]


def _quoted(text: str) -> str:
    """A label as Mermaid reads it, with entities for all characters that Mermaid or HTML would interpret."""
    lines = (_escaped(visible(line)) for line in text[:LONGEST_LABEL].split("\n"))
    return f'"{"<br/>".join(lines)}"'


def _escaped(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in " .,:+-–×·…/_()" else f"#{ord(letter)};" for letter in text)
