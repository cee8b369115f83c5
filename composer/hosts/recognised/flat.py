"""Blocks and stages of networks that write their layers one after another, without modules for them, such as VGG."""

from __future__ import annotations

from collections.abc import Sequence

from composer.dag.host import HostScope
from composer.dag.scope import Node
from composer.hosts.recognised.blocks import FEWEST
from composer.hosts.recognised.branches import is_spatial_conv


def ends_of(root: HostScope) -> tuple[list[Node], list[Node]]:
    """Where blocks and stages end, in the scope with most convolutions; two empty lists if none has three.

    A block is a convolution that sees neighbours, with the norm and the activation behind it; a stage ends before a
    pooling.
    """
    scopes = [root, *(node.content for node in root.walk() if isinstance(node.content, HostScope))]
    holder = max(scopes, key=lambda scope: sum(map(is_spatial_conv, scope.nodes.values())))
    if sum(map(is_spatial_conv, holder.nodes.values())) < FEWEST:
        return [], []
    blocks: list[Node] = []
    stages: list[Node] = []
    before: Node | None = None
    for node in holder.nodes.values():
        if is_spatial_conv(node) or node.kind == "pool":
            if before is not None:
                blocks.append(before)
                stages.extend([before] if node.kind == "pool" else [])
            before = None
        if is_spatial_conv(node) or (before is not None and node.kind in ("norm", "activation")):
            before = node
    if before is not None:
        blocks.append(before)
        stages.append(before)
    return blocks, stages


def members(root: HostScope, blocks: Sequence[Node]) -> list[Node]:
    """The nodes of the scope in which blocks end, up to the last end."""
    last = {block.path for block in blocks}
    for scope in (root, *(node.content for node in root.walk() if isinstance(node.content, HostScope))):
        nodes = list(scope.nodes.values())
        ends = [number for number, node in enumerate(nodes) if node.path in last]
        if ends:
            return nodes[: ends[-1] + 1]
    return []
