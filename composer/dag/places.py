"""Where attention can go: every node as a place, and what a rule's selector and `where` pick among them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from composer.dag.scope import Node, Operation, Scope, TensorSpec
from composer.spec.check import ARRIVING


@dataclass(frozen=True)
class Place:
    """A node as a place for attention.

    stage and block count from 1, as papers do, block within its stage; None outside. num_stages is how many the
    network has. depth runs from 0 at the first operation to 1 at the last.
    """

    node: Node
    scope: Scope
    stage: int | None
    block: int | None
    num_stages: int
    depth: float

    @cached_property
    def input(self) -> TensorSpec | None:
        """The first tensor that arrives."""
        return self.scope.tensor(self.node.inputs[0]) if self.node.inputs else None

    def facts(self, position: str, *, last: bool) -> dict[str, Any]:
        """What `where` and the options of a rule may read. What the place does not have is None."""
        node = self.node
        tensor = node.output if position == "after" and isinstance(node.output, TensorSpec) else self.input
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


def places(root: Scope) -> list[Place]:
    """Every node that computes something, in the order they run. A node that only passes its input on is no place."""
    nodes = [node for node in root.walk() if node.content is not None]
    num_operations = sum(isinstance(node.content, Operation) for node in nodes)
    walk = _Walk(max(1, num_operations - 1), sum("stage" in node.sites for node in nodes))
    walk.visit(root, None, None)
    return walk.found


@dataclass
class _Walk:
    """A walk through a network in the order it runs, counting its operations, and stages with their blocks."""

    last: int
    num_stages: int
    found: list[Place] = field(default_factory=list)
    operations: int = 0
    stages: int = 0
    blocks: int = 0

    def visit(self, scope: Scope, stage: int | None, block: int | None) -> None:
        """Note the places of a scope that is inside a stage and a block, or outside."""
        stage_ends = sum(_ends(node, "stage") for node in scope.nodes.values())
        block_ends = sum(_ends(node, "block") for node in scope.nodes.values())
        began = False
        for node in scope.nodes.values():
            if node.content is None:
                continue
            # A stem before the first block is in no stage.
            began = began or block_ends > 0 or _holds_block(node)
            in_stage = self.stages + 1 if stage_ends and began else stage
            in_block = self.blocks + 1 if block_ends else block
            if "stage" in node.sites and not _ends(node, "stage"):
                self.stages, self.blocks = self.stages + 1, 0
                in_stage, in_block = self.stages, None
            if "block" in node.sites and not _ends(node, "block"):
                self.blocks += 1
                in_block = self.blocks
            self.note(node, scope, in_stage, in_block)
            if _ends(node, "block"):
                self.blocks, block_ends = self.blocks + 1, block_ends - 1
            if _ends(node, "stage"):
                self.stages, self.blocks, stage_ends, began = self.stages + 1, 0, stage_ends - 1, False

    def note(self, node: Node, scope: Scope, stage: int | None, block: int | None) -> None:
        """Note a place, and those inside it behind it."""
        index = len(self.found)
        self.found.append(Place(node, scope, stage, block, self.num_stages, self.operations / self.last))
        if isinstance(node.content, Scope):
            self.visit(node.content, stage, block)
            self.found[index] = replace(self.found[index], depth=(self.operations - 1) / self.last)
        else:
            self.operations += 1


def _ends(node: Node, site: str) -> bool:
    """Whether a stage or block ends with this node, rather than being it: all before it in the scope belongs to it.

    So it is where the network has no module for the whole, as in VGG and Inception.
    """
    return site in node.sites and (isinstance(node.content, Operation) or (site == "stage" and "block" in node.sites))


def _holds_block(node: Node) -> bool:
    inside = node.content.walk() if isinstance(node.content, Scope) else ()
    return "block" in node.sites or any("block" in one.sites for one in inside)


def sites(found: Sequence[Place]) -> dict[str, int]:
    """How many places each site has, in the order they first appear."""
    return dict(Counter(site for place in found for site in place.node.sites))


def select(found: Sequence[Place], selector: str) -> list[Place]:
    """The places of a site, or those whose path is like the glob. `*` stays within one name, `**` does not."""
    by_site = [place for place in found if selector in place.node.sites]
    if by_site:
        return by_site
    pattern = glob_pattern(selector)
    return [place for place in found if pattern.fullmatch(place.node.path)]


@lru_cache(maxsize=256)
def glob_pattern(glob: str) -> re.Pattern[str]:
    """A glob over dotted paths as a regular expression; a bracket that is never closed stands for itself."""
    parts = []
    for token in re.findall(r"\*\*|\*|\?|\[!?[^\]]+\]|.", glob, re.DOTALL):
        if token == "**":
            parts.append(".*")
        elif token in "*?":
            parts.append(r"[^.]*" if token == "*" else "[^.]")
        elif len(token) > 1:
            body = re.escape(token[1:-1].lstrip("!")).replace(r"\-", "-")
            parts.append(f"[{'^' * token.startswith('[!')}{body}]")
        else:
            parts.append(re.escape(token))
    # A run of stars would make matching exponential.
    try:
        return re.compile(re.sub(r"(?:\.\*){2,}", ".*", "".join(parts)))
    except re.error:
        return re.compile(re.escape(glob))


def conv_settings(host: Node, wanted: Mapping[str, Any], overridden: Mapping[str, Any]) -> dict[str, Any]:
    """What a replaced convolution hands on, of what the mechanism wants to know."""
    assert isinstance(host.content, Operation)
    known = dict(host.content.arguments)
    if known.get("padding") is None and wanted.get("padding", None) is not None and "kernel_size" not in overridden:
        known["padding"] = _same_padding(known["kernel_size"], known.get("dilation", 1))
    return {name: known[name] for name in wanted if name in known}


def _same_padding(kernel_size: Any, dilation: Any) -> Any:
    if isinstance(kernel_size, tuple):
        spread = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel_size)
        return tuple(d * (k - 1) // 2 for k, d in zip(kernel_size, spread, strict=True))
    return dilation * (kernel_size - 1) // 2
