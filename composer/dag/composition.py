"""A composed network: its scopes with attention and all shapes, and the network after each of its rules."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

from composer.amounts import plural
from composer.dag.host import HostScope
from composer.dag.infer import Inference, refuses_one
from composer.dag.levels import Level, levels, names_of_levels, tagged_end
from composer.dag.limits import Limits
from composer.dag.macs import growth, macs_of, total
from composer.dag.maps import outputs_as_maps
from composer.dag.nodes.elaborate import elaborate
from composer.dag.operation import Operation
from composer.dag.outputs import take_outputs
from composer.dag.rules.places import Place, Places
from composer.dag.rules.placing import place
from composer.dag.rules.use import used
from composer.dag.rules.wiring import wire
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, GraphError
from composer.spec.blame import shown_where_set
from composer.spec.model import Rule
from composer.spec.sites import HEAD
from composer.spec.spec import Spec


@dataclass(frozen=True)
class Added:
    """The effect of an attention rule: the paths of its mechanisms, and how much the network's parameters and MACs grew
    (MACs None if not known)."""

    rule: Rule
    places: tuple[str, ...]
    parameters: int
    macs: int | None


@dataclass(frozen=True, repr=False)
class Composition:
    """A network as a tree of scopes with all shapes. Immutable.

    root    the network with all rules applied and only the spec's outputs
    placed  the whole backbone, then the backbone with the first rule, with the first two rules …, with all rules
    edits   for the network of a module: sentences on its modules that were changed by hand since
    """

    spec: Spec
    root: Scope
    limits: Limits = field(default_factory=Limits)
    inference: Inference = field(default_factory=Inference, repr=False, compare=False)
    placed: tuple[Scope, ...] = field(default=(), repr=False, compare=False)
    edits: tuple[str, ...] = ()

    def __repr__(self) -> str:
        size = f"{plural(len(self.operations), 'operation')}, {plural(self.num_parameters, 'parameter', ',')}"
        return f"<{type(self).__name__} {self.spec.name}: {size}>"

    @classmethod
    def of(cls, spec: Spec, limits: Limits | None = None, inference: Inference | None = None) -> Self:
        """The spec's network with attention, checked; nothing is allocated. Raises GraphError.

        Networks composed with the same `inference` infer the operations that they share only once.
        """
        limits, inference = limits or Limits(), inference or Inference()
        with _shown_where_set(spec):
            backbone = _elaborated(spec, limits, inference)
            placed = (backbone, *place(backbone, spec, limits, inference))
        return cls.finished(spec, limits, inference, placed)

    @classmethod
    def finished(
        cls, spec: Spec, limits: Limits, inference: Inference, placed: tuple[Scope, ...], *, whole: bool = False
    ) -> Self:
        """The network with the spec's outputs; `placed` as in Composition. Raises GraphError.

        whole  also with nodes that the outputs do not need
        """
        backbone, last = placed[0], placed[-1]
        with _shown_where_set(spec):
            spec = _with_levels(spec, last)
            wired = wire(replace(last, end=tagged_end(last)))
            if isinstance(wired, HostScope):
                # The room that edits models of other libraries imports this one, as the room that makes them does.
                wired = importlib.import_module("composer.hosts.edits.naming").whole_with_free_names(wired)
            root = take_outputs(wired, backbone, spec, whole=whole)
            if (
                isinstance(root, HostScope)
                and isinstance(wired, HostScope)
                and (spec.outputs is not None or spec.nodes)
            ):
                root = replace(root, whole=wired, results={})
            root = outputs_as_maps(root, spec.outputs_origin, inference) if spec.gives_maps else root
        if problem := _classes_problem(spec, root):
            raise GraphError(problem)
        return cls(spec, root, limits, inference, placed)

    def giving(self, spec: Spec) -> Self:
        """The same network with the outputs of a spec that differs only in its outputs. Raises GraphError."""
        return self.finished(spec, self.limits, self.inference, self.placed)

    @cached_property
    def steps(self) -> tuple[Self, ...]:
        """The network without rules, with the first rule, with the first two …, with all: the last is this object."""
        inside = self.spec.rules_inside
        specs = [self.spec.with_rules(count) for count in range(len(self.spec.every_rule))]
        found = [self.of(spec, self.limits, self.inference) for spec in specs[:inside]]
        found += [
            self.finished(spec, self.limits, self.inference, self.placed[: count + 1])
            for count, spec in enumerate(specs[inside:])
        ]
        return (*found, self)

    @property
    def plain(self) -> Self:
        """The network without its attention rules."""
        return self.steps[0]

    @cached_property
    def whole_backbone(self) -> Self:
        """The network without rules, with every node of its backbone, also nodes that the spec's `outputs` leave out.

        A report lists weights of nodes that are left out as `left out`, not as `unexpected`.
        """
        if self.spec.outputs in (None, self.spec.own_outputs) and not self.spec.leaves_out:
            return self.plain
        spec = replace(self.spec.with_rules(0), outputs=None)
        return self.finished(spec, self.limits, self.inference, self.plain.placed[:1], whole=True)

    @cached_property
    def operations(self) -> list[tuple[Node, tuple[TensorSpec, ...]]]:
        """Every operation with its input tensors, in the order in which they run."""
        return list(operations_in(self.root))

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        """The output tensors of the network, by name."""
        return {name: self.root.tensor(reference) for name, reference in self.root.outputs.items()}

    def written(self) -> dict[str, Any]:
        """The network as a single spec without references, which loads to an equal one.

        Class names of another number than its outputs belong to the backbone's own network, and are left out.
        """
        found = self.spec.to_mapping()
        if len(found.get("classes", ())) not in {tensor.channels for tensor in self.outputs.values()}:
            found.pop("classes", None)
        return found

    @property
    def num_parameters(self) -> int:
        """Learnable numbers of the network."""
        return self.root.num_parameters

    @cached_property
    def macs(self) -> Mapping[str, int | None]:
        """Multiply-accumulates per example, by path of the operation; None if not known."""
        return {node.path: _macs(node, inputs, self.inference.macs) for node, inputs in self.operations}

    @property
    def num_macs(self) -> int | None:
        """Multiply-accumulates per example; None if those of an operation are not known."""
        return total(self.macs.values())

    @cached_property
    def places(self) -> Places:
        """The places where attention can go."""
        return Places.of(self.root)

    @cached_property
    def levels(self) -> list[Level]:
        """The features at each scale, the finest first."""
        return levels(self.root, self.places)

    @cached_property
    def head(self) -> Place | None:
        """The classifier, which is the last place of the site `head`; None without one."""
        return next(reversed(self.places.computing.select(HEAD)), None)

    @cached_property
    def added(self) -> tuple[Added, ...]:
        """The effect of each attention rule, in the order in which they apply."""
        rules = [rule for rule, _ in self.spec.every_rule]
        return tuple(
            Added(
                rule,
                self.mechanisms.get(number, ()),
                after.num_parameters - before.num_parameters,
                growth(after.num_macs, before.num_macs),
            )
            for number, (rule, (before, after)) in enumerate(zip(rules, pairwise(self.steps), strict=True))
        )

    @cached_property
    def mechanisms(self) -> Mapping[int, tuple[str, ...]]:
        """Number of a rule, from 0 -> paths of the mechanisms that it inserted; in a block called twice, once."""
        found: dict[int, tuple[str, ...]] = {}
        for node in _first_calls(self.root):
            if node.rule is not None and node.role == "used":
                found[node.rule] = (*found.get(node.rule, ()), node.path)
        return found

    @cached_property
    def inserted(self) -> Mapping[str, int]:
        """Path of an inserted operation, or of one that a scope holds for others -> number of its rule, from 0."""
        found = (node for node in self.root.walk() if isinstance(node.content, Operation))
        return {node.path: node.rule for node in found if node.rule is not None}

    @cached_property
    def on_backbone(self) -> tuple[str, ...]:
        """Paths of the root's nodes that files nearer than the backbone's write; none if one file writes all."""
        backbone = self.spec.files[-1].origin.document
        nodes = self.root.nodes.values()
        return tuple(node.path for node in nodes if node.rule is None and node.origin.document is not backbone)

    @cached_property
    def refusing_one(self) -> Mapping[str, str]:
        """Path of an operation that cannot train at batch 1 -> the reason."""
        known: dict[Any, str | None] = {}
        found = {}
        for node, inputs in self.operations:
            operation = node.content
            assert isinstance(operation, Operation)
            key = (operation.key, inputs)
            if key not in known:
                known[key] = refuses_one(operation, inputs)
            if reason := known[key]:
                found[node.path] = reason
        return found


@contextlib.contextmanager
def _shown_where_set(spec: Spec) -> Iterator[None]:
    """Report a problem with the value of a var at the place where the var was set."""
    try:
        yield
    except GraphError as error:
        files = [file.origin for file in spec.files]
        raise error.changed(lambda problem: shown_where_set(problem, files, spec.var_origins)) from error


def _elaborated(spec: Spec, limits: Limits, inference: Inference) -> Scope:
    """The network without its rules. Raises GraphError, also with problems of the rules that need no network."""
    try:
        begun = None if spec.source is None else _recorded(spec, limits, inference)
        if begun is not None and not spec.nodes:
            return begun
        return elaborate(spec, limits, inference, lambda part: Composition.of(part, limits, inference).root, begun)
    except GraphError as error:
        said = [problem for rule, origin in spec.rules for problem in used(rule, origin, spec, limits)[1]]
        raise GraphError([*error.diagnostics, *said]) from error


def _recorded(spec: Spec, limits: Limits, inference: Inference) -> HostScope:
    """The model of another library with which a spec begins. Raises GraphError."""
    # What makes such models imports this room, and is imported when there is one.
    found: HostScope = importlib.import_module("composer.sources").recorded(spec, inference)
    assert spec.source is not None, "the spec begins with a model"
    if problem := limits.exceeded(found.num_nodes, found.num_parameters, spec.source.name_origin):
        raise GraphError(problem)
    return found


def _with_levels(spec: Spec, root: Scope) -> Spec:
    """The spec with the paths of the features at every scale as its outputs, if it asks for them. Raises GraphError."""
    if not spec.gives_levels:
        return spec
    found = names_of_levels(levels(root, Places.of(root)))
    if not found:
        text = f"`{spec.name}` has neither stages nor blocks to take features from"
        raise GraphError(spec.outputs_origin.problem("unknown-output", text, "`name: path`"))
    return replace(spec, outputs=found)


def _classes_problem(spec: Spec, root: Scope) -> Diagnostic | None:
    """A problem if a file names another number of classes than its own network has outputs; else None."""
    if spec.classes is None or spec.files[0].content.classes is None or len(root.outputs) != 1:
        return None
    tensor = root.tensor(next(iter(root.outputs.values())))
    if tensor.layout != "b c" or tensor.channels == len(spec.classes) or spec.overrides:
        return None
    text = f"`classes` has {plural(len(spec.classes), 'name')}, the network {plural(tensor.channels or 0, 'output')}"
    return (spec.origin / "classes").problem("classes", text, f"{tensor.channels} names")


def _first_calls(scope: Scope) -> Iterator[Node]:
    """Every node, a scope before its own, without those in further calls of a block."""
    for node in scope.nodes.values():
        yield node
        if isinstance(node.content, Scope) and node.calls is None:
            yield from _first_calls(node.content)


def operations_in(scope: Scope) -> Iterator[tuple[Node, tuple[TensorSpec, ...]]]:
    """Every operation of a scope with its input tensors, in the order in which they run."""
    for node in scope.nodes.values():
        if isinstance(node.content, Scope):
            yield from operations_in(node.content)
        elif node.content is not None:
            yield node, tuple(scope.tensor(reference) for reference in node.inputs)


def _macs(node: Node, inputs: tuple[TensorSpec, ...], known: dict[Hashable, int | None]) -> int | None:
    operation = node.content
    assert isinstance(operation, Operation)
    key = (operation.key, inputs)
    if key not in known:
        known[key] = macs_of(operation, inputs)
    return known[key]
