"""Where attention can go: every node as a place, and the places that a rule's selector and `where` pick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

from composer.amounts import plural
from composer.dag.globs import glob
from composer.dag.scope import Node, Operation, Scope, TensorSpec
from composer.spec.check import ARRIVING
from composer.spec.sites import BLOCK, STAGE
from composer.visible import visible


@dataclass(frozen=True)
class Place:
    """A node as a place for attention.

    stage       number of its stage, from 1 as in papers; None outside a stage
    block       number of its block within the stage, from 1; None outside a block
    num_stages  number of stages in the network
    depth       from 0 at the first operation to 1 at the last
    """

    node: Node
    scope: Scope
    stage: int | None
    block: int | None
    num_stages: int
    depth: float

    @cached_property
    def input(self) -> TensorSpec | None:
        """The first input tensor; None without inputs."""
        return self.scope.tensor(self.node.inputs[0]) if self.node.inputs else None

    def facts(self, position: str, *, last: bool) -> dict[str, Any]:
        """Names that `where` and the options of a rule may read -> values; None for facts that the place lacks."""
        node = self.node
        given = self.scope.nodes.get(node.tail or "", node).output
        tensor = given if position == "after" and isinstance(given, TensorSpec) else self.input
        arguments = node.content.arguments if isinstance(node.content, Operation) else {}
        facts: dict[str, Any] = dict.fromkeys(ARRIVING)
        facts.update(tensor.facts if tensor else {})
        facts.update({name: _plain(arguments.get(name)) for name in ("kernel_size", "stride", "groups")})
        return facts | {
            "stage": self.stage,
            "block": self.block,
            "num_stages": self.num_stages,
            "depth": self.depth,
            "last": last,
            "op": node.op,
            "path": node.path,
        }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class Places(Sequence[Place]):
    """Places of a network in the order in which they run: all, or those that a site or a glob selects. Immutable.

    Prints as their paths, one per line.
    """

    def __init__(self, found: Iterable[Place]) -> None:
        self._found = tuple(found)

    @classmethod
    def of(cls, root: Scope) -> Places:
        """Every node that computes something. A node that only passes its input on is not a place."""
        walk = _Walk(max(1, root.num_operations - 1), root.num_stages)
        walk.visit(root, None, None)
        return cls(walk.found)

    @overload
    def __getitem__(self, index: int) -> Place: ...
    @overload
    def __getitem__(self, index: slice) -> Places: ...
    def __getitem__(self, index: int | slice) -> Place | Places:
        return Places(self._found[index]) if isinstance(index, slice) else self._found[index]

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._found)

    def __eq__(self, other: object) -> bool:
        return self._found == other._found if isinstance(other, Places) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.paths)

    def __str__(self) -> str:
        return "\n".join(map(visible, self.paths))

    def __repr__(self) -> str:
        ends = [visible(self.paths[index]) for index in ([0, -1] if len(self) > 1 else range(len(self)))]
        return f"<{plural(len(self), 'place')}{': ' * bool(ends)}{' … '.join(ends)}>"

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Their paths in the network."""
        return tuple(place.node.path for place in self)

    @cached_property
    def sites(self) -> Mapping[str, int]:
        """Site -> number of places, in the order in which the sites first appear."""
        return dict(Counter(site for place in self for site in place.node.sites))

    def at(self, path: str) -> Place | None:
        """The place with this path; None if there is none."""
        return self._by_path.get(path)

    def select(self, selector: str) -> Places:
        """The places of a site, or those whose path matches a glob: `*` stays within one name, `**` does not. May be
        empty.

        >>> from composer import compose
        >>> print(compose("resnet18").places.select("layer4.*"))
        layer4.0
        layer4.1
        """
        by_site = [place for place in self if selector in place.node.sites]
        wanted = glob(selector)
        return Places(by_site or [place for place in self if wanted.matches(place.node.path)])

    @cached_property
    def _by_path(self) -> Mapping[str, Place]:
        return {place.node.path: place for place in self}


