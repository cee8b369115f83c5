"""What a rule inserts at a place: the mechanism, and the operations that it needs around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from composer import registry
from composer.dag.arguments import complete
from composer.dag.draft import Draft
from composer.dag.identity import BLEND
from composer.dag.infer import Inference
from composer.dag.scope import Bound, Node, Operation, Scope, TensorSpec
from composer.dag.spot import Spot
from composer.errors import Diagnostic, Mistakes, one_of
from composer.registry import Entry
from composer.spec.model import Rule
from composer.spec.origin import Origin

# The name of an operation, and its options.
Step = tuple[str, Mapping[str, Any]]
# The content of a node, and its output.
Made = tuple[Operation | Scope, TensorSpec]

_SHORT = {
    "map_to_tokens": "tokens",
    "tokens_to_map": "map",
    "channels_first": "channels_first",
    "channels_last": "channels_last",
}


class Used(Protocol):
    """What a rule's `use` names: a mechanism, a layer or a block."""

    @property
    def name(self) -> str:
        """The name that `use` has, and that its node gets unless the rule gives another."""

    @property
    def replaces(self) -> str | None:
        """The layers that it can stand in for, as of a mechanism; None if it must keep its host's shape."""

    @property
    def layouts(self) -> tuple[str | None, ...]:
        """The layouts that it works in, the usual one first; empty for any."""

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that it takes, in order: the first from its place, others by a rule's `from`."""

    @property
    def inputs(self) -> tuple[int, int | None]:
        """Fewest and most tensors that it takes; most is None for any number."""

    def problems(self, written: Mapping[str, Any], origin: Origin) -> Sequence[Diagnostic]:
        """The problems of the options in a rule's `with` that hold at any place."""

    def arguments(
        self, insertion: Insertion, host: Node, inputs: Sequence[TensorSpec], written: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Its arguments at a host for the tensors that it takes: facts of the place, and the rule's options, evaluated.

        Raises Mistakes.
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

    def adapted(self, entry: Used, tensor: TensorSpec, host: Node) -> TensorSpec:
        """The tensor in the layout that the mechanism takes. Raises Mistakes."""
        for op, options in self.adapters(entry, tensor, host)[0]:
            tensor = self.infer(_own(op), options, [tensor]).output
        return tensor

    def adapters(self, entry: Used, tensor: TensorSpec, host: Node) -> tuple[list[Step], list[Step]]:
        """Operations before and after a mechanism that turn the place's layout into the mechanism's and back."""
        into: list[Step] = []
        back: list[Step] = []
        layout, works_on = tensor.layout, next(iter(entry.layouts), tensor.layout)
        if layout == "b h w c" and works_on != layout:
            into, back, layout = [("channels_first", {})], [("channels_last", {})], "b c h w"
        if layout == "b c h w" and works_on == "b n c":
            axis = {"axis": self.rule.tokens or "pixels"}
            return [*into, ("map_to_tokens", axis)], [("tokens_to_map", axis), *back]
        if self.rule.tokens is not None:
            found = f"`{entry.name}` works on `{works_on}`" if works_on != "b n c" else f"here is `{layout}`"
            text = f"`tokens` makes tokens of a map `b c h w` for a mechanism on `b n c`; {found}"
            raise self.wrong(host, text, "remove it", key="tokens")
        if entry.layouts and layout not in entry.layouts:
            wanted = one_of(map(str, entry.layouts))
            text = f"`{entry.name}` works on {wanted}, the place has `{tensor.layout}` ({tensor})"
            help = ("`composer list mechanisms` shows what each works on",)
            raise self.wrong(host, text, f"a place with {wanted}", help)
        return into, back

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
        into, back = self.adapters(entry, draft.tensor(source), spot.host)
        made: list[Node] = []
        current, maps = source, []
        for op, options in into:
            maps.append(current)
            made.append(self.helper(draft, op, f"{name}_{_SHORT[op]}", (current,), spot, options, made))
            current = made[-1].name
        tensors = [draft.tensor(current, made), *map(draft.tensor, others), *(tensor for _, tensor in bound)]
        content = entry.content(self, arguments, tensors, self._path(draft, name))
        mechanism = self._node(draft, name, spot, (current, *others), content, "used")
        made.append(replace(mechanism, bound=tuple(one for one, _ in bound)))
        for op, options in back:
            inputs = (made[-1].name, maps[-1]) if op == "tokens_to_map" else (made[-1].name,)
            made.append(self.helper(draft, op, f"{name}_{_SHORT[op]}", inputs, spot, options, made))
        return made

    def start(self, draft: Draft, host: str, changed: str, name: str, spot: Spot) -> list[Node]:
        """Nodes of y = host + γ·(changed − host), γ = 0: no change of the network until training moves γ."""
        gamma = self.helper(draft, "parameter", f"{name}_gamma", (), spot, {"shape": [1], "init": 0.0, "std": 0.02})
        extra = {host: draft.tensor(host), changed: draft.tensor(host), gamma.name: gamma.tensor}
        inferred = self.infer(_own(BLEND), {}, list(extra.values()))
        name = self.name(draft, f"{name}_start", spot)
        content = inferred.operation, inferred.output
        return [gamma, self._node(draft, name, spot, (host, changed, gamma.name), content, "helper")]

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
        inferred = self.infer(entry, arguments, [draft.tensor(one, made) for one in inputs])
        content = inferred.operation, inferred.output
        return self._node(draft, self.name(draft, name, spot), spot, inputs, content, "helper")

    def _node(
        self,
        draft: Draft,
        name: str,
        spot: Spot,
        inputs: tuple[str, ...],
        made: Made,
        role: Literal["used", "helper"],
    ) -> Node:
        path = self._path(draft, name)
        return Node(name, path, self.origin, inputs, *made, rule=self.number, role=role, place=spot.place)

    def _path(self, draft: Draft, name: str) -> str:
        prefix = draft.original.path
        return f"{prefix}.{name}" if prefix else name


def _own(op: str) -> Entry:
    entry = registry.get(op)
    assert entry is not None, f"composer's own `{op}` is not registered"
    return entry
