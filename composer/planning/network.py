"""The sizes of a network that memory and traffic follow from."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from composer.compile.groups import block_nodes
from composer.dag.composition import Composition
from composer.dag.scope import Node, Scope, num_parameters
from composer.summary.memory import Unknown, activation_memory

# Bytes of a number of a map: autograd's memory is counted in float32.
_NUMBER = 4


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network.

    parameters    in all
    largest       parameters of the two largest blocks, 0 where there are fewer
    outside       parameters in no block
    macs          multiply-accumulates of an image; None if not known
    kept          bytes that autograd keeps of an image, in float32; None if not known
    checkpointed  the same where blocks keep only their inputs: those of all, and all of the largest block; None also
                  without blocks
    """

    parameters: int
    largest: tuple[int, int]
    outside: int
    macs: int | None
    kept: int | None
    checkpointed: int | None


def sizes_of(graph: Composition) -> Sizes:
    """The sizes of a network."""
    blocks = block_nodes(graph.root)
    inside = [num_parameters(node) for node in blocks if node.owns]
    first, second, *_ = [*sorted(inside, reverse=True), 0, 0]
    outside = graph.num_parameters - sum(inside)
    try:
        memory = activation_memory(graph.root, kernels=graph.spec.kernels)
    except Unknown:
        memory = None
    kept = checkpointed = None
    if memory is not None:
        kept = sum(memory.values())
        if blocks:
            checkpointed = _checkpointed(graph, blocks, dict(memory))
    return Sizes(graph.num_parameters, (first, second), outside, graph.num_macs, kept, checkpointed)


def _checkpointed(graph: Composition, blocks: list[Node], memory: dict[str, int]) -> int:
    """Bytes that are kept of an image where blocks keep only their inputs.

    The input of a block is what an operation before it gives, which is counted at that operation if anything outside
    of blocks keeps it too; it is counted here once for each block, so that this is an upper bound.
    """
    within = {node.path: 0 for node in blocks}
    outside = 0
    for path, bytes_ in memory.items():
        owner = next((block for block in within if path == block or path.startswith(f"{block}.")), None)
        if owner is None:
            outside += bytes_
        else:
            within[owner] += bytes_
    scopes = [node.content for node in blocks if isinstance(node.content, Scope)]
    inputs = sum(_NUMBER * prod(tensor.shape[1:]) for scope in scopes for tensor in scope.inputs.values())
    return outside + inputs + max(within.values())
