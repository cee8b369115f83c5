"""Spec -> tree of scopes: blocks instantiated, repeats unrolled, expressions evaluated, shapes inferred."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from composer.amounts import plural
from composer.dag.arguments import unknown_options
from composer.dag.host import HostScope
from composer.dag.infer import Inference
from composer.dag.limits import Limits
from composer.dag.names import RESERVED
from composer.dag.nodes.adapted import with_adapters
from composer.dag.nodes.block import tensor_arguments, with_attention
from composer.dag.nodes.embedding import Embedding
from composer.dag.nodes.inputs import input_tensor
from composer.dag.nodes.making import Inlined, Making
from composer.dag.nodes.moving import moved_scope
from composer.dag.nodes.numbered import numbered
from composer.dag.nodes.reader import Reader
from composer.dag.nodes.repeats import Repeats
from composer.dag.nodes.sources import Reference, read_sources
from composer.dag.nodes.step import Body, Step, Stop, Taken
from composer.dag.nodes.unfinished import Unfinished
from composer.dag.order import check_use, node_of, running_order
from composer.dag.outputs import dead_end
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import GraphError, Mistakes, did_you_mean, one_of
from composer.registry import BlockEntry
from composer.spec.check import MAX_DEPTH, check_arguments
from composer.spec.model import BlockSpec, NodeSpec
from composer.spec.origin import Origin
from composer.spec.spec import Part, Spec


def elaborate(
    spec: Spec,
    limits: Limits,
    inference: Inference,
    compose: Callable[[Spec], Scope],
    begun: HostScope | None = None,
) -> Scope:
    """The network of the spec's nodes and blocks, without its attention rules. Raises GraphError.

    compose  gives the finished network of a spec, for the networks inside
    begun    the model of another library behind which the nodes stand
    """
    return _Elaboration(spec, limits, inference, compose=compose, begun=begun).root()


def attempt(
    spec: Spec, limits: Limits, inference: Inference, compose: Callable[[Spec], Scope]
) -> Mapping[str, Unfinished]:
    """Path -> incomplete scope, as far as it can be elaborated: scopes with mistakes, and always the network as ""."""
    elaboration = _Elaboration(spec, limits, inference, compose=compose)
    with contextlib.suppress(GraphError):
        elaboration.root()
    return elaboration.unfinished


def block_scope(
    spec: Spec, name: str, given: Mapping[str, Any], step: Step, limits: Limits, inference: Inference
) -> Scope:
    """The scope of a spec's block, with these arguments, for the tensors of a step. Raises Mistakes, GraphError."""
    elaboration = _Elaboration(spec, limits, inference)
    try:
        return elaboration.instance(name, spec.blocks[name], given, step)
    except Stop as stop:
        raise Mistakes(*elaboration.problems.values(), *spec.problems) from stop


# What all nodes of a block need.
BLOCK_KEYS = ("args", "vars", "inputs", "outputs")


@dataclass(frozen=True)
class Instance:
    """The scope of a block with certain arguments and inputs, and what it adds to the size of the network."""

    scope: Scope
    num_nodes: int
    num_parameters: int


