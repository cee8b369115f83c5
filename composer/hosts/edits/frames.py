"""The frames of a recorded module: a flat list of steps for each forward that makes calls, before and after rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from composer.dag.host import Call, HostOperation, HostScope
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec


@dataclass(frozen=True)
class Ref:
    """A tensor in a frame: an input of it, or a step's output, by the key that sets it apart from the step's others."""

    name: str
    key: str = ""
    is_input: bool = False


@dataclass(frozen=True)
class FlatStep:
    """A node of a frame, or of a container that only groups nodes of the frame.

    place   path, relative to the frame, of the module that holds its module; empty for the frame's own
    """

    node: Node
    place: str
    inputs: tuple[Ref, ...]
    specs: tuple[TensorSpec, ...]

    @property
    def name(self) -> str:
        """The path relative to the frame."""
        return f"{self.place}.{self.node.name}" if self.place else self.node.name

    @property
    def is_new(self) -> bool:
        """Whether a rule inserted it."""
        return self.node.rule is not None

    @property
    def calls_module(self) -> bool:
        """Whether it was recorded from the call of a module."""
        return self.call is not None and not self.call.function

    @property
    def call(self) -> Call | None:
        """The call that it was recorded from; None for an inserted step, and for a parameter."""
        content = self.node.content
        return content.call if isinstance(content, HostOperation | HostScope) else None


@dataclass(frozen=True)
class Frame:
    """The calls that a module's forward makes.

    scope    what was recorded of it, in a container's case with the container's nodes inside
    outputs  name -> what the forward returns there
    groups   path of a container, relative to the frame -> what its last member gives
    """

    scope: HostScope
    steps: Mapping[str, FlatStep]
    outputs: Mapping[str, Ref]

    @property
    def path(self) -> str:
        """Path of the module in the model."""
        return self.scope.path

    @cached_property
    def new(self) -> list[FlatStep]:
        """The steps that rules inserted, in the order in which they run."""
        return [step for step in self.steps.values() if step.is_new]

    def holder(self, step: FlatStep) -> str:
        """Path of the module that owns the module of one of its steps."""
        return ".".join(filter(None, (self.path, step.place)))


def is_group(node: Node) -> bool:
    """Whether a node is a container that is not called itself."""
    return isinstance(node.content, HostScope) and node.content.call is None


def flat(scope: HostScope) -> Frame:
    """The frame of a module."""
    steps: dict[str, FlatStep] = {}
    values = {name: Ref(name, is_input=True) for name in scope.inputs}
    found = _flatten(scope, "", values, steps)
    return Frame(scope, steps, {name: _found(found, reference) for name, reference in scope.outputs.items()})


def frames(root: HostScope) -> Iterator[Frame]:
    """The frame of the root, then those of the modules inside. One that is called again appears once."""
    yield flat(root)
    for node in root.walk():
        content = node.content
        if isinstance(content, HostScope) and content.call is not None and node.owns:
            yield flat(content)


def _flatten(scope: Scope, place: str, values: dict[str, Ref], steps: dict[str, FlatStep]) -> dict[str, Ref]:
    """Adds the steps of a scope; the value of each reference in it."""
    for name, node in scope.nodes.items():
        inputs = tuple(_found(values, reference) for reference in node.inputs)
        own = f"{place}.{name}" if place else name
        if node.content is None:
            values[name] = inputs[0]
        elif is_group(node):
            assert isinstance(node.content, HostScope)
            inside = _flatten(node.content, own, dict(zip(node.content.inputs, inputs, strict=True)), steps)
            for output, reference in node.content.outputs.items():
                values[f"{name}.{output}"] = _found(inside, reference)
            values[name] = values[f"{name}.{node.content.main_outputs[0]}"]
        else:
            steps[own] = FlatStep(node, place, inputs, tuple(map(scope.tensor, node.inputs)))
            values[name] = Ref(own)
            if isinstance(node.content, HostScope) and len(node.content.main_outputs) == 1:
                # With a tensor that it passes outward, its result is spelt in full.
                values[f"{name}.{node.content.main_outputs[0]}"] = Ref(own)
    return values


def _found(values: Mapping[str, Ref], reference: str) -> Ref:
    if reference in values:
        return values[reference]
    name, _, rest = reference.partition(".")
    return Ref(values[name].name, rest, values[name].is_input)


@dataclass(frozen=True)
class Change:
    """What rules changed in a frame.

    added    inserted steps
    gone     steps that were taken out, or that another step replaced under their name
    moved    (step, number of its input) -> what it takes now, for steps that stay
    results  output -> what it is now, for outputs that are another tensor
    brought  inputs that are no arguments, for tensors of other frames
    outward  output that the forward does not return -> the tensor, which another frame takes
    handed   (step, brought input of its scope) -> the tensor that it gets
    """

    before: Frame
    after: Frame
    added: Mapping[str, FlatStep]
    gone: Mapping[str, FlatStep]
    moved: Mapping[tuple[str, int], Ref]
    results: Mapping[str, Ref]
    brought: frozenset[str] = frozenset()
    outward: Mapping[str, Ref] = field(default_factory=dict)
    handed: Mapping[tuple[str, str], Ref] = field(default_factory=dict)

    @property
    def crosses(self) -> bool:
        """Whether tensors cross the frame's border, or that of a module inside."""
        taken = (one for step in self.after.steps.values() for one in step.inputs)
        return bool(self.brought or self.outward or self.handed) or any(map(self.is_outward, taken))

    def is_outward(self, ref: Ref) -> bool:
        """Whether a tensor is one that a module inside passes outward only because of a rule."""
        step = self.before.steps.get(ref.name)
        content = None if step is None or ref.is_input else step.node.content
        return bool(ref.key) and isinstance(content, HostScope) and ref.key not in content.outputs

    @property
    def path(self) -> str:
        """Path of the frame's module."""
        return self.before.path

    @property
    def only_replaces(self) -> bool:
        """Whether nothing changed but that inserted steps stand for others, under their names and on their inputs."""
        alike = all(
            name in self.gone and self.gone[name].inputs == step.inputs and self.gone[name].calls_module
            for name, step in self.added.items()
        )
        wired = self.moved or self.results or self.crosses
        return alike and len(self.added) == len(self.gone) and not wired


def change_of(before: Frame, after: Frame) -> Change | None:
    """What differs between two states of a frame; None if nothing does, in the frame itself."""
    added = {step.name: step for step in after.new}
    gone = {name: step for name, step in before.steps.items() if name not in after.steps or name in added}
    moved = {
        (name, number): now
        for name, step in before.steps.items()
        if name not in gone
        for number, (was, now) in enumerate(zip(step.inputs, after.steps[name].inputs, strict=False))
        if was != now
    }
    results = {name: after.outputs[name] for name, was in before.outputs.items() if after.outputs[name] != was}
    # A step that is replaced under its name has an equal reference, which means another tensor.
    outward = {name: ref for name, ref in after.outputs.items() if name not in before.outputs}
    brought = after.scope.brought - before.scope.brought
    found = Change(before, after, added, gone, moved, results, brought, outward, dict(_handed(before, after)))
    return found if added or gone or moved or results or found.crosses else None


def _handed(before: Frame, after: Frame) -> Iterator[tuple[tuple[str, str], Ref]]:
    """What modules of the frame get besides the arguments that they had."""
    for name, step in before.steps.items():
        now = after.steps.get(name)
        if now is not None and not now.is_new and isinstance(now.node.content, HostScope):
            more = list(zip(now.node.content.inputs, now.inputs, strict=True))[len(step.inputs) :]
            yield from (((name, word), ref) for word, ref in more)
