"""Reads the keys of a node: values of its expressions, the operation or block, and their problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from composer import registry
from composer.dag.arguments import arguments_of_node, unknown_options
from composer.dag.grids import told
from composer.dag.infer import Inference, Misfit
from composer.dag.limits import Limits
from composer.dag.names import can_name_node
from composer.dag.nodes.feeding import advice
from composer.dag.nodes.sharing import calling, does_not_fit
from composer.dag.nodes.step import Step, Stop
from composer.dag.nodes.unfinished import Unfinished
from composer.dag.operation import Operation
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, GraphError, Mistakes
from composer.registry import BlockEntry, Entry
from composer.spec.expression import is_dynamic
from composer.spec.model import BlockSpec, NodeSpec
from composer.spec.names import unknown_block, unknown_op
from composer.spec.origin import Origin, evaluate
from composer.spec.spec import Part, Spec


@dataclass
class Reader:
    """Reads nodes of a spec, collects every problem, and counts nodes and parameters."""

    spec: Spec
    limits: Limits
    infer: Inference
    problems: dict[tuple[Any, ...], Diagnostic] = field(default_factory=dict)
    unfinished: dict[str, Unfinished] = field(default_factory=dict)
    num_nodes: int = 0
    num_parameters: int = 0

    def note(self, *problems: Diagnostic) -> Stop:
        """Store problems and return the Stop to raise."""
        for problem in problems:
            # The same line fails in every instance of its block: report it once.
            self.problems.setdefault((problem.code, problem.location or problem.message), problem)
        return Stop(*problems)

    def evaluate(self, value: Any, names: Mapping[str, Any], origin: Origin, path: str) -> Any:
        """A value with its expressions evaluated. Raises Stop."""
        try:
            return evaluate(value, names, origin, path)
        except Mistakes as error:
            raise self.note(*error.diagnostics) from error

    def value(self, step: Step, key: str, value: Any) -> Any:
        """The value of a node's key. Raises Stop."""
        if isinstance(value, str) and not is_dynamic(value):
            return value
        return self.evaluate(value, step.known, step.origin / key, step.path)

    def sites(self, spec: NodeSpec, step: Step) -> tuple[str, ...]:
        """The sites of a node; an expression that gives null adds none."""
        if not spec.site:
            return ()
        found = self.value(step, "site", spec.site)
        for site in found:
            if site is not None and not isinstance(site, str):
                raise self.note(step.problem_at("site", "site", f"a site is {site!r}", "a name, or null for none"))
        return tuple(site for site in found if site is not None)

    def spend(self, step: Step, nodes: int = 0, parameters: int = 0) -> None:
        """Count the size of a node. Raises GraphError beyond the limits."""
        self.num_nodes += nodes
        self.num_parameters += parameters
        if problem := self.limits.exceeded(self.num_nodes, self.num_parameters, step.origin, step.path):
            # Composing the rest would only cost time.
            self.note(problem)
            raise GraphError(self.problems.values())

    def condition(self, spec: NodeSpec, step: Step) -> bool:
        """The value of `when`. Raises Stop."""
        when = self.value(step, "when", spec.when)
        if not isinstance(when, bool):
            raise self.note(step.problem_at("when", "when", f"`when` is {when!r}", "true or false"))
        if not when and not step.tensors:
            raise self.note(step.problem("when", "a node without inputs has none to pass on, so it takes no `when`"))
        return when

    def block(self, text: str, step: Step) -> tuple[str, BlockSpec | Part | BlockEntry]:
        """The block or the part that a node names, of the spec or of a plugin. Raises Stop."""
        name = self.value(step, "block", text)
        found: BlockSpec | Part | BlockEntry | None = None
        if isinstance(name, str):
            found = self.spec.blocks.get(name) or self.spec.parts.get(name) or registry.get_block(name)
        if found is None:
            raise self.note(*self.unknown_block(name, step.origin / "block", step.path))
        return str(name), found

    def unknown_block(self, name: Any, origin: Origin, path: str) -> list[Diagnostic]:
        """The problem with a block that neither the spec nor a plugin has."""
        known = [*self.spec.names_of_blocks, *(one.name for one in registry.entries() if isinstance(one, BlockEntry))]
        return [unknown_block(name, known, origin, path), *registry.failures()]

    def count(self, spec: NodeSpec, step: Step) -> int:
        """The value of `repeat`. Raises Stop."""
        count = self.value(step, "repeat", spec.repeat)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0 or not step.tensors:
            label = "a whole number, 0 or more" if step.tensors else "an input to repeat over"
            raise self.note(step.problem_at("repeat", "repeat", f"`repeat` is {count!r}", label))
        return count

    def child_name(self, spec: NodeSpec, step: Step) -> str:
        """The name of a copy. Raises Stop."""
        name = str(step.names["index"] if spec.child_name is None else self.value(step, "as", spec.child_name))
        if not can_name_node(name):
            label = "letters, digits and `_`: it becomes an attribute and a state_dict key"
            raise self.note(step.problem_at("as", "name", f"`{name}` cannot name a node", label))
        return name

    def operation(self, spec: NodeSpec, step: Step) -> tuple[Operation, TensorSpec]:
        """The node's operation with all its arguments, and its output. Raises Stop."""
        entry = self.entry(spec, step)
        inputs = step.tensors if entry.inputs != (0, 0) else ()
        options = self.evaluate(spec.options, step.known, step.origin, step.path)
        try:
            arguments = arguments_of_node(entry, options, inputs, step.origin, step.path)
            inferred = self.infer(entry, arguments, inputs)
        except Mistakes as problem:
            raise self.note(*problem.diagnostics) from problem
        except Misfit as misfit:
            help = advice(step, entry, broadcasts=options.get("broadcast") is True)
            raise self.note(step.problem("misfit", str(misfit), help=help)) from misfit
        self.spend(step, parameters=inferred.operation.num_parameters)
        return inferred.operation, told(inferred.output, inputs, step.path)

    def sharing(self, spec: NodeSpec, step: Step, scope: Scope, name: str) -> Node:
        """A node that calls the module of the node with this name, which is made already. Raises Stop."""
        if (owner := scope.nodes.get(name)) is None:
            text = f"there is no node `{name}` here"
            raise self.note(step.problem_at("share", "unknown-node", text, "a node of this scope"))
        if owner.content is None:
            help = (f"give this node the same `when` as `{name}`",)
            text = f"`{name}` has no module: its `when` is false"
            raise self.note(step.problem_at("share", "share", text, "a node that computes something", help))
        if owner.entry is not None and owner.entry.inputs == (0, 0):
            # A parameter has no inputs, even if it is written after other nodes.
            step = replace(step, copies=((),))
        return self.call(spec, step, owner, [scope.tensor(one) for one in owner.inputs])

    def call(self, spec: NodeSpec, step: Step, owner: Node, wanted: Sequence[TensorSpec]) -> Node:
        """A node that calls the module of `owner`, which was made for the inputs `wanted`. Raises Stop."""
        node = Node(step.name, step.path, step.origin, step.references, None, owner.output, self.sites(spec, step))
        self.spend(step, nodes=1 + (owner.content.num_nodes if isinstance(owner.content, Scope) else 0))
        if spec.when is not None and not self.condition(spec, step):
            return replace(node, inputs=step.references[:1], output=step.tensors[0])
        try:
            return calling(owner, node, step.tensors, self.infer)
        except Misfit as misfit:
            problem = does_not_fit(owner, wanted, step.tensors, misfit)
            raise self.note(step.problem_at("share", "share", *problem)) from misfit

    def entry(self, spec: NodeSpec, step: Step) -> Entry:
        """The registry's entry for `op`. Raises Stop."""
        op = self.value(step, "op", spec.op)
        entry = registry.get(op) if isinstance(op, str) else None
        if entry is None:
            raise self.note(_unknown_op(op, step.origin / "op", step.path), *registry.failures())
        return entry

    @property
    def _blocks(self) -> set[str]:
        """The blocks of the spec, and the networks inside it: those that nodes are have names that no text spells."""
        return {*self.spec.blocks, *self.spec.parts}

    def said_of(self, spec: NodeSpec, origin: Origin, path: str) -> list[Diagnostic]:
        """Problems of a node that do not depend on its inputs: an unknown operation or block, or unknown options."""
        if spec.block is not None:
            known = is_dynamic(spec.block) or spec.block in self._blocks or registry.get_block(spec.block)
            sound = self.spec.is_sound(origin / "block")
            return self.unknown_block(spec.block, origin / "block", path) if sound and not known else []
        entry = registry.get(spec.op) if spec.op else None
        if entry is None and spec.op and not is_dynamic(spec.op) and self.spec.is_sound(origin / "op"):
            return [_unknown_op(spec.op, origin / "op", path), *registry.failures()]
        unknown = {name: value for name, value in spec.options.items() if self.spec.is_sound(origin / name)}
        return list(unknown_options(entry, unknown, origin)) if entry else []


def _unknown_op(op: Any, origin: Origin, path: str) -> Diagnostic:
    return unknown_op(op, [one.name for one in registry.entries()], origin, path)
