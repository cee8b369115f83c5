"""What a rule inserts at a place: the mechanism, and the operations that it needs around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from composer import registry
from composer.dag.arguments import complete
from composer.dag.draft import Draft
from composer.dag.identity import BLEND
from composer.dag.infer import Inference, Inferred
from composer.dag.scope import Bound, Node, TensorSpec
from composer.dag.spot import Spot
from composer.errors import Mistakes
from composer.registry import Entry, ModuleEntry
from composer.spec.model import Rule
from composer.spec.origin import Origin

# The name of an operation, and its options.
Step = tuple[str, Mapping[str, Any]]

_SHORT = {
    "map_to_tokens": "tokens",
    "tokens_to_map": "map",
    "channels_first": "channels_first",
    "channels_last": "channels_last",
}


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

    def adapted(self, entry: ModuleEntry, tensor: TensorSpec, host: Node) -> TensorSpec:
        """The tensor in the layout that the mechanism takes. Raises Mistakes."""
        for op, options in self.adapters(entry, tensor, host)[0]:
            tensor = self.infer(_own(op), options, [tensor]).output
        return tensor

    def adapters(self, entry: ModuleEntry, tensor: TensorSpec, host: Node) -> tuple[list[Step], list[Step]]:
        """Operations before and after a mechanism that turn the place's layout into the mechanism's and back."""
        into: list[Step] = []
        back: list[Step] = []
        layout = tensor.layout
        if layout == "b h w c" and entry.works_on != layout:
            into, back, layout = [("channels_first", {})], [("channels_last", {})], "b c h w"
        if layout == "b c h w" and entry.works_on == "b n c":
            axis = {"axis": self.rule.tokens or "pixels"}
            return [*into, ("map_to_tokens", axis)], [("tokens_to_map", axis), *back]
        if self.rule.tokens is not None:
            found = (
                f"`{entry.name}` works on `{entry.works_on}`" if entry.works_on != "b n c" else f"here is `{layout}`"
            )
            text = f"`tokens` makes tokens of a map `b c h w` for a mechanism on `b n c`; {found}"
            raise self.wrong(host, text, "remove it", key="tokens")
        if layout not in entry.layouts:
            text = f"`{entry.name}` works on `{entry.works_on}`, the place has `{tensor.layout}` ({tensor})"
            help = ("`composer list mechanisms` shows what each works on",)
            raise self.wrong(host, text, f"a place with `{entry.works_on}`", help)
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
        entry: ModuleEntry,
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
        inferred = self.infer(entry, arguments, tensors)
        mechanism = self._made(draft, name, spot, (current, *others), inferred)
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
        return [gamma, self._made(draft, name, spot, (host, changed, gamma.name), inferred)]

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
        return self._made(draft, self.name(draft, name, spot), spot, inputs, inferred)

    def _made(self, draft: Draft, name: str, spot: Spot, inputs: tuple[str, ...], inferred: Inferred) -> Node:
        prefix = draft.original.path
        path = f"{prefix}.{name}" if prefix else name
        operation, output = inferred.operation, inferred.output
        return Node(name, path, self.origin, inputs, operation, output, rule=self.number, place=spot.place)


def _own(op: str) -> Entry:
    entry = registry.get(op)
    assert entry is not None, f"composer's own `{op}` is not registered"
    return entry
