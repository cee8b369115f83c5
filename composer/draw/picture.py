"""The content of a picture: the network as far as it is open, and beside it the attention that closed boxes hide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from composer.dag.sketch import Sketch
from composer.draw import measure
from composer.draw.build import build_view
from composer.draw.insets import beside, insets
from composer.draw.layout import Known, Layout, lay_out
from composer.draw.layout.sizing import Direction
from composer.draw.selection import selected
from composer.draw.tint import Coloured, colouring, tinted
from composer.draw.values import Scale, Values
from composer.draw.view import Box, View, num_boxes, opened
from composer.errors import Diagnostic
from composer.visible import visible

# The largest number of boxes in a picture without a requested depth.
MOST_BOXES = 25
FEWEST_BOXES, MANY_BOXES = 10, 75


@dataclass(frozen=True)
class Wish:
    """What to draw.

    depth   levels of boxes; None for as many as stay readable
    select  a path, site or glob: draw only the blocks that it finds, or the blocks around what it finds; operations in
            no block alone
    insets  whether to show, open beside the network, blocks whose attention is hidden and a block of each family
    colour  what boxes are coloured by: the key of a number of each node, or `kind`; None as the network has it
    """

    depth: int | None = None
    select: str | None = None
    direction: Direction = "TB"
    insets: bool = True
    colour: str | None = None


@dataclass(frozen=True)
class Figure:
    """A container in a picture. `frame` is the box around it; None for the whole network."""

    view: View
    layout: Layout
    frame: Box | None = None
    caption: str = ""


@dataclass(frozen=True)
class Inserted:
    """An attention rule: its number, from 1, its mechanism, and its number of places."""

    number: int
    use: str
    where: str
    num_places: int


@dataclass(frozen=True)
class Picture:
    """The content of a picture, for every format."""

    name: str
    num_parameters: int
    takes: str
    gives: str
    direction: Direction
    figures: tuple[Figure, ...]
    rules: tuple[Inserted, ...]
    problems: tuple[Diagnostic, ...] = ()
    description: str = ""
    coloured: Coloured | None = None


def painted(picture: Picture, values: Values, scale: Scale | None) -> Picture:
    """The picture with its boxes coloured by numbers of their nodes."""
    figures = tuple(replace(figure, view=tinted(figure.view, values, scale)) for figure in picture.figures)
    return replace(picture, figures=figures, coloured=colouring([figure.view for figure in figures], values, scale))


def draw(sketch: Sketch, wish: Wish | None = None, view: View | None = None) -> Picture:
    """The picture of a network; `view` is its view, if it exists already.

    Raises InputError for a selection that finds nothing.
    """
    wish = wish or Wish()
    view = view or build_view(sketch)
    known = Known()
    figures: list[Figure] = []
    for one in [view] if wish.select is None else selected(sketch, view, wish.select):
        figures += _network(one, wish, known) if isinstance(one, View) else [_block(one, wish, known)]
    return Picture(
        name=visible(sketch.spec.name),
        num_parameters=sketch.root.num_parameters,
        takes=", ".join(view.inputs.values()),
        gives=", ".join(edge.shape for edge in view.edges if edge.target.startswith("out:")),
        direction=wish.direction,
        figures=tuple(figures),
        rules=inserted_by(sketch, view),
        problems=sketch.problems,
        description=sketch.spec.description,
    )


def draw_problems(name: str, problems: Sequence[Diagnostic]) -> Picture:
    """The picture of a text that makes no network: a red box per problem."""
    boxes = tuple(_problem(number, problem) for number, problem in enumerate(problems, 1))
    view = View("", name, {}, boxes, (), (), 0, 0)
    # No wires connect these boxes, so left-to-right places them one below the other.
    figure = Figure(view, lay_out(view, "LR", Known(), role="whole"))
    return Picture(visible(name), 0, "", "", "LR", (figure,), (), tuple(problems))


def _problem(number: int, problem: Diagnostic) -> Box:
    where = problem.location
    label = f"line {where.line}" if where else f"mistake {number}"
    file = PurePath(where.source.name).name if where else ""
    line = f"{file}:{where.line}" if where else ""
    name = f"mistake:{number}"
    found = Box(name, name, label, (), "other", problem.code, file, {}, False, 0, line=line)
    return replace(found, state="failed", problem=problem)


def inserted_by(sketch: Sketch, view: View) -> tuple[Inserted, ...]:
    """The attention rules of a network that inserted something."""
    found = []
    for number, (rule, _) in enumerate(sketch.spec.every_rule):
        count = sum(count for box in view.boxes for at, _, count in box.holds if at == number)
        if count:
            found.append(Inserted(number + 1, rule.use or "", f"{rule.position} {rule.selector}", count))
    return tuple(found)


def _network(view: View, wish: Wish, known: Known) -> Iterator[Figure]:
    insets_too = wish.insets and wish.select is None
    depth = wish.depth or readable_depth(view, insets_too=insets_too)
    shown = opened(view, depth)
    yield Figure(shown, lay_out(shown, wish.direction, known, role="whole"))
    if insets_too:
        for inset in beside(view, depth):
            layout = lay_out(inset.view, wish.direction, known, role="alone", head=measure.header_width(inset.box))
            yield Figure(inset.view, layout, inset.box, inset.caption)


def _block(box: Box, wish: Wish, known: Known) -> Figure:
    assert box.inner is not None
    view = opened(box.inner, wish.depth or readable_depth(box.inner))
    frame = replace(box, label=box.path)
    return Figure(view, lay_out(view, wish.direction, known, role="alone", head=measure.header_width(frame)), frame)


def readable_depth(view: View, *, insets_too: bool = False) -> int:
    """The deepest level at which a picture has few boxes; a level deeper, if these are too few to say something.

    A level with a single container does not count: there is no choice what to open.
    """
    depth = 1
    while sum(box.inner is not None for box in _level(view, depth)) == 1:
        depth += 1
    counts = {depth: _num_boxes(view, depth, insets_too=insets_too)}
    while any(box.inner is not None for box in _level(view, depth)):
        depth += 1
        counts[depth] = _num_boxes(view, depth, insets_too=insets_too)
    best = max((depth for depth, count in counts.items() if count <= MOST_BOXES), default=min(counts))
    return best + 1 if counts[best] < FEWEST_BOXES and counts.get(best + 1, MANY_BOXES) < MANY_BOXES else best


def _num_boxes(view: View, depth: int, *, insets_too: bool) -> int:
    # Attention is shown in its place rather than closed for the sake of a block beside it.
    shown = insets if any(box.holds for box in view.boxes) else beside
    more = [1 + num_boxes(inset.view) for inset in shown(view, depth)] if insets_too else []
    return len(view.inputs) + len(view.outputs) + num_boxes(opened(view, depth)) + sum(more)


def _level(view: View, depth: int) -> Iterator[Box]:
    """The boxes of a level, counted from 1."""
    for box in view.boxes:
        if depth == 1:
            yield box
        elif box.inner is not None:
            yield from _level(box.inner, depth - 1)
