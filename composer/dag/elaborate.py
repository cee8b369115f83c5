"""Spec -> tree of scopes: blocks instantiated, repeats unrolled, expressions evaluated, shapes inferred."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from composer.amounts import plural
from composer.dag.adapted import with_adapters
from composer.dag.infer import Inference
from composer.dag.inputs import input_tensor
from composer.dag.limits import Limits
from composer.dag.names import RESERVED
from composer.dag.numbered import numbered
from composer.dag.order import check_use, circle_of, node_of, running_order, written_inputs
from composer.dag.outputs import dead_end
from composer.dag.reader import Reader
from composer.dag.scope import Node, Scope, TensorSpec
from composer.dag.step import Body, Step, Stop
from composer.dag.unfinished import Missing, Unfinished, circle
from composer.errors import GraphError, Mistakes, did_you_mean, one_of
from composer.spec.check import MAX_DEPTH, check_arguments
from composer.spec.model import BlockSpec, NodeSpec
from composer.spec.origin import Origin
from composer.spec.spec import Spec


def elaborate(spec: Spec, limits: Limits, inference: Inference) -> Scope:
    """The network of the spec's nodes and blocks, without its attention rules. Raises GraphError."""
    return _Elaboration(spec, limits, inference).root()


def attempt(spec: Spec, limits: Limits, inference: Inference) -> Mapping[str, Unfinished]:
    """Path -> incomplete scope, as far as it can be elaborated: scopes with mistakes, and always the network as ""."""
    elaboration = _Elaboration(spec, limits, inference)
    with contextlib.suppress(GraphError):
        elaboration.root()
    return elaboration.unfinished


