"""From what a tracer noted to a tree of scopes, as a spec gives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from composer import registry
from composer.dag.arguments import arguments_of_node
from composer.dag.grids import told
from composer.dag.host import HostOperation, HostScope
from composer.dag.infer import Inference, Misfit
from composer.dag.operation import Operation
from composer.dag.scope import Node
from composer.dag.tensor import TensorSpec
from composer.errors import Mistakes
from composer.hosts.recording.entries import function_entry, module_entry, source_of
from composer.hosts.recording.frames import Frame, Step
from composer.hosts.recording.hindsight import tell_from_sum, tell_grid
from composer.hosts.recording.layers import Written, function_of, layer_of, settings_of
from composer.hosts.recording.layouts import has_rule, of_function, of_input, of_module, shape_of
from composer.hosts.recording.replay import Replay
from composer.hosts.recording.trace import Tracer
from composer.registry import Entry
from composer.spec.origin import Origin


@dataclass
class Tree:
    """Makes the scopes of frames.

    origin   what all nodes say of where they are written
    """

    origin: Origin
    infer: Inference = field(default_factory=Inference)
    counted: set[int] = field(default_factory=set)
    entries: dict[Any, tuple[Entry, Mapping[str, Any]]] = field(default_factory=dict)

    def root(self, frame: Frame, name: str) -> HostScope:
        """The whole network."""
        inputs = {one: of_input(shape_of(tensor)) for one, tensor in frame.inputs.items()}
        scope = self.scope(frame, name, inputs)
        named = list(frame.results.values()) != [()]
        return replace(scope, named=named, held=self.held(frame.module))

    def scope(self, frame: Frame, block: str, inputs: Mapping[str, TensorSpec]) -> HostScope:
        nodes: dict[str, Node] = {}
        file, line = source_of(type(frame.module))
        scope = HostScope(
            block,
            frame.path,
            inputs,
            nodes,
            {name: _in_full(frame, one) for name, one in frame.outputs.items()},
            exposed=frozenset(frame.exposed),
            brought=frozenset(frame.brought),
            module=type(frame.module),
            file=file,
            line=line,
            arguments=frame.arguments,
            results=frame.results,
        )
        for name, step in frame.steps.items():
            step.inputs = [_in_full(frame, one) for one in step.inputs]
            nodes[name] = self.node(step, [scope.tensor(one) for one in step.inputs])
            tell_from_sum(scope, nodes, step)
        if inputs:
            tell_grid(scope, nodes, next(iter(inputs.values())))
        return grouped(scope, frame)

    def held(self, model: nn.Module) -> dict[str, Node]:
        """What the model owns and no call of this run uses, such as a head for training: the largest such modules."""
        found: dict[str, Node] = {}
        done: tuple[str, ...] = ()
        for path, module in model.named_modules():
            own = list(module.parameters())
            if not path or not own or path.startswith(done) or any(id(one) in self.counted for one in own):
                continue
            done = (*done, f"{path}.")
            content = HostOperation(module_entry(module), {}, self.count(module))
            name = path.replace(".", "_")
            found[name] = Node(name, path, self.origin, (), content, TensorSpec(()))
        for path, parameter in model.named_parameters():
            if id(parameter) not in self.counted:
                node = self.parameter(Step(path.replace(".", "_"), path, None, parameter, [], {}), shape_of(parameter))
                found[node.name] = node
        return found

    def node(self, step: Step, taken: Sequence[TensorSpec]) -> Node:
        inputs, shares = tuple(step.inputs), self.shares(step)
        calls = step.again or None
        if step.inner is not None:
            inner = step.inner
            given = dict(zip(inner.inputs, taken, strict=True))
            scope = replace(self.scope(inner, _block_name(inner.module), given), call=step.call)
            found = {name: scope.tensor(reference) for name, reference in scope.outputs.items()}
            output = next(iter(found.values())) if len(found) == 1 and not scope.exposed else found
            node = Node(step.name, step.path, self.origin, inputs, scope, output, calls=calls, shares=shares)
            return _again(node, self.path(step)) if shares else node
        (tensor,) = step.results.values()
        shape = shape_of(tensor)
        if isinstance(step.run, Tensor):
            return self.parameter(step, shape)
        if isinstance(step.run, nn.Module):
            given_spec = self.told_by_forward(step.run, taken, shape) or of_module(step.run, taken, shape)
        else:
            run: Replay = step.run
            assert step.call is not None
            given_spec = of_function(step.call.target, run.args, run.kwargs, taken, shape)
        content = self.operation(step, taken, given_spec)
        path = self.path(step)
        return Node(
            step.name, path, self.origin, inputs, content, told(given_spec, taken, path), calls=calls, shares=shares
        )

    def told_by_forward(
        self, module: nn.Module, taken: Sequence[TensorSpec], shape: tuple[int, ...]
    ) -> TensorSpec | None:
        """What a module without parts and parameters gives, as the steps of its forward say, such as a permutation.

        None for layers of torch, which have rules of their own, and if no step says it.
        """
        if len(taken) != 1 or taken[0].layout is None or has_rule(module):
            return None
        if next(module.children(), None) is not None or next(module.parameters(), None) is not None:
            return None
        try:
            with torch.device("meta"):
                frame = Tracer(module, lambda one: one is not module).run((torch.empty(taken[0].shape),), {})
        except Exception:  # whatever it raises here, it says nothing of its axes
            return None
        scope = Tree(self.origin, self.infer).scope(frame, "", dict(zip(frame.inputs, taken, strict=False)))
        found = [scope.tensor(reference) for reference in scope.outputs.values()]
        return found[0] if len(found) == 1 and found[0].shape == shape and (found[0].layout or found[0].axes) else None

    def shares(self, step: Step) -> dict[str, str]:
        """Whose module a node calls, if another call came first."""
        return {} if step.again is None else {"": step.path}

    def path(self, step: Step) -> str:
        """The path of a node: that of its module, if it is the first to call it."""
        if not self.shares(step) or step.call is None:
            return step.path
        return f"{step.call.frame}.{step.name}" if step.call.frame else step.name

    def parameter(self, step: Step, shape: tuple[int, ...]) -> Node:
        tensor: Tensor = step.run
        entry = registry.get("parameter")
        assert entry is not None
        counted = isinstance(tensor, nn.Parameter) and id(tensor) not in self.counted
        self.counted.add(id(tensor))
        content = HostOperation(entry, {"shape": list(shape)}, tensor.numel() if counted else 0)
        return Node(step.name, step.path, self.origin, (), content, TensorSpec(shape))

    def operation(self, step: Step, taken: Sequence[TensorSpec], given: TensorSpec) -> HostOperation:
        module = step.run if isinstance(step.run, nn.Module) else None
        own = 0 if module is None else self.count(module)
        item = step.call.item if step.call else ()
        where = step.given.item if step.given is not None else item
        written = None
        if module is not None and not item:
            written = layer_of(module)
        elif isinstance(step.run, Replay) and step.call is not None and not item:
            written = function_of(step.call.target, step.run.args, step.run.kwargs, len(taken))
        if written is not None and (known := self.layer(written, taken, given, module)) is not None:
            return HostOperation(known.entry, known.arguments, own, call=step.call, where=where)
        key = self.key(step)
        if key not in self.entries:
            if module is not None:
                self.entries[key] = module_entry(module, step.given, counted=step.counted), {}
            else:
                self.entries[key] = function_entry(_word(step), step.run, step.function), {}
        entry, _ = self.entries[key]
        own_call = module is not None and len(taken) == 1 and not item
        arguments = settings_of(module, taken[0].shape, given.shape) if own_call else {}
        return HostOperation(entry, arguments, own, call=step.call, where=where)

    def key(self, step: Step) -> Any:
        """Equal for nodes that compute the same, apart from the values of their parameters."""
        if isinstance(step.run, nn.Module):
            shapes = tuple((name, tuple(one.shape)) for name, one in step.run.state_dict(keep_vars=True).items())
            called = step.given and (repr((step.given.args, step.given.kwargs)), step.given.item, step.counted)
            return type(step.run), repr(step.run), tuple(map(_settings, step.run.modules())), shapes, called
        # Two functions of a file may be called alike, and give what the file says of each.
        return repr(step.run), getattr(step.run.func, "key", None)

    def layer(
        self, written: Written, taken: Sequence[TensorSpec], given: TensorSpec, module: nn.Module | None
    ) -> Operation | None:
        """One of composer's layers, if it is certainly the same: its shape, layout and parameters are."""
        name, options = written
        entry = registry.get(name)
        assert entry is not None, name
        try:
            arguments = arguments_of_node(entry, options, taken, self.origin, "")
            inferred = self.infer(entry, arguments, taken)
        except (Misfit, Mistakes):
            return None
        if (inferred.output.shape, inferred.output.layout) != (given.shape, given.layout):
            return None
        number = 0 if module is None else sum(one.numel() for one in module.parameters())
        return inferred.operation if inferred.operation.num_parameters == number else None

    def count(self, module: nn.Module) -> int:
        """Learnable numbers of a module that no node before had."""
        found = 0
        for one in module.parameters():
            found += 0 if id(one) in self.counted else one.numel()
            self.counted.add(id(one))
        return found