@dataclass
class _Walk:
    """Walks through a network in running order and counts its operations, stages, and blocks per stage."""

    last: int
    num_stages: int
    found: list[Place] = field(default_factory=list)
    operations: int = 0
    stages: int = 0
    blocks: int = 0

    def visit(self, scope: Scope, stage: int | None, block: int | None) -> None:
        """Note the places of a scope that is inside this stage and block; None for outside."""
        marked = [node for node in scope.nodes.values() if STAGE in node.sites or BLOCK in node.sites]
        stage_ends = sum(_ends(node, STAGE) for node in marked)
        block_ends = sum(_ends(node, BLOCK) for node in marked)
        began = False
        for node in scope.nodes.values():
            if node.content is None:
                continue
            # A stem before the first block belongs to no stage.
            began = began or block_ends > 0 or (stage_ends > 0 and _holds_block(node))
            in_stage = self.stages + 1 if stage_ends and began else stage
            in_block = self.blocks + 1 if block_ends else block
            if STAGE in node.sites and not _ends(node, STAGE):
                self.stages, self.blocks = self.stages + 1, 0
                in_stage, in_block = self.stages, None
            if BLOCK in node.sites and not _ends(node, BLOCK):
                self.blocks += 1
                in_block = self.blocks
            self.note(node, scope, in_stage, in_block)
            if _ends(node, BLOCK):
                self.blocks, block_ends = self.blocks + 1, block_ends - 1
            if _ends(node, STAGE):
                self.stages, self.blocks, stage_ends, began = self.stages + 1, 0, stage_ends - 1, False

    def note(self, node: Node, scope: Scope, stage: int | None, block: int | None) -> None:
        """Note a place, then the places inside it."""
        inside = node.content if isinstance(node.content, Scope) else None
        # The depth of a scope is that of its last operation.
        operations = self.operations + (inside.num_operations - 1 if inside else 0)
        self.found.append(Place(node, scope, stage, block, self.num_stages, operations / self.last))
        if inside:
            self.visit(inside, stage, block)
        else:
            self.operations += 1


def _ends(node: Node, site: str) -> bool:
    """Whether a stage or block ends at this node, with all nodes before it in the scope, instead of being this node.

    This is so if no module holds the whole stage or block, as in VGG and Inception.
    """
    return site in node.sites and (isinstance(node.content, Operation) or (site == STAGE and BLOCK in node.sites))


def _holds_block(node: Node) -> bool:
    inside = node.content.walk() if isinstance(node.content, Scope) else ()
    return BLOCK in node.sites or any(BLOCK in one.sites for one in inside)


def conv_settings(host: Node, wanted: Mapping[str, Any], overridden: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in `wanted` that a replaced convolution hands on to a mechanism.

    A padding that keeps the size is left out if the mechanism has another kernel: it then finds its own padding.
    """
    assert isinstance(host.content, Operation)
    known = dict(host.content.arguments)
    if "kernel_size" not in known:
        # An attention between positions that replaced a convolution has no kernel, and so no padding.
        return {name: known[name] for name in wanted if name in known}
    keeps_size = _same_padding(known["kernel_size"], known.get("dilation", 1))
    if known.get("padding") is None and wanted.get("padding", None) is not None and "kernel_size" not in overridden:
        known["padding"] = keeps_size
    elif known.get("padding") == keeps_size and not overridden.keys().isdisjoint(("kernel_size", "dilation")):
        del known["padding"]
    return {name: known[name] for name in wanted if name in known}


def linear_settings(host: Node) -> dict[str, Any]:
    """The settings that a replaced linear layer hands on: it is a 1×1 convolution."""
    assert isinstance(host.content, Operation)
    known = host.content.arguments
    one = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return {**one, "out_channels": known["out_features"], "bias": known.get("bias", True)}


def _same_padding(kernel_size: Any, dilation: Any) -> Any:
    if isinstance(kernel_size, tuple):
        spread = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel_size)
        return tuple(d * (k - 1) // 2 for k, d in zip(kernel_size, spread, strict=True))
    return dilation * (kernel_size - 1) // 2
