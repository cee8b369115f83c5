"""Spec -> tree of scopes: blocks instantiated, repeats unrolled, expressions evaluated, shapes inferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx

from composer import registry
from composer.dag.arguments import ArgumentProblem, arguments_of_node
from composer.dag.infer import RESERVED, Inference, Misfit
from composer.dag.scope import BATCH, Node, Operation, Scope, TensorSpec, num_parameters
from composer.errors import Diagnostic, GraphError, did_you_mean, one_of
from composer.spec.check import MAX_DEPTH, check_arguments
from composer.spec.load import Spec
from composer.spec.model import BlockSpec, NodeSpec
from composer.spec.origin import EvaluationError, Origin, evaluate

MAX_NODES = 10_000
MAX_PARAMETERS = 5_000_000_000


@dataclass(frozen=True)
class Limits:
    """What a network may cost before anything is allocated."""

    nodes: int = MAX_NODES
    parameters: int = MAX_PARAMETERS


def elaborate(spec: Spec, limits: Limits, inference: Inference) -> Scope:
    """The network as its nodes and blocks say, without its attention rules. Raises GraphError."""
    return _Elaboration(spec, limits, inference).root()


class _Stop(Exception):
    """A part cannot be elaborated; its problem has been noted."""


@dataclass
class _Elaboration:
    spec: Spec
    limits: Limits
    infer: Inference
    problems: dict[tuple[Any, ...], Diagnostic] = field(default_factory=dict)
    num_nodes: int = 0
    num_parameters: int = 0

    def note(self, problem: Diagnostic) -> _Stop:
        # The same line fails in every instance of its block: once is enough.
        self.problems.setdefault((problem.code, problem.location, problem.location or problem.path), problem)
        return _Stop()

    def root(self) -> Scope:
        try:
            inputs = {name: self.input_tensor(name) for name in self.spec.inputs}
            scope = self.scope(
                self.spec.name, self.spec.nodes, inputs, self.spec.vars, self.spec.body, "", self.spec.outputs, 0
            )
        except _Stop:
            raise GraphError(self.problems.values()) from None
        if self.problems:
            raise GraphError(self.problems.values())
        return scope

    def input_tensor(self, name: str) -> TensorSpec:
        spec = self.spec.inputs[name]
        origin = self.spec.input_origins[name]
        shape = self.evaluate(spec.shape, self.spec.vars, origin, "input")
        if not all(isinstance(length, int) and not isinstance(length, bool) and 0 < length < 2**31 for length in shape):
            raise self.note(origin.problem("input", f"the input's shape is {shape}", "positive integers"))
        axes = spec.layout.split()
        if axes[:1] != ["b"] or len(axes) != len(shape) + 1 or len(set(axes)) != len(axes):
            label = f"{len(axes) - 1} lengths for `{spec.layout}`"
            raise self.note(origin.problem("input", f"the input's shape {shape} does not fit its layout", label))
        return TensorSpec((BATCH, *shape), spec.layout)

    def evaluate(self, value: Any, names: Mapping[str, Any], origin: Origin, path: str) -> Any:
        try:
            return evaluate(value, names, origin, path)
        except EvaluationError as error:
            raise self.note(error.diagnostic) from error

    def scope(
        self,
        block: str,
        specs: Mapping[str, NodeSpec],
        inputs: Mapping[str, TensorSpec],
        names: Mapping[str, Any],
        origin: Origin,
        path: str,
        outputs: Mapping[str, str] | None,
        depth: int,
    ) -> Scope:
        """One instance of a block's nodes."""
        if depth > MAX_DEPTH:
            raise self.note(origin.problem("depth", f"blocks nest deeper than {MAX_DEPTH}", path=path))
        sources = _sources(specs, next(iter(inputs)))
        order = self.order(sources, inputs, origin, path)
        scope = Scope(block, path, inputs, nodes := {}, outputs or {"output": list(specs)[-1]})
        names = {**names, **{name: tensor.facts for name, tensor in inputs.items()}}
        failed: set[str] = set()
        for name in order:
            references = sources[name]
            if any(reference.partition(".")[0] in failed for reference in references):
                failed.add(name)
                continue
            here = origin / "nodes" / name
            try:
                if name in RESERVED:
                    label = "another name: modules have an attribute called that"
                    raise self.note(here.problem("name", f"`{name}` cannot name a node", label, key=True))
                node_path = f"{path}.{name}" if path else name
                tensors = [self.tensor(scope, reference, here, node_path) for reference in references]
                nodes[name] = self.node(specs[name], name, references, tensors, names, here, node_path, depth)
            except _Stop:
                failed.add(name)
        if failed:
            raise _Stop
        self.check_use(scope, origin)
        return scope

    def tensor(self, scope: Scope, reference: str, origin: Origin, path: str) -> TensorSpec:
        name, _, output = reference.partition(".")
        given = scope.nodes[name].output if name in scope.nodes else scope.inputs[name]
        several = {} if isinstance(given, TensorSpec) else given
        if isinstance(given, TensorSpec) and not output:
            return given
        if output not in several:
            known = one_of(f"{name}.{key}" for key in several) if several else f"`{name}`"
            raise self.note((origin / "from").problem("unknown-output", f"there is no `{reference}`", known, path=path))
        return several[output]

    def order(
        self, sources: Mapping[str, tuple[str, ...]], inputs: Mapping[str, Any], origin: Origin, path: str
    ) -> list[str]:
        """Declaration order, changed only where a node takes one that is declared after it."""
        position = {name: index for index, name in enumerate(sources)}
        edges = [(reference.partition(".")[0], name) for name, found in sources.items() for reference in found]
        edges = [(source, name) for source, name in edges if source not in inputs]
        if all(position[source] < position[name] for source, name in edges):
            return list(sources)
        graph = nx.DiGraph(edges)
        graph.add_nodes_from(sources)
        try:
            cycle = [source for source, _ in nx.find_cycle(graph)]
        except nx.NetworkXNoCycle:
            return list(nx.lexicographical_topological_sort(graph, key=position.__getitem__))
        trail = " -> ".join([*cycle, cycle[0]])
        where = origin / "nodes" / cycle[0]
        raise self.note(where.problem("cycle", f"nodes feed one another in a circle: {trail}", key=True, path=path))

    def node(
        self,
        spec: NodeSpec,
        name: str,
        references: tuple[str, ...],
        tensors: Sequence[TensorSpec],
        names: Mapping[str, Any],
        origin: Origin,
        path: str,
        depth: int,
    ) -> Node:
        if spec.repeat is not None:
            return self.repeated(spec, name, references, tensors, names, origin, path, depth)
        arriving = tensors[0].facts if tensors else {}
        # A block's own `width` is not the width of what arrives.
        names = {**arriving, **names}
        sites = tuple(spec.site)
        if spec.when is not None:
            when = self.evaluate(spec.when, names, origin / "when", path)
            if not isinstance(when, bool):
                raise self.note((origin / "when").problem("when", f"`when` is {when!r}", "true or false", path=path))
            if not when:
                if not tensors:
                    raise self.note(origin.problem("when", "a node without inputs cannot be left out", path=path))
                return Node(name, path, origin, references[:1], None, tensors[0], sites)
        if spec.block is not None:
            block_name, block = self.block(spec.block, names, origin, path)
            scope = self.instance(block_name, block, spec, tensors, names, origin, path, depth)
            given = {key: scope.tensor(reference) for key, reference in scope.outputs.items()}
            output = given if block.outputs is not None and len(given) > 1 else next(iter(given.values()))
            return Node(name, path, origin, references, scope, output, (*sites, *block.site))
        operation, tensor = self.operation(spec, tensors, names, origin, path)
        # A parameter takes nothing, though it may stand behind other nodes.
        references = references if operation.entry.inputs != (0, 0) else ()
        return Node(name, path, origin, references, operation, tensor, sites)

    def block(self, text: str, names: Mapping[str, Any], origin: Origin, path: str) -> tuple[str, BlockSpec]:
        name = self.evaluate(text, names, origin / "block", path)
        block = self.spec.blocks.get(name) if isinstance(name, str) else None
        if block is None:
            hint = did_you_mean(name, self.spec.blocks, f"the blocks are {one_of(self.spec.blocks)}")
            here = origin / "block"
            raise self.note(
                here.problem("unknown-block", f"unknown block `{name}`", "a block of this spec", hint, path=path)
            )
        return str(name), block

    def instance(
        self,
        name: str,
        block: BlockSpec,
        spec: NodeSpec,
        tensors: Sequence[TensorSpec],
        names: Mapping[str, Any],
        origin: Origin,
        path: str,
        depth: int,
    ) -> Scope:
        for problem in check_arguments(name, block, spec.args, origin):
            raise self.note(problem)
        if len(tensors) != len(block.inputs):
            message = (
                f"block `{name}` takes {len(block.inputs)} inputs ({', '.join(block.inputs)}), found {len(tensors)}"
            )
            raise self.note(origin.problem("arity", message, key=True, path=path))
        inputs = dict(zip(block.inputs, tensors, strict=True))
        given = self.evaluate(spec.args, names, origin / "args", path)
        where = self.spec.body / "blocks" / name
        inner: dict[str, Any] = dict(self.spec.vars)
        inner.update((key, tensor.facts) for key, tensor in inputs.items())
        for arg, default in block.args.items():
            inner[arg] = given[arg] if arg in given else self.evaluate(default, inner, where / "args" / arg, path)
        for var, value in block.vars.items():
            inner[var] = self.evaluate(value, inner, where / "vars" / var, path)
        return self.scope(name, block.nodes, inputs, inner, where, path, block.outputs, depth + 1)

    def repeated(
        self,
        spec: NodeSpec,
        name: str,
        references: tuple[str, ...],
        tensors: Sequence[TensorSpec],
        names: Mapping[str, Any],
        origin: Origin,
        path: str,
        depth: int,
    ) -> Node:
        arriving = tensors[0].facts if tensors else {}
        count = self.evaluate(spec.repeat, {**arriving, **names}, origin / "repeat", path)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0 or not tensors:
            label = "a whole number, 0 or more" if tensors else "an input to repeat over"
            raise self.note((origin / "repeat").problem("repeat", f"`repeat` is {count!r}", label, path=path))
        if count == 0:
            return Node(name, path, origin, references[:1], None, tensors[0], tuple(spec.site))
        child_spec = spec.model_copy(update={"repeat": None, "site": []})
        inputs = {"input" if index == 0 else f"input_{index}": tensor for index, tensor in enumerate(tensors)}
        others = tuple(list(inputs)[1:])
        scope = Scope("repeat", path, inputs, nodes := {}, outputs := {"output": "input"})
        current = "input"
        for index in range(count):
            inner = {**names, "index": index, "repeat": count}
            child = self.child_name(spec, index, inner, origin, path)
            if child in nodes or child in inputs:
                raise self.note((origin / "as").problem("name", f"two children are called `{child}`", path=path))
            arriving_now = [scope.tensor(reference) for reference in (current, *others)]
            node = self.node(
                child_spec, child, (current, *others), arriving_now, inner, origin, f"{path}.{child}", depth + 1
            )
            if not isinstance(node.output, TensorSpec):
                raise self.note(
                    (origin / "repeat").problem("repeat", "a block with several outputs cannot repeat", path=path)
                )
            nodes[child] = node
            current = child
        outputs["output"] = current
        return Node(name, path, origin, references, scope, nodes[current].output, tuple(spec.site))

    def child_name(self, spec: NodeSpec, index: int, names: Mapping[str, Any], origin: Origin, path: str) -> str:
        if spec.child_name is None:
            return str(index)
        name = self.evaluate(spec.child_name, names, origin / "as", path)
        if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
            raise self.note((origin / "as").problem("name", f"`{name}` cannot name a node", "an identifier", path=path))
        return name

    def operation(
        self, spec: NodeSpec, tensors: Sequence[TensorSpec], names: Mapping[str, Any], origin: Origin, path: str
    ) -> tuple[Operation, TensorSpec]:
        op = self.evaluate(spec.op, names, origin / "op", path)
        entry = registry.get(op) if isinstance(op, str) else None
        if entry is None:
            known = [one.name for one in registry.entries()]
            hint = did_you_mean(op, known, "`composer list` shows all")
            here = origin / "op"
            raise self.note(
                here.problem("unknown-op", f"unknown operation `{op}`", "not in the registry", hint, path=path)
            )
        self.num_nodes += 1
        if self.num_nodes > self.limits.nodes:
            help = ("a larger network is built with --max-nodes",)
            raise self.stop(
                origin.problem("budget", f"the network has more than {self.limits.nodes:,} nodes", help=help)
            )
        inputs = tensors if entry.inputs != (0, 0) else ()
        options = self.evaluate(spec.options, names, origin, path)
        try:
            arguments = arguments_of_node(entry, options, inputs, origin, path)
            inferred = self.infer(entry, arguments, inputs)
        except ArgumentProblem as problem:
            for diagnostic in problem.diagnostics[:-1]:
                self.note(diagnostic)
            raise self.note(problem.diagnostics[-1]) from problem
        except Misfit as misfit:
            raise self.note(origin.problem("misfit", str(misfit), key=True, path=path)) from misfit
        self.num_parameters += inferred.num_parameters
        if self.num_parameters > self.limits.parameters:
            text = f"the network has more than {self.limits.parameters:,} parameters"
            help = ("a larger network is built with --max-parameters",)
            raise self.stop(origin.problem("budget", text, help=help, path=path))
        return Operation(entry, arguments, inferred.num_parameters), inferred.output

    def stop(self, problem: Diagnostic) -> GraphError:
        """A problem after which going on would only cost time."""
        self.note(problem)
        return GraphError(self.problems.values())

    def check_use(self, scope: Scope, origin: Origin) -> None:
        """Every node must lead to an output, and every output must depend on an input."""
        graph = scope.graph
        ends = {reference.partition(".")[0] for reference in scope.outputs.values()}
        used = set(ends).union(*(nx.ancestors(graph, end) for end in ends if end in graph))
        for name, node in scope.nodes.items():
            if name not in used:
                help = ("name it in another node's `from`, or in `outputs`, or remove it",)
                where = origin / "nodes" / name
                self.note(where.problem("unused", f"nothing uses node `{name}`", help=help, key=True, path=node.path))
        if not used & set(scope.inputs):
            self.note(origin.problem("unreachable", f"the output of `{scope.block}` does not depend on its input"))


def _sources(specs: Mapping[str, NodeSpec], first: str) -> dict[str, tuple[str, ...]]:
    """The inputs of each node: as written, or the node before it."""
    previous = [first, *specs]
    return {
        name: tuple(spec.sources) if spec.sources is not None else (previous[index],)
        for index, (name, spec) in enumerate(specs.items())
    }


__all__ = ["MAX_NODES", "MAX_PARAMETERS", "Limits", "elaborate", "num_parameters"]
