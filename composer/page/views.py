"""View -> JSON, from which the page lays out a network again whenever a container opens.

Nothing in it depends on what is open: the order of items is found here once, and the page only reckons with sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from composer.draw import measure
from composer.draw.layout.order import Arrangement, Step, arrange
from composer.draw.layout.rank import Diagram
from composer.draw.layout.straight import straight_steps
from composer.draw.layout.topology import diagram_of, items_of
from composer.draw.text import advance
from composer.draw.theme import class_of
from composer.draw.view import Box, View
from composer.visible import visible

Json = dict[str, Any]

# What the page writes beside what it is given: counts, signs, and the sign for what cannot be shown.
OWN_CHARACTERS = "0123456789+×·…\N{REPLACEMENT CHARACTER}"


@dataclass
class Shared:
    """What the views of one page have in common: arrangements of containers wired alike, and widths of characters."""

    numbers: dict[Diagram, int] = field(default_factory=dict)
    arrangements: list[Json] = field(default_factory=list)
    characters: set[str] = field(default_factory=lambda: set(OWN_CHARACTERS))

    def view(self, view: View) -> Json:
        """A view and everything in it, whether open or not."""
        diagram = diagram_of(view)
        if diagram not in self.numbers:
            self.numbers[diagram] = len(self.arrangements)
            self.arrangements.append(_arrangement(arrange(diagram)))
        for name, shape in view.inputs.items():
            self.characters.update(visible(name), shape)
        self.characters.update(*map(visible, view.outputs))
        return {
            "path": view.path,
            "block": view.block,
            "inputs": [[name, shape] for name, shape in view.inputs.items()],
            "outputs": list(view.outputs),
            "boxes": [self.box(box) for box in view.boxes],
            "arrangement": self.numbers[diagram],
            "tensors": _tensors(view, diagram),
        }

    def box(self, box: Box) -> Json:
        """A box: what it is, and what it says and measures when it is closed. What is empty is left out."""
        detail, row, lines = measure.detail(box), measure.second_row(box), measure.problem_lines(box)
        pills = [measure.pill(*held) for held in box.holds]
        label = visible(box.label)
        self.characters.update(label, detail, row, *lines, *pills, *box.shapes.values())
        facts = {
            "path": box.path,
            "label": label,
            "kind": box.kind,
            "class": class_of(replace(box, inner=None)),
            "op": box.op,
            "size": [
                measure.needed_width(box),
                measure.own_width(box, 0),
                measure.box_height(box),
                measure.header_width(box),
            ],
        }
        perhaps = {
            "shapes": [[output, shape] for output, shape in box.shapes.items()],
            "shown": measure.shows_shape(box),
            "detail": detail,
            "copies": list(box.copies),
            "parameters": box.num_parameters,
            "holds": [list(held) for held in box.holds],
            "pills": pills if box.kind == "block" else [],
            "helper": box.helper,
            "line": box.line,
            "state": "" if box.state == "made" else box.state,
            "row": row,
            "lines": lines,
            "problem": box.problem.message if box.problem else "",
        }
        found = facts | {key: value for key, value in perhaps.items() if value}
        if box.rule is not None:
            found["rule"] = box.rule
        if box.inner is not None:
            found["inner"] = self.view(box.inner)
        return found

    def tables(self) -> Json:
        """What the data of the page holds beside the views: arrangements, and characters' widths, regular and bold."""
        characters = sorted(self.characters)
        widths = [{one: advance(one, bold=bold) for one in characters} for bold in (False, True)]
        return {"arrangements": self.arrangements, "characters": widths}


def _tensors(view: View, diagram: Diagram) -> list[list[str]]:
    """The output's name and the shape of every net of the diagram."""
    items = items_of(view)
    edges = {(edge.target, edge.index): edge for edge in view.edges}
    found = []
    for net in diagram.nets:
        target, index = net.targets[0]
        edge = edges[items[target], index]
        found.append([edge.output, edge.shape])
    return found


def _arrangement(arrangement: Arrangement) -> Json:
    """An arrangement in flat lists of numbers: steps as source, target, output, input; nets with their ends."""
    diagram, straight = arrangement.diagram, straight_steps(arrangement)
    steps = [step for level in arrangement.steps for step in level]
    return {
        "inputs": diagram.num_inputs,
        "outputs": diagram.num_outputs,
        "nets": [[net.source, net.output, *(one for end in net.targets for one in end)] for net in diagram.nets],
        "takes": list(diagram.takes),
        "gives": list(diagram.gives),
        "fixed": sorted(diagram.fixed),
        "layer": list(arrangement.ranking.layer),
        "beside": sorted(arrangement.ranking.beside),
        "layers": [list(layer) for layer in arrangement.layers],
        "bends": list(arrangement.bends),
        "straight": _steps(arrangement, list(straight.values())),
        "bent": _steps(arrangement, [step for step in steps if straight.get(step.target) is not step]),
    }


def _steps(arrangement: Arrangement, steps: Sequence[Step]) -> list[int]:
    return [one for step in steps for one in (step.source, step.target, arrangement.output_of(step), step.feeds)]
