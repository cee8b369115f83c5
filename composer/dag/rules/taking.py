"""The tensors that a rule's mechanism takes: those of its place, and others from anywhere in the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.amounts import plural
from composer.dag.rules.address import find
from composer.dag.rules.draft import Draft
from composer.dag.rules.insertion import Used
from composer.dag.rules.spot import Spot
from composer.dag.scope import Bound, Node, Scope
from composer.dag.tensor import TensorSpec
from composer.errors import Mistakes, did_you_mean, one_of
from composer.spec.model import Rule
from composer.spec.origin import Origin, evaluate

# Layouts from and to -> the layer between them.
_LAYOUTS: Mapping[tuple[str | None, str | None], str] = {
    ("b n c", "b c h w"): "`tokens_to_map` makes a map",
    ("b c h w", "b n c"): "`map_to_tokens` makes tokens",
    ("b h w c", "b c h w"): "`channels_first` moves them",
    ("b c h w", "b h w c"): "`channels_last` moves them",
}


def adapting(entry: Used, inputs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """Help for tensors that differ from the first of a mechanism: the layers that adapt them."""
    found = []
    for name, tensor in list(zip(entry.tensors, inputs, strict=False))[1:]:
        if tensor.layout != inputs[0].layout:
            layers = _LAYOUTS.get((tensor.layout, inputs[0].layout), "`rearrange` makes its axes")
            found.append(f"`{name}` is `{tensor.layout}`, the place `{inputs[0].layout}`: {layers}")
        elif tensor != inputs[0]:
            size = "`upsample`, or a convolution with a stride, makes its size"
            layers = size if tensor.channels == inputs[0].channels else f"a 1×1 `conv2d` makes its channels, {size}"
            found.append(f"`{name}` is {tensor}, the place {inputs[0]}: {layers}")
    return (
        (*found, "a block of the spec can hold the layer and the mechanism, and `use` takes the block") if found else ()
    )


def _written(reference: str, draft: Draft) -> str:
    """The node or input that the network itself has where this reference is: what rules put behind it is passed."""
    name = reference.partition(".")[0]
    while name in draft.nodes and draft.nodes[name].rule is not None and draft.nodes[name].inputs:
        name = draft.nodes[name].inputs[0].partition(".")[0]
    return name


@dataclass(frozen=True)
class Tensors:
    """What a rule says about tensors, and the network before the rule, in which its paths lead to them."""

    rule: Rule
    origin: Origin
    root: Scope

    def arriving(self, draft: Draft, spot: Spot) -> tuple[str, ...]:
        """References of the host's tensors that the mechanism takes. In place of a host, it takes all its inputs."""
        if self.rule.position == "after":
            return (draft.end(spot),)
        if self.rule.position == "replace" and self.rule.input is None:
            return tuple(draft.start(spot, number) for number in range(len(spot.host.inputs)))
        return (draft.start(spot),)

    def number(self, draft: Draft, host: Node) -> int:
        """The number of the host's input that `input` chooses, by default 0. Raises Mistakes."""
        chosen = self.rule.input
        if chosen is None:
            return 0
        if isinstance(host.content, Scope):
            names = list(host.content.inputs)
            known = dict(zip(names, range(len(names)), strict=True))
        else:
            names = [_written(one, draft) for one in host.inputs]
            known = {name: index for index, name in reversed(list(enumerate(names)))}
        if isinstance(chosen, int) and chosen < len(host.inputs):
            return chosen
        if isinstance(chosen, str) and chosen in known:
            return known[chosen]
        label = f"{one_of(names)}, or a number below {len(names)}"
        hint = did_you_mean(chosen, known, f"`{host.path}` takes {plural(len(names), 'input')}: {one_of(names)}")
        text = f"`{host.path}` has no input `{chosen}`"
        raise Mistakes((self.origin / "input").problem("place", text, label, hint, path=host.path))

    def bound(self, entry: Used, taken: int, host: Node, facts: Mapping[str, Any]) -> list[tuple[Bound, TensorSpec]]:
        """The tensors that `from` names, in the order in which the mechanism takes them after `taken` others.

        Raises Mistakes.
        """
        origin = self.origin / "from"
        if again := [name for name in entry.tensors[:taken] if name in self.rule.sources]:
            text = f"the place itself gives `{again[0]}`"
            raise Mistakes((origin / again[0]).problem("unknown-tensor", text, "remove it", key=True, path=host.path))
        wanted = entry.tensors[taken:]
        named = [index for index, name in enumerate(wanted, 1) if name in self.rule.sources]
        needed = max([entry.inputs[0] - taken, *named])
        if missing := [name for name in wanted[:needed] if name not in self.rule.sources]:
            text = f"`{entry.name}` takes {one_of(entry.tensors)}, and nothing says what {one_of(missing)} is"
            help = (f"such as `from: {{{missing[0]}: ./input}}`, a path from the place",)
            label = f"`from: {{{missing[0]}: …}}`"
            raise Mistakes((self.origin / "use").problem("missing-tensor", text, label, help, path=host.path))
        return [self.found(name, host, facts) for name in wanted[:needed]]

    def found(self, name: str, host: Node, facts: Mapping[str, Any]) -> tuple[Bound, TensorSpec]:
        origin = self.origin / "from" / name
        path = evaluate(self.rule.sources[name], facts, origin, host.path)
        if not isinstance(path, str) or not path:
            text = f"`{name}` comes from {path!r}"
            raise Mistakes(origin.problem("unknown-node", text, "a path, such as `../downsample`", path=host.path))
        return find(self.root, path, host, origin)