def _in_full(frame: Frame, reference: str) -> str:
    """A reference that names the output of a scope that has several, since a tensor of its inside is taken too."""
    step = frame.steps.get(reference)
    if step is None or step.inner is None or len(step.inner.outputs) == 1:
        return reference
    return f"{reference}.{next(iter(step.inner.outputs))}"


def _again(node: Node, path: str) -> Node:
    """A node with a scope whose module was called before: its paths are those of this call."""
    scope = node.content
    assert isinstance(scope, HostScope)
    nodes = {}
    for name, one in scope.nodes.items():
        own = f"{path}.{name}"
        shared = replace(one, path=own, shares={"": one.owner})
        nodes[name] = _again(shared, own) if isinstance(one.content, HostScope) else shared
    return replace(node, path=path, content=replace(scope, path=path, nodes=nodes))


def _settings(module: nn.Module) -> tuple[tuple[str, str], ...]:
    """What a module was made with, as far as plain attributes say it: many a class prints nothing of itself."""
    plain = (bool, int, float, str, tuple, list, type(None))
    return tuple((name, repr(value)) for name, value in vars(module).items() if isinstance(value, plain))


def _block_name(module: nn.Module) -> str:
    return type(module).__name__


def _word(step: Step) -> str:
    assert step.call is not None
    return step.call.target