@dataclass
class _Elaboration(Reader):
    def root(self) -> Scope:
        spec = self.spec
        try:
            inputs = {name: input_tensor(spec, name) for name in spec.inputs}
            names = {**spec.vars, **{name: tensor.facts for name, tensor in inputs.items()}}
            origin, outputs = spec.writer.origin, spec.own_outputs
            body = Body(
                spec.name, "", origin, spec.nodes, inputs, names, outputs, origin / "outputs", 0, spec.node_origins
            )
            scope = self.scope(body)
        except Stop as stop:
            self.note(*stop.diagnostics)
            raise GraphError([*self.problems.values(), *spec.problems]) from None
        if self.problems:
            raise GraphError(self.problems.values())
        return scope

    def scope(self, body: Body) -> Scope:
        """The scope of a body. After a node fails, all nodes that do not need it are still made. Raises Stop."""
        if body.depth > MAX_DEPTH:
            text = f"blocks nest deeper than {MAX_DEPTH}; `{body.block}` probably contains itself"
            raise self.note(body.origin.problem("depth", text, key=True, path=f"{body.path[:60]}…"))
        written = written_inputs(body.specs, next(iter(body.inputs)))
        nodes: dict[str, Node] = {}
        outputs = dict(body.outputs)
        scope = Scope(body.block, body.path, body.inputs, nodes, outputs)
        if cycle := circle_of(written):
            text = f"nodes feed one another in a circle: {' -> '.join([*cycle, cycle[0]])}"
            label = f"takes `{cycle[-1]}`, which depends on it"
            problem = body.origin_of(cycle[0]).problem("cycle", text, label, key=True, path=body.path)
            self.unfinished[body.path] = circle(scope, body.specs, written, problem, cycle[0])
            raise self.note(problem)
        failed: set[str] = set()
        missing: dict[str, Missing] = {}
        # Name -> the node that gives what it means: the last copy of an inline repeat, or what adapts a mechanism.
        last: dict[str, str] = {}
        self.unfinished[body.path] = Unfinished(scope, missing)
        for name in running_order(written):
            references = tuple(last.get(reference, reference) for reference in written[name])
            try:
                if not self.spec.is_sound(where := body.origin_of(name)):
                    raise self.note(
                        *self.said_of(body.specs[name], where, f"{body.path}.{name}" if body.path else name)
                    )
                if failed.isdisjoint(map(node_of, written[name])):
                    step = self.step(scope, body, name, references)
                    if body.specs[name].inline:
                        last[name] = self.inlined(body.specs[name], step, nodes, {*body.specs, *body.inputs})
                    else:
                        made = with_adapters(self, body.specs[name], step, self.node, nodes, body.specs, body.inputs)
                        nodes.update((node.name, node) for node in made)
                        last[name] = made[-1].name
                else:
                    failed.add(name)
                    missing[name] = Missing(body.specs[name], references, failed=False)
                    self.note(*self.said_of(body.specs[name], where, f"{body.path}.{name}" if body.path else name))
            except Stop as stop:
                failed.add(name)
                missing |= stop.lacking or {name: Missing(body.specs[name], references, True, stop.diagnostics)}
                last[name] = list(missing)[-1]
        if failed:
            raise Stop
        for output, reference in body.outputs.items():
            outputs[output] = last.get(reference, reference)
            if not self.has_output(scope, body, output):
                del outputs[output]
        if problems := list(check_use(scope, written, body, self.must_be_used(body))):
            self.note(*problems)
        if body.path:
            del self.unfinished[body.path]
        return scope

    def must_be_used(self, body: Body) -> Collection[str]:
        """The nodes that must lead to an output: not those of a backbone or of a lock, which are left out otherwise."""
        if body.depth or not self.spec.leaves_out:
            return body.specs.keys()
        own = self.spec.writer.content
        return own.nodes or () if own.lock is None else ()

    def has_output(self, scope: Scope, body: Body, output: str) -> bool:
        """Whether an output is a node of the scope. Outputs of the network may be paths into nodes, followed later."""
        reference, origin = scope.outputs[output], (body.outputs_origin / output).written
        name = node_of(reference)
        if name in scope.nodes and (body.depth or name == reference):
            self.tensor(scope, reference, origin, body.path)
        elif body.depth:
            hint = did_you_mean(name, scope.nodes, f"the nodes here are {one_of(scope.nodes)}")
            raise self.note(origin.problem("unknown-node", f"there is no node `{name}`", "a node of this scope", hint))
        return name in scope.nodes

    def step(self, scope: Scope, body: Body, name: str, references: tuple[str, ...]) -> Step:
        origin, path = body.origin_of(name), f"{body.path}.{name}" if body.path else name
        if name in RESERVED:
            text = f"`{name}` cannot name a node: every module has an attribute of that name"
            raise self.note(origin.problem("name", text, "another name", key=True, path=path))
        tensors = tuple(self.tensor(scope, reference, origin / "from", path) for reference in references)
        return Step(name, path, origin, references, tensors, body.names, body.depth)

    def tensor(self, scope: Scope, reference: str, origin: Origin, path: str) -> TensorSpec:
        name, _, output = reference.partition(".")
        if name not in scope.nodes and name not in scope.inputs:
            hint = did_you_mean(name, scope.nodes, f"the nodes before are {one_of(scope.nodes)}")
            text = f"there is no node `{reference}` here"
            raise self.note(origin.problem("unknown-node", text, "a node before this one", hint, path=path))
        given = scope.nodes[name].output if name in scope.nodes else scope.inputs[name]
        if not scope.path and name in scope.nodes and _is_path(scope.nodes[name], output):
            if problem := dead_end(scope, reference, origin.written):
                raise self.note(replace(problem, help=(*self.said_of_rules(reference), *problem.help)))
            return scope.end_of(reference)
        several = {} if isinstance(given, TensorSpec) else given
        if isinstance(given, TensorSpec) and not output:
            return given
        if output not in several:
            text = f"`{name}` has no output `{output}`" if output else f"`{name}` has several outputs, name one"
            known = one_of(f"{name}.{key}" for key in several) if several else f"`{name}`, its one output"
            raise self.note(origin.problem("unknown-output", text, known, path=path))
        return several[output]

    def said_of_rules(self, reference: str) -> Iterator[str]:
        """Help for a reference to a node that a rule inserts: inputs are known before rules apply."""
        last = reference.rpartition(".")[2]
        if any(last == (rule.name or rule.use) for rule, _ in self.spec.rules):
            yield f"a rule inserts `{last}`: name the node before it, whose output `{last}` then gives"

    def node(self, spec: NodeSpec, step: Step) -> Node:
        if spec.repeat is not None:
            return self.repeated(spec, step)
        sites = self.sites(spec, step)
        self.spend(step, nodes=1)
        if spec.when is not None and not self.condition(spec, step):
            return Node(step.name, step.path, step.origin, step.references[:1], None, step.tensors[0], sites)
        if spec.block is not None:
            name, block = self.block(spec.block, step)
            scope = self.instance(name, block, spec, step)
            given = {key: scope.tensor(reference) for key, reference in scope.outputs.items()}
            output = given if len(given) > 1 else next(iter(given.values()))
            return Node(step.name, step.path, step.origin, step.references, scope, output, (*sites, *block.site))
        operation, tensor = self.operation(spec, step)
        # A parameter has no inputs, even if it is written after other nodes.
        references = step.references if operation.entry.inputs != (0, 0) else ()
        return Node(step.name, step.path, step.origin, references, operation, tensor, sites)

    def instance(self, name: str, block: BlockSpec, spec: NodeSpec, step: Step) -> Scope:
        if problems := list(check_arguments(name, block, spec.args, step.origin)):
            raise self.note(*problems)
        if len(step.tensors) != len(block.inputs):
            wanted = f"{plural(len(block.inputs), 'input')} ({', '.join(block.inputs)})"
            text = f"block `{name}` takes {wanted}, found {len(step.tensors)}"
            raise self.note(step.problem("arity", text, f"`from: [{', '.join(block.inputs)}]`"))
        inputs = dict(zip(block.inputs, step.tensors, strict=True))
        given = self.value(step, "args", spec.args)
        where = self.spec.block_origins[name]
        if not all(self.spec.is_sound(where / key) for key in ("args", "vars", "inputs", "outputs")):
            raise Stop
        inner: dict[str, Any] = {**self.spec.vars, **{key: tensor.facts for key, tensor in inputs.items()}}
        for arg, default in block.args.items():
            inner[arg] = given[arg] if arg in given else self.evaluate(default, inner, where / "args" / arg, step.path)
        for var, value in block.vars.items():
            inner[var] = self.evaluate(value, inner, where / "vars" / var, step.path)
        outputs = block.outputs or {"output": list(block.nodes)[-1]}
        scope = self.scope(
            Body(name, step.path, where, block.nodes, inputs, inner, outputs, where / "outputs", step.depth + 1)
        )
        try:
            return numbered(scope, where / "numbered") if block.numbered else scope
        except Mistakes as problem:
            raise self.note(*problem.diagnostics) from None

    def repeated(self, spec: NodeSpec, step: Step) -> Node:
        """A node whose scope holds the copies. Each takes the output of the copy before; all get the other inputs."""
        count, sites = self.count(spec, step), self.sites(spec, step)
        self.spend(step, nodes=1)
        if count == 0:
            return Node(step.name, step.path, step.origin, step.references[:1], None, step.tensors[0], sites)
        inputs = {"input" if index == 0 else f"input_{index}": tensor for index, tensor in enumerate(step.tensors)}
        nodes: dict[str, Node] = {}
        inside = replace(step, references=tuple(inputs))
        try:
            last = self.copies(spec, inside, count, f"{step.path}.", nodes, set(inputs))
        except Stop as stop:
            scope = Scope("repeat", step.path, inputs, nodes, dict(zip(["output"], stop.lacking, strict=False)))
            self.unfinished[step.path] = Unfinished(scope, stop.lacking)
            raise Stop(*stop.diagnostics) from None
        scope = Scope("repeat", step.path, inputs, nodes, {"output": last})
        return Node(step.name, step.path, step.origin, step.references, scope, nodes[last].tensor, sites)

    def inlined(self, spec: NodeSpec, step: Step, nodes: dict[str, Node], taken: Collection[str]) -> str:
        """Add the node's copies to the nodes of the scope itself; returns the name of the last copy."""
        prefix = step.path.removesuffix(step.name)
        return self.copies(spec, step, self.count(spec, step), prefix, nodes, taken)

    def copies(
        self, spec: NodeSpec, step: Step, count: int, prefix: str, nodes: dict[str, Node], taken: Collection[str]
    ) -> str:
        child_spec = spec.model_copy(update={"repeat": None, "inline": False, "site": []})
        (current, *others), tensor = step.references, step.tensors[0]
        for index in range(count):
            names = {**step.names, "index": index, "repeat": count}
            given = (tensor, *step.tensors[1:])
            child = replace(step, references=(current, *others), tensors=given, names=names, depth=step.depth + 1)
            current = self.child_name(spec, child)
            if current in nodes or current in taken:
                help = ('count in it: `as: "unit${index}"`',)
                raise self.note(step.problem_at("as", "name", f"two nodes are called `{current}`", help=help))
            try:
                named = replace(child, name=current, path=f"{prefix}{current}")
                made = with_adapters(self, child_spec, named, self.node, nodes, taken)
            except Stop as stop:
                lacking = {current: Missing(child_spec, child.references, True, stop.diagnostics)}
                raise Stop(lacking=lacking) from None
            nodes.update((node.name, node) for node in made)
            current, output = made[-1].name, made[-1].output
            if not isinstance(output, TensorSpec):
                raise self.note(step.problem_at("repeat", "repeat", "a block with several outputs cannot repeat"))
            tensor = output
        return current


def _is_path(node: Node, rest: str) -> bool:
    """Whether what follows a node's name in a reference is meant as a path into it, and not as one of its outputs."""
    first, _, further = rest.partition(".")
    inside = node.content.nodes if isinstance(node.content, Scope) else {}
    return node.leads_inside(rest) and (bool(further) or first in inside or isinstance(node.output, TensorSpec))
