"""Graph -> view: nodes that only pass their input on are left out, and runs of equal nodes become a single box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from composer.dag.nodes.sharing import in_words
from composer.dag.nodes.unfinished import Missing
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.sketch import Sketch
from composer.dag.traits import Traits, traits_of
from composer.draw.apart import told_apart
from composer.draw.describe import (
    describe,
    describe_repeat,
    describe_shape,
    outputs,
    settings,
)
from composer.draw.fold import Part, fold, sum_holds
from composer.draw.view import Box, Edge, Holds, State, View

Reference = tuple[str, str]
_CONTAINERS = ("Sequential", "ModuleList")


def build_view(sketch: Sketch, words: Mapping[str, str] | None = None) -> View:
    """The view of a whole network with every block open.

    words  path of a node -> a word; equal nodes with different words, or with and without one, are no copies of each
           other
    """
    return _Builder(sketch, words or {}).view(sketch.root)


@dataclass
class _Builder:
    sketch: Sketch
    words: Mapping[str, str]
    numbers: dict[Any, int] = field(default_factory=dict)
    traits: dict[str, Traits] = field(default_factory=dict)

    def number(self, *structure: Any) -> int:
        """A number for a structure, equal for equal structures."""
        return self.numbers.setdefault(structure, len(self.numbers))

    def view(self, scope: Scope) -> View:
        """The view of a scope, complete or not."""
        unfinished = self.sketch.unfinished.get(scope.path)
        missing = unfinished.missing if unfinished else {}
        names: dict[str, Reference] = {name: (f"in:{name}", "") for name in scope.inputs}
        parts: list[Part] = []
        for name in [*scope.parts, *missing]:
            node = scope.parts.get(name)
            taken = node.inputs if node else missing[name].inputs
            # A failed scope may contain a cycle: sources that do not exist yet are not drawn.
            sources = tuple(found for one in taken if (found := _resolve(one, names)) is not None)
            if node is not None and node.content is None:
                names[name] = sources[0]
                continue
            names[name] = (name, "")
            parts.append(self.part(scope, node, sources) if node else self.missing(scope, name, missing[name], sources))
        told = {name: f"{name} (training)" if name in scope.training else name for name in scope.outputs}
        ends = {told[name]: one for name, to in scope.outputs.items() if (one := _resolve(to, names)) is not None}
        if unfinished is not None:
            # Outputs by path exist only in a complete network.
            given = {(part.box.name, output) for part in parts for output in part.box.shapes}
            ends = {key: end if end in given else (end[0], "") for key, end in ends.items()}
        parts, ends = fold(parts, ends)
        boxes = told_apart([part.box for part in parts], self.traits)
        parts = [replace(part, box=box) for part, box in zip(parts, boxes, strict=True)]
        return self.assemble(scope, parts, ends)

    def assemble(self, scope: Scope, parts: list[Part], ends: Mapping[str, Reference]) -> View:
        inputs = {name: describe_shape(tensor) for name, tensor in scope.inputs.items()}
        shapes = {(f"in:{name}", ""): shape for name, shape in inputs.items()}
        shapes.update({(part.box.name, output): shape for part in parts for output, shape in part.box.shapes.items()})
        edges = [
            Edge(*source, part.box.name, index, shapes.get(source, ""))
            for part in parts
            for index, source in enumerate(part.sources)
        ]
        edges += [Edge(*source, f"out:{name}", 0, shapes.get(source, "")) for name, source in ends.items()]
        key, form = self.structure(inputs, parts, ends)
        boxes = tuple(part.box for part in parts)
        return View(scope.path, scope.block, inputs, boxes, tuple(ends), tuple(edges), key, form)

    def structure(self, inputs: Iterable[str], parts: list[Part], ends: Mapping[str, Reference]) -> tuple[int, int]:
        """The key and the form of a view: its content, and how it is wired."""
        place = {name: index for index, name in enumerate([*(f"in:{n}" for n in inputs), *(p.box.name for p in parts)])}
        ways = [*(part.sources for part in parts), tuple(ends.values())]
        wired = tuple(tuple((place[name], output) for name, output in one) for one in ways)
        counts = tuple(part.box.count for part in parts)
        key = self.number(counts, wired, tuple(part.key for part in parts))
        return key, self.number(counts, wired, tuple(part.form for part in parts))

    def part(self, scope: Scope, node: Node, sources: tuple[Reference, ...]) -> Part:
        """The box of a node, and its sources."""
        shapes = {name: describe_shape(tensor) for name, tensor in outputs(node.output).items()}
        arriving = describe_shape(scope.tensor(node.inputs[0])) if node.inputs else ""
        location = node.origin.location()
        box = Box(
            name=node.name,
            path=node.path,
            label=node.name,
            copies=(),
            kind="block",
            op=node.op,
            detail=node.op,
            shapes=shapes,
            changed=any(shape != arriving for shape in shapes.values()),
            num_parameters=node.content.num_parameters if node.content else 0,
            # In an inserted block, the frame says which rule it is.
            rule=None if node.role == "inside" else node.rule,
            helper=node.role == "helper",
            line=f"{PurePath(location.source.name).name}:{location.line}" if location else "",
            problem=self.sketch.problem_at.get(node.path),
        )
        assert node.content is not None
        own: Holds = ((node.rule, node.op, 1),) if node.rule is not None and node.role == "used" else ()
        if isinstance(node.content, Operation):
            found = self.operation(box, node.content, sources, own)
        else:
            found = self.block(box, node.content, sources, own)
        if node.name in scope.held:
            # Only other nodes call it, so it is no place of its own.
            found = replace(found, box=replace(found.box, detail=node.op, holds=()))
        if (word := self.words.get(node.path)) is not None:
            found = replace(found, key=self.number("told apart", word, found.key))
        return self.sharing(found, node) if node.told_shares else found

    def sharing(self, part: Part, node: Node) -> Part:
        """The part of a node that calls a module of another node, with the words for it."""
        words = in_words(node.told_shares)
        key, form = (self.number("shares", *words, one) for one in (part.key, part.form))
        shared = tuple(node.told_shares.values())
        box = replace(part.box, detail=", ".join([part.box.detail, *words]), shares=shared)
        # What rules put into a block that is called again, they put into one place.
        box = replace(box, holds=() if node.calls else box.holds)
        return replace(part, box=box, key=key, form=form)

    def operation(self, box: Box, operation: Operation, sources: tuple[Reference, ...], own: Holds) -> Part:
        entry = operation.entry
        box = replace(
            box,
            kind="attention" if entry.category == "mechanism" else entry.kind,
            detail=describe(operation),
            holds=own,
            state="failed" if box.problem else "made",
        )
        written = tuple((name, repr(value)) for name, value in sorted(settings(operation).items()))
        form = self.number("operation", entry.name, box.rule, box.problem)
        return Part(box, sources, self.number(form, written), form)

    def block(self, box: Box, scope: Scope, sources: tuple[Reference, ...], own: Holds) -> Part:
        view = self.view(scope)
        box = replace(box, inner=view, holds=(*own, *sum_holds(view.boxes)))
        key, form = (self.number("block", scope.block, one, box.problem) for one in (view.key, view.form))
        if _is_one_box(view) and box.problem is None:
            return Part(_merged(box, view.boxes[0]), sources, key, form)
        children = [child for child in scope.nodes.values() if child.content is not None and child.place is None]
        # The class of a foreign module says more than those of its parts, unless it only holds them.
        is_named = scope.is_recorded and scope.block not in _CONTAINERS
        if not is_named and all(isinstance(child.content, Scope) and child.op != "repeat" for child in children):
            box = replace(box, detail=describe_repeat(child.op for child in children))
        elif scope.path not in self.sketch.unfinished:
            self.traits[box.path] = traits_of(scope)
        return Part(box, sources, key, form)

    def missing(self, scope: Scope, name: str, missing: Missing, sources: tuple[Reference, ...]) -> Part:
        """The box of a node that could not be made, with the part of its content that could."""
        path = f"{scope.path}.{name}" if scope.path else name
        unfinished = self.sketch.unfinished.get(path)
        inner = self.view(unfinished.scope) if unfinished else None
        what = missing.op
        state: State = "unreached" if not missing.failed else "made" if inner else "failed"
        problem = next(iter(missing.problems), None)
        box = Box(name, path, name, (), "block" if inner else "other", what, what, {}, False, 0)
        box = replace(box, state=state, problem=problem, inner=inner, holds=sum_holds(inner.boxes) if inner else ())
        alone = self.number("missing", path)
        return Part(box, sources, alone, alone)


def _resolve(reference: str, names: Mapping[str, Reference]) -> Reference | None:
    name, _, output = reference.partition(".")
    found = names.get(name)
    return (found[0], output or found[1]) if found else None


def _is_one_box(view: View) -> bool:
    """Whether a scope is drawn as a single box that takes all the scope's inputs and gives its output."""
    if len(view.boxes) != 1:
        return False
    (box,) = view.boxes
    ways = [(edge.source, edge.target, edge.index) for edge in view.edges]
    through = [(f"in:{name}", box.name, index) for index, name in enumerate(view.inputs)]
    return ways == [*through, (box.name, f"out:{view.outputs[0]}", 0)]


def _merged(box: Box, child: Box) -> Box:
    """A block and the only box in it as a single box: a frame around it would add nothing."""
    return replace(
        child,
        name=box.name,
        path=box.path,
        label=box.label,
        copies=child.copies,
        shapes=box.shapes,
        changed=box.changed,
        num_parameters=box.num_parameters,
        line=box.line,
    )


__all__ = ["build_view"]