def grouped(scope: HostScope, frame: Frame) -> HostScope:
    """The scope with members of a container that are called one after another in a scope of the container."""
    parts = {
        name: step.parts
        for name, step in frame.steps.items()
        if step.call is not None and not step.call.function and isinstance(step.run, nn.Module) and not step.call.number
    }
    return _grouped(scope, parts, frame.module, frame.path)


def _grouped(scope: HostScope, parts: Mapping[str, tuple[str, ...]], module: nn.Module, path: str) -> HostScope:
    first: dict[str, list[str]] = {}
    for name, one in parts.items():
        if len(one) > 1:
            first.setdefault(one[0], []).append(name)
    for container, members in first.items():
        if container in scope.nodes or container in scope.inputs or not _is_run(scope, members):
            continue
        holder = module.get_submodule(container)
        own = f"{path}.{container}" if path else container
        inside = {name: parts[name][1:] for name in members}
        scope = _with_group(scope, container, members, inside, holder, own)
    return scope


def _is_run(scope: HostScope, members: Sequence[str]) -> bool:
    """Whether nodes can run one after another: none between them needs one of them, and none calls one again."""
    names = list(scope.nodes)
    between = names[names.index(members[0]) : names.index(members[-1])]
    taken = {one.partition(".")[0] for name in between if name not in members for one in scope.nodes[name].inputs}
    again = {node.calls for node in scope.nodes.values()}
    return taken.isdisjoint(members) and again.isdisjoint(members)


def _with_group(
    scope: HostScope,
    container: str,
    members: Sequence[str],
    inside: Mapping[str, tuple[str, ...]],
    holder: nn.Module,
    path: str,
) -> HostScope:
    short = {name: "_".join(inside[name]) for name in members}
    outer = dict.fromkeys(
        reference
        for name in members
        for reference in scope.nodes[name].inputs
        if reference.partition(".")[0] not in short
    )
    names: dict[str, str] = {}
    for reference in outer:
        wanted = "input" if not names else reference.replace(".", "_")
        while wanted in names.values() or wanted in short.values():
            wanted += "_"
        names[reference] = wanted

    def renamed(reference: str) -> str:
        name, dot, rest = reference.partition(".")
        return names.get(reference) or f"{short[name]}{dot}{rest}"

    nodes = {}
    for name in members:
        node = scope.nodes[name]
        nodes[short[name]] = replace(node, name=short[name], inputs=tuple(map(renamed, node.inputs)))
    last = members[-1]
    outputs: dict[str, str] = {}
    after: dict[str, str] = {}
    used = [
        *scope.outputs.values(),
        *(one for name, node in scope.nodes.items() if name not in short for one in node.inputs),
    ]
    wanted_outside = [one for one in dict.fromkeys(used) if one.partition(".")[0] in short]
    main = last if last in wanted_outside or not wanted_outside else wanted_outside[-1]
    outputs["output"] = renamed(main)
    for reference in wanted_outside:
        if reference != main:
            outputs[renamed(reference).replace(".", "_")] = renamed(reference)
    exposed = frozenset(name for name in outputs if name != "output")
    group = HostScope(
        type(holder).__name__,
        path,
        {names[one]: scope.tensor(one) for one in outer},
        nodes,
        outputs,
        exposed=exposed,
        module=type(holder),
    )
    deeper = {short[name]: inside[name] for name in members}
    group = _grouped(group, deeper, holder, path)
    given = {name: group.tensor(reference) for name, reference in group.outputs.items()}
    output = given if len(given) > 1 else given["output"]
    made = Node(container, path, scope.nodes[members[0]].origin, tuple(outer), group, output)
    after[main] = f"{container}.output" if len(given) > 1 else container
    for name, reference in outputs.items():
        if name != "output":
            original = next(one for one in wanted_outside if renamed(one) == reference)
            after[original] = f"{container}.{name}"

    found: dict[str, Node] = {}
    for name, node in scope.nodes.items():
        if name == members[-1]:
            found[container] = made
        if name not in short:
            found[name] = replace(node, inputs=tuple(after.get(one, one) for one in node.inputs))
    outside = {key: after.get(reference, reference) for key, reference in scope.outputs.items()}
    return replace(scope, nodes=found, outputs=outside)
