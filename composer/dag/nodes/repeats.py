"""Unrolls a repeat: what each copy takes, the copies, and the scope that holds them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from composer.dag.nodes.adapted import with_adapters
from composer.dag.nodes.reader import Reader
from composer.dag.nodes.step import Step, Stop, Taken
from composer.dag.nodes.unfinished import Missing, Unfinished
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic
from composer.spec.model import NodeSpec


@dataclass(frozen=True)
class Repeats:
    """Makes the copies of repeated nodes.

    A copy takes the outputs of the copy before it, and otherwise what the node takes. Outputs that are all named like
    inputs of the block go to those; others go to its inputs in their order.
    """

    reader: Reader
    make: Callable[[NodeSpec, Step], Node]

    def node(self, spec: NodeSpec, step: Step) -> Node:
        """A node whose scope holds the copies. Raises Stop."""
        count, sites = self.reader.count(spec, step), self.reader.sites(spec, step)
        self.reader.spend(step, nodes=1)
        if count == 0:
            return Node(step.name, step.path, step.origin, step.references[:1], None, step.tensors[0], sites)
        entering = _entering(step)
        inputs = {name: one.tensor for name, one in entering.values()}
        within = [tuple(replace(one, reference=entering[one.key][0]) for one in copy) for copy in step.copies]
        nodes: dict[str, Node] = {}
        try:
            copies = self.copies(spec, replace(step, copies=tuple(within)), count, f"{step.path}.", nodes, set(inputs))
        except Stop as stop:
            scope = Scope("repeat", step.path, inputs, nodes, dict(zip(["output"], stop.lacking, strict=False)))
            self.reader.unfinished[step.path] = Unfinished(scope, stop.lacking)
            raise Stop(*stop.diagnostics) from None
        last = nodes[copies[-1]].tail or copies[-1]
        given = nodes[last].output
        outputs = {"output": last} if isinstance(given, TensorSpec) else {one: f"{last}.{one}" for one in given}
        references = tuple(one.reference for _, one in entering.values())
        scope = Scope("repeat", step.path, inputs, nodes, outputs)
        return Node(step.name, step.path, step.origin, references, scope, given, sites)

    def inline(self, spec: NodeSpec, step: Step, nodes: dict[str, Node], taken: Collection[str]) -> list[str]:
        """Add the copies to the nodes of the scope itself. Returns their names. Raises Stop."""
        prefix = step.path.removesuffix(step.name)
        return self.copies(spec, step, self.reader.count(spec, step), prefix, nodes, taken)

    def copies(
        self, spec: NodeSpec, step: Step, count: int, prefix: str, nodes: dict[str, Node], taken: Collection[str]
    ) -> list[str]:
        child_spec = spec.model_copy(update={"repeat": None, "inline": False, "site": [], "share": None})
        handed: dict[int, Taken] = {}
        found: list[str] = []
        # Of copies that are one module: the copy that owns it, and its inputs.
        first: tuple[Node, Sequence[TensorSpec]] | None = None
        for index in range(count):
            written = step.copies[index if len(step.copies) > 1 else 0]
            given = tuple(one if one.own else handed.get(place, one) for place, one in enumerate(written))
            names = {**step.names, "index": index, "repeat": count}
            child = replace(step, copies=(given,), names=names, depth=step.depth + 1)
            name = self.reader.child_name(spec, child)
            if name in nodes or name in taken:
                if other := self.clash(name, step):
                    raise self.reader.note(other)
                help = ('count in it: `as: "unit${index}"`',)
                raise self.reader.note(step.problem_at("as", "name", f"two nodes are called `{name}`", help=help))
            try:
                child = replace(child, name=name, path=f"{prefix}{name}")
                made = with_adapters(self.reader, child_spec, child, self.maker(first), nodes, taken)
            except Stop as stop:
                raise Stop(lacking={name: Missing(child_spec, child.references, True, stop.diagnostics)}) from None
            nodes.update((node.name, node) for node in made)
            found.append(name)
            if spec.share and first is None and nodes[name].content is not None:
                adapted = child.tensors if len(made) == 1 else (nodes[nodes[name].inputs[0]].tensor, *child.tensors[1:])
                first = nodes[name], adapted
            handed = self.handed_on(made[-1], len(given), step)
        return found

    def clash(self, name: str, step: Step) -> Diagnostic | None:
        """The problem with a node that another file has named like a copy of this step; None if none has."""
        spec = self.reader.spec
        other = spec.node_origins.get(name)
        if step.depth > 0 or other is None or other.document is step.origin.document:
            return None
        there = step.origin.location(key=True)
        help = (f"the backbone's is at {there}",) if there else ()
        text = f"the backbone has a node `{name}` too"
        return other.problem("name", text, "another name", help, key=True, path=name)

    def maker(self, first: tuple[Node, Sequence[TensorSpec]] | None) -> Callable[[NodeSpec, Step], Node]:
        """Makes a copy with a module of its own, or one that calls the module of the first."""
        return partial(self._calling, first) if first is not None else self.make

    def _calling(self, first: tuple[Node, Sequence[TensorSpec]], spec: NodeSpec, step: Step) -> Node:
        return self.reader.call(spec, step, *first)

    def handed_on(self, node: Node, places: int, step: Step) -> dict[int, Taken]:
        """Number of an input -> the output of a copy that the next copy takes there. Raises Stop."""
        inputs = list(node.content.inputs) if isinstance(node.content, Scope) else []
        outputs = list(node.content.outputs) if isinstance(node.content, Scope) else ["output"]
        known = [name for name in outputs if name in inputs]
        if isinstance(node.output, TensorSpec):
            return {inputs.index(known[0]) if known else 0: Taken(node.name, node.output)}
        if known and len(known) < len(outputs):
            other = next(name for name in outputs if name not in known)
            text = f"`{node.op}` hands `{known[0]}` on to its next copy, and has no input for its output `{other}`"
            help = ("name each output like an input, or none: then they go to the inputs in their order",)
            raise self.reader.note(step.problem_at("repeat", "repeat", text, help=help))
        if len(outputs) > places:
            text = f"`{node.op}` has {len(outputs)} outputs, and its next copy takes {places}"
            raise self.reader.note(step.problem_at("repeat", "repeat", text, "as many inputs as outputs"))
        numbers = [inputs.index(name) for name in known] or range(len(outputs))
        made = (Taken(f"{node.name}.{name}", node.output[name]) for name in outputs)
        return dict(zip(numbers, made, strict=True))


def _entering(step: Step) -> dict[Hashable, tuple[str, Taken]]:
    """Key of a tensor that enters the scope of a repeat -> the name of its input there: `input`, `input_1` …"""
    found: dict[Hashable, tuple[str, Taken]] = {}
    for one in (one for copy in step.copies for one in copy):
        if one.key not in found:
            found[one.key] = (f"input_{len(found)}" if found else "input", one)
    return found
