"""What a rule inserts at a place: the mechanism, and the operations that it needs around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from composer import registry
from composer.dag.adapters import Adapter, Adapters, NoAdapter, adapters, returned
from composer.dag.arguments import complete
from composer.dag.draft import Draft
from composer.dag.grids import told
from composer.dag.identity import BLEND
from composer.dag.infer import Inference, Inferred
from composer.dag.scope import Bound, Node, TensorSpec
from composer.dag.spot import Spot
from composer.errors import Mistakes
from composer.registry import Entry, ModuleEntry
from composer.spec.model import Rule
from composer.spec.origin import Origin


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
        return self.adapters(entry, tensor, host).adapted(tensor, self.infer)

    def adapters(self, entry: ModuleEntry, tensor: TensorSpec, host: Node) -> Adapters:
        """Operations that turn the place's layout into the mechanism's and back. Raises Mistakes."""
        try:
            found = adapters(entry, tensor, self.rule.tokens)
        except NoAdapter as problem:
            raise self.wrong(host, str(problem), problem.label, problem.help, problem.key) from problem
        if found.prefix_passes and self.rule.position == "replace" and host.entry and host.entry.kind == "token":
            text = f"`{entry.name}` works on maps: in place of `{host.path}`, prefix tokens would see no other token"
            raise self.wrong(host, text, "a mechanism on tokens, such as `mhsa`")
        return found

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
        arriving = draft.tensor(source)

        def adapter(one: Adapter, inputs: tuple[str, ...], made: Sequence[Node]) -> Node:
            return self.helper(draft, one.op, f"{name}_{one.name}", inputs, spot, one.options, made)

        def mechanism(current: str, made: Sequence[Node]) -> Node:
            tensors = [draft.tensor(current, made), *map(draft.tensor, others), *(tensor for _, tensor in bound)]
            inferred = self.infer(entry, arguments, tensors)
            node = self._made(draft, name, spot, (current, *others), tensors, inferred)
            return replace(node, bound=tuple(one for one, _ in bound))

        made = self.adapters(entry, arriving, spot.host).around(source, adapter, mechanism)
        return [*made[:-1], returned(made[-1], arriving)]

    def start(self, draft: Draft, host: str, changed: str, name: str, spot: Spot) -> list[Node]:
        """Nodes of y = host + γ·(changed − host), γ = 0: no change of the network until training moves γ."""
        gamma = self.helper(draft, "parameter", f"{name}_gamma", (), spot, {"shape": [1], "init": 0.0, "std": 0.02})
        extra = {host: draft.tensor(host), changed: draft.tensor(host), gamma.name: gamma.tensor}
        inferred = self.infer(_own(BLEND), {}, list(extra.values()))
        name, inputs = self.name(draft, f"{name}_start", spot), (host, changed, gamma.name)
        return [gamma, self._made(draft, name, spot, inputs, list(extra.values()), inferred)]

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
        return self._made(draft, self.name(draft, name, spot), spot, inputs, tensors, inferred)

    def _made(
        self,
        draft: Draft,
        name: str,
        spot: Spot,
        inputs: tuple[str, ...],
        tensors: Sequence[TensorSpec],
        inferred: Inferred,
    ) -> Node:
        prefix = draft.original.path
        path = f"{prefix}.{name}" if prefix else name
        operation, output = inferred.operation, told(inferred.output, tensors, path)
        return Node(name, path, self.origin, inputs, operation, output, rule=self.number, place=spot.place)


def _own(op: str) -> Entry:
    entry = registry.get(op)
    assert entry is not None, f"composer's own `{op}` is not registered"
    return entry