@dataclass
class _Elaboration(Reader):
    compose: Callable[[Spec], Scope] | None = None
    begun: HostScope | None = None
    instances: dict[Hashable, Instance] = field(default_factory=dict, init=False)

    @cached_property
    def embedding(self) -> Embedding:
        return Embedding(self, self.compose)

    @cached_property
    def repeats(self) -> Repeats:
        return Repeats(self, self.node)

    def root(self) -> Scope:
        spec = self.spec
        try:
            inputs = {name: input_tensor(spec, name) for name in spec.inputs}
            if self.begun is not None:
                inputs = dict(self.begun.inputs)
            names = {**spec.vars, **{name: tensor.facts for name, tensor in inputs.items()}}
            origin, outputs = spec.writer.origin, spec.own_outputs
            written, origins = spec.nodes, spec.node_origins
            body = Body(
                spec.name, "", origin, written, inputs, names, outputs, origin / "outputs", 0, origins, self.begun
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
        making = Making.of(body, read_sources(self, body))
        self.unfinished[body.path] = making.unfinished
        if problem := making.circle:
            self.unfinished[body.path] = making.in_a_circle(problem)
            raise self.note(problem)
        for name in running_order(making.needed):
            try:
                self.add(making, name)
            except Stop as stop:
                making.miss(name, stop)
        if making.failed:
            raise Stop
        for output, reference in body.outputs.items():
            making.outputs[output] = self.output(making, output, reference)
            if not self.has_output(making.scope, body, output):
                del making.outputs[output]
        if problems := list(check_use(making.scope, making.written, body, self.must_be_used(making))):
            self.note(*problems)
        if body.path:
            del self.unfinished[body.path]
        return making.scope

    def add(self, making: Making, name: str) -> None:
        """Make a node, or note what can be said of it without its inputs. Raises Stop."""
        spec, where, path = making.body.specs[name], making.body.origin_of(name), making.path_of(name)
        if not self.spec.is_sound(where):
            raise self.note(*self.said_of(spec, where, path))
        if problem := making.sources[name].problem:
            raise problem
        if not making.failed.isdisjoint(map(node_of, making.needed[name])):
            self.note(*self.said_of(spec, where, path))
            making.lacks_inputs(name)
        elif spec.inline:
            step = self.step(making, name)
            copies = self.repeats.inline(spec, step, making.nodes, {*making.body.specs, *making.body.inputs})
            making.inlined[name] = Inlined(copies[-1] if copies else step.references[0], tuple(copies))
        else:
            shared = making.shared(spec.share) if isinstance(spec.share, str) else None
            make = self.node if shared is None else partial(self.sharing, scope=making.scope, name=shared)
            owner = making.nodes.get(shared) if shared is not None else None
            taken = (making.nodes, making.body.specs, making.body.inputs)
            made = with_adapters(self, spec, self.step(making, name), make, *taken, owner=owner)
            making.nodes.update((node.name, node) for node in made)

    def must_be_used(self, making: Making) -> Collection[str]:
        """The nodes that must lead to an output: not those of a backbone or of a lock, which are left out otherwise."""
        if not making.body.depth and self.spec.gives_levels:
            return ()
        names = making.body.specs.keys()
        if not making.body.depth and self.spec.leaves_out:
            own = self.spec.writer.content
            names = (own.nodes or {}).keys() if own.lock is None else {}.keys()
        return {*names, *(copy for name in names & making.inlined.keys() for copy in making.inlined[name].copies)}

    def output(self, making: Making, output: str, reference: str) -> str:
        """The reference of an output. Raises Stop."""
        found = making.written_out(reference)
        if found is None or len(found) != 1:
            origin = (making.body.outputs_origin / output).written
            text = f"`{reference}` is no single tensor"
            raise self.note(origin.problem("unknown-output", text, "one of the copies", path=making.body.path))
        return found[0]

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

    def step(self, making: Making, name: str) -> Step:
        origin, path = making.body.origin_of(name), making.path_of(name)
        if name in RESERVED:
            text = f"`{name}` cannot name a node: every module has an attribute of that name"
            raise self.note(origin.problem("name", text, "another name", key=True, path=path))
        if making.body.begun is not None and self.is_own(making.body.begun, name):
            text = f"`{making.body.begun.block}` has an attribute `{name}` of its own"
            raise self.note(origin.problem("name", text, "another name", key=True, path=path))
        copies = tuple(
            tuple(self.taken(making, references, origin / "from", path)) for references in making.sources[name].copies
        )
        return Step(name, path, origin, copies, making.body.names, making.body.depth, making.nodes)

    def is_own(self, begun: Scope, name: str) -> bool:
        """Whether a model of another library has an attribute of this name."""
        own = isinstance(begun, HostScope) and hasattr(begun.module, name)
        return own or name in begun.nodes or name in begun.held

    def taken(self, making: Making, references: Sequence[Reference], origin: Origin, path: str) -> Iterator[Taken]:
        """What a node, or a copy of it, takes. Raises Stop."""
        for written in references:
            found = making.written_out(written.text)
            if found is None:
                name = written.text.partition(".")[0]
                text, label = f"nothing is inside `{name}`", "a repeat, or a block"
                raise self.note(origin.problem("unknown-node", text, label, path=path))
            for place, reference in enumerate(found):
                tensor = self.tensor(making.scope, reference, origin, path)
                yield Taken(reference, tensor, reference if written.own else (written.item, place), written.own)

    def tensor(self, scope: Scope, reference: str, origin: Origin, path: str) -> TensorSpec:
        name, _, output = reference.partition(".")
        if name not in scope.nodes and name not in scope.inputs:
            hint = did_you_mean(name, scope.nodes, f"the nodes before are {one_of(scope.nodes)}")
            text = f"there is no node `{reference}` here"
            raise self.note(origin.problem("unknown-node", text, "a node before this one", hint, path=path))
        given = scope.nodes[name].output if name in scope.nodes else scope.inputs[name]
        if name in scope.nodes and _is_path(scope.nodes[name], output):
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
        if any(re.fullmatch(rf"(.+_)?{re.escape(rule.name or rule.use or '.')}", last) for rule, _ in self.spec.rules):
            yield f"a rule inserts `{last}`: name the node or block that it follows, whose output it then gives"

    def node(self, spec: NodeSpec, step: Step) -> Node:
        if spec.repeat is not None:
            return self.repeats.node(spec, step)
        sites = self.sites(spec, step)
        self.spend(step, nodes=1)
        if spec.when is not None and not self.condition(spec, step):
            return Node(step.name, step.path, step.origin, step.references[:1], None, step.tensors[0], sites)
        if spec.block is not None:
            name, block = self.block(spec.block, step)
            if isinstance(block, Part):
                scope, tags = self.embedding.scope(name, block, spec, step), block.written.site
            else:
                written = block.block if isinstance(block, BlockEntry) else block
                if problems := list(check_arguments(name, written, spec.args, step.origin)):
                    raise self.note(*problems)
                given_args = self.value(step, "args", spec.args)
                if isinstance(block, BlockEntry):
                    scope = replace(self.of_plugin(block, given_args, step), entry=block)
                else:
                    scope = self.instance(name, block, given_args, step)
                tags = written.site
            given = {key: scope.tensor(reference) for key, reference in scope.outputs.items()}
            output = given if len(given) > 1 else next(iter(given.values()))
            return Node(step.name, step.path, step.origin, step.references, scope, output, (*sites, *tags))
        if isinstance(found := self.entry(spec, step), BlockEntry):
            scope = self.used(found, spec, step)
            tensor = next(map(scope.tensor, scope.outputs.values()))
            return Node(step.name, step.path, step.origin, step.references, scope, tensor, (*sites, *found.block.site))
        operation, tensor = self.operation(spec, step)
        # A parameter has no inputs, even if it is written after other nodes.
        references = step.references if operation.entry.inputs != (0, 0) else ()
        return Node(step.name, step.path, step.origin, references, operation, tensor, sites)

    def used(self, entry: BlockEntry, spec: NodeSpec, step: Step) -> Scope:
        """The scope of a plugin's block that a node has as its `op`, with its arguments as options. Raises Stop."""
        known = tensor_arguments(entry.block, step.tensors[0]) if step.tensors else {}
        given = {**known, **self.evaluate(spec.options, step.known, step.origin, step.path)}
        if problems := list(unknown_options(entry, spec.options, step.origin)):
            raise self.note(*problems)
        if lacking := [name for name, one in entry.block.args.items() if one is None and given.get(name) is None]:
            text = f"`{entry.name}` needs {one_of(lacking)}"
            raise self.note(step.problem("missing-option", text, f"`{lacking[0]}: …`"))
        try:
            return replace(with_attention(self.of_plugin(entry, given, step), entry.origin), entry=entry)
        except Stop:
            raise
        except Mistakes as error:
            raise self.note(*error.diagnostics) from error

    def of_plugin(self, entry: BlockEntry, given: Mapping[str, Any], step: Step) -> Scope:
        """The scope of a plugin's block, which sees the blocks and vars of its own file. Raises Stop."""
        inside = replace(self, spec=entry.library)
        try:
            return inside.instance(entry.name, entry.block, given, step)
        finally:
            self.num_nodes, self.num_parameters = inside.num_nodes, inside.num_parameters

    def instance(self, name: str, block: BlockSpec, given: Mapping[str, Any], step: Step) -> Scope:
        """The scope of a block, with these arguments, for the tensors of a step. Raises Stop.

        Of equal ones the first is made, and the others are moved from there.
        """
        if len(step.tensors) != len(block.inputs):
            wanted = f"{plural(len(block.inputs), 'input')} ({', '.join(block.inputs)})"
            text = f"block `{name}` takes {wanted}, found {len(step.tensors)}"
            raise self.note(step.problem("arity", text, f"`from: [{', '.join(block.inputs)}]`"))
        tensors = [(one, one.grid, one.lost, one.axes) for one in step.tensors]
        key = (name, repr(given), step.depth, *tensors)
        nodes, parameters = self.num_nodes, self.num_parameters
        if (known := self.instances.get(key)) is not None:
            nodes, parameters = nodes + known.num_nodes, parameters + known.num_parameters
            # Beyond the limits it is made anew, up to the node that exceeds them.
            if self.limits.exceeded(nodes, parameters, step.origin) is None:
                self.num_nodes, self.num_parameters = nodes, parameters
                return moved_scope(known.scope, step.path)
        scope = self.new_instance(name, block, given, step)
        self.instances[key] = Instance(scope, self.num_nodes - nodes, self.num_parameters - parameters)
        return scope

    def new_instance(self, name: str, block: BlockSpec, given: Mapping[str, Any], step: Step) -> Scope:
        inputs = dict(zip(block.inputs, step.tensors, strict=True))
        where = self.spec.block_origins[name]
        if self.spec.problems and not all(self.spec.is_sound(where / key) for key in BLOCK_KEYS):
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
        scope = replace(scope, words={word: inner[word] for word in (*block.args, *block.vars)})
        try:
            return numbered(scope, where / "numbered") if block.numbered else scope
        except Mistakes as problem:
            raise self.note(*problem.diagnostics) from None


def _is_path(node: Node, rest: str) -> bool:
    """Whether what follows a node's name in a reference is meant as a path into it, and not as one of its outputs."""
    first, _, further = rest.partition(".")
    inside = node.content.nodes if isinstance(node.content, Scope) else {}
    return node.leads_inside(rest) and (bool(further) or first in inside or isinstance(node.output, TensorSpec))
