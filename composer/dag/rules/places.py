"""Where attention can go: every node as a place, and the places that a rule's selector and `where` pick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, overload

from composer.amounts import plural
from composer.dag.host import HostScope
from composer.dag.operation import Operation
from composer.dag.rules.globs import glob
from composer.dag.scope import Node, Scope
from composer.dag.tensor import TensorSpec
from composer.spec.check import ARRIVING
from composer.spec.sites import BLOCK, STAGE
from composer.visible import visible


@dataclass(frozen=True)
class Place:
    """A node as a place for attention.

    stage        number of its stage, from 1 as in papers; None outside a stage
    block        number of its block within the stage, from 1; None outside a block
    block_index  number of its block within the network, from 1; None outside a block
    num_blocks   number of blocks in its stage; in a network without stages, in the network; None without any
    all_blocks   number of blocks in the network
    num_stages   number of stages in the network
    depth        from 0 at the first operation to 1 at the last, of the network without rules
    """

    node: Node
    scope: Scope
    stage: int | None
    block: int | None
    block_index: int | None
    num_blocks: int | None
    all_blocks: int
    num_stages: int
    depth: float

    @property
    def passes(self) -> bool:
        """Whether the node only passes its input on, such as the shortcut of a block that keeps the shape."""
        return self.node.content is None

    @property
    def ends_stage(self) -> bool:
        """Whether a stage ends at the node, with all nodes before it in its scope, instead of being the node."""
        return _ends(self.node, STAGE)

    @cached_property
    def input(self) -> TensorSpec | None:
        """The first input tensor; None without inputs."""
        return self.scope.tensor(self.node.inputs[0]) if self.node.inputs else None

    def facts(self, position: str, *, last: bool, output: TensorSpec | None = None) -> dict[str, Any]:
        """Names that `where` and the options of a rule may read -> values; None for facts that the place lacks.

        output  the tensor of several that the rule edits; None for the only one
        """
        node = self.node
        given = output or self.scope.nodes.get(node.tail or "", node).result
        tensor = (given if position == "after" else None) or self.input
        arguments = node.content.arguments if isinstance(node.content, Operation) else {}
        facts: dict[str, Any] = dict.fromkeys(ARRIVING)
        facts.update(tensor.facts if tensor else {})
        facts.update({name: _plain(arguments.get(name)) for name in ("kernel_size", "stride", "groups")})
        return facts | {
            "stage": self.stage,
            "block": self.block,
            "block_index": self.block_index,
            "num_blocks": self.num_blocks,
            "all_blocks": self.all_blocks,
            "num_stages": self.num_stages,
            "depth": self.depth,
            "last": last,
            "op": node.op,
            "kind": node.kind,
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
        """Every node that computes something, and every node with a site that something takes, even if `when` leaves
        the node out, so that it passes its input on. Only a stage or block that is left out is no place, and a further
        call of a block: a rule reaches its module where it is written.
        """
        return cls(_Walk(root).places())

    @classmethod
    def near(cls, root: Scope, selectors: Iterable[str]) -> Places:
        """The places that these sites and globs select: those inside a block that they cannot reach are not looked at,
        so that a rule costs less than a walk through the whole network.
        """
        wanted = frozenset(selectors)
        sites = {STAGE, BLOCK, *wanted}
        every = list(map(glob, wanted))
        globs = [glob(one) for one in wanted if one not in root.sites]

        def selects(node: Node) -> bool:
            return not wanted.isdisjoint(node.sites) or any(one.matches(node.path) for one in every)

        def reaches(scope: Scope) -> bool:
            if not sites.isdisjoint(scope.sites) or any(one.may_match_below(scope.path) for one in globs):
                return True
            return any(one.matches(path) or one.may_match_below(path) for path in scope.strangers for one in globs)

        return cls(_Walk(root, reaches, selects).places())

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

    @cached_property
    def computing(self) -> Places:
        """Those that compute something, without those that only pass their input on."""
        return Places(place for place in self if not place.passes)

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


class _Inside(NamedTuple):
    """The stage and the block around a node; None for outside."""

    stage: int | None = None
    block: int | None = None
    block_index: int | None = None


@dataclass
class _Walk:
    """Walks through a network in running order and counts its operations, stages, blocks per stage, and all blocks.

    A network inside it has a walk of its own: its stages and blocks are counted as in that network alone.
    """

    root: Scope
    # Whether the walk goes into a scope. It counts no blocks or stages in the others.
    reaches: Callable[[Scope], bool] = lambda scope: True
    # Whether a place is wanted. The others are counted all the same.
    selects: Callable[[Node], bool] = lambda node: True
    found: list[tuple[_Walk, Node, Scope, _Inside, int]] = field(default_factory=list)
    # Path -> number of its last operation in the network without rules, so that rules do not move the depth of others.
    ends: Mapping[str, int] = field(default_factory=dict)
    # The number of the operation before.
    end: int = 0
    stages: int = 0
    blocks: int = 0
    all_blocks: int = 0
    # Stage, None outside of them -> the number of its last block.
    num_blocks: dict[int | None, int] = field(default_factory=dict)

    def places(self) -> Iterator[Place]:
        """The places that the walk meets."""
        self.ends = self.root.untouched.ends
        self.visit(self.root, _Inside())
        last = max(1, self.root.untouched.num_operations - 1)
        for walk, node, scope, at, end in self.found:
            blocks, num_blocks = walk.all_blocks, walk.num_blocks.get(at.stage)
            yield Place(
                node, scope, at.stage, at.block, at.block_index, num_blocks, blocks, walk.root.num_stages, end / last
            )

    def visit(self, scope: Scope, around: _Inside) -> None:
        """Note the places of a scope."""
        marked = [node for node in scope.nodes.values() if STAGE in node.sites or BLOCK in node.sites]
        stage_ends = sum(_ends(node, STAGE) for node in marked)
        block_ends = sum(_ends(node, BLOCK) for node in marked)
        began = False
        passing = _passing_places(scope)
        for node in scope.nodes.values():
            if node.content is None and node.name not in passing:
                continue
            if node.calls is not None and isinstance(node.content, Scope):
                # What rules do to a block, they do to its module, which other nodes only call again.
                self.end = self.ends.get(node.path, self.end)
                continue
            if not marked:
                self.note(node, scope, around)
                continue
            # A stem before the first block belongs to no stage.
            began = began or block_ends > 0 or (stage_ends > 0 and _holds_block(node))
            stage = self.stages + 1 if stage_ends and began else around.stage
            block, index = around.block, around.block_index
            if block_ends:
                block, index = self.blocks + 1, self.all_blocks + 1
            if STAGE in node.sites and not _ends(node, STAGE):
                self.stages, self.blocks = self.stages + 1, 0
                stage, block, index = self.stages, None, None
            if BLOCK in node.sites and not _ends(node, BLOCK):
                self.begin_block()
                block, index = self.blocks, self.all_blocks
            if block is not None:
                self.num_blocks[stage] = block
            self.note(node, scope, _Inside(stage, block, index))
            if _ends(node, BLOCK):
                self.begin_block()
                block_ends -= 1
            if _ends(node, STAGE):
                self.stages, self.blocks, stage_ends, began = self.stages + 1, 0, stage_ends - 1, False

    def begin_block(self) -> None:
        """Count a block."""
        self.blocks, self.all_blocks = self.blocks + 1, self.all_blocks + 1

    def note(self, node: Node, scope: Scope, at: _Inside) -> None:
        """Note a place, then the places inside it."""
        # What a rule put in is as deep as the operation before it; a scope is as deep as its last operation.
        end = self.ends.get(node.path, self.end)
        if self.selects(node):
            self.found.append((self, node, scope, at, end))
        inside = node.content if isinstance(node.content, Scope) else None
        # What is inside a recorded module that another frame called before, rules reach there.
        called_before = isinstance(inside, HostScope) and not node.owns
        if inside is not None and not called_before and self.reaches(inside):
            if inside.network is None:
                self.visit(inside, at)
            else:
                _Walk(inside, self.reaches, self.selects, self.found, self.ends, self.end).visit(inside, _Inside())
        self.end = end


def _passing_places(scope: Scope) -> Container[str]:
    """The nodes of a scope that are places although they only pass their input on."""
    tagged = {node.name: node.sites for node in scope.nodes.values() if node.content is None and node.sites}
    if not tagged:
        return ()
    taken = {*scope.outputs.values(), *(reference for node in scope.nodes.values() for reference in node.inputs)}
    return [name for name, sites in tagged.items() if name in taken and STAGE not in sites and BLOCK not in sites]


def _ends(node: Node, site: str) -> bool:
    """Whether a stage or block ends at this node, with all nodes before it in the scope, instead of being this node.

    This is so if no module holds the whole stage or block, as in VGG and Inception.
    """
    return site in node.sites and (isinstance(node.content, Operation) or (site == STAGE and BLOCK in node.sites))


def _holds_block(node: Node) -> bool:
    inside = node.content.walk() if isinstance(node.content, Scope) else ()
    return BLOCK in node.sites or any(BLOCK in one.sites for one in inside)
