"""What a rule inserts at a place: the mechanism, and the operations that it needs around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from composer import registry
from composer.dag.arguments import complete
from composer.dag.grids import told
from composer.dag.infer import Inference
from composer.dag.nodes.adapters import Adaptable, Adapter, Adapters, NoAdapter, adapters, returned
from composer.dag.operation import Operation
from composer.dag.rules.draft import Draft
from composer.dag.rules.identity import BLEND
from composer.dag.rules.spot import Spot, as_stem
from composer.dag.scope import Bound, Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Diagnostic, Mistakes, one_of
from composer.registry import Entry
from composer.spec.model import Rule
from composer.spec.origin import Origin

# The content of a node, and its output.
Made = tuple[Operation | Scope, TensorSpec]


class Used(Adaptable, Protocol):
    """What a rule's `use` names: a mechanism, a layer or a block."""

    @property
    def replaces(self) -> str | None:
        """The layers that it can stand in for, as of a mechanism; None if it must keep its host's shape."""

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that it takes, in order: the first from its place, others by a rule's `from`."""

    @property
    def inputs(self) -> tuple[int, int | None]:
        """Fewest and most tensors that it takes; most is None for any number."""

    def problems(self, written: Mapping[str, Any], origin: Origin) -> Sequence[Diagnostic]:
        """The problems of the options in a rule's `with` that hold at any place."""

    def arguments(
        self, insertion: Insertion, host: Node, inputs: Sequence[TensorSpec], written: Mapping[str, Any], index: int
    ) -> dict[str, Any]:
        """Its arguments at a host for the tensors that it takes: facts of the place, and the rule's options, evaluated.

        `index` is the number of the place among those of the rule, from 0. Raises Mistakes.
        """

    def unlike(
        self, insertion: Insertion, host: Node, arriving: TensorSpec, wanted: TensorSpec
    ) -> Sequence[Diagnostic]:
        """What it should declare where it stands in for a host and gives another tensor than the host's `wanted`."""

    def content(
        self, insertion: Insertion, arguments: Mapping[str, Any], tensors: Sequence[TensorSpec], at: str
    ) -> Made:
        """The content of a node at the path `at`, and its output. Raises Misfit, Mistakes."""


@dataclass(frozen=True)
class Insertion:
    """Makes nodes in a draft around a host, for a rule that is number `number` of the network's rules."""

    rule: Rule
    origin: Origin
    number: int
    infer: Inference

    def wrong(
        self, host: Node, message: str, label: str = "", help: tuple[str, ...] = (), key: str | None = None
    ) -> Mistakes:
        """A place cannot have what the rule asks for: the caret goes under the place, or another `key` of the rule."""
        here = self.origin / (key or self.rule.position)
        return Mistakes(here.problem("place", message, label, help, path=host.path))

    def stands_in(self, name: str, lacking: Sequence[str], host: Node) -> Mistakes:
        """What is inserted has to know settings that only a convolution has, and does not replace one."""
        text = f"`{name}` stands in for a convolution and has to know its {one_of(lacking)}"
        return self.wrong(host, text, "`replace: spatial_conv`", ("or write it as an option in `with`",))

    def adapted(self, entry: Used, tensors: Sequence[TensorSpec], host: Node) -> list[TensorSpec]:
        """The tensors as the mechanism takes them. Raises Mistakes."""
        pairs = zip(self.adapters(entry, tensors, host), tensors, strict=True)
        return [one.adapted(tensor, self.infer) for one, tensor in pairs]

    def adapters(self, entry: Used, tensors: Sequence[TensorSpec], host: Node) -> list[Adapters]:
        """Operations that turn the layout of each tensor into the mechanism's, and that of the first back.

        Further tensors are turned if they have the layout of the first. Raises Mistakes.
        """
        try:
            first = adapters(entry, tensors[0], self.rule.tokens)
            alike = [one.layout == tensors[0].layout for one in tensors[1:]]
            others = zip(alike, tensors[1:], strict=True)
            further = [adapters(entry, one, self.rule.tokens).into_only if same else Adapters() for same, one in others]
        except NoAdapter as problem:
            raise self.wrong(host, str(problem), problem.label, problem.help, problem.key) from problem
        if first.prefix_passes and self.rule.position in ("replace", "beside"):
            where = "in place of" if self.rule.position == "replace" else "beside"
            text = (
                f"`{entry.name}` works on maps: {where} `{host.path}`, prefix tokens would not get what the others get"
            )
            raise self.wrong(host, text, "a mechanism on tokens, such as `mhsa`; or `after`, where they pass by")
        return [first, *further]

    def name(self, draft: Draft, wanted: str, spot: Spot) -> str:
        """The name; or, if the backbone or what is stacked here has it, `name_2`, `name_3` … Raises Mistakes."""
        number, name = 1, wanted
        while (other := draft.holder(name, spot.place)) is None and draft.is_taken(name):
            number += 1
            name = f"{wanted}_{number}"
        if other is None:
            return name
        here = self.origin / ("use" if self.rule.name is None else "name")
        text = f"`{other.path}` is what another rule puts {other.place}, and would be what this one puts {spot.place}"
        help = ("a `name` for one of the rules sets them apart",)
        raise Mistakes(here.problem("name", text, "another name", help, path=spot.host.path))

    def mechanism(
        self,
        draft: Draft,
        entry: Used,
        arguments: Mapping[str, Any],
        sources: Sequence[str],
        bound: Sequence[tuple[Bound, TensorSpec]],
        name: str,
        spot: Spot,
    ) -> list[Node]:
        """The nodes of the mechanism on its sources, and those that turn the layout of the first before and after it.

        The sources are nodes of the draft, `bound` further tensors from anywhere in the network.
        """
        source, *others = sources
        tensors = [*map(draft.tensor, sources), *(tensor for _, tensor in bound)]
        first, *further = self.adapters(entry, tensors, spot.host)
        turned: list[Node] = []
        elsewhere: list[str | Bound] = [*others, *(one for one, _ in bound)]
        given = list(zip(elsewhere, tensors[1:], further, strict=True))
        taken = self.turned(draft, entry, name, given, spot, turned)

        def adapter(one: Adapter, inputs: tuple[str, ...], made: Sequence[Node]) -> Node:
            return self.helper(draft, one.op, f"{as_stem(name)}_{one.name}", inputs, spot, one.options, made)

        def mechanism(current: str, made: Sequence[Node]) -> Node:
            inputs = (current, *(one for one, _ in taken if isinstance(one, str)))
            given = [draft.tensor(current, made), *(tensor for _, tensor in taken)]
            content = entry.content(self, arguments, given, self._path(draft, name))
            node = self._made(draft, name, spot, inputs, given, content, "used")
            return replace(node, bound=tuple(one for one, _ in taken if isinstance(one, Bound)))

        made = first.around(source, adapter, mechanism)
        return [*turned, *made[:-1], returned(made[-1], tensors[0])]

    def turned(
        self,
        draft: Draft,
        entry: Used,
        name: str,
        given: Sequence[tuple[str | Bound, TensorSpec, Adapters]],
        spot: Spot,
        made: list[Node],
    ) -> list[tuple[str | Bound, TensorSpec]]:
        """What a mechanism takes of its further tensors: themselves, or nodes that adapt them, which join `made`."""
        found: list[tuple[str | Bound, TensorSpec]] = []
        for number, (source, tensor, steps) in enumerate(given, 1):
            word = entry.tensors[number] if number < len(entry.tensors) else str(number)
            # What is bound comes after a node's inputs, so nothing behind it can be a node of this scope.
            for one in steps.into if all(isinstance(one, str) for one, _ in found) else ():
                inputs, bound = ((source,), ()) if isinstance(source, str) else ((), (source,))
                inferred = self.infer(_own(one.op), one.options, [tensor])
                fresh = self.name(draft, f"{as_stem(name)}_{word}_{one.name}", spot)
                content = inferred.operation, inferred.output
                made.append(replace(self._made(draft, fresh, spot, inputs, [tensor], content, "helper"), bound=bound))
                source, tensor = fresh, made[-1].tensor
            found.append((source, tensor))
        return found

    def start(self, draft: Draft, host: str, changed: str, name: str, spot: Spot) -> list[Node]:
        """Nodes of y = host + γ·(changed − host), γ = 0: no change of the network until training moves γ."""
        gamma = self.helper(draft, "parameter", f"{name}_gamma", (), spot, {"shape": [1], "init": 0.0, "std": 0.02})
        extra = {host: draft.tensor(host), changed: draft.tensor(host), gamma.name: gamma.tensor}
        inferred = self.infer(_own(BLEND), {}, list(extra.values()))
        name, inputs = self.name(draft, f"{name}_start", spot), (host, changed, gamma.name)
        content = inferred.operation, inferred.output
        return [gamma, self._made(draft, name, spot, inputs, list(extra.values()), content, "helper")]

    def helper(
        self,
        draft: Draft,
        op: str,
        name: str,
        inputs: tuple[str, ...],
        spot: Spot,
        options: Mapping[str, Any] | None = None,
        made: Sequence[Node] = (),
    ) -> Node:
        """A node with one of composer's own operations; `made` are new nodes that are not in the draft yet."""
        entry = _own(op)
        arguments = complete(entry, options or {}, {}, self.origin, spot.host.path)
        tensors = [draft.tensor(one, made) for one in inputs]
        inferred = self.infer(entry, arguments, tensors)
        content = inferred.operation, inferred.output
        return self._made(draft, self.name(draft, name, spot), spot, inputs, tensors, content, "helper")

    def _made(
        self,
        draft: Draft,
        name: str,
        spot: Spot,
        inputs: tuple[str, ...],
        tensors: Sequence[TensorSpec],
        made: Made,
        role: Literal["used", "helper"],
    ) -> Node:
        (content, output), path = made, self._path(draft, name)
        given = told(output, tensors, path) if isinstance(content, Operation) else output
        return Node(name, path, self.origin, inputs, content, given, rule=self.number, role=role, place=spot.place)

    def _path(self, draft: Draft, name: str) -> str:
        prefix = draft.original.path
        return f"{prefix}.{name}" if prefix else name


def _own(op: str) -> Entry:
    entry = registry.get(op)
    assert entry is not None, f"composer's own `{op}` is not registered"
    return entry
